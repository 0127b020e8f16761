//! Join-key arrays as encoded entity keys.

use ::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int64Array, UInt64Array,
    new_null_array,
};
use ::arrow::buffer::NullBuffer;
use ::arrow::compute::cast;
use ::arrow::datatypes::DataType as ArrowType;
use hitherto_api::arrow::{from_arrow, to_arrow, type_name};
use hitherto_core::aggregate::{Value, identity};
use hitherto_core::definition::Field;
use hitherto_core::key::batch::{KeyBatch, word_bytes, word_part};
use hitherto_core::key::{self, Part};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use crate::arrow::normalize;

/// Encodes join-key arrays of `rows` rows whose types were checked against
/// `keys`. Without any key every row has the same, empty one.
///
/// # Errors
/// `Invalid` when a key is too long.
pub fn encode_keys(arrays: &[ArrayRef], keys: &[Field], rows: usize) -> Result<KeyBatch> {
    let nulls = arrays.iter().fold(None, |nulls, array| {
        NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref())
    });
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let is_null = nulls.map(|nulls| nulls.iter().map(|is_valid| !is_valid).collect::<Vec<_>>());
    let arrays: Vec<KeyArray> = arrays
        .iter()
        .zip(keys)
        .map(|(array, key)| KeyArray::new(array, &key.data_type))
        .collect::<Result<_>>()?;
    match word_bytes(keys) {
        Some(bytes_each) => {
            let mut words = vec![0; rows];
            for (array, key) in arrays.iter().zip(keys) {
                array.append_to(&mut words, &key.data_type);
            }
            Ok(KeyBatch::words(words, bytes_each, is_null))
        }
        None => KeyBatch::encode_each(rows, |row, out| {
            if is_null.as_ref().is_some_and(|is_null| is_null[row]) {
                return Ok(false);
            }
            for (array, key) in arrays.iter().zip(keys) {
                key::encode_part(out, &key.data_type, array.part(row)).map_err(|cause| {
                    let place = format!("join key {:?} of row {row} of a batch", key.name);
                    Error::new(cause.kind(), format!("{place}: {cause}"))
                })?;
            }
            Ok(true)
        }),
    }
}

/// Encodes the columns that tell events apart, of any types that can be keys, as the bytes of
/// ids ([`identity`]).
///
/// # Errors
/// `Invalid` when an id is too long, or a column can be no key.
pub fn encode_ids(columns: &[ArrayRef]) -> Result<BinaryArray> {
    let rows = columns.first().map_or(0, |column| column.len());
    let parts = columns.iter().map(|array| {
        let key = from_arrow(array.data_type()).filter(DataType::is_key);
        let key = key.ok_or_else(|| {
            Error::invalid(format!(
                "a column of source.id has type {}, which can be no id; take integers, strings, \
                 bools or dates, or cast it in source.sql",
                type_name(array.data_type())
            ))
        })?;
        Ok((array.logical_nulls(), KeyArray::new(array, &key)?))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let mut ids = BinaryBuilder::with_capacity(rows, rows * 9 * columns.len());
    let mut id = Vec::new();
    for row in 0..rows {
        id.clear();
        for (nulls, array) in &parts {
            let value = match array.part(row) {
                _ if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => Value::Null,
                Part::Bool(value) => Value::Bool(value),
                Part::Int(value) => Value::Int(value),
                Part::UInt(value) => Value::UInt(value),
                Part::Bytes(value) => Value::Bytes(value.into()),
            };
            identity::encode_part(&mut id, &value)?;
        }
        ids.append_value(&id);
    }
    Ok(ids.finish())
}

/// A join key's values in one batch, widened.
enum KeyArray {
    Bool(BooleanArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Bytes(BinaryArray),
}

impl KeyArray {
    fn new(array: &ArrayRef, data_type: &DataType) -> Result<Self> {
        let array = match array.data_type() {
            // Nothing but nulls, of a column whose type nobody could see.
            ArrowType::Null => new_null_array(&to_arrow(data_type), array.len()),
            _ => normalize(array)?,
        };
        let unreadable = |cause| Error::internal("a join key cannot be read").with_source(cause);
        let to = |target: &ArrowType| cast(&array, target).map_err(unreadable);
        Ok(match data_type {
            DataType::Bool => KeyArray::Bool(array.as_boolean().clone()),
            DataType::String | DataType::Binary => {
                KeyArray::Bytes(to(&ArrowType::Binary)?.as_binary().clone())
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                KeyArray::UInt(to(&ArrowType::UInt64)?.as_primitive().clone())
            }
            DataType::Date32 => {
                let days = to(&ArrowType::Int32)?;
                let days = cast(&days, &ArrowType::Int64).map_err(unreadable)?;
                KeyArray::Int(days.as_primitive().clone())
            }
            _ => KeyArray::Int(to(&ArrowType::Int64)?.as_primitive().clone()),
        })
    }

    fn part(&self, row: usize) -> Part<'_> {
        match self {
            KeyArray::Bool(array) => Part::Bool(array.value(row)),
            KeyArray::Int(array) => Part::Int(array.value(row)),
            KeyArray::UInt(array) => Part::UInt(array.value(row)),
            KeyArray::Bytes(array) => Part::Bytes(array.value(row)),
        }
    }

    /// Appends this part to words. A null row's word means nothing.
    fn append_to(&self, words: &mut [u64], data_type: &DataType) {
        let bits = 8 * data_type.slot_bytes() as u32;
        let mut append = |row: usize, value: u64| {
            let before = words[row].checked_shl(bits).unwrap_or(0);
            words[row] = before | word_part(data_type, value);
        };
        match self {
            KeyArray::Bool(array) => {
                array.values().iter().enumerate().for_each(|(row, v)| append(row, v.into()));
            }
            KeyArray::Int(array) => {
                array.values().iter().enumerate().for_each(|(row, v)| append(row, *v as u64));
            }
            KeyArray::UInt(array) => {
                array.values().iter().enumerate().for_each(|(row, v)| append(row, *v));
            }
            KeyArray::Bytes(_) => {}
        }
    }
}
