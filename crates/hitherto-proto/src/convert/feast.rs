//! Feast's values.
//!
//! ```text
//! bool                              bool_val
//! int8..int32, uint8, uint16        int32_val
//! int64, uint32, uint64             int64_val
//! float32, float64                  float_val, double_val
//! string, binary                    string_val, bytes_val
//! decimal128                        decimal_val, digits with their point
//! date32, timestamp                 unix_timestamp_val, whole seconds, rounded down
//! list(...)                         the list of its items' kind; list_val if an
//!                                   item is null
//! ```
//!
//! Feast's wire is narrower than ours: it has no fractions of a second and no
//! unsigned numbers. The former is what its clients expect; a number beyond
//! int64 is refused instead of being written as another.

use hitherto_core::column::{Column, Status, Values};
use hitherto_core::error::ROWS_ANEW;
use hitherto_core::key::OwnedPart;
use hitherto_core::list::List;
use hitherto_core::time::format_timestamp;
use hitherto_core::types::{DataType, TimeUnit};
use hitherto_core::{Error, Result};
use prost_types::Timestamp;
use serde_json::Value as Json;

use crate::feast::serving::FieldStatus;
use crate::feast::types::value::Val;
use crate::feast::types::{DoubleList, FloatList, Int32List, Int64List, RepeatedValue, Value};

const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Writes a status.
pub fn status(status: Status) -> FieldStatus {
    match status {
        Status::Present => FieldStatus::Present,
        Status::Null => FieldStatus::NullValue,
        Status::NotFound => FieldStatus::NotFound,
        Status::Expired => FieldStatus::OutsideMaxAge,
    }
}

/// Writes a time in microseconds UTC; a fraction of a second is kept.
pub fn timestamp(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(MICROS_PER_SECOND),
        nanos: micros.rem_euclid(MICROS_PER_SECOND) as i32 * 1_000,
    }
}

/// The microseconds of a timestamp; a finer fraction is cut off.
pub fn micros(at: &Timestamp) -> i64 {
    at.seconds.saturating_mul(MICROS_PER_SECOND).saturating_add(i64::from(at.nanos) / 1_000)
}

/// Writes a column, one value a row; unset where there is no value and no default.
///
/// # Errors
/// `Invalid` for a number beyond int64, `Corrupt` for stored text that is not
/// UTF-8 or bytes that are no list.
pub fn values(column: &Column) -> Result<Vec<Value>> {
    let value = |row: usize| {
        Ok(Value { val: column.has_value(row).then(|| val(column, row)).transpose()? })
    };
    (0..column.len()).map(value).collect()
}

fn val(column: &Column, row: usize) -> Result<Val> {
    Ok(match (&column.values, &column.data_type) {
        (Values::Bool(values), _) => Val::BoolVal(values[row]),
        (Values::I32(values), DataType::Date32) => {
            Val::UnixTimestampVal(i64::from(values[row]) * SECONDS_PER_DAY)
        }
        (Values::I32(values), _) => Val::Int32Val(values[row]),
        (Values::I64(values), DataType::Timestamp { unit, .. }) => {
            Val::UnixTimestampVal(values[row].div_euclid(per_second(*unit)))
        }
        (Values::I64(values), _) => Val::Int64Val(values[row]),
        (Values::U32(values), DataType::UInt32) => Val::Int64Val(values[row].into()),
        // Of 8 or 16 bits.
        (Values::U32(values), _) => Val::Int32Val(values[row] as i32),
        (Values::U64(values), _) => Val::Int64Val(signed(&column.name, values[row])?),
        (Values::F32(values), _) => Val::FloatVal(values[row]),
        (Values::F64(values), _) => Val::DoubleVal(values[row]),
        (Values::I128(values), DataType::Decimal128 { scale, .. }) => {
            Val::DecimalVal(decimal_text(values[row], *scale))
        }
        (Values::I128(values), _) => Val::DecimalVal(values[row].to_string()),
        (Values::Varlen { .. }, DataType::List { item, length }) => {
            list(&column.name, List::read(column.varlen(row), item, *length)?, item)?
        }
        (Values::Varlen { .. }, DataType::String) => {
            let text = std::str::from_utf8(column.varlen(row)).map_err(|cause| {
                let name = &column.name;
                Error::corrupt(format!("stored text of {name} is not UTF-8; {ROWS_ANEW}"))
                    .with_source(cause)
            })?;
            Val::StringVal(text.to_owned())
        }
        (Values::Varlen { .. }, _) => Val::BytesVal(column.varlen(row).to_vec()),
    })
}

const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Milli => 1_000,
        TimeUnit::Micro => MICROS_PER_SECOND,
        TimeUnit::Nano => 1_000_000_000,
    }
}

fn signed(name: &str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| {
        Error::invalid(format!(
            "a value of {name} is beyond int64, where Feast's wire ends; ask for it over \
             hitherto.v1 or POST /v1/lookup"
        ))
    })
}

/// A list of the narrowest kind that holds it.
fn list(name: &str, list: List<'_>, item: &DataType) -> Result<Val> {
    let items = list.iter().map(|bytes| bytes.map(|bytes| number(name, bytes, item)).transpose());
    let items: Vec<Option<Val>> = items.collect::<Result<_>>()?;
    if items.iter().any(Option::is_none) {
        let val = items.into_iter().map(|val| Value { val }).collect();
        return Ok(Val::ListVal(RepeatedValue { val }));
    }
    let items = items.into_iter().flatten();
    Ok(match item {
        DataType::Float32 => {
            Val::FloatListVal(FloatList { val: items.filter_map(|val| as_f32(&val)).collect() })
        }
        DataType::Float64 => {
            Val::DoubleListVal(DoubleList { val: items.filter_map(|val| as_f64(&val)).collect() })
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => {
            Val::Int64ListVal(Int64List { val: items.filter_map(|val| as_i64(&val)).collect() })
        }
        _ => Val::Int32ListVal(Int32List { val: items.filter_map(|val| as_i32(&val)).collect() }),
    })
}

/// One item of a list from its little-endian bytes.
fn number(name: &str, bytes: &[u8], item: &DataType) -> Result<Val> {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    Ok(match item {
        DataType::Float32 => Val::FloatVal(f32::from_bits(word as u32)),
        DataType::Float64 => Val::DoubleVal(f64::from_bits(word)),
        DataType::Int8 => Val::Int32Val(i32::from(word as i8)),
        DataType::Int16 => Val::Int32Val(i32::from(word as i16)),
        DataType::Int64 => Val::Int64Val(word as i64),
        DataType::UInt32 | DataType::UInt64 => Val::Int64Val(signed(name, word)?),
        // Of 32 bits, or unsigned of fewer.
        _ => Val::Int32Val(word as i32),
    })
}

fn as_f32(val: &Val) -> Option<f32> {
    if let Val::FloatVal(value) = val { Some(*value) } else { None }
}

fn as_f64(val: &Val) -> Option<f64> {
    if let Val::DoubleVal(value) = val { Some(*value) } else { None }
}

fn as_i64(val: &Val) -> Option<i64> {
    if let Val::Int64Val(value) = val { Some(*value) } else { None }
}

fn as_i32(val: &Val) -> Option<i32> {
    if let Val::Int32Val(value) = val { Some(*value) } else { None }
}

/// An unscaled decimal as digits with their point.
fn decimal_text(unscaled: i128, scale: i8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) => format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

/// Reads the values of one field of the request as JSON, which says what they are; unset and
/// null are null.
///
/// # Errors
/// `Invalid` for a kind of value that no field has.
pub fn json(name: &str, values: &RepeatedValue) -> Result<Vec<Json>> {
    values.val.iter().map(|value| json_of(name, value.val.as_ref())).collect()
}

fn json_of(name: &str, value: Option<&Val>) -> Result<Json> {
    let float = |value: f64| match value {
        value if value.is_nan() => Json::from("NaN"),
        value if value.is_infinite() => Json::from(if value > 0.0 { "inf" } else { "-inf" }),
        value => Json::from(value),
    };
    let seconds = |at: i64| {
        let micros = at.checked_mul(MICROS_PER_SECOND).ok_or_else(|| {
            Error::invalid(format!(
                "field {name:?} has a time of a year that no calendar has; send seconds since 1970"
            ))
        })?;
        Ok::<_, Error>(Json::from(format_timestamp(micros)))
    };
    Ok(match value {
        None | Some(Val::NullVal(_)) => Json::Null,
        Some(Val::BoolVal(value)) => Json::from(*value),
        Some(Val::Int32Val(value)) => Json::from(*value),
        Some(Val::Int64Val(value)) => Json::from(*value),
        Some(Val::FloatVal(value)) => float((*value).into()),
        Some(Val::DoubleVal(value)) => float(*value),
        Some(Val::StringVal(text)) => Json::from(text.as_str()),
        Some(Val::DecimalVal(digits)) => Json::from(digits.as_str()),
        Some(Val::UnixTimestampVal(at)) => seconds(*at)?,
        Some(Val::FloatListVal(list)) => {
            list.val.iter().map(|item| float((*item).into())).collect()
        }
        Some(Val::DoubleListVal(list)) => list.val.iter().map(|item| float(*item)).collect(),
        Some(Val::Int32ListVal(list)) => list.val.iter().copied().map(Json::from).collect(),
        Some(Val::Int64ListVal(list)) => list.val.iter().copied().map(Json::from).collect(),
        Some(Val::ListVal(list)) => Json::Array(json(name, list)?),
        Some(_) => {
            return Err(Error::invalid(format!(
                "field {name:?} of the request has a value of a kind that no field has; send a \
                 number, string_val, bool_val, decimal_val, unix_timestamp_val or a list of numbers"
            )));
        }
    })
}

/// Reads the values of one join key; unset and null are null.
///
/// # Errors
/// `Invalid` for a kind of value that no join key has.
pub fn parts(name: &str, values: &RepeatedValue) -> Result<Vec<Option<OwnedPart>>> {
    let part = |value: &Value| {
        Ok(Some(match &value.val {
            None | Some(Val::NullVal(_)) => return Ok(None),
            Some(Val::BoolVal(value)) => OwnedPart::Bool(*value),
            Some(Val::Int32Val(value)) => OwnedPart::Int((*value).into()),
            Some(Val::Int64Val(value)) => OwnedPart::Int(*value),
            Some(Val::StringVal(text)) => OwnedPart::Bytes(text.clone().into_bytes()),
            Some(Val::BytesVal(bytes)) => OwnedPart::Bytes(bytes.clone()),
            Some(_) => {
                return Err(Error::invalid(format!(
                    "join key {name:?} has a value of a kind that no join key has; send \
                     int64_val, int32_val, string_val, bytes_val or bool_val"
                )));
            }
        }))
    };
    values.val.iter().map(part).collect()
}

#[cfg(test)]
mod tests;
