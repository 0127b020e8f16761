//! The threads of a join: they read views one after the other, piece by piece.
//!
//! ```text
//!   view 1   [unit][unit][unit][unit]          a piece is a row group, or one
//!   view 2             [unit][unit][unit]      partition of a plan
//!               ^ the thread that finds view 1 empty goes on to view 2;
//!                 whoever brings the last piece of view 1 answers it
//! ```
//!
//! So all threads are busy until the last view, and few views are in memory at
//! a time. What threads share of a view is its queue and what takes its facts.

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
use hitherto_core::slots::Spine;
use parking_lot::{Mutex, MutexGuard};

use super::answer::{ViewAnswer, ViewOutputs};
use super::exec::JoinView;
use super::metrics::JoinMetrics;
use super::taken::Taken;
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
    taken: Option<Arc<Taken>>,
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

    /// The next piece for a thread, and what takes its facts.
    fn take(&self) -> Option<(Piece, Arc<Taken>)> {
        let mut state = self.state();
        let piece = state.pieces.pop_front()?;
        state.in_flight += 1;
        let taken = state.taken.get_or_insert_with(|| Arc::new(self.nothing_taken()));
        Some((piece, Arc::clone(taken)))
    }

    fn nothing_taken(&self) -> Taken {
        Taken::new(&self.view, Arc::clone(&self.spine))
    }

    /// Gives a piece back as read.
    fn bring(&self, taken: Arc<Taken>, facts: u64) {
        let mut state = self.state();
        drop(taken);
        state.in_flight -= 1;
        state.facts += facts;
    }

    /// What took all facts, for exactly one thread: the one that finds nothing left.
    fn end(&self) -> Option<Taken> {
        let mut state = self.state();
        if state.is_ended || state.in_flight > 0 || !state.pieces.is_empty() {
            return None;
        }
        state.is_ended = true;
        let taken = state.taken.take();
        let only = |taken| Arc::into_inner(taken).expect("no piece is in flight");
        Some(taken.map_or_else(|| self.nothing_taken(), only))
    }

    fn read(
        &self,
        piece: &Piece,
        taken: &Taken,
        scratch: &mut Scratch,
        shared: &Shared,
    ) -> DataFusionResult<u64> {
        let facts = match piece {
            Piece::Unit(files, unit) => {
                let first = self.spine.time_range().map_or(i64::MIN, |(first, _)| first);
                if taken.is_settled(unit, first) {
                    shared.metrics.row_groups_settled.add(1);
                    return Ok(0);
                }
                let read = || taken.take_unit(files, unit, scratch, &shared.stop);
                read_unit(unit, read).map_err(external)?
            }
            Piece::Partition(plan, partition) => {
                self.read_partition(plan, *partition, taken, scratch, shared)?
            }
        };
        shared.metrics.facts.add(facts as usize);
        self.memory.try_resize(taken.bytes())?;
        Ok(facts)
    }

    fn read_partition(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        partition: usize,
        taken: &Taken,
        scratch: &mut Scratch,
        shared: &Shared,
    ) -> DataFusionResult<u64> {
        let layout = &self.view.layout;
        let mut facts = 0;
        let mut batches = plan.execute(partition, Arc::clone(&shared.context))?;
        while let Some(batch) = block_on(batches.next()) {
            let batch = batch?;
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let batch = layout.read(batch.columns(), batch.num_rows()).map_err(external)?;
            taken.take_batch(&batch, scratch).map_err(external)?;
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
        while let Some((piece, taken)) = view.take() {
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let facts = view.read(&piece, &taken, &mut scratch, shared)?;
            view.bring(taken, facts);
        }
        if let Some(taken) = view.end() {
            let timer = shared.metrics.answer_time.timer();
            let answer = view.outputs.answer(taken).map_err(external)?;
            timer.done();
            view.state().answer = Some(answer);
        }
    }
    Ok(())
}

pub(super) fn external(cause: Error) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}
