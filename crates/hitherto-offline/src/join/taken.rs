//! What takes the facts of a view: a contest, of which the newest wins, or the events of
//! entities, of which many answer together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hitherto_core::Result;
use hitherto_core::slots::{Contest, Events, Spine};

use super::exec::JoinView;
use crate::fact_files::{FactFiles, Scratch, Unit};
use crate::facts::FactBatch;

/// What takes the facts of a view, from many threads.
pub(super) enum Taken {
    /// The newest fact answers.
    Contest(Contest),
    /// The events of a window answer.
    Events(Events),
}

impl Taken {
    /// Nothing taken yet.
    pub fn new(view: &JoinView, spine: Arc<Spine>) -> Self {
        match &view.plan {
            Some(plan) => Taken::Events(Events::new(spine, view.terms, plan.clone())),
            None => {
                let schema = view.layout.row_schema().clone();
                Taken::Contest(Contest::new(spine, view.terms, schema))
            }
        }
    }

    /// Bytes held at most for a spine of so many rows, beside the spine and what grows with
    /// the facts that are taken.
    pub fn bytes_max(view: &JoinView, rows: usize) -> usize {
        match &view.plan {
            Some(plan) => Events::bytes_max(plan, rows),
            None => Contest::bytes_max(rows, view.layout.row_schema()),
        }
    }

    /// Bytes that grow with the facts that were taken.
    pub fn bytes(&self) -> usize {
        match self {
            Taken::Contest(contest) if contest.schema().is_fixed() => 0,
            Taken::Contest(contest) => contest.row_bytes(),
            Taken::Events(events) => events.bytes(),
        }
    }

    /// Whether no fact of a row group can change an answer any more, for a spine whose first
    /// time is given.
    pub fn is_settled(&self, unit: &Unit, first: i64) -> bool {
        match self {
            Taken::Contest(contest) => unit.is_settled(contest, first),
            Taken::Events(events) => unit.is_before(events.first_event()),
        }
    }

    /// Takes the facts of a row group. Returns their number; fewer if `stop` was set
    /// meanwhile.
    pub fn take_unit(
        &self,
        files: &FactFiles,
        unit: &Unit,
        scratch: &mut Scratch,
        stop: &AtomicBool,
    ) -> Result<u64> {
        match self {
            Taken::Contest(contest) => files.compete(unit, contest, scratch, stop),
            Taken::Events(events) => files.gather(unit, events, scratch, stop),
        }
    }

    /// Takes whole facts.
    pub fn take_batch(&self, batch: &FactBatch<'_>, scratch: &mut Scratch) -> Result<()> {
        let Scratch { entries, block, places, arrivals, .. } = scratch;
        let (keys, times) = (&batch.heads.keys, batch.heads.times_batch());
        match self {
            Taken::Contest(contest) => {
                entries.clear();
                contest.enter(keys, times, 0, places, entries);
                contest.compete(entries, |row| batch.heads.is_deletion(row as usize));
                contest.retain_leading(entries);
                if !entries.facts().is_empty() {
                    batch.encode_block(entries.facts(), block)?;
                    contest.fill(entries.facts(), block);
                }
            }
            Taken::Events(events) => {
                arrivals.clear();
                events.enter(keys, times, 0, |row| batch.heads.is_deletion(row), arrivals);
                batch.encode_block(arrivals, block)?;
                events.fill(arrivals, block);
            }
        }
        Ok(())
    }
}
