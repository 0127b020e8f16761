//! Lookups at rest, and beside a build of the whole view and its flip.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hitherto_api::{KeyColumn, LookupRequest, MaterializeMode, Selection};
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::store::{self, VIEW};
use crate::online::latencies::{Latencies, Percentiles};
use crate::pit::lake::KEY_COLUMNS;
use crate::{Result, grant};

/// From one lookup to the next: a service that is used, and not a load test.
const INTERVAL: Duration = Duration::from_millis(2);

/// Where, and how long.
#[derive(Debug, Serialize, Deserialize)]
pub struct Contend {
    /// A repository that is materialized.
    pub root: PathBuf,
    /// What the build may hold, in bytes.
    pub memory: u64,
    /// Entities to ask for.
    pub entities: u64,
    /// How long lookups are measured at rest.
    pub seconds: f64,
}

/// Latencies of lookups of one entity and all features, from the moment at which each
/// was due.
#[derive(Debug, Serialize, Deserialize)]
pub struct Contended {
    /// Nothing else goes on.
    pub at_rest: Percentiles,
    /// While everything is read, written and flipped.
    pub beside: Percentiles,
    /// Lookups beside the build.
    pub lookups: u64,
    /// How long that took.
    pub build_seconds: f64,
}

/// Measures.
///
/// # Errors
/// When the store cannot be opened, or a lookup or the build fails.
pub fn run(question: &Contend) -> Result<Contended> {
    let engine = Arc::new(store::open(&question.root, question.memory)?);
    // The threads on which a server builds.
    let runtime = hitherto_engine::background::runtime()?;
    let is_over = AtomicBool::new(false);
    let rest = Duration::from_secs_f64(question.seconds);
    let started = Instant::now();
    look_up(&engine, question, || started.elapsed() > rest)?;
    let started = Instant::now();
    let at_rest = look_up(&engine, question, || started.elapsed() > rest)?;
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| look_up(&engine, question, || is_over.load(Ordering::Relaxed)));
        let started = Instant::now();
        let building = Arc::clone(&engine);
        let build = async move {
            let built = store::materialize(&building, MaterializeMode::Full).await;
            built.map(drop).map_err(|error| error.to_string())
        };
        let built = runtime.block_on(runtime.spawn(build)).expect("no build panics");
        let build_seconds = started.elapsed().as_secs_f64();
        // The new generation's rows are not in memory yet: that is part of it.
        std::thread::sleep(rest / 4);
        is_over.store(true, Ordering::Relaxed);
        built?;
        let beside = beside.join().expect("no lookup panics")?;
        Ok(Contended {
            at_rest: at_rest.percentiles(),
            beside: beside.percentiles(),
            lookups: beside.count(),
            build_seconds,
        })
    })
}

fn look_up(engine: &Engine, question: &Contend, is_over: impl Fn() -> bool) -> Result<Latencies> {
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let mut latencies = Latencies::new()?;
    let selection = Selection::features([format!("{VIEW}:*")])?;
    let mut due = Instant::now();
    while !is_over() {
        due += INTERVAL;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let entity = random.random_range(0..question.entities) as i64;
        let request = LookupRequest {
            selection: selection.clone(),
            keys: vec![KeyColumn {
                name: KEY_COLUMNS[0].to_owned(),
                parts: vec![Some(OwnedPart::Int(entity))],
            }],
            request: Vec::new(),
            as_of: None,
            with_times: false,
        };
        engine.lookup(grant(), &request, i64::MAX)?;
        latencies.record(due.elapsed());
    }
    Ok(latencies)
}
