//! Entity keys as bytes: ordered like the values, self-delimiting, no collisions.
//!
//! Parts are encoded one after the other in the entity's declared order:
//!
//! ```text
//! bool             1 byte, 0 or 1
//! intN             N/8 bytes, big endian, sign bit flipped
//! uintN            N/8 bytes, big endian
//! date32           as int32
//! string, binary   bytes with 00 -> 00 FF, then 00 00
//! ```
//!
//! The terminator sorts below every continuation, so "a" < "a\0" < "ab", and a
//! key is never a prefix of another: ("a","bc") is not ("ab","c"). A null part
//! has no encoding: an entity with a null key has no facts.

pub mod batch;
mod event;
mod hash_slot;

use std::fmt;

use crate::definition::Field;
use crate::error::ROWS_ANEW;
use crate::limits::ENTITY_KEY_BYTES_MAX;
use crate::types::DataType;
use crate::{Error, Result};

pub use event::EventKey;
pub use hash_slot::{HASH_SLOTS, hash_slot};

/// One part of an entity key, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A bool key.
    Bool(bool),
    /// Any signed integer or date key.
    Int(i64),
    /// Any unsigned integer key.
    UInt(u64),
    /// A string or binary key.
    Bytes(&'a [u8]),
}

/// Appends one part.
///
/// # Errors
/// `Invalid` when the value does not fit the declared type or the key grows
/// beyond the limit; the caller names the key.
pub fn encode_part(out: &mut Vec<u8>, data_type: &DataType, part: Part<'_>) -> Result<()> {
    let refuse = || {
        Error::invalid(format!(
            "{part} is no key of type {data_type}, or out of its range; give one that it can \
             hold"
        ))
    };
    match (data_type, part) {
        (DataType::Bool, Part::Bool(value)) => out.push(u8::from(value)),
        (DataType::String | DataType::Binary, Part::Bytes(value)) => encode_bytes(out, value),
        (DataType::String | DataType::Binary | DataType::Bool, _) => return Err(refuse()),
        (_, Part::Int(value)) => {
            encode_integer(out, data_type, value.into()).ok_or_else(refuse)?;
        }
        (_, Part::UInt(value)) => {
            encode_integer(out, data_type, value.into()).ok_or_else(refuse)?;
        }
        _ => return Err(refuse()),
    }
    if out.len() > ENTITY_KEY_BYTES_MAX {
        return Err(Error::invalid(format!(
            "an entity key is longer than {ENTITY_KEY_BYTES_MAX} bytes; shorten its values"
        )));
    }
    Ok(())
}

/// An `i64` whose big-endian bytes sort like the number.
pub fn ascending(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

/// An `i64` whose big-endian bytes sort in reverse: the newest first.
pub fn descending(value: i64) -> [u8; 8] {
    (!((value as u64) ^ (1 << 63))).to_be_bytes()
}

/// The inverse of [`descending`].
pub fn from_descending(bytes: [u8; 8]) -> i64 {
    (!u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

/// Reads an encoded entity key back, one part for each key field.
///
/// # Errors
/// `Corrupt` when the bytes are not a key of these types.
pub fn decode(mut bytes: &[u8], keys: &[Field]) -> Result<Vec<OwnedPart>> {
    let mut parts = Vec::with_capacity(keys.len());
    for key in keys {
        parts.push(decode_part(&mut bytes, &key.data_type).ok_or_else(|| {
            Error::corrupt(format!(
                "stored bytes are not a {} key {:?}; {ROWS_ANEW}",
                key.data_type, key.name
            ))
        })?);
    }
    if !bytes.is_empty() {
        return Err(Error::corrupt(format!(
            "a stored entity key has bytes after its last part; {ROWS_ANEW}"
        )));
    }
    Ok(parts)
}

/// Reads an encoded entity key back as text, one item per key field.
///
/// # Errors
/// As [`decode`].
pub fn decode_to_text(bytes: &[u8], keys: &[Field]) -> Result<Vec<String>> {
    Ok(decode(bytes, keys)?.iter().map(OwnedPart::to_text).collect())
}

fn decode_part(bytes: &mut &[u8], data_type: &DataType) -> Option<OwnedPart> {
    let mut take = |count: usize| {
        let (head, tail) = bytes.split_at_checked(count)?;
        *bytes = tail;
        Some(head.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    Some(match data_type {
        DataType::Bool => OwnedPart::Bool(take(1)? != 0),
        DataType::Int8 => OwnedPart::Int(take(1)? as i64 - (1 << 7)),
        DataType::Int16 => OwnedPart::Int(take(2)? as i64 - (1 << 15)),
        DataType::Int32 | DataType::Date32 => OwnedPart::Int(take(4)? as i64 - (1 << 31)),
        DataType::Int64 => OwnedPart::Int((take(8)? ^ (1 << 63)) as i64),
        DataType::UInt8 => OwnedPart::UInt(take(1)?),
        DataType::UInt16 => OwnedPart::UInt(take(2)?),
        DataType::UInt32 => OwnedPart::UInt(take(4)?),
        DataType::UInt64 => OwnedPart::UInt(take(8)?),
        DataType::String => {
            let text = String::from_utf8(decode_bytes(bytes)?).ok()?;
            OwnedPart::Bytes(text.into_bytes())
        }
        DataType::Binary => OwnedPart::Bytes(decode_bytes(bytes)?),
        _ => return None,
    })
}

/// Appends bytes that say where they end and sort like the bytes.
pub(crate) fn encode_bytes(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xFF);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// Takes them off the front; `None` if they are none.
pub(crate) fn decode_bytes(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    loop {
        let zero = bytes.iter().position(|byte| *byte == 0)?;
        value.extend_from_slice(&bytes[..zero]);
        let mark = *bytes.get(zero + 1)?;
        *bytes = &bytes[zero + 2..];
        match mark {
            0 => return Some(value),
            0xFF => value.push(0),
            _ => return None,
        }
    }
}

/// Appends an integer in the width of its type; `None` if it does not fit.
fn encode_integer(out: &mut Vec<u8>, data_type: &DataType, value: i128) -> Option<()> {
    let bits = 8 * data_type.slot_bytes() as u32;
    let least = match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
            -(1_i128 << (bits - 1))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => 0,
        _ => return None,
    };
    // Flipping the sign bit is adding half the range: the least value becomes 0.
    let from_least = value.checked_sub(least).filter(|shifted| (0..1 << bits).contains(shifted))?;
    let bytes = (from_least as u64).to_be_bytes();
    out.extend_from_slice(&bytes[8 - data_type.slot_bytes()..]);
    Some(())
}

/// What it is and not which: a key may be a person's name, and errors are logged.
impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Bool(_) => f.write_str("a bool"),
            Part::Int(_) => f.write_str("an integer"),
            Part::UInt(_) => f.write_str("an unsigned integer"),
            Part::Bytes(_) => f.write_str("text"),
        }
    }
}

/// One part of an entity key, owned: what requests carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedPart {
    /// A bool key.
    Bool(bool),
    /// A signed integer or date key.
    Int(i64),
    /// An unsigned integer key.
    UInt(u64),
    /// A string or binary key.
    Bytes(Vec<u8>),
}

impl OwnedPart {
    /// The same part, borrowed.
    pub fn borrow(&self) -> Part<'_> {
        match self {
            OwnedPart::Bool(value) => Part::Bool(*value),
            OwnedPart::Int(value) => Part::Int(*value),
            OwnedPart::UInt(value) => Part::UInt(*value),
            OwnedPart::Bytes(value) => Part::Bytes(value),
        }
    }

    /// The value for people: text as it is, other bytes escaped.
    pub fn to_text(&self) -> String {
        match self {
            OwnedPart::Bool(value) => value.to_string(),
            OwnedPart::Int(value) => value.to_string(),
            OwnedPart::UInt(value) => value.to_string(),
            OwnedPart::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.escape_ascii().to_string(),
            },
        }
    }

    /// Whether a key of that type can have a value of this sort: text for
    /// text, an integer for an integer. It may still be out of range.
    pub fn is_of(&self, data_type: &DataType) -> bool {
        match self {
            OwnedPart::Bool(_) => *data_type == DataType::Bool,
            OwnedPart::Bytes(_) => matches!(data_type, DataType::String | DataType::Binary),
            OwnedPart::Int(_) | OwnedPart::UInt(_) => {
                let is_other =
                    matches!(data_type, DataType::Bool | DataType::String | DataType::Binary);
                data_type.is_key() && !is_other
            }
        }
    }

    /// Reads text, as typed on a command line, as a key of the declared type.
    ///
    /// # Errors
    /// `Invalid` when the text is not a value of that type.
    pub fn parse(text: &str, data_type: &DataType) -> Result<OwnedPart> {
        let form = match data_type {
            DataType::Bool => "true or false",
            DataType::Date32 => "the number of days since 1970-01-01",
            _ => "a whole number that it can hold",
        };
        let refuse =
            || Error::invalid(format!("{text:?} is not a key of type {data_type}; write {form}"));
        Ok(match data_type {
            DataType::Bool => OwnedPart::Bool(text.parse().map_err(|_| refuse())?),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32 => OwnedPart::Int(text.parse().map_err(|_| refuse())?),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                OwnedPart::UInt(text.parse().map_err(|_| refuse())?)
            }
            DataType::String | DataType::Binary => OwnedPart::Bytes(text.as_bytes().to_vec()),
            _ => return Err(refuse()),
        })
    }
}

#[cfg(test)]
mod tests;
