//! Lookups and pushes of aggregates, in one process, beside the same of latest rows.
//!
//! | shape | what is measured |
//! | --- | --- |
//! | `small_entity` | lookups of one entity, and of a hundred, of 20 events each: ten features |
//! | `hot_key` | lookups of one entity of ten events a second for half a day, four windows |
//! | `push` | durable pushes of a hundred facts each, about entities in no order |
//! | `on_demand_1`, `on_demand_100` | lookups of so many rows with five expressions |

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use hitherto_api::{
    Ack, KeyColumn, LookupRequest, MaterializeMode, MaterializeRequest, PushRequest, Selection,
};
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;
use parquet::arrow::ArrowWriter;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::on_demand;
use crate::materialize::store::{self, Silent};
use crate::online::latencies::{Latencies, Percentiles};
use crate::pit::{rounded, writer};
use crate::{Result, child, grant};

/// The shapes, each a key of the answer.
pub const SHAPES: [&str; 5] = ["small_entity", "hot_key", "push", "on_demand_1", "on_demand_100"];
/// The hidden subcommand of a measuring process.
pub const CHILD: &str = "aggregates-online-child";

pub(super) const SECOND: i64 = 1_000_000;
/// After every event.
pub(super) const NOW: i64 = 1_764_547_200 * SECOND;
/// Features of either view.
pub(super) const FEATURES: usize = 10;
/// Facts of a push.
const PUSHED: usize = 100;

/// What to measure.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    shape: String,
    scale: f64,
}

/// Measures a shape, in a process of its own.
///
/// # Errors
/// What went wrong there.
pub fn measure(shape: &str, scale: f64) -> Result<Value> {
    child::ask(CHILD, &Question { shape: shape.to_owned(), scale })
}

/// Answers, in the process that was started for it.
///
/// # Errors
/// When a repository cannot be made, or an answer is missing.
pub fn answer(question: Question) -> Result<Value> {
    let scaled = |count: f64| ((count * question.scale) as usize).max(1);
    match question.shape.as_str() {
        "small_entity" => small_entity(scaled(100_000.0), scaled(20_000.0)),
        "hot_key" => hot_key(scaled(432_000.0), scaled(5_000.0)),
        "on_demand_1" => {
            on_demand::measure(1, scaled(100_000.0), scaled(20_000.0), scaled(1_000_000.0))
        }
        "on_demand_100" => {
            on_demand::measure(100, scaled(100_000.0), scaled(5_000.0), scaled(1_000_000.0))
        }
        _ => push(scaled(100_000.0), Duration::from_secs_f64(5.0 * question.scale.min(1.0))),
    }
}

/// A repository with a view of aggregates, `events`, and one of latest rows, `latest`, both
/// materialized.
struct Repository {
    engine: Engine,
    _folder: TempDir,
}

impl Repository {
    /// Over events and, of each entity, one row of ten features.
    fn new(aggregates: &str, events: &RecordBatch, entities: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut yaml = format!(
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: k }}\n\
             spec: {{ keys: [{{ name: k, type: int64 }}] }}\n---\n\
             apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: {{ name: events }}\n\
             spec:\n  entity: k\n  source: {{ parquet: events, eventTime: e, knownTime: n, id: id \
             }}\n  online: {{ history: 1d }}\n  aggregates:\n{aggregates}---\n\
             apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: {{ name: latest }}\n\
             spec:\n  entity: k\n  source: {{ parquet: latest, eventTime: e, knownTime: n }}\n  \
             features:\n"
        );
        for feature in 0..FEATURES {
            writeln!(yaml, "    - {{ name: f{feature}, type: float64 }}")?;
        }
        for view in ["events", "latest"] {
            write!(
                yaml,
                "---\napiVersion: hitherto/v1\nkind: FeatureService\nmetadata: {{ name: {view} }}\n\
                 spec: {{ features: [\"{view}:*\"] }}\n"
            )?;
        }
        std::fs::write(folder.path().join("definitions.yaml"), yaml)?;
        write(&folder.path().join("events"), events)?;
        write(&folder.path().join("latest"), &latest(0..entities as i64, NOW - SECOND)?)?;
        let engine = store::open(folder.path(), 1 << 30)?;
        Runtime::new()?.block_on(build(&engine))?;
        Ok(Self { engine, _folder: folder })
    }

    /// How long so many lookups of all features of a view took. `draw` says of which entities
    /// the next one is, and when.
    fn look_up(
        &self,
        view: &str,
        lookups: usize,
        mut draw: impl FnMut() -> (Vec<i64>, Option<i64>, i64),
    ) -> Result<Percentiles> {
        let selection = Selection::Service(view.to_owned());
        let mut latencies = Latencies::new()?;
        for _ in 0..lookups {
            let (entities, as_of, now) = draw();
            let parts = entities.into_iter().map(|entity| Some(OwnedPart::Int(entity)));
            let keys = vec![KeyColumn { name: "k".to_owned(), parts: parts.collect() }];
            let request = LookupRequest {
                selection: selection.clone(),
                keys,
                request: Vec::new(),
                as_of,
                with_times: false,
            };
            let begun = Instant::now();
            let answer = self.engine.lookup(grant(), &request, now)?;
            latencies.record(begun.elapsed());
            if !answer.columns.iter().all(|column| column.has_value(0)) {
                return Err(format!("view {view} has no answer").into());
            }
        }
        Ok(latencies.percentiles())
    }
}

fn small_entity(entities: usize, lookups: usize) -> Result<Value> {
    const EVENTS: usize = 20;
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let keys: Vec<i64> = (0..entities as i64).flat_map(|key| [key; EVENTS]).collect();
    let week = 7 * 86_400 * SECOND;
    let times = keys.iter().map(|_| NOW - random.random_range(1..week)).collect();
    let windows = "windows: [7d, 30d]";
    let functions = ["sum", "count", "mean", "max", "min"];
    let aggregates = functions
        .map(|function| format!("    - {{ function: {function}, column: x, {windows} }}\n"));
    let repository = Repository::new(&aggregates.concat(), &events(keys, times)?, entities)?;
    let mut measured = Map::new();
    for (many, name) in [(1, "1"), (100, "100")] {
        let mut p50 = Vec::new();
        for view in ["latest", "events"] {
            let mut draw = || {
                let draw = || random.random_range(0..entities as i64);
                (std::iter::repeat_with(draw).take(many).collect(), None, NOW)
            };
            // What is asked again and again is in memory.
            repository.look_up(view, 3 * entities / many, &mut draw)?;
            let percentiles = repository.look_up(view, lookups / many.min(10), &mut draw)?;
            measured.insert(format!("{view}_{name}"), json!(percentiles));
            p50.push(percentiles.p50_micros);
        }
        measured.insert(format!("ratio_latest_{name}"), rounded(p50[1] / p50[0]));
    }
    Ok(Value::Object(measured))
}

fn hot_key(count: usize, lookups: usize) -> Result<Value> {
    let step = 12 * 3_600 * SECOND / count as i64;
    let times = (0..count as i64).map(|number| NOW - number * step).collect();
    let windows = "windows: [1h, 6h, 12h, lifetime]";
    let functions = ["sum", "count", "max"];
    let aggregates = functions
        .map(|function| format!("    - {{ function: {function}, column: x, {windows} }}\n"));
    let repository = Repository::new(&aggregates.concat(), &events(vec![0; count], times)?, 1)?;
    let mut now = NOW;
    let mut draw = || {
        now += SECOND / 10;
        (vec![0], None, now)
    };
    let first = repository.look_up("events", 1, &mut draw)?;
    repository.look_up("events", 20, &mut draw)?;
    let warm = repository.look_up("events", lookups, &mut draw)?;
    let mut random = Pcg64Mcg::seed_from_u64(2);
    let mut past = || (vec![0], Some(NOW - random.random_range(0..6 * 3_600 * SECOND)), NOW);
    repository.look_up("events", 100, &mut past)?;
    let as_of = repository.look_up("events", lookups, &mut past)?;
    // A push drops what it changes, so the next lookup computes that again.
    let mut pushed = Latencies::new()?;
    for number in 0..(lookups / 10).max(1) as i64 {
        let at = NOW + SECOND * (lookups as i64 + number);
        push_to(&repository.engine, "events", events(vec![0], vec![at])?, Ack::Async)?;
        let begun = Instant::now();
        repository.look_up("events", 1, || (vec![0], None, at + 1))?;
        pushed.record(begun.elapsed());
    }
    Ok(json!({
        "first_millis": rounded(first.p50_micros / 1e3),
        "now": warm,
        "as_of": as_of,
        "after_a_push": pushed.percentiles(),
    }))
}

fn push(entities: usize, time: Duration) -> Result<Value> {
    let keys: Vec<i64> = (0..entities as i64).collect();
    let times = keys.iter().map(|key| NOW - key - SECOND).collect();
    let aggregates = ["sum", "count", "mean", "max", "min"].map(|function| {
        format!("    - {{ function: {function}, column: x, windows: [7d, 30d] }}\n")
    });
    let repository = Repository::new(&aggregates.concat(), &events(keys, times)?, entities)?;
    let mut random = Pcg64Mcg::seed_from_u64(3);
    let mut measured = Map::new();
    let mut at = NOW;
    for view in ["latest", "events"] {
        let (begun, mut facts) = (Instant::now(), 0_usize);
        while begun.elapsed() < time {
            at += SECOND;
            let draw = || random.random_range(0..entities as i64);
            let keys: Vec<i64> = std::iter::repeat_with(draw).take(PUSHED).collect();
            let batch = match view {
                "latest" => latest(keys, at)?,
                _ => events(keys, (0..PUSHED as i64).map(|number| at + number).collect())?,
            };
            push_to(&repository.engine, view, batch, Ack::Durable)?;
            facts += PUSHED;
        }
        let rate = facts as f64 / begun.elapsed().as_secs_f64();
        measured.insert(format!("{view}_rows_per_second"), json!(rate.round()));
    }
    let rate = |view: &str| measured[&format!("{view}_rows_per_second")].as_f64().unwrap_or(0.0);
    let ratio = rounded(rate("events") / rate("latest"));
    measured.insert("ratio_latest".to_owned(), ratio);
    Ok(Value::Object(measured))
}

fn push_to(engine: &Engine, view: &str, facts: RecordBatch, ack: Ack) -> Result<()> {
    let idempotency_key = String::new();
    let request = PushRequest { view: view.to_owned(), facts, idempotency_key, ack };
    engine.push(grant(), &request, NOW)?;
    Ok(())
}

/// One event of each entity and time, known at once.
fn events(keys: Vec<i64>, times: Vec<i64>) -> Result<RecordBatch> {
    let values = (0..keys.len()).map(|number| (number % 1_000) as f64 / 10.0);
    let ids = 0..keys.len() as i64;
    Ok(RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from(keys)) as ArrayRef),
        ("e", writer::times(times.iter().copied())),
        ("n", writer::times(times.iter().copied())),
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ("x", Arc::new(Float64Array::from_iter_values(values))),
    ])?)
}

/// A row of ten features for each entity.
pub(super) fn latest(keys: impl IntoIterator<Item = i64>, at: i64) -> Result<RecordBatch> {
    let keys: Vec<i64> = keys.into_iter().collect();
    let times = || writer::times(std::iter::repeat_n(at, keys.len()));
    let mut columns = vec![
        ("k".to_owned(), Arc::new(Int64Array::from(keys.clone())) as ArrayRef),
        ("e".to_owned(), times()),
        ("n".to_owned(), times()),
    ];
    for feature in 0..FEATURES {
        let values = keys.iter().map(|key| (*key + feature as i64) as f64);
        columns.push((format!("f{feature}"), Arc::new(Float64Array::from_iter_values(values))));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Applies a repository, and builds all of its views.
pub(super) async fn build(engine: &Engine) -> Result<()> {
    let plan = engine.plan(grant()).await?;
    engine.apply(grant(), &plan, NOW).await?;
    let request =
        MaterializeRequest { mode: MaterializeMode::Full, ..MaterializeRequest::default() };
    engine.materialize(grant(), &request, NOW, &Silent).await?;
    Ok(())
}

pub(super) fn write(folder: &Path, rows: &RecordBatch) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = std::fs::File::create(folder.join("0.parquet"))?;
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None)?;
    for from in (0..rows.num_rows()).step_by(131_072) {
        writer.write(&rows.slice(from, (rows.num_rows() - from).min(131_072)))?;
    }
    writer.close()?;
    Ok(())
}
