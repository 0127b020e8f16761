//! The spine from Python: anything that speaks the Arrow C interface, as record
//! batches. No value is copied; the batches keep Python's buffers alive. What is a
//! reader there is one here, and read as there is room for its rows.
//!
//! The schema's metadata is dropped: what pandas writes there describes the
//! frame that was sent, index and all, and would be wrong of the training set.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{
    RecordBatch, RecordBatchIterator, RecordBatchOptions, RecordBatchReader,
};
use hitherto_api::{LabelFiles, Scan, Spine as AnySpine};
use hitherto_core::Error;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3_arrow::input::AnyRecordBatch;

use crate::errors::raise;

/// A spine: its columns and rows, in order.
pub struct Spine {
    /// The columns; all batches have them.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

/// A spine in any of its forms: what is asked for, and the name of the form before it.
///
/// # Errors
/// As [`Spine::read_as`].
pub fn asked(spine: &Bound<'_, PyTuple>) -> PyResult<AnySpine> {
    let (form, given): (String, Bound<'_, PyAny>) = spine.extract()?;
    Ok(match form.as_str() {
        "reader" => AnySpine::Reader { rows: plain(reader(&given)?), times: None },
        "file" => AnySpine::File(given.extract()?),
        "sql" => {
            AnySpine::Sql { query: given.extract()?, files: LabelFiles::Readable, bounds: None }
        }
        "at" => AnySpine::Scan(Scan::At(given.extract()?)),
        "between" => {
            let (after, until) = given.extract()?;
            AnySpine::Scan(Scan::Between { after, until })
        }
        _ => {
            let Spine { schema, batches } = Spine::read_as(&given, "a spine is")?;
            AnySpine::Rows { batches, schema }
        }
    })
}

/// A stream of Arrow data.
type Batches = Box<dyn RecordBatchReader + Send>;

fn reader(data: &Bound<'_, PyAny>) -> PyResult<Batches> {
    data.extract::<AnyRecordBatch>()?.into_reader()
}

/// The same rows without the schema's metadata.
fn plain(reader: Batches) -> Batches {
    let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
    let of = Arc::clone(&schema);
    let plain = reader.map(move |batch| {
        let batch = batch?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().to_vec();
        RecordBatch::try_new_with_options(Arc::clone(&of), columns, &options)
    });
    Box::new(RecordBatchIterator::new(plain, schema))
}

impl Spine {
    /// Reads `data` to its end, with the GIL released between Python's own parts; `what`
    /// begins the sentence that says what `data` must be.
    ///
    /// # Errors
    /// `InvalidError` when `data` has no Arrow interface or breaks off; what
    /// its own methods raise.
    pub fn read_as(data: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let py = data.py();
        let speaks_arrow =
            data.hasattr("__arrow_c_stream__")? || data.hasattr("__arrow_c_array__")?;
        if !speaks_arrow {
            return Err(raise(Error::invalid(format!(
                "{what} a pandas or polars DataFrame, a pyarrow Table or anything else with \
                 __arrow_c_stream__, and not {}; give one of those",
                data.get_type().fully_qualified_name()?
            ))));
        }
        let reader = plain(reader(data)?);
        let schema = reader.schema();
        let batches = py.detach(|| reader.collect::<Result<Vec<_>, _>>());
        // A signal may be why the producer broke off.
        py.check_signals()?;
        let batches = batches.map_err(|cause| {
            raise(
                Error::invalid(
                    "the rows cannot be read to their end; mend what gives them, and ask again",
                )
                .with_source(cause),
            )
        })?;
        Ok(Self { schema, batches })
    }
}
