//! A lookup's answer as an Arrow record batch: one column a feature, named
//! `view:feature`, null wherever there is no value and no default.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt8Array,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use hitherto_core::column::{Column, Status};
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};

use crate::arrow::{field, to_array};
use crate::lookup::{Lookup, ViewTimes};

/// Turns a lookup's columns into a record batch of as many rows.
///
/// # Errors
/// `Corrupt` when stored text is not UTF-8.
pub fn to_record_batch(lookup: &Lookup) -> Result<RecordBatch> {
    from_columns(&lookup.columns, lookup.rows)
}

/// Writes a lookup as an Arrow IPC stream of one record batch: the columns of
/// [`to_record_batch`], and of each view `VIEW@status`, why nothing answers (a uint8 with
/// the numbers of [`Status`]; 0 where a fact does), and, where they were asked for,
/// `VIEW@event_time` and `VIEW@known_time`.
///
/// # Errors
/// As [`to_record_batch`].
pub fn to_ipc_stream(lookup: &Lookup) -> Result<Vec<u8>> {
    let features = to_record_batch(lookup)?;
    let mut fields = features.schema().fields().to_vec();
    let mut arrays = features.columns().to_vec();
    let mut append = |name: String, array: ArrayRef| {
        fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
        arrays.push(array);
    };
    let mut views = Vec::new();
    for column in &lookup.columns {
        if !views.contains(&view_of(column)) {
            views.push(view_of(column));
            // One fact answers, or does not, for all features of a view.
            let status = |row| match column.status(row) {
                Status::Null => Status::Present as u8,
                status => status as u8,
            };
            let statuses = UInt8Array::from_iter_values((0..lookup.rows).map(status));
            append(format!("{}@status", view_of(column)), Arc::new(statuses));
        }
    }
    for ViewTimes { view, times } in &lookup.times {
        let column = |time: fn(&Times) -> i64| {
            let times = times.iter().map(|times| times.as_ref().map(time));
            Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))
        };
        append(format!("{view}@event_time"), column(|times| times.event));
        append(format!("{view}@known_time"), column(|times| times.known));
    }
    let write = || {
        let options = RecordBatchOptions::new().with_row_count(Some(lookup.rows));
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        writer.into_inner()
    };
    write().map_err(|cause: ArrowError| {
        Error::internal("an answer cannot be written as Arrow data").with_source(cause)
    })
}

/// The name that a column's view goes by.
fn view_of(column: &Column) -> &str {
    column.name.split_once(':').map_or(column.name.as_str(), |(view, _)| view)
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
