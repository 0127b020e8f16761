//! Lookups without a network: one thread, everything in the cache.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hitherto_api::LookupRequest;
use hitherto_engine::Engine;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::latencies::{Latencies, Percentiles};
use super::repository::{self, NOW_MICROS};
use super::server;
use crate::{Result, grant};

/// What is measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InProcess {
    /// The repository.
    pub root: PathBuf,
    /// Its cache.
    pub cache_bytes: u64,
    /// What is asked.
    pub keys: Keys,
    /// The moments, measured in turns; `None` is now.
    pub moments: Vec<Option<i64>>,
    /// How long each.
    pub seconds: f64,
}

/// Measures; the percentiles of each moment.
///
/// # Errors
/// When the store cannot be opened or a lookup fails.
pub fn run(question: &InProcess) -> Result<Vec<Percentiles>> {
    let engine = repository::open(&question.root, question.cache_bytes)?;
    for moment in &question.moments {
        server::warm(&engine, question.keys.service, question.keys.entities, *moment)?;
    }
    let time = Duration::from_secs_f64(question.seconds);
    let measure = |moment: &Option<i64>| -> Result<Percentiles> {
        let requests = question.keys.requests(*moment)?;
        ask(&engine, &requests, time / 4)?;
        Ok(ask(&engine, &requests, time)?.percentiles())
    };
    question.moments.iter().map(measure).collect()
}

fn ask(engine: &Engine, requests: &[LookupRequest], time: Duration) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    let end = Instant::now() + time;
    for request in requests.iter().cycle() {
        let sent = Instant::now();
        let answer = engine.lookup(grant(), request, NOW_MICROS)?;
        let answered = Instant::now();
        latencies.record(answered - sent);
        drop(answer);
        if answered >= end {
            break;
        }
    }
    Ok(latencies)
}
