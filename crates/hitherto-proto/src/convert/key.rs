//! Join key columns.
//!
//! ```text
//! core   [ "a",  null, "b" ]
//! wire   bytes ["a",  "",  "b"]    null_rows [1]
//! ```
//!
//! The wire has text and bytes apart for callers in languages where they are;
//! a key's encoding does not tell them apart, so both become bytes here and
//! bytes go out. One column has one type; which one the declared key needs is
//! the engine's to say.

use hitherto_core::key::OwnedPart;
use hitherto_core::{Error, Result};

use crate::v1::{self, key_column::Values};

/// Writes one part for each entity as a column; `None` is null.
///
/// # Errors
/// `Invalid` when parts are of different types, which no key's values are.
pub fn encode(name: &str, parts: &[Option<OwnedPart>]) -> Result<v1::KeyColumn> {
    let values = match parts.iter().flatten().next() {
        Some(OwnedPart::Bool(_)) => {
            collect(parts, as_bool).map(|values| Values::Bools(v1::BoolValues { values }))
        }
        Some(OwnedPart::Int(_)) => {
            collect(parts, as_int).map(|values| Values::Ints(v1::IntValues { values }))
        }
        Some(OwnedPart::UInt(_)) => {
            collect(parts, as_uint).map(|values| Values::Uints(v1::UIntValues { values }))
        }
        Some(OwnedPart::Bytes(_)) | None => {
            collect(parts, as_bytes).map(|values| Values::Bytes(v1::BytesValues { values }))
        }
    };
    let values = values.ok_or_else(|| {
        Error::invalid(format!(
            "join key {name:?} has values of different types; give all of them the key's type"
        ))
    })?;
    let nulls = parts.iter().enumerate().filter(|(_, part)| part.is_none());
    Ok(v1::KeyColumn {
        name: name.to_owned(),
        values: Some(values),
        null_rows: nulls.map(|(row, _)| row as u32).collect(),
    })
}

/// Reads a column that a caller sent: its name and one part for each entity.
///
/// # Errors
/// `Invalid` when it carries no values or marks a row as null that it does not
/// have.
pub fn decode(column: v1::KeyColumn) -> Result<(String, Vec<Option<OwnedPart>>)> {
    let v1::KeyColumn { name, values, null_rows } = column;
    let mut parts = match values {
        Some(Values::Text(column)) => {
            parts(column.values.into_iter().map(String::into_bytes), OwnedPart::Bytes)
        }
        Some(Values::Bytes(column)) => parts(column.values, OwnedPart::Bytes),
        Some(Values::Ints(column)) => parts(column.values, OwnedPart::Int),
        Some(Values::Uints(column)) => parts(column.values, OwnedPart::UInt),
        Some(Values::Bools(column)) => parts(column.values, OwnedPart::Bool),
        None => {
            return Err(Error::invalid(format!(
                "join key {name:?} carries no values; set one of text, ints, uints, bools, bytes"
            )));
        }
    };
    let rows = parts.len();
    for row in null_rows {
        let part = parts.get_mut(row as usize).ok_or_else(|| {
            Error::invalid(format!(
                "join key {name:?} has {rows} values, and null row {row}; number rows from 0"
            ))
        })?;
        *part = None;
    }
    Ok((name, parts))
}

/// The values of one type, with a default in place of each null; `None` when
/// any is of another type.
fn collect<T: Default>(
    parts: &[Option<OwnedPart>],
    value: impl Fn(&OwnedPart) -> Option<T>,
) -> Option<Vec<T>> {
    parts.iter().map(|part| part.as_ref().map_or_else(|| Some(T::default()), &value)).collect()
}

fn parts<T>(
    values: impl IntoIterator<Item = T>,
    part: impl Fn(T) -> OwnedPart,
) -> Vec<Option<OwnedPart>> {
    values.into_iter().map(|value| Some(part(value))).collect()
}

fn as_bool(part: &OwnedPart) -> Option<bool> {
    if let OwnedPart::Bool(value) = part { Some(*value) } else { None }
}

fn as_int(part: &OwnedPart) -> Option<i64> {
    if let OwnedPart::Int(value) = part { Some(*value) } else { None }
}

fn as_uint(part: &OwnedPart) -> Option<u64> {
    if let OwnedPart::UInt(value) = part { Some(*value) } else { None }
}

fn as_bytes(part: &OwnedPart) -> Option<Vec<u8>> {
    if let OwnedPart::Bytes(value) = part { Some(value.clone()) } else { None }
}

#[cfg(test)]
mod tests;
