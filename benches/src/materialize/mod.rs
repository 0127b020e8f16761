//! Materialization and push, measured.
//!
//! ```text
//! lake    one file a day, in the order of time, generated once, kept
//! floor   the same columns of the same files decoded and dropped, and the winning
//!         rows, sorted already, written as the store's files
//! full    everything but the last day into a new store
//! day     the last day on top
//! push    into that store: durable, in batches of several sizes
//! beside  lookups at rest, and while everything is materialized once more
//! ```
//!
//! Every measurement has a process of its own and finds its files in the page cache.
//!
//! | module      | what it owns                                       |
//! | ----------- | -------------------------------------------------- |
//! | `store`     | repositories over the lake                         |
//! | `builds`    | full, a day on top, and the floor of writing       |
//! | `pushes`    | batches, one after the other and from many threads |
//! | `contended` | lookups beside a build                             |

mod builds;
mod contended;
mod pushes;
pub mod store;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::pit::entities::KeyType;
use crate::pit::floor::{self, Decode};
use crate::pit::lake::{KEY_COLUMNS, Lake, Sort, feature_name};
use crate::pit::{median, parse_bytes, rounded};
use crate::{Result, child, folder, peers};

/// The hidden subcommand of a measuring process.
pub const CHILD: &str = "materialize-child";

/// Columns before the features: all that the view reads.
const READ_COLUMNS: usize = 2;

/// What Feast is asked to materialize.
const FEAST_ROWS: u64 = 100_000;
const FEAST_FEATURES: usize = 10;
const FEAST_DAYS: u64 = 10;

/// What to measure, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Facts
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Entities that they are about
    #[arg(long, default_value_t = 1_000_000)]
    entities: u64,
    /// Features, all float64
    #[arg(long, default_value_t = 50)]
    features: usize,
    /// Days, a file each
    #[arg(long, default_value_t = 100)]
    days: u64,
    /// What a build may hold
    #[arg(long, default_value = "512MiB", value_parser = parse_bytes)]
    memory: usize,
    /// Measurements of builds and floors; the median counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    reps: u32,
    /// Seconds of each measurement of pushes and lookups
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Let Feast materialize a smaller lake, too; installs it at the first time
    #[arg(long)]
    peers: bool,
    /// Where generated data are kept [default: ~/.cache/hitherto/bench/materialize]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What a measuring process is asked.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    Decode(Decode),
    Write(builds::Sorted),
    Build(builds::Build),
    Push(pushes::Push),
    Contend(contended::Contend),
}

/// Measures; the answer is one JSON object.
///
/// # Errors
/// When data cannot be generated or a measurement fails.
pub fn run(options: &Options) -> Result<Value> {
    let data = match &options.data {
        Some(data) => data.clone(),
        None => folder::cache()?.join("bench").join("materialize"),
    };
    let lake = lake(options.rows, options.entities, options.features, options.days);
    let files = lake.view(&data, 0)?;
    folder::warm(&files)?;
    let work = tempfile::Builder::new().prefix("materialize-").tempdir_in(&data)?;
    let floor = measure_floor(options, &files, work.path())?;
    let build = measure_build(options, &files, work.path())?;
    let push = pushes::Push {
        root: build.root.clone(),
        entities: options.entities,
        features: options.features,
        seconds: options.seconds,
    };
    let push: pushes::Pushed = child::ask(CHILD, &Question::Push(push))?;
    let contend = contended::Contend {
        root: build.root.clone(),
        memory: options.memory as u64,
        entities: options.entities,
        seconds: options.seconds,
    };
    let contended: contended::Contended = child::ask(CHILD, &Question::Contend(contend))?;
    let mut measured = json!({
        "rows": build.built.rows,
        "entities": build.built.entities,
        "features": options.features,
        "seconds": rounded(build.seconds),
        "rows_per_second": rounded(build.built.rows as f64 / build.seconds),
        "peak_rss_bytes": build.built.peak_rss_bytes,
        "floor_decode_seconds": rounded(floor.decode),
        "floor_write_seconds": rounded(floor.write),
        "ratio_floor": rounded(build.seconds / (floor.decode + floor.write)),
        "incremental_rows": build.built.day_rows,
        "incremental_seconds": rounded(build.day_seconds),
        "incremental_ratio": rounded(build.day_seconds / build.seconds),
        "push": push,
        "lookup_p99_ratio": rounded(contended.beside.p99_micros / contended.at_rest.p99_micros),
        "lookups": contended,
    });
    if options.peers {
        measured["feast"] = measure_feast(options, &data, work.path())?;
    }
    Ok(measured)
}

fn lake(rows: u64, entities: u64, features: usize, days: u64) -> Lake {
    Lake {
        rows,
        features,
        entities,
        days,
        files: days,
        row_group_rows: 1 << 20,
        zipf: 0.0,
        sort: Sort::Time,
        key: KeyType::Int64,
        seed: 1,
    }
}

/// What `benches/peers/materialize.py` answers; the rest is talk.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    version: String,
    rows: u64,
    entities: u64,
    seconds: f64,
}

/// A lake that Feast can finish, materialized by both.
fn measure_feast(options: &Options, data: &Path, work: &Path) -> Result<Value> {
    let lake = lake(FEAST_ROWS, FEAST_ROWS / 2, FEAST_FEATURES, FEAST_DAYS);
    let files = lake.view(data, 0)?;
    let build = builds::Build {
        root: work.join("beside-feast"),
        files: files.clone(),
        features: FEAST_FEATURES,
        memory: options.memory as u64,
    };
    let ours: builds::Built = child::ask(CHILD, &Question::Build(build))?;
    let mut command = peers::command(&peers::install()?, "feast", "materialize.py");
    command.arg("feast_sqlite").arg("--facts").arg(&files);
    command.args(["--features", &FEAST_FEATURES.to_string()]);
    let feast: Peer = peers::answer(command)?;
    let rate = |rows: u64, seconds: f64| rows as f64 / seconds;
    let ours = rate(ours.rows, ours.seconds);
    let ratio = ours / rate(feast.rows, feast.seconds);
    Ok(json!({
        "features": FEAST_FEATURES,
        "ours_rows_per_second": rounded(ours),
        "rows_per_second": rounded(rate(feast.rows, feast.seconds)),
        "ratio": rounded(ratio),
        "measured": feast,
    }))
}

/// Answers one question, in a process of its own.
///
/// # Errors
/// When the measurement fails.
fn measure(question: Question) -> Result<Value> {
    Ok(match question {
        Question::Decode(decode) => serde_json::to_value(floor::run(&decode)?)?,
        Question::Write(sorted) => serde_json::to_value(builds::write(&sorted)?)?,
        Question::Build(build) => serde_json::to_value(builds::build(&build)?)?,
        Question::Push(push) => serde_json::to_value(pushes::run(&push)?)?,
        Question::Contend(contend) => serde_json::to_value(contended::run(&contend)?)?,
    })
}

/// Answers the question on stdin.
///
/// # Errors
/// When there is none.
pub fn answer() -> Result<String> {
    child::answer(measure)
}

/// Seconds of what any build has to do.
struct Floor {
    decode: f64,
    write: f64,
}

fn measure_floor(options: &Options, files: &Path, work: &Path) -> Result<Floor> {
    let features = (0..options.features).map(feature_name);
    let columns = KEY_COLUMNS[..READ_COLUMNS].iter().map(|name| (*name).to_owned());
    let decode = Decode {
        folders: vec![files.to_owned()],
        columns: columns.chain(features).collect(),
        threads: std::thread::available_parallelism()?.get(),
    };
    let (mut decodes, mut writes) = (Vec::new(), Vec::new());
    for rep in 0..options.reps {
        let decoded: floor::Decoded = child::ask(CHILD, &Question::Decode(decode.clone()))?;
        eprintln!("floor: decoded {} rows in {:.1} s", decoded.rows, decoded.seconds);
        decodes.push(decoded.seconds);
        let sorted = builds::Sorted {
            folder: work.join(format!("floor-{rep}")),
            entities: options.entities,
            features: options.features,
        };
        let seconds: f64 = child::ask(CHILD, &Question::Write(sorted))?;
        eprintln!("floor: wrote {} sorted rows in {seconds:.1} s", options.entities);
        writes.push(seconds);
    }
    Ok(Floor { decode: median(&decodes), write: median(&writes) })
}

/// The last build, with the medians of all.
struct Builds {
    root: PathBuf,
    built: builds::Built,
    seconds: f64,
    day_seconds: f64,
}

fn measure_build(options: &Options, files: &Path, work: &Path) -> Result<Builds> {
    let (mut seconds, mut day_seconds, mut last) = (Vec::new(), Vec::new(), None);
    for rep in 0..options.reps {
        let root = work.join(format!("store-{rep}"));
        let build = builds::Build {
            root: root.clone(),
            files: files.to_owned(),
            features: options.features,
            memory: options.memory as u64,
        };
        let built: builds::Built = child::ask(CHILD, &Question::Build(build))?;
        eprintln!(
            "full: {} rows in {:.1} s; a day on top: {} rows in {:.2} s",
            built.rows, built.seconds, built.day_rows, built.day_seconds
        );
        seconds.push(built.seconds);
        day_seconds.push(built.day_seconds);
        last = Some((root, built));
    }
    let (root, built) = last.ok_or("nothing was measured")?;
    Ok(Builds { root, built, seconds: median(&seconds), day_seconds: median(&day_seconds) })
}
