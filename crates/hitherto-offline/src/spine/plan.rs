//! A spine as a plan: rows that a join pulls as it has room for them.
//!
//! | spine      | who holds its rows | times known before the first row |
//! | ---------- | ------------------ | -------------------------------- |
//! | batches    | the caller         | all of them                      |
//! | a reader   | nobody             | what its owner says              |
//! | a file     | nobody             | its footer or column says        |
//! | SQL        | nobody             | none                             |
//! | a scan     | nobody             | its bounds                       |
//!
//! Times that are known keep a view with SQL from reading what cannot answer.
//! Rows that nobody holds count as the join's memory while a pass answers them.

use std::fmt;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use ::arrow::array::{RecordBatch, RecordBatchReader};
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use hitherto_api::arrow::micros::{Micros, Rounding, widened};
use hitherto_api::spine::{SpineLayout, time_range};
use hitherto_core::{Error, Kind, Result};
use parking_lot::Mutex;

use crate::Offline;
use crate::error::from_datafusion;
use crate::files::SourceFile;
use crate::footer::{Declared, Footers};
use crate::source::column;
use crate::table::read_files;

/// A spine that is about to be joined. Nothing of it is read yet.
#[derive(Clone, Debug)]
pub struct SpinePlan {
    /// One partition, its rows in the spine's order.
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) times: Times,
    /// What DataFusion reads for it.
    pub(crate) files: Vec<SourceFile>,
}

/// What is known of a spine's times before it is read.
#[derive(Clone, Debug)]
pub(crate) enum Times {
    /// Those of these rows, which the caller holds.
    Of(Vec<RecordBatch>),
    /// Those of a file's column.
    InFile(SourceFile),
    /// None is earlier than the first or later than the second.
    Within(i64, i64),
    /// Nothing.
    Unknown,
}

impl SpinePlan {
    /// Rows in memory; all batches have the schema.
    ///
    /// # Errors
    /// `Internal` when one has another.
    pub fn of_rows(rows: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Self> {
        let plan =
            MemorySourceConfig::try_new_exec(std::slice::from_ref(&rows), Arc::clone(schema), None)
                .map_err(|cause| from_datafusion("the spine cannot be planned", cause))?;
        Ok(Self { plan, times: Times::Of(rows), files: Vec::new() })
    }

    /// What a reader gives, a batch at a time, each asked for when there is room. It is
    /// read on a thread that may block, and once. `times` are the earliest and the latest
    /// of its times, if its owner knows them.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses the schema.
    pub fn of_reader(
        reader: Box<dyn RecordBatchReader + Send>,
        times: Option<(i64, i64)>,
    ) -> Result<Self> {
        let schema = reader.schema();
        let rows = Rows { schema: Arc::clone(&schema), reader: Mutex::new(Some(reader)) };
        let times = times.map_or(Times::Unknown, |(from, to)| Times::Within(from, to));
        Ok(Self { plan: streamed(schema, Arc::new(rows))?, times, files: vec![] })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Whether the rows are the join's to hold, and not the caller's.
    pub(crate) fn is_streamed(&self) -> bool {
        !matches!(self.times, Times::Of(_))
    }
}

/// One stream as a plan.
pub(super) fn streamed(
    schema: SchemaRef,
    rows: Arc<dyn PartitionStream>,
) -> Result<Arc<dyn ExecutionPlan>> {
    StreamingTableExec::try_new(schema, vec![rows], None, None, false, None)
        .map(|plan| Arc::new(plan) as Arc<dyn ExecutionPlan>)
        .map_err(|cause| from_datafusion("the spine cannot be planned", cause))
}

impl Offline {
    /// The rows of a Parquet file, in its order.
    ///
    /// # Errors
    /// `NotFound` when there is no file, `Invalid` when it is not Parquet.
    pub async fn file_spine(&self, path: &Path) -> Result<SpinePlan> {
        let failed = |cause| from_datafusion("the spine cannot be planned", cause);
        let (file, footers) = label_file(path)?;
        let rows = read_files(&self.session_in_order(), &footers).map_err(failed)?;
        let plan = rows.create_physical_plan().await.map_err(failed)?;
        Ok(SpinePlan { plan, times: Times::InFile(file.clone()), files: vec![file] })
    }

    /// The earliest and latest time of a spine, if that can be said without running it.
    /// Where the rows are at hand, every one is looked at.
    ///
    /// # Errors
    /// `Invalid` when a time is null or out of range; those of reading a file.
    pub(crate) async fn spine_times(
        &self,
        times: &Times,
        layout: &SpineLayout,
        schema: &SchemaRef,
    ) -> Result<Option<(i64, i64)>> {
        match times {
            Times::Of(rows) => time_range(rows, layout),
            Times::Within(from, to) => Ok(Some((*from, *to))),
            Times::InFile(file) => {
                let name = schema.field(layout.timestamp).name();
                let times = self.file_times(file, name).await?;
                Ok(if layout.is_local(schema) { times.map(widened) } else { times })
            }
            Times::Unknown => Ok(None),
        }
    }

    async fn file_times(&self, file: &SourceFile, timestamp: &str) -> Result<Option<(i64, i64)>> {
        let failed = |cause| from_datafusion("the spine's times cannot be read", cause);
        let footers = Footers::read(slice::from_ref(file), &Declared::default())?;
        let rows = read_files(&self.session(), &footers).map_err(failed)?;
        let (first, last) = (min(column(timestamp)), max(column(timestamp)));
        let found = rows.aggregate(Vec::new(), vec![first, last]).map_err(failed)?;
        let found = found.collect().await.map_err(failed)?;
        let Some(found) = found.first() else { return Ok(None) };
        let bound = |index: usize| Ok(Micros::read(found.column(index), Rounding::Down)?.get(0));
        let (from, to): (Result<Option<i64>>, _) = (bound(0), bound(1));
        Ok(from?.zip(to?))
    }
}

/// A file of label rows, and what its footer says.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` when it is not Parquet or has two columns of
/// one name.
pub(super) fn label_file(path: &Path) -> Result<(SourceFile, Footers)> {
    if !path.is_file() {
        return Err(Error::not_found(format!(
            "there is no file at {}; name one that is there",
            path.display()
        )));
    }
    let file = SourceFile::describe(Path::new(""), path.to_owned())?;
    let footers = Footers::read(slice::from_ref(&file), &Declared::default());
    let footers = footers.map_err(|cause| match cause.kind() {
        Kind::Corrupt => Error::invalid(format!(
            "{} is not a readable Parquet file; write it as Parquet",
            path.display()
        ))
        .with_source(cause),
        _ => cause,
    })?;
    Ok((file, footers))
}

/// The rows of a reader; taken by the one who runs the plan.
struct Rows {
    schema: SchemaRef,
    reader: Mutex<Option<Box<dyn RecordBatchReader + Send>>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reader = self.reader.lock().take();
        let batches = futures::stream::try_unfold(reader, |reader| async move {
            let Some(mut reader) = reader else { return Ok(None) };
            // No batch is asked for ahead: what a reader runs is its owner's.
            let read = SpawnedTask::spawn_blocking(move || (reader.next(), reader));
            let (batch, reader) =
                read.await.map_err(|cause| DataFusionError::ExecutionJoin(Box::new(cause)))?;
            let batch = batch.transpose().map_err(broken_off)?;
            DataFusionResult::Ok(batch.map(|batch| (batch, Some(reader))))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// An error of ours comes through a reader as it is.
fn broken_off(cause: ArrowError) -> DataFusionError {
    DataFusionError::External(match cause {
        ArrowError::ExternalError(ours) if ours.is::<Error>() => ours,
        cause => Error::invalid(
            "the rows cannot be read to their end; mend what gives them, and ask again",
        )
        .with_source(cause)
        .into(),
    })
}
