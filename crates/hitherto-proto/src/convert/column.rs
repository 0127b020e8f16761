//! Feature columns.
//!
//! Both sides hold one packed array a column, so values move and are not
//! copied; only decimals are, because protobuf has no 128-bit number.
//!
//! A column from the wire is checked before anybody indexes it: its type is
//! known, its values are of the machine type that carries that type and fit
//! it, there is one of them for each status, every status is one of ours, text
//! is UTF-8 and lists are lists, with ends that ascend to the end of the data.

use std::ops::RangeInclusive;

use hitherto_core::column::{Column, Status, Values};
use hitherto_core::list::List;
use hitherto_core::types::{DataType, Physical};
use hitherto_core::{Error, Result};

use crate::v1::{self, feature_column::Values as Wire};

/// Bytes of one decimal on the wire.
const DECIMAL_BYTES: usize = size_of::<i128>();

/// What can be wrong with a column from the wire.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("it carries no values")]
    NoValues,
    #[error("it carries values that do not belong to type {0}")]
    Machine(DataType),
    #[error("it has {values} values for {rows} rows")]
    Length { values: usize, rows: usize },
    #[error("{0} is not the number of a status")]
    Status(u8),
    #[error("a value does not fit type {0}")]
    Range(DataType),
    #[error("its decimals are not whole groups of {DECIMAL_BYTES} bytes")]
    Decimals,
    #[error("the ends of its values do not ascend to the end of its data")]
    Ends,
    #[error("it holds text that is not UTF-8")]
    Utf8,
    #[error("it holds bytes that are not a list")]
    List,
}

impl From<Column> for v1::FeatureColumn {
    fn from(column: Column) -> Self {
        Self {
            name: column.name,
            r#type: column.data_type.to_string(),
            statuses: column.statuses,
            values: Some(to_wire(column.values)),
            is_filled: column.is_filled,
        }
    }
}

/// Checks a column that a caller brings. One without statuses has a value everywhere.
///
/// # Errors
/// `Invalid` naming the column.
pub fn decode_brought(column: v1::FeatureColumn) -> Result<Column> {
    let v1::FeatureColumn { name, r#type, mut statuses, values, .. } = column;
    let refuse = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::invalid(format!(
            "field {name:?} of the request is malformed; send its type, and a value and a status \
             for each entity, PRESENT or NULL"
        ))
        .with_source(cause)
    };
    let data_type = r#type.parse::<DataType>().map_err(|cause| refuse(cause.into()))?;
    let values = values.ok_or(Malformed::NoValues).and_then(from_wire).and_then(|values| {
        if statuses.is_empty() {
            statuses = vec![Status::Present as u8; machine(&values).1];
        }
        let odd = statuses.iter().find(|status| **status > Status::Null as u8);
        match odd {
            Some(odd) => Err(Malformed::Status(*odd)),
            None => check(&data_type, &statuses, values),
        }
    });
    let values = values.map_err(|cause| refuse(cause.into()))?;
    Ok(Column { name, data_type, statuses, values, is_filled: false })
}

impl TryFrom<v1::FeatureColumn> for Column {
    type Error = Error;

    /// Checks a column that a server sent.
    ///
    /// # Errors
    /// `Internal` naming the column: no caller can mend it.
    fn try_from(column: v1::FeatureColumn) -> Result<Self> {
        let v1::FeatureColumn { name, r#type, statuses, values, is_filled } = column;
        let refuse = |cause| {
            Error::internal(format!(
                "the server's column {name:?} is malformed; use a client of the server's release"
            ))
            .with_source(cause)
        };
        let data_type = r#type.parse::<DataType>().map_err(|cause| refuse(cause.into()))?;
        let values = values
            .ok_or(Malformed::NoValues)
            .and_then(from_wire)
            .and_then(|values| check(&data_type, &statuses, values))
            .map_err(|cause| refuse(Box::<dyn std::error::Error + Send + Sync>::from(cause)))?;
        Ok(Self { name, data_type, statuses, values, is_filled })
    }
}

fn to_wire(values: Values) -> Wire {
    match values {
        Values::Bool(values) => Wire::Bools(v1::PackedBools { values }),
        Values::I32(values) => Wire::I32s(v1::PackedI32 { values }),
        Values::I64(values) => Wire::I64s(v1::PackedI64 { values }),
        Values::U32(values) => Wire::U32s(v1::PackedU32 { values }),
        Values::U64(values) => Wire::U64s(v1::PackedU64 { values }),
        Values::F32(values) => Wire::F32s(v1::PackedF32 { values }),
        Values::F64(values) => Wire::F64s(v1::PackedF64 { values }),
        Values::I128(values) => {
            Wire::I128s(values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        Values::Varlen { ends, data } => Wire::Varlen(v1::PackedBytes { ends, data }),
    }
}

fn from_wire(values: Wire) -> Result<Values, Malformed> {
    Ok(match values {
        Wire::Bools(v1::PackedBools { values }) => Values::Bool(values),
        Wire::I32s(v1::PackedI32 { values }) => Values::I32(values),
        Wire::I64s(v1::PackedI64 { values }) => Values::I64(values),
        Wire::U32s(v1::PackedU32 { values }) => Values::U32(values),
        Wire::U64s(v1::PackedU64 { values }) => Values::U64(values),
        Wire::F32s(v1::PackedF32 { values }) => Values::F32(values),
        Wire::F64s(v1::PackedF64 { values }) => Values::F64(values),
        Wire::I128s(bytes) => {
            let (decimals, rest) = bytes.as_chunks::<DECIMAL_BYTES>();
            if !rest.is_empty() {
                return Err(Malformed::Decimals);
            }
            Values::I128(decimals.iter().map(|bytes| i128::from_le_bytes(*bytes)).collect())
        }
        Wire::Varlen(v1::PackedBytes { ends, data }) => Values::Varlen { ends, data },
    })
}

/// Checks that `values` are what `data_type` and `statuses` say.
fn check(data_type: &DataType, statuses: &[u8], values: Values) -> Result<Values, Malformed> {
    if let Some(unknown) = statuses.iter().find(|byte| Status::from_byte(**byte).is_none()) {
        return Err(Malformed::Status(*unknown));
    }
    let (physical, found) = machine(&values);
    if physical != data_type.physical() {
        return Err(Malformed::Machine(data_type.clone()));
    }
    if found != statuses.len() {
        return Err(Malformed::Length { values: found, rows: statuses.len() });
    }
    let fits = match &values {
        Values::I32(values) => values.iter().all(|value| signed(data_type).contains(value)),
        Values::U32(values) => values.iter().all(|value| *value <= unsigned_max(data_type)),
        Values::Varlen { ends, data } => {
            check_varlen(data_type, statuses, ends, data)?;
            true
        }
        _ => true,
    };
    if fits { Ok(values) } else { Err(Malformed::Range(data_type.clone())) }
}

/// The machine type of packed values, and how many rows they are.
fn machine(values: &Values) -> (Physical, usize) {
    match values {
        Values::Bool(values) => (Physical::Bool, values.len()),
        Values::I32(values) => (Physical::I32, values.len()),
        Values::I64(values) => (Physical::I64, values.len()),
        Values::U32(values) => (Physical::U32, values.len()),
        Values::U64(values) => (Physical::U64, values.len()),
        Values::F32(values) => (Physical::F32, values.len()),
        Values::F64(values) => (Physical::F64, values.len()),
        Values::I128(values) => (Physical::I128, values.len()),
        Values::Varlen { ends, .. } => (Physical::Varlen, ends.len()),
    }
}

/// What a type carried in 32 bits can hold.
fn signed(data_type: &DataType) -> RangeInclusive<i32> {
    match data_type {
        DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
        DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
        _ => i32::MIN..=i32::MAX,
    }
}

/// The greatest number that a type carried in 32 bits can hold.
fn unsigned_max(data_type: &DataType) -> u32 {
    match data_type {
        DataType::UInt8 => u8::MAX.into(),
        DataType::UInt16 => u16::MAX.into(),
        _ => u32::MAX,
    }
}

fn check_varlen(
    data_type: &DataType,
    statuses: &[u8],
    ends: &[u32],
    data: &[u8],
) -> Result<(), Malformed> {
    let last = ends.last().map_or(0, |end| *end as usize);
    if !ends.is_sorted() || last != data.len() {
        return Err(Malformed::Ends);
    }
    match data_type {
        DataType::String => check_text(ends, data),
        DataType::List { item, length } => {
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let rows = starts.zip(ends).zip(statuses);
            let mut present = rows.filter(|(_, status)| **status == Status::Present as u8);
            let is_list = |start: u32, end: u32| {
                List::read(&data[start as usize..end as usize], item, *length).is_ok()
            };
            match present.all(|((start, end), _)| is_list(start, *end)) {
                true => Ok(()),
                false => Err(Malformed::List),
            }
        }
        _ => Ok(()),
    }
}

fn check_text(ends: &[u32], data: &[u8]) -> Result<(), Malformed> {
    // The whole is checked at once, then that no value begins inside a
    // character: together as good as checking each, and much faster.
    let text = std::str::from_utf8(data).map_err(|_| Malformed::Utf8)?;
    let whole = ends.iter().all(|end| text.is_char_boundary(*end as usize));
    if whole { Ok(()) } else { Err(Malformed::Utf8) }
}

#[cfg(test)]
mod tests;
