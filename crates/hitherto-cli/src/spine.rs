//! Rows in a Parquet file: the spine of a training set, or facts to be pushed.

use std::fs::File;
use std::path::Path;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::{Error, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

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
        let file = File::open(path).map_err(|cause| not_opened(path, cause))?;
        let refused = |cause| {
            Error::invalid(format!("{} is not a readable Parquet file", path.display()))
                .with_source(cause)
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(refused)?;
        let reader = reader.with_batch_size(BATCH_ROWS).build().map_err(refused)?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<_, _>>().map_err(|cause| refused(cause.into()))?;
        Ok(Self { schema, batches })
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

fn not_opened(path: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found(format!("there is no file at {}", path.display()))
        }
        _ => Error::unavailable(format!("{} cannot be opened", path.display())).with_source(cause),
    }
}
