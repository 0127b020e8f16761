//! The threads of a join: they read views one after the other, piece by piece.
//!
//! ```text
//!   view 1   [unit][unit][unit][unit]          a piece is a row group, or one
//!   view 2             [unit][unit][unit]      partition of a plan
//!               ^ the thread that finds view 1 empty goes on to view 2;
//!                 whoever brings the last piece of view 1 ends its contest
//! ```
//!
//! So all threads are busy until the last view, and few views are in memory at
//! a time. What threads share of a view is its queue and its contest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use futures::executor::block_on;
use hitherto_core::Error;
use hitherto_core::slots::{Contest, Spine};
use parking_lot::{Mutex, MutexGuard};

use super::answer::{ViewAnswer, ViewOutputs};
use super::exec::JoinView;
use super::metrics::JoinMetrics;
use crate::fact_files::Scratch;
use crate::pieces::{FactSource, Piece, read_unit};

/// The pieces of a source that can concern a spine.
fn pieces(source: FactSource, spine: &Spine, metrics: &JoinMetrics) -> Vec<Piece> {
    let Some((_, last)) = spine.time_range() else { return Vec::new() };
    let mut pieces = source.pieces();
    pieces.retain(|piece| {
        let Piece::Unit(_, unit) = piece else { return true };
        let concerns = unit.concerns(spine, last);
        metrics.row_groups.add(1);
        metrics.row_groups_pruned.add(usize::from(!concerns));
        concerns
    });
    pieces
}

/// One view on its way from facts to answers.
pub(super) struct ViewRun {
    view: JoinView,
    spine: Arc<Spine>,
    outputs: ViewOutputs,
    /// Grows with the variable parts of winners' rows.
    memory: MemoryReservation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    in_flight: usize,
    is_ended: bool,
    contest: Option<Arc<Contest>>,
    facts: u64,
    answer: Option<ViewAnswer>,
}

/// What all threads of a join share.
pub(super) struct Shared {
    pub context: Arc<TaskContext>,
    pub metrics: JoinMetrics,
    /// Nobody waits for the answers any more.
    pub stop: Arc<AtomicBool>,
}

impl ViewRun {
    /// A view whose facts are still to be read.
    pub fn new(
        view: JoinView,
        sources: Vec<FactSource>,
        spine: Arc<Spine>,
        outputs: ViewOutputs,
        memory: MemoryReservation,
        metrics: &JoinMetrics,
    ) -> Self {
        let pieces = sources.into_iter().flat_map(|source| pieces(source, &spine, metrics));
        let pieces = pieces.collect();
        let state = Mutex::new(State { pieces, ..State::default() });
        Self { view, spine, outputs, memory, state }
    }

    /// The answers and the number of facts that were read for them.
    pub fn into_answer(self) -> Option<(ViewAnswer, u64)> {
        let state = self.state.into_inner();
        Some((state.answer?, state.facts))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The next piece for a thread, and the contest in which its facts compete.
    fn take(&self) -> Option<(Piece, Arc<Contest>)> {
        let mut state = self.state();
        let piece = state.pieces.pop_front()?;
        state.in_flight += 1;
        let contest = state.contest.get_or_insert_with(|| Arc::new(self.new_contest()));
        Some((piece, Arc::clone(contest)))
    }

    fn new_contest(&self) -> Contest {
        let schema = self.view.layout.row_schema().clone();
        Contest::new(Arc::clone(&self.spine), self.view.terms, schema)
    }

    /// Gives a piece back as read.
    fn bring(&self, contest: Arc<Contest>, facts: u64) {
        let mut state = self.state();
        drop(contest);
        state.in_flight -= 1;
        state.facts += facts;
    }

    /// The contest, for exactly one thread: the one that finds nothing left.
    fn end(&self) -> Option<Contest> {
        let mut state = self.state();
        if state.is_ended || state.in_flight > 0 || !state.pieces.is_empty() {
            return None;
        }
        state.is_ended = true;
        let contest = state.contest.take();
        let only = |contest| Arc::into_inner(contest).expect("no piece is in flight");
        Some(contest.map_or_else(|| self.new_contest(), only))
    }

    fn read(
        &self,
        piece: &Piece,
        contest: &Contest,
        scratch: &mut Scratch,
        shared: &Shared,
    ) -> DataFusionResult<u64> {
        let facts = match piece {
            Piece::Unit(files, unit) => {
                let first = self.spine.time_range().map_or(i64::MIN, |(first, _)| first);
                if unit.is_settled(contest, first) {
                    shared.metrics.row_groups_settled.add(1);
                    return Ok(0);
                }
                let read = || files.compete(unit, contest, scratch, &shared.stop);
                read_unit(unit, read).map_err(external)?
            }
            Piece::Partition(plan, partition) => {
                self.read_partition(plan, *partition, contest, scratch, shared)?
            }
        };
        shared.metrics.facts.add(facts as usize);
        if !self.view.layout.row_schema().is_fixed() {
            self.memory.try_resize(contest.row_bytes())?;
        }
        Ok(facts)
    }

    fn read_partition(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        partition: usize,
        contest: &Contest,
        scratch: &mut Scratch,
        shared: &Shared,
    ) -> DataFusionResult<u64> {
        let layout = &self.view.layout;
        let Scratch { entries, block, places, .. } = scratch;
        let mut facts = 0;
        let mut batches = plan.execute(partition, Arc::clone(&shared.context))?;
        while let Some(batch) = block_on(batches.next()) {
            let batch = batch?;
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let batch = layout.read(batch.columns(), batch.num_rows()).map_err(external)?;
            entries.clear();
            contest.enter(&batch.heads.keys, batch.heads.times_batch(), 0, places, entries);
            contest.compete(entries, |row| batch.heads.is_deletion(row as usize));
            contest.retain_leading(entries);
            if !entries.facts().is_empty() {
                batch.encode_block(entries.facts(), block).map_err(external)?;
                contest.fill(entries.facts(), block);
            }
            facts += batch.heads.len() as u64;
        }
        Ok(facts)
    }
}

/// Reads views until none is left, as one of several threads.
pub(super) fn work(views: &[ViewRun], shared: &Shared) -> DataFusionResult<()> {
    let worked = work_through(views, shared);
    if worked.is_err() {
        shared.stop.store(true, Ordering::Relaxed);
    }
    worked
}

fn work_through(views: &[ViewRun], shared: &Shared) -> DataFusionResult<()> {
    let mut scratch = Scratch::default();
    for view in views {
        while let Some((piece, contest)) = view.take() {
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let facts = view.read(&piece, &contest, &mut scratch, shared)?;
            view.bring(contest, facts);
        }
        if let Some(contest) = view.end() {
            let timer = shared.metrics.answer_time.timer();
            let answer = view.outputs.answer(contest).map_err(external)?;
            timer.done();
            view.state().answer = Some(answer);
        }
    }
    Ok(())
}

pub(super) fn external(cause: Error) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}
