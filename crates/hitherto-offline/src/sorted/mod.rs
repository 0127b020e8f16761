//! All facts of a view that can answer, in key order, whatever the size of its source. Events
//! are in the order of their own keys ([`hitherto_core::key::EventKey`]), and what is said below
//! of an entity's facts is said of an event's: its versions.
//!
//! ```text
//! pieces (row groups, newest first; a thread takes one after the other)
//!   heads     keys and times: what a newer fact has made worthless is dropped
//!   rows      features of the others, encoded
//!   spread    over parts of the key space, in memory or in files
//! parts
//!   sort      by key, newest first: what cannot answer is dropped
//!   visit     by as many threads as there are, a part each
//! ```
//!
//! | module       | what it owns                                          |
//! | ------------ | ------------------------------------------------------ |
//! | `scan`       | pieces to encoded facts                                |
//! | `candidates` | keys and times of facts on which nothing is decided    |
//! | `superseded` | which of them a newer fact has made worthless          |
//! | `spread`     | encoded facts in parts of the key space, spilling      |
//! | `records`    | encoded facts side by side, and their order            |
//! | `kept`       | which sorted facts can answer                          |

mod candidates;
mod kept;
mod records;
mod scan;
mod spread;
mod superseded;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::runtime::JoinSet;
use futures::StreamExt;
use futures::channel::mpsc;
use hitherto_core::catalog::AppliedView;
use hitherto_core::key::EventKey;
use hitherto_core::{Error, Result};

use self::scan::Scan;
use self::spread::{EntityOf, Part, Spread};
use self::superseded::Superseded;
use crate::Offline;
use crate::footer::blame_if_broken;
use crate::shared::StopOnDrop;
use crate::source::FactQuery;

pub use spread::FactVisitor;

/// The part of the memory in which it is remembered which facts were read.
const SUPERSEDED_SHARE: usize = 8;
/// The part that facts may take before they are spilled. Sorting takes half as much
/// again, and while parts are sorted each thread has a few of them.
const SPREAD_SHARE: usize = 4;
/// The part that the facts of one thread may take while they are sorted.
const RUN_SHARE: usize = 16;
/// Parts that each thread finds: the last of them should not be long alone.
const PARTS_PER_THREAD: usize = 4;

/// Facts counted while they are read, before they are sorted.
#[derive(Debug, Default)]
pub struct ScanCount {
    facts: AtomicU64,
    without_time: AtomicU64,
    without_key: AtomicU64,
}

impl ScanCount {
    /// Facts read so far, the ones below included.
    pub fn facts(&self) -> u64 {
        self.facts.load(Ordering::Relaxed)
    }

    /// Facts dropped because they have no event time.
    pub fn without_time(&self) -> u64 {
        self.without_time.load(Ordering::Relaxed)
    }

    /// Facts dropped because a join key is null.
    pub fn without_key(&self) -> u64 {
        self.without_key.load(Ordering::Relaxed)
    }
}

/// Facts in key order, in parts of the key space.
pub struct SortedFacts {
    parts: std::vec::IntoIter<Part>,
    run_bytes: usize,
    threads: usize,
    count: Arc<ScanCount>,
}

/// Neighbouring parts, which one thread sorts and shows.
pub struct SortedRun(Vec<Part>);

impl SortedFacts {
    /// The next runs, one for each thread; none after the last. None has facts of an
    /// entity that another has.
    pub fn next_runs(&mut self) -> Vec<SortedRun> {
        let next = || {
            let (mut bytes, mut parts) = (0, Vec::new());
            while bytes < self.run_bytes || parts.is_empty() {
                let Some(part) = self.parts.next() else { break };
                bytes += part.spilled_bytes();
                parts.push(part);
            }
            (!parts.is_empty()).then_some(SortedRun(parts))
        };
        std::iter::from_fn(next).take(self.threads).collect()
    }

    /// Parts of the key space that no run has yet.
    pub fn parts_left(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    /// Counts of the scan.
    pub fn count(&self) -> &ScanCount {
        &self.count
    }
}

impl SortedRun {
    /// Shows facts by key, newest first, with their times and rows; events by their own keys.
    /// Of an entity's facts, or an event's, with equal times only the greatest comes, and none
    /// after the first that is visible at the horizon.
    ///
    /// # Errors
    /// What `visit` returns; `Unavailable` when temporary files cannot be used.
    pub fn visit(self, visit: &mut FactVisitor<'_>) -> Result<()> {
        self.0.into_iter().try_for_each(|part| part.visit(visit))
    }
}

impl Offline {
    /// Reads what queries of one view find, and has the facts that can answer a moment
    /// from `horizon` on in key order. `progress` is told how many were read so far.
    ///
    /// # Errors
    /// `Invalid`, `Unavailable` or `Corrupt` from the files, `Unavailable` from temporary
    /// ones.
    pub async fn sort_facts(
        &self,
        view: &AppliedView,
        queries: &[FactQuery],
        horizon: i64,
        mut progress: impl FnMut(u64),
    ) -> Result<SortedFacts> {
        let memory = self.memory_bytes_max;
        let entity: EntityOf = match view.definition.aggregates {
            Some(_) => |key| EventKey::split(key).map_or(key, |event| event.entity),
            None => |key| key,
        };
        let spread = Spread::new(entity, horizon, memory / SPREAD_SHARE);
        let superseded = Superseded::new(horizon, memory / SUPERSEDED_SHARE);
        let context = self.session().task_ctx();
        let scan = Arc::new(Scan::new(view, queries, context, superseded, spread));
        let count = Arc::clone(&scan.count);
        let stop = StopOnDrop(Arc::clone(&scan.stop));
        // That more was read is told once, however often it is so before anybody hears it.
        let (sender, mut read) = mpsc::channel(0);
        let mut threads = JoinSet::new();
        for _ in 0..self.threads.max(1) {
            let (scan, mut sender) = (Arc::clone(&scan), sender.clone());
            threads.spawn_blocking(move || scan.work(|| drop(sender.try_send(()))));
        }
        drop(sender);
        while read.next().await.is_some() {
            progress(count.facts());
        }
        while let Some(worked) = threads.join_next().await {
            let broken = |cause| Error::internal("reading facts broke off").with_source(cause);
            worked.map_err(broken)?.map_err(|error| {
                blame_if_broken(queries.iter().flat_map(|query| &query.files), error)
            })?;
        }
        drop(stop);
        let scan = Arc::into_inner(scan).ok_or_else(|| Error::internal("a thread reads on"))?;
        let parts = scan.into_spread().finish(self.threads.max(1) * PARTS_PER_THREAD)?;
        let bytes: usize = parts.iter().map(Part::spilled_bytes).sum();
        let run_bytes = bytes / (self.threads.max(1) * PARTS_PER_THREAD);
        let run_bytes = run_bytes.min(memory / RUN_SHARE);
        Ok(SortedFacts { parts: parts.into_iter(), run_bytes, threads: self.threads.max(1), count })
    }
}
