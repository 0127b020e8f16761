//! The operator at work: collect the spine, let facts compete, write answers.

use std::collections::HashMap;
use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use hitherto_core::Error;
use hitherto_core::column::Column;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::slots::{Answers, Slots, Spine, SpineBuilder};

use super::exec::{JoinShape, JoinView};
use super::metrics::JoinMetrics;
use super::report::{JoinReport, SharedReport, Tally};
use crate::arrow::to_array;
use crate::spine::read_keys;

/// The streams of a join's children.
pub(super) struct Inputs {
    pub spine: SendableRecordBatchStream,
    pub facts: Vec<SendableRecordBatchStream>,
}

/// Starts a join. Nothing is read before the first poll; dropping the stream
/// stops every task.
pub(super) fn run(
    inputs: Inputs,
    shape: Arc<JoinShape>,
    context: &TaskContext,
    metrics: JoinMetrics,
    report: SharedReport,
) -> SendableRecordBatchStream {
    let memory = MemoryConsumer::new("PointInTimeJoinExec").register(context.memory_pool());
    let schema = Arc::clone(&shape.schema);
    let answers = async move {
        let join = Join::answer(inputs, shape, &metrics, memory).await?;
        Ok::<_, DataFusionError>(write(join, metrics, report))
    };
    let batches = futures::stream::once(answers).try_flatten();
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// A join whose facts have all been read.
struct Join {
    shape: Arc<JoinShape>,
    batches: Vec<RecordBatch>,
    answers: Vec<Answers>,
    facts: Vec<u64>,
    /// Held until the last batch is out.
    _memory: Vec<MemoryReservation>,
}

impl Join {
    async fn answer(
        inputs: Inputs,
        shape: Arc<JoinShape>,
        metrics: &JoinMetrics,
        memory: MemoryReservation,
    ) -> DataFusionResult<Self> {
        let mut batches = Vec::new();
        let mut spine = inputs.spine;
        while let Some(batch) = spine.try_next().await? {
            memory.try_grow(batch.get_array_memory_size())?;
            metrics.spine_rows.add(batch.num_rows());
            batches.push(batch);
        }
        let timer = metrics.index_time.timer();
        let spines = index(&batches, &shape).map_err(external)?;
        timer.done();
        memory.try_grow(distinct_bytes(&spines))?;

        let mut join =
            Join { shape, batches, answers: Vec::new(), facts: Vec::new(), _memory: vec![memory] };
        if join.batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(join);
        }
        let mut tasks = JoinSet::new();
        for (index, (facts, spine)) in inputs.facts.into_iter().zip(spines).enumerate() {
            let view = join.shape.views[index].clone();
            let memory = join._memory[0].new_empty();
            let counted = metrics.facts.clone();
            tasks.spawn(async move { (index, compete(view, spine, facts, memory, counted).await) });
        }
        let mut ended: Vec<Option<Competition>> = join.shape.views.iter().map(|_| None).collect();
        while let Some(task) = tasks.join_next().await {
            let (index, competition) =
                task.map_err(|cause| DataFusionError::ExecutionJoin(Box::new(cause)))?;
            ended[index] = Some(competition?);
        }
        for competition in ended.into_iter().flatten() {
            join.answers.push(competition.answers);
            join.facts.push(competition.facts);
            join._memory.push(competition.memory);
        }
        Ok(join)
    }
}

/// Turns the spine into slots, once for each distinct set of key columns;
/// views with the same keys share them.
fn index(batches: &[RecordBatch], shape: &JoinShape) -> hitherto_core::Result<Vec<Arc<Spine>>> {
    let mut known: HashMap<&[usize], Arc<Spine>> = HashMap::new();
    let mut spines = Vec::with_capacity(shape.views.len());
    for view in &shape.views {
        let spine = match known.get(view.spine_keys.as_slice()) {
            Some(spine) => Arc::clone(spine),
            None => {
                let spine = Arc::new(index_one(batches, shape, view)?);
                known.insert(&view.spine_keys, Arc::clone(&spine));
                spine
            }
        };
        spines.push(spine);
    }
    Ok(spines)
}

fn index_one(
    batches: &[RecordBatch],
    shape: &JoinShape,
    view: &JoinView,
) -> hitherto_core::Result<Spine> {
    let mut builder = SpineBuilder::default();
    for batch in batches {
        let times = shape.spine.times(batch)?;
        let keys = read_keys(batch, &view.spine_keys, view.layout.keys())?;
        for (row, at) in times.into_iter().enumerate() {
            builder.push(keys.get(row), at)?;
        }
    }
    Ok(builder.build())
}

fn distinct_bytes(spines: &[Arc<Spine>]) -> usize {
    let first = |index: &usize| !spines[..*index].iter().any(|s| Arc::ptr_eq(s, &spines[*index]));
    (0..spines.len()).filter(first).map(|index| spines[index].heap_bytes()).sum()
}

/// One view after its last fact.
struct Competition {
    answers: Answers,
    facts: u64,
    memory: MemoryReservation,
}

/// Reads all facts of one view and lets them compete for the spine's slots.
async fn compete(
    view: JoinView,
    spine: Arc<Spine>,
    mut stream: SendableRecordBatchStream,
    memory: MemoryReservation,
    counted: Count,
) -> DataFusionResult<Competition> {
    let mut slots = Slots::new(spine, view.terms);
    let mut facts = 0;
    memory.try_resize(slots.heap_bytes())?;
    while let Some(batch) = stream.next().await {
        let batch = view.layout.read(&batch?).map_err(external)?;
        facts += batch.len() as u64;
        counted.add(batch.len());
        for index in 0..batch.len() {
            if let (Some(key), Some(times)) = (batch.key(index), batch.times(index)) {
                let offered = slots.offer(key, times, |row| batch.encode(index, times, row));
                offered.map_err(external)?;
            }
        }
        memory.try_resize(slots.heap_bytes())?;
    }
    Ok(Competition { answers: slots.finish(), facts, memory })
}

/// Writes the answers beside the spine, batch by batch.
fn write(
    join: Join,
    metrics: JoinMetrics,
    shared: SharedReport,
) -> impl futures::Stream<Item = DataFusionResult<RecordBatch>> {
    let mut writer = Writer::new(&join);
    shared.write(writer.report());
    let rows: Vec<usize> = join.batches.iter().map(RecordBatch::num_rows).collect();
    let pieces = rows.into_iter().enumerate().flat_map(|(batch, rows)| {
        (0..rows).step_by(BATCH_ROWS).map(move |start| (batch, start, BATCH_ROWS.min(rows - start)))
    });
    futures::stream::iter(pieces).map(move |(batch, start, rows)| {
        let timer = metrics.baseline.elapsed_compute().timer();
        let piece = join.batches[batch].slice(start, rows);
        let answered = writer.write(&join, &piece).map_err(external)?;
        shared.write(writer.report());
        timer.done();
        metrics.baseline.record_output(rows);
        Ok(answered)
    })
}

/// Goes through the spine and counts what it finds.
struct Writer {
    /// Spine rows that are answered.
    rows: usize,
    leaky_rows: u64,
    views: Vec<ViewWriter>,
}

/// One view's share of the answer.
struct ViewWriter {
    tally: Tally,
    /// Position in the output and feature in the row.
    features: Vec<(usize, usize)>,
}

impl Writer {
    fn new(join: &Join) -> Self {
        let shape = &join.shape;
        let facts = join.facts.iter().copied().chain(std::iter::repeat(0));
        let views = shape.views.iter().zip(facts).enumerate().map(|(index, (view, facts))| {
            let outputs = shape.outputs.iter().enumerate();
            let of_view = outputs.filter(|(_, output)| output.view == index);
            let (positions, names): (Vec<_>, Vec<_>) = of_view
                .map(|(position, output)| ((position, output.feature), output.of.clone()))
                .unzip();
            ViewWriter { tally: Tally::new(&view.name, names, facts), features: positions }
        });
        Self { rows: 0, leaky_rows: 0, views: views.collect() }
    }

    fn report(&self) -> JoinReport {
        JoinReport {
            rows: self.rows as u64,
            leaky_rows: self.leaky_rows,
            views: self.views.iter().map(|view| view.tally.report()).collect(),
        }
    }

    /// Answers the next rows of the spine.
    fn write(&mut self, join: &Join, piece: &RecordBatch) -> hitherto_core::Result<RecordBatch> {
        let outputs = join.shape.outputs.iter();
        let mut columns: Vec<Column> = outputs
            .map(|output| {
                let (name, data_type) = (output.name.clone(), output.data_type.clone());
                Column::with_capacity(name, data_type, piece.num_rows())
            })
            .collect();
        let mut is_leaky = vec![false; piece.num_rows()];
        for (index, answers) in join.answers.iter().enumerate() {
            let schema = join.shape.views[index].layout.row_schema();
            let view = &mut self.views[index];
            for (row, is_leaky) in is_leaky.iter_mut().enumerate() {
                let row = self.rows + row;
                if answers.is_leak(row) {
                    view.tally.leak();
                    *is_leaky = true;
                }
                match answers.of_row(row) {
                    Ok(bytes) => {
                        view.tally.present(answers.age_of_row(row));
                        let bytes = schema.read(bytes)?;
                        for (position, feature) in &view.features {
                            columns[*position].push_row(&bytes, *feature)?;
                        }
                    }
                    Err(absence) => {
                        view.tally.absent(absence);
                        for (position, _) in &view.features {
                            columns[*position].push_absent(absence.status());
                        }
                    }
                }
            }
        }
        self.rows += piece.num_rows();
        self.leaky_rows += is_leaky.iter().filter(|leaky| **leaky).count() as u64;
        let features =
            columns.into_iter().map(to_array).collect::<hitherto_core::Result<Vec<_>>>()?;
        for view in &mut self.views {
            for (place, (position, _)) in view.features.iter().enumerate() {
                view.tally.nulls(place, features[*position].null_count() as u64);
            }
        }
        let all: Vec<ArrayRef> = piece.columns().iter().cloned().chain(features).collect();
        RecordBatch::try_new(Arc::clone(&join.shape.schema), all).map_err(|cause| {
            Error::internal("a training set batch is malformed").with_source(cause)
        })
    }
}

fn external(cause: Error) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}
