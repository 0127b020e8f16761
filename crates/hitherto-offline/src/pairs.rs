//! A spine made of entity keys and times, for questions that nobody's label
//! rows ask.

use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use ::arrow::datatypes::Schema;
use hitherto_api::arrow::{field, to_array};
use hitherto_core::column::{Column, Status, Values};
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::{Error, Result};

/// Join keys, one column each, and a column `timestamp` of `times`, one row for
/// each of `entities`.
///
/// # Errors
/// `Internal` when an entity does not have one part of the declared type for
/// each key.
pub fn to_spine(
    keys: &[Field],
    entities: &[Vec<OwnedPart>],
    times: Vec<i64>,
    timestamp: &str,
) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(keys.len() + 1);
    for (index, key) in keys.iter().enumerate() {
        let parts = entities.iter().map(|parts| parts.get(index));
        columns.push(to_array(key_column(key, parts).ok_or_else(|| {
            Error::internal(format!("an entity has no {} key {:?}", key.data_type, key.name))
        })?)?);
    }
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let mut fields: Vec<_> = keys.iter().map(|key| field(&key.name, &key.data_type)).collect();
    fields.push(::arrow::datatypes::Field::new(
        timestamp,
        ::arrow::array::Array::data_type(&times).clone(),
        false,
    ));
    columns.push(Arc::new(times));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|cause| Error::internal("entities and times are no spine").with_source(cause))
}

/// The values of one key; `None` if a part is missing or of another sort.
pub(crate) fn key_column<'p>(
    key: &Field,
    parts: impl Iterator<Item = Option<&'p OwnedPart>>,
) -> Option<Column> {
    let mut column = Column::with_capacity(key.name.clone(), key.data_type.clone(), 0);
    for part in parts {
        let part = part?;
        let integer = match part {
            OwnedPart::Int(value) => i128::from(*value),
            OwnedPart::UInt(value) => i128::from(*value),
            OwnedPart::Bool(_) | OwnedPart::Bytes(_) => 0,
        };
        match (&mut column.values, part) {
            (Values::Bool(values), OwnedPart::Bool(value)) => values.push(*value),
            (Values::Varlen { ends, data }, OwnedPart::Bytes(bytes)) => {
                data.extend_from_slice(bytes);
                ends.push(data.len().try_into().ok()?);
            }
            (_, OwnedPart::Bool(_) | OwnedPart::Bytes(_)) => return None,
            (Values::I32(values), _) => values.push(integer.try_into().ok()?),
            (Values::I64(values), _) => values.push(integer.try_into().ok()?),
            (Values::U32(values), _) => values.push(integer.try_into().ok()?),
            (Values::U64(values), _) => values.push(integer.try_into().ok()?),
            _ => return None,
        }
        column.statuses.push(Status::Present as u8);
    }
    Some(column)
}
