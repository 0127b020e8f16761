//! The operator at work: as much of the spine as memory allows at a time, its
//! answers view by view, then batch by batch.
//!
//! ```text
//!   spine  |--- pass 1 ---|--- pass 2 ---|-- pass 3 --|
//!               |
//!               +-> slots -> all views' facts -> answers -> batches, in order
//! ```
//!
//! A pass takes spine rows while the memory pool grants what they will need, so
//! one pass is the rule and several are what a small limit costs: the facts are
//! read once a pass. Passes cut the spine in its own order, so batches leave as
//! they are made, and nothing has to be put back in order or written to disk.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use hitherto_core::Error;
use hitherto_core::limits::{BATCH_ROWS, PASS_ROWS_MAX, SPINE_PIECE_ROWS};
use hitherto_core::output::Output;
use hitherto_core::slots::{Places, Spine, SpineBuilder};
use parking_lot::Mutex;

use super::answer::{ViewAnswer, ViewOutputs};
use super::exec::JoinShape;
use super::metrics::JoinMetrics;
use super::report::{Counts, Tally};
use super::taken::Taken;
use super::workers::{Shared, ViewRun, external, work};
use crate::pieces::FactSource;
use crate::shared::StopOnDrop;
use crate::spine::read_keys;

/// A join's children.
pub(super) struct Inputs {
    pub spine: SendableRecordBatchStream,
    pub facts: Vec<Arc<dyn ExecutionPlan>>,
}

/// Starts a join. Nothing is read before the first poll; dropping the stream
/// stops every thread at its next batch.
pub(super) fn run(
    inputs: Inputs,
    shape: Arc<JoinShape>,
    context: Arc<TaskContext>,
    metrics: JoinMetrics,
    counts: Counts,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&shape.schema);
    let consumer = MemoryConsumer::new("PointInTimeJoinExec");
    let memory = consumer.register(context.memory_pool());
    counts.begin((0..shape.views.len()).map(|view| shape.tally(view)).collect());
    let stop: Arc<AtomicBool> = Arc::default();
    let join = Join {
        inputs,
        shape,
        waiting: VecDeque::new(),
        memory,
        shared: Arc::new(Shared { context, metrics, stop: Arc::clone(&stop) }),
        _stop: StopOnDrop(stop),
        counts,
        pass: None,
        passes: 0,
    };
    let batches = futures::stream::try_unfold(join, |mut join| async move {
        Ok(join.next().await?.map(|batch| (batch, join)))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

struct Join {
    inputs: Inputs,
    shape: Arc<JoinShape>,
    /// Pieces of the spine that no pass has taken yet.
    waiting: VecDeque<RecordBatch>,
    memory: MemoryReservation,
    shared: Arc<Shared>,
    _stop: StopOnDrop,
    counts: Counts,
    pass: Option<Pass>,
    passes: usize,
}

/// A part of the spine whose facts have all been read.
struct Pass {
    pieces: Vec<RecordBatch>,
    answers: Vec<ViewAnswer>,
    is_leaky: Vec<bool>,
    /// Rows of the pass that are out.
    rows_out: usize,
    /// The piece that is being put out, and how many of its rows are.
    piece: usize,
    piece_rows_out: usize,
}

impl Join {
    /// The next batch of answers; `None` after the last.
    async fn next(&mut self) -> DataFusionResult<Option<RecordBatch>> {
        loop {
            if let Some(pass) = &mut self.pass {
                let timer = self.shared.metrics.baseline.elapsed_compute().timer();
                if let Some((piece, rows)) = pass.next_rows() {
                    let batch = self.shape.beside(&piece, &pass.answers, rows.clone());
                    let batch = batch.map_err(external)?;
                    timer.done();
                    let is_leaky = pass.is_leaky[rows].iter();
                    let leaky = is_leaky.filter(|is_leaky| **is_leaky).count();
                    self.counts.rows(batch.num_rows(), leaky);
                    self.shared.metrics.baseline.record_output(batch.num_rows());
                    return Ok(Some(batch));
                }
            }
            self.pass = None;
            self.memory.free();
            self.pass = self.next_pass().await?;
            if self.pass.is_none() {
                return Ok(None);
            }
        }
    }

    /// Takes as much of the spine as there is memory for and answers it; `None`
    /// if nothing of it is left.
    async fn next_pass(&mut self) -> DataFusionResult<Option<Pass>> {
        let mut pieces = self.take_pieces().await?;
        while !pieces.is_empty() {
            match self.answer(&pieces).await {
                // Text took more than was foreseen: with half of the rows it fits.
                Err(cause) if is_exhausted(&cause) && pieces.len() > 1 => {
                    let later = pieces.split_off(pieces.len().div_ceil(2));
                    later.into_iter().rev().for_each(|piece| self.waiting.push_front(piece));
                    self.memory.try_resize(self.bytes_of(&pieces))?;
                }
                answered => return answered.map(Some),
            }
        }
        Ok(None)
    }

    /// Pieces of the spine for which the pool grants the memory.
    async fn take_pieces(&mut self) -> DataFusionResult<Vec<RecordBatch>> {
        let mut pieces: Vec<RecordBatch> = Vec::new();
        let mut rows = 0;
        loop {
            let Some(piece) = self.waiting.pop_front() else {
                match self.inputs.spine.try_next().await? {
                    None => return Ok(pieces),
                    Some(batch) => self.waiting.extend(cut(&batch)),
                }
                continue;
            };
            rows += piece.num_rows();
            let bytes = self.bytes_of(std::slice::from_ref(&piece));
            let granted = self.memory.try_grow(bytes);
            if granted.is_ok() && rows <= PASS_ROWS_MAX {
                pieces.push(piece);
                continue;
            }
            self.waiting.push_front(piece);
            if pieces.is_empty() {
                return granted.map(|()| pieces).map_err(|cause| too_small(bytes, cause));
            }
            return Ok(pieces);
        }
    }

    /// What answering pieces takes at most, text aside: the spine's index, the
    /// views that can be open at once, and the answers of all views.
    fn bytes_of(&self, pieces: &[RecordBatch]) -> usize {
        let rows: usize = pieces.iter().map(RecordBatch::num_rows).sum();
        let views = &self.shape.views;
        let mut taken: Vec<usize> = views.iter().map(|view| Taken::bytes_max(view, rows)).collect();
        taken.sort_unstable_by(|a, b| b.cmp(a));
        let open = self.shared.context.session_config().target_partitions();
        let taken = taken.iter().take(open).sum::<usize>() + open * Places::bytes_max(rows);
        let answers: usize = (0..views.len()).map(|view| self.outputs(view, &[]).row_bytes()).sum();
        let indexes = self.shape.key_sets();
        let held = if self.shape.is_streamed { row_bytes(pieces) } else { 0 };
        held + rows * (answers + 1) + taken + indexes * Spine::bytes_max(rows)
    }

    fn outputs(&self, view: usize, pieces: &[RecordBatch]) -> ViewOutputs {
        ViewOutputs {
            columns: self.shape.columns(view),
            stretches: stretches(pieces),
            threads: self.shared.context.session_config().target_partitions(),
            tally: self.counts.tally(view),
            is_leaky: Arc::default(),
        }
    }

    /// Reads all views' facts for pieces of the spine.
    async fn answer(&mut self, pieces: &[RecordBatch]) -> DataFusionResult<Pass> {
        let shared = &self.shared;
        let timer = shared.metrics.index_time.timer();
        let spines = self.shape.index(pieces).map_err(external)?;
        timer.done();
        let rows = pieces.iter().map(RecordBatch::num_rows).sum();
        shared.metrics.spine_rows.add(rows);
        shared.metrics.passes.add(1);
        let is_leaky = Arc::new(Mutex::new(vec![false; rows]));
        let before = self.counts.save();
        let mut views = Vec::with_capacity(spines.len());
        for (index, spine) in spines.into_iter().enumerate() {
            let outputs = self.outputs(index, pieces);
            let outputs = ViewOutputs { is_leaky: Arc::clone(&is_leaky), ..outputs };
            let plans = self.shape.view_of_facts.iter().zip(&self.inputs.facts);
            let plans = plans.filter(|(view, _)| **view == index).map(|(_, plan)| {
                // A plan that ran in an earlier pass has to forget it.
                match self.passes {
                    0 => Ok(Arc::clone(plan)),
                    _ => reset_plan_states(Arc::clone(plan)),
                }
            });
            let plans = plans.collect::<DataFusionResult<Vec<_>>>()?;
            views.push(ViewRun::new(
                self.shape.views[index].clone(),
                plans.iter().map(FactSource::new).collect(),
                spine,
                outputs,
                self.memory.new_empty(),
                &shared.metrics,
            ));
        }
        self.passes += 1;
        let views = match work_all(views, shared).await {
            Ok(views) => views,
            Err(cause) => {
                // What was counted of a pass that failed never happened.
                self.counts.go_back(before);
                return Err(cause);
            }
        };
        let mut answers = Vec::with_capacity(views.len());
        for (index, view) in views.into_iter().enumerate() {
            let (answer, facts) = view.into_answer().ok_or_else(|| {
                DataFusionError::Internal(String::from("a view of a join was never ended"))
            })?;
            self.counts.tally(index).lock().facts(facts);
            answers.push(answer);
        }
        let is_leaky = std::mem::take(&mut *is_leaky.lock());
        Ok(Pass {
            pieces: pieces.to_vec(),
            answers,
            is_leaky,
            rows_out: 0,
            piece: 0,
            piece_rows_out: 0,
        })
    }
}

/// Lets the threads work through all views.
async fn work_all(views: Vec<ViewRun>, shared: &Arc<Shared>) -> DataFusionResult<Vec<ViewRun>> {
    let views = Arc::new(views);
    let mut threads = JoinSet::new();
    for _ in 0..shared.context.session_config().target_partitions() {
        let (views, shared) = (Arc::clone(&views), Arc::clone(shared));
        threads.spawn_blocking(move || work(&views, &shared));
    }
    let mut failed = None;
    while let Some(thread) = threads.join_next().await {
        let worked = thread.map_err(|cause| DataFusionError::ExecutionJoin(Box::new(cause)));
        if let Err(cause) = worked.and_then(|worked| worked) {
            shared.stop.store(true, Ordering::Relaxed);
            failed.get_or_insert(cause);
        }
    }
    if let Some(cause) = failed {
        // A pass with less may follow.
        shared.stop.store(false, Ordering::Relaxed);
        return Err(cause);
    }
    Arc::into_inner(views)
        .ok_or_else(|| DataFusionError::Internal(String::from("a thread of a join outlived it")))
}

impl Pass {
    /// The rows that go out next: of one piece, with their numbers in the pass.
    fn next_rows(&mut self) -> Option<(RecordBatch, Range<usize>)> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            let rows = BATCH_ROWS.min(piece.num_rows() - self.piece_rows_out);
            if rows > 0 {
                let slice = piece.slice(self.piece_rows_out, rows);
                let first = self.rows_out;
                self.piece_rows_out += rows;
                self.rows_out += rows;
                return Some((slice, first..first + rows));
            }
            self.piece += 1;
            self.piece_rows_out = 0;
        }
    }
}

impl JoinShape {
    fn tally(&self, view: usize) -> Arc<Mutex<Tally>> {
        let of_view = self.outputs.iter().filter(|output| output.view == view);
        let names = of_view.map(|output| output.of.clone()).collect();
        let view = &self.views[view];
        let tally = Tally::new(&view.name, view.terms.known, names);
        // Of what many facts answer together no one age says anything.
        let has_ages = !view.layout.is_timeless() && view.plan.is_none();
        Arc::new(Mutex::new(if has_ages { tally } else { tally.without_ages() }))
    }

    fn columns(&self, view: usize) -> Arc<[(usize, Output)]> {
        let outputs = self.outputs.iter().enumerate();
        let outputs = outputs.filter(|(_, output)| output.view == view);
        outputs.map(|(position, output)| (position, output.clone())).collect()
    }

    /// Distinct sets of key columns.
    fn key_sets(&self) -> usize {
        let mut sets: Vec<&[usize]> =
            self.views.iter().map(|view| view.spine_keys.as_slice()).collect();
        sets.sort_unstable();
        sets.dedup();
        sets.len()
    }

    /// Turns pieces of the spine into slots, once for each distinct set of key
    /// columns; views with the same keys share them.
    fn index(&self, pieces: &[RecordBatch]) -> hitherto_core::Result<Vec<Arc<Spine>>> {
        let mut known: HashMap<&[usize], Arc<Spine>> = HashMap::new();
        let mut spines = Vec::with_capacity(self.views.len());
        for view in &self.views {
            let spine = match known.get(view.spine_keys.as_slice()) {
                Some(spine) => Arc::clone(spine),
                None => {
                    let mut builder = SpineBuilder::default();
                    for piece in pieces {
                        let keys = read_keys(piece, &view.spine_keys, view.layout.keys())?;
                        builder.push(&keys, &self.spine.times(piece)?)?;
                    }
                    let spine = Arc::new(builder.build());
                    known.insert(&view.spine_keys, Arc::clone(&spine));
                    spine
                }
            };
            spines.push(spine);
        }
        Ok(spines)
    }

    /// Spine rows with their answers beside them.
    fn beside(
        &self,
        piece: &RecordBatch,
        answers: &[ViewAnswer],
        rows: Range<usize>,
    ) -> hitherto_core::Result<RecordBatch> {
        let mut features: Vec<Option<ArrayRef>> = vec![None; self.outputs.len()];
        for answer in answers {
            for (position, array) in answer.columns(rows.clone())? {
                features[position] = Some(array);
            }
        }
        let all: Vec<ArrayRef> =
            piece.columns().iter().cloned().chain(features.into_iter().flatten()).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), all).map_err(|cause| {
            Error::internal("a training set batch is malformed").with_source(cause)
        })
    }
}

/// A batch of the spine in pieces of bounded size.
fn cut(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let starts = (0..rows).step_by(SPINE_PIECE_ROWS);
    starts.map(move |start| batch.slice(start, SPINE_PIECE_ROWS.min(rows - start)))
}

/// Neighbouring pieces taken together until they are as large as one may be.
fn stretches(pieces: &[RecordBatch]) -> Arc<[Range<usize>]> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for piece in pieces {
        let start = end;
        end += piece.num_rows();
        match stretches.last_mut().filter(|last| last.len() + piece.num_rows() <= SPINE_PIECE_ROWS)
        {
            Some(last) => last.end = end,
            None => stretches.push(start..end),
        }
    }
    stretches.into()
}

/// What the rows of pieces take, whatever buffers they lie in.
fn row_bytes(pieces: &[RecordBatch]) -> usize {
    let columns = pieces.iter().flat_map(RecordBatch::columns);
    columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

fn is_exhausted(cause: &DataFusionError) -> bool {
    matches!(cause.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// Not even one piece of the spine fits.
fn too_small(bytes: usize, cause: DataFusionError) -> DataFusionError {
    external(
        Error::unavailable(format!(
            "the memory limit is too small for this training set: {SPINE_PIECE_ROWS} rows at a \
             time need {} MiB beside what else is in use; raise `memory` in hitherto.yaml to that \
             at least, or ask for fewer features",
            bytes.div_ceil(1 << 20)
        ))
        .with_source(cause),
    )
}
