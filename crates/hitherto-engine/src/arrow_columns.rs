//! A lookup's answer as an Arrow record batch: one column a feature, named
//! `view:feature`, null wherever the status is not PRESENT.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use hitherto_core::column::Column;
use hitherto_core::{Error, Result};
use hitherto_offline::arrow::{field, to_array};

use crate::Lookup;

/// Turns a lookup's columns into a record batch of as many rows.
///
/// # Errors
/// `Corrupt` when stored text is not UTF-8.
pub fn to_record_batch(lookup: &Lookup) -> Result<RecordBatch> {
    from_columns(&lookup.columns, lookup.rows)
}

/// Turns columns of `rows` rows into a record batch.
///
/// # Errors
/// As [`to_record_batch`].
pub fn from_columns(columns: &[Column], rows: usize) -> Result<RecordBatch> {
    let fields: Vec<_> =
        columns.iter().map(|column| field(&column.name, &column.data_type)).collect();
    let arrays = columns.iter().cloned().map(to_array).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|cause| Error::internal("columns are not a record batch").with_source(cause))
}
