//! The spine from Python: anything that speaks the Arrow C interface, as record
//! batches. No value is copied; the batches keep Python's buffers alive.
//!
//! The schema's metadata is dropped: what pandas writes there describes the
//! frame that was sent, index and all, and would be wrong of the training set.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use hitherto_core::Error;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;

use crate::errors::raise;

/// A spine: its columns and rows, in order.
pub struct Spine {
    /// The columns; all batches have them.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl Spine {
    /// Reads `data` to its end, with the GIL released between Python's own parts.
    ///
    /// # Errors
    /// `InvalidError` when `data` has no Arrow interface or breaks off; what
    /// its own methods raise.
    pub fn read(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::read_as(data, "a spine is")
    }

    /// The same; `what` begins the sentence that says what `data` must be.
    ///
    /// # Errors
    /// As [`Spine::read`].
    pub fn read_as(data: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let py = data.py();
        let speaks_arrow =
            data.hasattr("__arrow_c_stream__")? || data.hasattr("__arrow_c_array__")?;
        if !speaks_arrow {
            return Err(raise(Error::invalid(format!(
                "{what} a pandas or polars DataFrame, a pyarrow Table or anything else with \
                 __arrow_c_stream__; found {}",
                data.get_type().fully_qualified_name()?
            ))));
        }
        let reader = data.extract::<AnyRecordBatch>()?.into_reader()?;
        let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
        let plain = |batch: Result<RecordBatch, ArrowError>| {
            let batch = batch?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        };
        let batches = py.detach(|| reader.map(plain).collect::<Result<Vec<_>, _>>());
        // A signal may be why the producer broke off.
        py.check_signals()?;
        let batches = batches.map_err(|cause| {
            raise(Error::invalid("the rows cannot be read to their end").with_source(cause))
        })?;
        Ok(Self { schema, batches })
    }
}
