//! Pushes: durable batches, one after the other and from many threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use hitherto_api::{Ack, KeyColumn, LookupRequest, PushRequest, Selection};
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;
use serde::{Deserialize, Serialize};

use super::store::{self, NOW_MICROS, VIEW};
use crate::online::latencies::{Latencies, Percentiles};
use crate::pit::lake::{KEY_COLUMNS, feature_name};
use crate::pit::writer;
use crate::{Result, grant};

/// Threads that push at the same time, where many do.
const THREADS: usize = 16;

/// What is pushed, and where.
#[derive(Debug, Serialize, Deserialize)]
pub struct Push {
    /// A repository that is materialized.
    pub root: PathBuf,
    /// Entities to push facts about.
    pub entities: u64,
    /// Features of the view.
    pub features: usize,
    /// How long each.
    pub seconds: f64,
}

/// Rows a second, durable when acknowledged, by batch and threads.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// By batch size and threads, such as `100 x 1`.
    pub rows_per_second: Vec<(String, f64)>,
    /// One fact at a time: from the call until a lookup has found it.
    pub write_to_visible: Percentiles,
    /// A write of one row to a file and its sync, on the same disk: the floor of one
    /// durable push.
    pub sync_floor: Percentiles,
}

/// Measures.
///
/// # Errors
/// When the store cannot be opened, or a push is not seen.
pub fn run(question: &Push) -> Result<Pushed> {
    let engine = store::open(&question.root, 1 << 30)?;
    let time = Duration::from_secs_f64(question.seconds);
    let clock = AtomicI64::new(NOW_MICROS);
    let batch = |rows: usize| {
        let first = clock.fetch_add(rows as i64, Ordering::Relaxed);
        facts(question, first, rows)
    };
    let mut rows_per_second = Vec::new();
    for (rows, threads) in [(1, 1), (1, THREADS), (100, 1), (100, THREADS), (10_000, 1)] {
        let started = Instant::now();
        let pushed = AtomicI64::new(0);
        std::thread::scope(|scope| -> Result<()> {
            let push = || -> Result<()> {
                while started.elapsed() < time {
                    push(&engine, batch(rows)?)?;
                    pushed.fetch_add(rows as i64, Ordering::Relaxed);
                }
                Ok(())
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(push)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no push panics"))
        })?;
        let rate = pushed.into_inner() as f64 / started.elapsed().as_secs_f64();
        eprintln!("push: {rows} rows x {threads} threads: {rate:.0} rows a second");
        rows_per_second.push((format!("{rows} x {threads}"), rate.round()));
    }
    let mut write_to_visible = Latencies::new()?;
    let started = Instant::now();
    while started.elapsed() < time {
        let number = clock.fetch_add(1, Ordering::Relaxed);
        let facts = facts(question, number, 1)?;
        let begun = Instant::now();
        push(&engine, facts)?;
        let found = look_up(&engine, entity(question, number))?;
        write_to_visible.record(begun.elapsed());
        if found != Some(number as f64) {
            return Err(format!("pushed {number}, found {found:?}").into());
        }
    }
    Ok(Pushed {
        rows_per_second,
        write_to_visible: write_to_visible.percentiles(),
        sync_floor: sync_floor(question, time)?,
    })
}

fn push(engine: &Engine, facts: RecordBatch) -> Result<()> {
    let request = PushRequest {
        view: VIEW.to_owned(),
        facts,
        idempotency_key: String::new(),
        ack: Ack::Durable,
    };
    engine.push(grant(), &request, i64::MAX)?;
    Ok(())
}

/// The entity that the fact of a number is about: all of them, in no order.
fn entity(question: &Push, number: i64) -> i64 {
    (number.wrapping_mul(0x9E37_79B9) as u64 % question.entities) as i64
}

/// Facts whose times and first features are numbers from `first` on.
fn facts(question: &Push, first: i64, rows: usize) -> Result<RecordBatch> {
    let [key, event_time, _] = KEY_COLUMNS;
    let numbers = || first..first + rows as i64;
    let entities = numbers().map(|number| entity(question, number));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (key.to_owned(), Arc::new(Int64Array::from_iter_values(entities))),
        (event_time.to_owned(), writer::times(numbers())),
    ];
    for feature in 0..question.features {
        let values = numbers().map(|number| number as f64 + feature as f64);
        columns.push((feature_name(feature), Arc::new(Float64Array::from_iter_values(values))));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn look_up(engine: &Engine, entity: i64) -> Result<Option<f64>> {
    let request = LookupRequest {
        selection: Selection::features([format!("{VIEW}:{}", feature_name(0))])?,
        keys: vec![KeyColumn {
            name: KEY_COLUMNS[0].to_owned(),
            parts: vec![Some(OwnedPart::Int(entity))],
        }],
        request: Vec::new(),
        as_of: None,
        with_times: false,
    };
    let found = engine.lookup(grant(), &request, i64::MAX)?;
    Ok(match &found.columns[0].values {
        Values::F64(values) => values.first().copied(),
        _ => None,
    })
}

fn sync_floor(question: &Push, time: Duration) -> Result<Percentiles> {
    use std::io::Write;
    let mut file = tempfile::tempfile_in(&question.root)?;
    let row = vec![7; 32 + 8 * question.features];
    let mut latencies = Latencies::new()?;
    let started = Instant::now();
    while started.elapsed() < time {
        let begun = Instant::now();
        file.write_all(&row)?;
        file.sync_data()?;
        latencies.record(begun.elapsed());
    }
    Ok(latencies.percentiles())
}
