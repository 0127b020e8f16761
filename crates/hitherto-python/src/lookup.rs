//! A lookup's answer: columns of the engine to Python values and to Arrow.
//!
//! Python values are made here only as far as every machine type has one;
//! `python/hitherto/_values.py` turns counts of days and microseconds into
//! dates, by the declared type that travels with each column.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchIterator};
use hitherto_api::Lookup as Answer;
use hitherto_api::arrow_columns;
use hitherto_core::Error;
use hitherto_core::column::{Column, Status, Values};
use hitherto_core::list::List;
use hitherto_core::types::DataType;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyString};
use pyo3_arrow::PyRecordBatchReader;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::errors::raise;

/// What a lookup answered, with the entity keys that were asked for.
#[pyclass(frozen, module = "hitherto._native")]
pub struct Lookup {
    answer: Answer,
    keys: Vec<(String, ArrayRef)>,
}

impl Lookup {
    /// The answer for `keys`, whose arrays have the answer's rows.
    pub fn new(answer: Answer, keys: Vec<(String, ArrayRef)>) -> Self {
        Self { answer, keys }
    }

    /// Key columns, then feature columns.
    fn to_batch(&self) -> Result<RecordBatch, Error> {
        let features = arrow_columns::to_record_batch(&self.answer)?;
        let keys = self.keys.iter();
        let mut fields: Vec<_> = keys
            .clone()
            .map(|(name, array)| Arc::new(Field::new(name, array.data_type().clone(), true)))
            .collect();
        fields.extend(features.schema().fields().iter().cloned());
        let mut columns: Vec<ArrayRef> = keys.map(|(_, array)| Arc::clone(array)).collect();
        columns.extend(features.columns().iter().cloned());
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns).map_err(|cause| {
            Error::internal("the answer's columns differ in length").with_source(cause)
        })
    }
}

#[pymethods]
impl Lookup {
    /// The moment that was answered for, microseconds UTC.
    #[getter]
    fn at(&self) -> i64 {
        self.answer.at
    }

    /// Entities.
    fn __len__(&self) -> usize {
        self.answer.rows
    }

    /// A name, a declared type and the values for each feature, in order; None
    /// where there is no value and no default.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Vec<(&str, String, Bound<'py, PyList>)>> {
        let columns = self.answer.columns.iter();
        columns
            .map(|column| {
                Ok((column.name.as_str(), column.data_type.to_string(), to_list(py, column)?))
            })
            .collect()
    }

    /// Status names by feature.
    fn statuses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let names = Status::ALL.map(|status| PyString::intern(py, status.name()));
        let statuses = PyDict::new(py);
        for column in &self.answer.columns {
            let rows = (0..column.len()).map(|row| &names[column.status(row) as usize]);
            statuses.set_item(&column.name, PyList::new(py, rows)?)?;
        }
        Ok(statuses)
    }

    /// Event and known time, microseconds UTC, by view; None where no fact
    /// answered. Empty unless times were asked for.
    fn times<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let times = PyDict::new(py);
        for view in &self.answer.times {
            let rows = view.times.iter().map(|times| times.map(|times| (times.event, times.known)));
            times.set_item(&view.view, PyList::new(py, rows.collect::<Vec<_>>())?)?;
        }
        Ok(times)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let batch = self.to_batch().map_err(raise)?;
        Ok(to_schema_pycapsule(py, batch.schema().as_ref())?)
    }

    /// Key columns, then feature columns, as one batch.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let batch = self.to_batch().map_err(raise)?;
        let schema = batch.schema();
        let reader = RecordBatchIterator::new([Ok(batch)], schema);
        PyRecordBatchReader::new(Box::new(reader))
            .into_pyobject(py)?
            .call_method1("__arrow_c_stream__", (requested_schema,))
    }
}

/// A column's values; None where there is no value and no default.
pub fn to_list<'py>(py: Python<'py>, column: &Column) -> PyResult<Bound<'py, PyList>> {
    match &column.values {
        Values::Bool(values) => present(py, column, values),
        Values::I32(values) => present(py, column, values),
        Values::I64(values) => present(py, column, values),
        Values::U32(values) => present(py, column, values),
        Values::U64(values) => present(py, column, values),
        Values::F32(values) => present(py, column, values),
        Values::F64(values) => present(py, column, values),
        Values::I128(values) => present(py, column, values),
        Values::Varlen { .. } => {
            let value = |row: usize| -> PyResult<Option<Bound<'py, PyAny>>> {
                if !column.has_value(row) {
                    return Ok(None);
                }
                let bytes = column.varlen(row);
                Ok(Some(match &column.data_type {
                    DataType::String => PyString::from_bytes(py, bytes)?.into_any(),
                    DataType::List { item, length } => {
                        let list = List::read(bytes, item, *length).map_err(raise)?;
                        numbers(py, list, item)?.into_any()
                    }
                    _ => PyBytes::new(py, bytes).into_any(),
                }))
            };
            let values: PyResult<Vec<_>> = (0..column.len()).map(value).collect();
            PyList::new(py, values?)
        }
    }
}

/// The items of a list; None where one is null.
fn numbers<'py>(py: Python<'py>, list: List<'_>, item: &DataType) -> PyResult<Bound<'py, PyList>> {
    match item {
        DataType::Int8 => items(py, list, i8::from_le_bytes),
        DataType::Int16 => items(py, list, i16::from_le_bytes),
        DataType::Int32 => items(py, list, i32::from_le_bytes),
        DataType::Int64 => items(py, list, i64::from_le_bytes),
        DataType::UInt8 => items(py, list, u8::from_le_bytes),
        DataType::UInt16 => items(py, list, u16::from_le_bytes),
        DataType::UInt32 => items(py, list, u32::from_le_bytes),
        DataType::UInt64 => items(py, list, u64::from_le_bytes),
        DataType::Float32 => items(py, list, f32::from_le_bytes),
        DataType::Float64 => items(py, list, f64::from_le_bytes),
        other => Err(raise(Error::internal(format!("a list holds items of type {other}")))),
    }
}

fn items<'py, T: IntoPyObject<'py>, const N: usize>(
    py: Python<'py>,
    list: List<'_>,
    read: impl Fn([u8; N]) -> T,
) -> PyResult<Bound<'py, PyList>> {
    let item = |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).map(&read);
    PyList::new(py, list.iter().map(item).collect::<Vec<_>>())
}

fn present<'py, T>(py: Python<'py>, column: &Column, values: &[T]) -> PyResult<Bound<'py, PyList>>
where
    T: Copy + IntoPyObject<'py>,
{
    let rows = values.iter().enumerate();
    let rows = rows.map(|(row, value)| column.has_value(row).then_some(*value));
    PyList::new(py, rows.collect::<Vec<_>>())
}
