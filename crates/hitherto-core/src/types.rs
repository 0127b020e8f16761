//! The types a feature or a key can have, and how each is held.
//!
//! A [`DataType`] is what users declare and what survives from Parquet to
//! Python. A [`Physical`] is the machine type that carries it in packed arrays
//! and on the wire; the fixed part of a row uses the narrower
//! [`DataType::slot_bytes`]. A type that cannot be kept exactly is not here,
//! and is refused when a view is applied.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::LIST_LENGTH_MAX;
use crate::{Error, Result};

/// A unit of time, as in `timestamp(us)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Milli,
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

impl TimeUnit {
    const ALL: [(TimeUnit, &'static str); 4] = [
        (TimeUnit::Second, "s"),
        (TimeUnit::Milli, "ms"),
        (TimeUnit::Micro, "us"),
        (TimeUnit::Nano, "ns"),
    ];

    fn symbol(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, symbol)| symbol)
    }
}

/// The type of a feature or of a join key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DataType {
    /// True or false.
    Bool,
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// Unsigned 8-bit integer.
    UInt8,
    /// Unsigned 16-bit integer.
    UInt16,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// 32-bit IEEE 754 number.
    Float32,
    /// 64-bit IEEE 754 number.
    Float64,
    /// Decimal with up to 38 digits.
    Decimal128 {
        /// Digits in all.
        precision: u8,
        /// Digits after the point; may be negative.
        scale: i8,
    },
    /// UTF-8 text.
    String,
    /// Bytes.
    Binary,
    /// Days since 1970-01-01.
    Date32,
    /// A moment, in its source's own unit and zone.
    Timestamp {
        /// The unit of the stored 64-bit count since 1970-01-01T00:00Z.
        unit: TimeUnit,
        /// The zone it is shown in; `None` is a naive timestamp.
        zone: Option<String>,
    },
    /// A list of numbers, such as an embedding; made by [`DataType::list`].
    List {
        /// The type of its items: an integer or floating point.
        item: Box<DataType>,
        /// How many items every list has; `None` is any number of them.
        length: Option<u32>,
    },
}

/// The machine type that carries a [`DataType`] in packed arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Physical {
    /// One byte, 0 or 1.
    Bool,
    /// Bool aside, signed integers up to 32 bits, and dates.
    I32,
    /// 64-bit signed integers and timestamps.
    I64,
    /// Unsigned integers up to 32 bits.
    U32,
    /// 64-bit unsigned integers.
    U64,
    /// 32-bit IEEE 754.
    F32,
    /// 64-bit IEEE 754.
    F64,
    /// 128-bit decimals.
    I128,
    /// Text, bytes and lists (see [`crate::list`]).
    Varlen,
}

impl DataType {
    /// A list of `item`; `None` when that is not a number or the length is out
    /// of range.
    pub fn list(item: DataType, length: Option<u32>) -> Option<DataType> {
        let fits = length.is_none_or(|length| (1..=LIST_LENGTH_MAX).contains(&length));
        (item.is_number() && fits).then(|| DataType::List { item: Box::new(item), length })
    }

    /// Whether it is an integer or floating point: what a list can hold.
    pub fn is_number(&self) -> bool {
        let is_integer = self.is_key()
            && !matches!(
                self,
                DataType::Bool | DataType::String | DataType::Binary | DataType::Date32
            );
        is_integer || matches!(self, DataType::Float32 | DataType::Float64)
    }

    /// The machine type that carries it in packed arrays.
    pub fn physical(&self) -> Physical {
        match self {
            DataType::Bool => Physical::Bool,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => Physical::I32,
            DataType::Int64 | DataType::Timestamp { .. } => Physical::I64,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Physical::U32,
            DataType::UInt64 => Physical::U64,
            DataType::Float32 => Physical::F32,
            DataType::Float64 => Physical::F64,
            DataType::Decimal128 { .. } => Physical::I128,
            DataType::String | DataType::Binary | DataType::List { .. } => Physical::Varlen,
        }
    }

    /// Bytes of its slot in the fixed part of a row.
    pub fn slot_bytes(&self) -> usize {
        match self {
            DataType::Bool | DataType::Int8 | DataType::UInt8 => 1,
            DataType::Int16 | DataType::UInt16 => 2,
            DataType::Int32 | DataType::UInt32 | DataType::Float32 | DataType::Date32 => 4,
            DataType::Int64
            | DataType::UInt64
            | DataType::Float64
            | DataType::Timestamp { .. }
            | DataType::String
            | DataType::Binary
            | DataType::List { .. } => 8,
            DataType::Decimal128 { .. } => 16,
        }
    }

    /// Whether a join key can have this type: equality must be exact, so
    /// floating point cannot.
    pub fn is_key(&self) -> bool {
        matches!(
            self,
            DataType::Bool
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::UInt8
                | DataType::UInt16
                | DataType::UInt32
                | DataType::UInt64
                | DataType::String
                | DataType::Binary
                | DataType::Date32
        )
    }

    /// Every name that can be written without parameters.
    pub const NAMES: [&'static str; 14] = [
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float32", "float64", "string", "binary", "date32",
    ];
}

impl DataType {
    /// The type as it is written.
    pub fn name(&self) -> Cow<'static, str> {
        self.plain_name().map_or_else(|| Cow::Owned(self.to_string()), Cow::Borrowed)
    }

    /// The name of a type without parameters.
    const fn plain_name(&self) -> Option<&'static str> {
        Some(match self {
            DataType::Bool => "bool",
            DataType::Int8 => "int8",
            DataType::Int16 => "int16",
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::UInt8 => "uint8",
            DataType::UInt16 => "uint16",
            DataType::UInt32 => "uint32",
            DataType::UInt64 => "uint64",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            DataType::String => "string",
            DataType::Binary => "binary",
            DataType::Date32 => "date32",
            DataType::Decimal128 { .. } | DataType::Timestamp { .. } | DataType::List { .. } => {
                return None;
            }
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Decimal128 { precision, scale } => {
                write!(f, "decimal128({precision}, {scale})")
            }
            DataType::Timestamp { unit, zone: None } => write!(f, "timestamp({})", unit.symbol()),
            DataType::Timestamp { unit, zone: Some(zone) } => {
                write!(f, "timestamp({}, {zone})", unit.symbol())
            }
            DataType::List { item, length: None } => write!(f, "list({item})"),
            DataType::List { item, length: Some(length) } => write!(f, "list({item}, {length})"),
            plain => f.write_str(plain.plain_name().unwrap_or_default()),
        }
    }
}

impl FromStr for DataType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let simple = match text.trim() {
            "bool" => DataType::Bool,
            "int8" => DataType::Int8,
            "int16" => DataType::Int16,
            "int32" => DataType::Int32,
            "int64" => DataType::Int64,
            "uint8" => DataType::UInt8,
            "uint16" => DataType::UInt16,
            "uint32" => DataType::UInt32,
            "uint64" => DataType::UInt64,
            "float32" => DataType::Float32,
            "float64" => DataType::Float64,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "date32" => DataType::Date32,
            other => return parameterized(other).ok_or_else(|| unknown(other)),
        };
        Ok(simple)
    }
}

/// `decimal128(p, s)`, `timestamp(unit)`, `timestamp(unit, zone)`, `list(item)`
/// or `list(item, length)`.
fn parameterized(text: &str) -> Option<DataType> {
    let (name, rest) = text.split_once('(')?;
    let mut arguments = rest.strip_suffix(')')?.split(',').map(str::trim);
    let data_type = match name.trim() {
        "decimal128" => {
            let precision: u8 = arguments.next()?.parse().ok()?;
            let scale: i8 = arguments.next()?.parse().ok()?;
            let in_range = (1..=38).contains(&precision) && i16::from(scale) <= precision.into();
            in_range.then_some(DataType::Decimal128 { precision, scale })?
        }
        "timestamp" => {
            let symbol = arguments.next()?;
            let (unit, _) = TimeUnit::ALL.iter().find(|(_, known)| *known == symbol)?;
            DataType::Timestamp { unit: *unit, zone: arguments.next().map(str::to_owned) }
        }
        "list" => {
            let item = arguments.next()?.parse().ok()?;
            let length = arguments.next().map(|length| length.parse().ok());
            DataType::list(
                item,
                match length {
                    None => None,
                    Some(length) => Some(length?),
                },
            )?
        }
        _ => return None,
    };
    arguments.next().is_none().then_some(data_type)
}

fn unknown(text: &str) -> Error {
    let meant = match elsewhere(text) {
        [ours] => format!("; did you mean {ours:?}?"),
        [ours, other] => format!("; did you mean {ours:?}, or {other:?} if the column is that?"),
        _ => crate::name::suggestion(text, DataType::NAMES),
    };
    Error::invalid(format!(
        "type {text:?} is not known{meant}; parameterized types are written decimal128(10, 2), \
         timestamp(us, UTC), list(float32) and list(float32, 768)"
    ))
}

/// What a type is called here that SQL, Spark, pandas or Feast call `text`: two where they do
/// not mean one, that of most columns first.
fn elsewhere(text: &str) -> &'static [&'static str] {
    match text.trim().to_ascii_lowercase().as_str() {
        "double" | "double precision" | "number" | "numeric" | "f64" => &["float64"],
        "float" => &["float64", "float32"],
        "real" | "f32" => &["float32"],
        "int" | "integer" => &["int64", "int32"],
        "i32" => &["int32"],
        "long" | "bigint" | "i64" => &["int64"],
        "short" | "smallint" => &["int16"],
        "byte" | "tinyint" => &["int8"],
        "text" | "str" | "varchar" | "char" | "object" | "utf8" | "large_string" => &["string"],
        "bytes" | "blob" | "varbinary" | "bytea" => &["binary"],
        "boolean" | "bit" => &["bool"],
        "date" => &["date32"],
        "datetime" | "timestamp" | "timestamptz" | "datetime64[ns]" | "unixtimestamp" => {
            &["timestamp(us, UTC)"]
        }
        "decimal" => &["decimal128(10, 2)"],
        "array" | "list" | "vector" => &["list(float32)"],
        _ => &[],
    }
}

impl From<DataType> for String {
    fn from(data_type: DataType) -> String {
        data_type.to_string()
    }
}

impl TryFrom<String> for DataType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
