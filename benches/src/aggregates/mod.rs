//! Training sets of aggregates: features that are computed of the events in windows; and
//! lookups and pushes of the same ([`online`]).
//!
//! ```text
//! shape -> lake and labels, those of `pit`, generated once, kept
//!       -> floor: the same columns of the same files, decoded and dropped
//!       -> ours: the training set, from the question to a complete result in memory
//!       -> peers: rolling windows over facts and labels in one frame, known time ignored
//!       -> one JSON object
//! ```
//!
//! In these lakes one fact in a hundred comes up to three days late and one in fifty
//! corrects another. We honor that; the peers, which cannot, count every fact from the moment
//! that it happened.

mod on_demand;
pub mod online;
mod ours;
mod peers;
mod shapes;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use serde_json::{Map, Value, json};

use self::ours::{Answered, Question};
use self::shapes::Shape;
use crate::pit::floor::{Decode, Decoded};
use crate::pit::lake::{KEY_COLUMNS, feature_name};
use crate::pit::{self, median, parse_bytes, rounded};
use crate::{Result, child, folder};

pub use self::ours::measure;

/// The hidden subcommand of a measuring process.
pub const CHILD: &str = "aggregates-child";

/// What to measure, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// A shape to measure, by name (repeatable): main, all_functions, dense, ten_times,
    /// hot_entity; online: small_entity, hot_key, push, on_demand_1, on_demand_100 [default: all
    /// but ten_times]
    #[arg(long = "shape", value_name = "NAME")]
    shapes: Vec<String>,
    /// Shrink rows, labels and entities, to try the command
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    scale: f64,
    /// Measurements of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    reps: u32,
    /// Threads, ours and the peers' [default: as many as cores]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// What a training set may hold
    #[arg(long, default_value = "8GiB", value_parser = parse_bytes)]
    memory: usize,
    /// Ask Polars and DuckDB, too; installs them at the first time
    #[arg(long)]
    peers: bool,
    /// Where generated data are kept [default: ~/.cache/hitherto/bench/pit]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Measures every chosen shape; a key of the answer for each.
///
/// # Errors
/// When data cannot be generated or a measurement fails; what a peer cannot do is said in
/// the answer.
pub fn run(options: &Options) -> Result<Value> {
    let is_online = |name: &String| online::SHAPES.contains(&name.as_str());
    let (online, offline): (Vec<String>, Vec<String>) =
        options.shapes.iter().cloned().partition(is_online);
    let shapes = match (online.is_empty(), offline.is_empty()) {
        (false, true) => Vec::new(),
        _ => shapes::named(&offline, options.scale)?,
    };
    let peers = options.peers.then(crate::peers::install).transpose()?;
    let mut answer = Map::new();
    let mut main = None;
    for shape in &shapes {
        let measured = options.measure(shape, peers.as_deref(), main)?;
        if shape.name == "main" {
            main = measured.get("seconds").and_then(Value::as_f64);
        }
        let measured = Value::Object(measured);
        eprintln!("{}: {measured}", shape.name);
        answer.insert(shape.name.to_owned(), measured);
    }
    for name in online::SHAPES {
        if options.shapes.is_empty() || online.iter().any(|asked| asked == name) {
            let measured = online::measure(name, options.scale)?;
            eprintln!("{name}: {measured}");
            answer.insert(name.to_owned(), measured);
        }
    }
    Ok(Value::Object(answer))
}

impl Options {
    fn measure(
        &self,
        shape: &Shape,
        peers: Option<&std::path::Path>,
        main: Option<f64>,
    ) -> Result<Map<String, Value>> {
        let data = match &self.data {
            Some(data) => std::path::absolute(data)?,
            None => folder::cache()?.join("bench").join("pit"),
        };
        let threads = self
            .threads
            .map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
        let lake = shape.lake.view(&data, 0)?;
        let spine = shape.labels.spine(&data)?.join("spine.parquet");
        let warm =
            || folder::warm(&lake).and_then(|()| folder::warm(spine.parent().unwrap_or(&lake)));
        warm()?;
        let columns = KEY_COLUMNS.map(str::to_owned).into_iter().chain([feature_name(0)]);
        let decode = Decode { folders: vec![lake.clone()], columns: columns.collect(), threads };
        let decode = pit::Question::Decode(decode);
        let floor = (0..self.reps).map(|_| child::ask(pit::CHILD, &decode));
        let floor = floor.map(|run| run.map(|decoded: Decoded| decoded.seconds));
        let floor = median(&floor.collect::<Result<Vec<_>>>()?);
        let question = Question {
            aggregates: shape.aggregates(),
            lake: lake.clone(),
            spine: spine.clone(),
            memory_bytes_max: self.memory,
            threads,
        };
        let ours = (0..self.reps).map(|_| child::ask(CHILD, &question));
        let ours = ours.collect::<Result<Vec<Answered>>>()?;
        let seconds = median(&ours.iter().map(|run| run.seconds).collect::<Vec<_>>());
        let peak = ours.iter().map(|run| run.peak_rss_bytes).max();
        let mut measured = Map::new();
        measured.insert("threads".to_owned(), json!(threads));
        measured.insert("floor_seconds".to_owned(), rounded(floor));
        measured.insert("seconds".to_owned(), rounded(seconds));
        measured.insert("ratio_floor".to_owned(), rounded(seconds / floor));
        measured.insert("peak_rss_bytes".to_owned(), json!(peak));
        measured.insert("rows".to_owned(), json!(ours.first().map(|run| run.rows)));
        measured.insert("checksum".to_owned(), json!(ours.first().map(|run| run.checksum)));
        if let Some(main) = main {
            measured.insert("ratio_main".to_owned(), rounded(seconds / main));
        }
        for (engine, home) in ["polars", "duckdb"].iter().zip(peers.into_iter().cycle()) {
            warm()?;
            let asked = peers::Question { engine, shape, lake: &lake, spine: &spine, threads };
            match asked.ask(home, self.reps) {
                Ok(peer) => {
                    measured.insert(format!("{engine}_seconds"), rounded(peer));
                    measured.insert(format!("ratio_{engine}"), rounded(seconds / peer));
                }
                Err(error) => {
                    measured.insert(format!("{engine}_error"), json!(error.to_string()));
                }
            }
        }
        Ok(measured)
    }
}
