//! Rows in a Parquet file: the spine of a training set, or facts to be pushed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use hitherto_api::{self as api, TrainingSetRequest};
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::{Error, Result};
use hitherto_engine::disk::unreadable;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

/// Rows in memory, as the engine takes them.
#[derive(Clone, Debug)]
pub struct Spine {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows, in the file's order.
    pub batches: Vec<RecordBatch>,
}

impl Spine {
    /// Reads a whole file.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Invalid` when it is not Parquet,
    /// `Unavailable` when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let refused = |cause| not_parquet(path, cause);
        let reader = open(path)?.with_batch_size(BATCH_ROWS).build().map_err(refused)?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<_, _>>().map_err(|cause| refused(cause.into()))?;
        Ok(Self { schema, batches })
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// The label rows of a file as a spine that is sent to a server: read as there is room for
/// them, with their times, which a first look at that one column finds.
///
/// # Errors
/// As [`Spine::read`]; `Invalid` when there is no such column of times.
pub fn sent(path: &Path, request: &TrainingSetRequest) -> Result<api::Spine> {
    let refused = |cause| not_parquet(path, cause);
    let TrainingSetRequest { timestamp, timezone, .. } = request;
    let rows = open(path)?;
    // What is wrong with the columns is said before a row is read.
    let schema = Arc::clone(rows.schema());
    api::Spine::Rows { batches: Vec::new(), schema }.times(timestamp, timezone.as_ref())?;
    let of_times = rows.schema().index_of(timestamp).ok();
    let times = open(path)?;
    let column = ProjectionMask::roots(times.parquet_schema(), of_times);
    let times = times.with_projection(column).build().map_err(refused)?;
    let schema = times.schema();
    let batches = times.collect::<Result<_, _>>().map_err(|cause| refused(cause.into()))?;
    let times = api::Spine::Rows { batches, schema }.times(timestamp, timezone.as_ref())?;
    let rows = rows.with_batch_size(BATCH_ROWS).build().map_err(refused)?;
    Ok(api::Spine::Reader { rows: Box::new(rows), times })
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|cause| not_opened(path, cause))?;
    // As files of sources are read.
    let metadata =
        hitherto_engine::parquet_metadata(&file).map_err(|cause| not_parquet(path, cause))?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

fn not_parquet(path: &Path, cause: ParquetError) -> Error {
    Error::invalid(format!(
        "{} is not a readable Parquet file; write it as Parquet",
        path.display()
    ))
    .with_source(cause)
}

fn not_opened(path: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!(
            "there is no file at {}; name one that is there",
            path.display()
        )),
        _ => unreadable(path, cause),
    }
}
