//! One value that goes into an aggregate or comes out of it, and its bytes.
//!
//! States hold values as bytes that sort like the values and say where they end, so that one
//! comparison of bytes serves least and greatest, distinct, most frequent and every tie:
//!
//! ```text
//! 00                          null
//! 01 | 00 or 01               bool
//! 02 | 8 bytes                signed integer, date, timestamp: big endian, sign bit flipped
//! 03 | 8 bytes                unsigned integer: big endian
//! 04 | 16 bytes               decimal, unscaled: big endian, sign bit flipped
//! 05 | 8 bytes                floating point: big endian; the sign bit flipped if it is
//!                             clear, all bits if it is set
//! 06 | bytes, 00 -> 00 FF | 00 00     text, bytes, lists
//! ```
//!
//! Bits survive: -0.0 and a NaN's payload come back. Where values are compared,
//! [`Value::normal`] makes both zeros one and all NaN one, the greatest number, as Arrow and
//! DataFusion sort. These bytes are stored and hashed: a tag is never reused.

use std::borrow::Cow;
use std::fmt;

use super::bytes::take_array;
use crate::Result;
use crate::key::{ascending, decode_bytes, encode_bytes};
use crate::row::Row;
use crate::types::DataType;

/// A value of any type that a feature can have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer, date or timestamp.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A decimal without its scale, which is the column's.
    Decimal(i128),
    /// Floating point; float32 is exact in it.
    Float(f64),
    /// Text, bytes, or the bytes of a list.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Value<'a> {
    /// The value of a row.
    ///
    /// # Errors
    /// `Corrupt` when the row points outside itself.
    pub fn of_row(row: &Row<'a>, index: usize) -> Result<Self> {
        if row.is_null(index) {
            return Ok(Value::Null);
        }
        Ok(match row.data_type(index) {
            DataType::Bool => Value::Bool(row.fixed::<1>(index) != [0]),
            DataType::Int8 => Value::Int(i8::from_le_bytes(row.fixed(index)).into()),
            DataType::Int16 => Value::Int(i16::from_le_bytes(row.fixed(index)).into()),
            DataType::Int32 | DataType::Date32 => {
                Value::Int(i32::from_le_bytes(row.fixed(index)).into())
            }
            DataType::Int64 | DataType::Timestamp { .. } => {
                Value::Int(i64::from_le_bytes(row.fixed(index)))
            }
            DataType::UInt8 => Value::UInt(u8::from_le_bytes(row.fixed(index)).into()),
            DataType::UInt16 => Value::UInt(u16::from_le_bytes(row.fixed(index)).into()),
            DataType::UInt32 => Value::UInt(u32::from_le_bytes(row.fixed(index)).into()),
            DataType::UInt64 => Value::UInt(u64::from_le_bytes(row.fixed(index))),
            DataType::Float32 => Value::Float(f32::from_le_bytes(row.fixed(index)).into()),
            DataType::Float64 => Value::Float(f64::from_le_bytes(row.fixed(index))),
            DataType::Decimal128 { .. } => Value::Decimal(i128::from_le_bytes(row.fixed(index))),
            DataType::String | DataType::Binary | DataType::List { .. } => {
                Value::Bytes(row.varlen(index)?.into())
            }
        })
    }
}

impl Value<'_> {
    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Bytes of a text; 0 for any other value.
    pub fn bytes(&self) -> usize {
        if let Value::Bytes(bytes) = self { bytes.len() } else { 0 }
    }

    /// The value that stands for all that are equal to it: +0.0 for both zeros, one NaN.
    pub fn normal(&self) -> Value<'_> {
        match self {
            Value::Float(number) => Value::Float(normal(*number)),
            Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(value) => Value::Int(*value),
            Value::UInt(value) => Value::UInt(*value),
            Value::Decimal(value) => Value::Decimal(*value),
        }
    }

    /// The tag of a number and eight bytes that sort like it; `None` for all else.
    #[inline]
    pub(super) fn lead(&self) -> Option<(u8, u64)> {
        match *self {
            Value::Int(value) => Some((2, value as u64 ^ 1 << 63)),
            Value::UInt(value) => Some((3, value)),
            Value::Float(value) => Some((5, ordered(normal(value)))),
            Value::Null | Value::Bool(_) | Value::Decimal(_) | Value::Bytes(_) => None,
        }
    }

    /// The same of bytes that begin with a value's.
    #[inline]
    pub(super) fn lead_of(bytes: &[u8]) -> Option<(u8, u64)> {
        match bytes.split_first()? {
            (tag @ (2 | 3 | 5), rest) => Some((*tag, u64::from_be_bytes(*rest.first_chunk()?))),
            _ => None,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Bool(value) => out.extend_from_slice(&[1, u8::from(*value)]),
            Value::Int(value) => {
                out.push(2);
                out.extend_from_slice(&ascending(*value));
            }
            Value::UInt(value) => {
                out.push(3);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Value::Decimal(value) => {
                out.push(4);
                out.extend_from_slice(&((*value as u128) ^ (1 << 127)).to_be_bytes());
            }
            Value::Float(value) => {
                out.push(5);
                out.extend_from_slice(&ordered(*value).to_be_bytes());
            }
            Value::Bytes(value) => {
                out.push(6);
                encode_bytes(out, value);
            }
        }
    }

    /// Takes one value off the front of bytes; `None` if they are none.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Value<'static>> {
        let [tag] = take_array(bytes)?;
        Some(match tag {
            0 => Value::Null,
            1 => match take_array(bytes)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return None,
            },
            2 => Value::Int((u64::from_be_bytes(take_array(bytes)?) ^ (1 << 63)) as i64),
            3 => Value::UInt(u64::from_be_bytes(take_array(bytes)?)),
            4 => Value::Decimal((u128::from_be_bytes(take_array(bytes)?) ^ (1 << 127)) as i128),
            5 => Value::Float(from_ordered(u64::from_be_bytes(take_array(bytes)?))),
            6 => Value::Bytes(Cow::Owned(decode_bytes(bytes)?)),
            _ => return None,
        })
    }
}

/// As people read it: text as it is, bytes that are none in hexadecimal digits.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::UInt(value) => value.fmt(f),
            Value::Decimal(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Bytes(bytes) => match str::from_utf8(bytes) {
                Ok(text) => f.write_str(text),
                Err(_) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            },
        }
    }
}

/// One number for all that are equal: +0.0 for both zeros, one NaN.
pub fn normal(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number + 0.0 }
}

/// Bits that sort like the numbers, NaN with a clear sign above all.
pub fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    bits ^ (((bits as i64) >> 63) as u64 | 1 << 63)
}

/// The inverse of [`ordered`].
pub fn from_ordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
}
