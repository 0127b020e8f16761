//! Hitherto's types, columns and times as Arrow's, and back.
//!
//! Text and bytes come in several Arrow layouts; inside there is one. Every
//! other type has exactly one Arrow counterpart, and a column of another type
//! is refused, never cast.
//!
//! | module     | what it owns                                       |
//! | ---------- | -------------------------------------------------- |
//! | `lists`    | lists of numbers                                   |
//! | [`micros`] | columns of timestamps or dates as microseconds UTC |
//! | `values`   | arrays as columns, and defaults in them            |

mod lists;
pub mod micros;
mod values;

use std::sync::Arc;

use ::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use ::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use ::arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Field as ArrowField, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit as ArrowUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use hitherto_core::column::{Column, Status, Values};
use hitherto_core::error::ROWS_ANEW;
use hitherto_core::types::{DataType, TimeUnit};
use hitherto_core::{Error, Result};

use self::lists::list_items;

pub use self::values::{fill, laid_out, to_column};

/// The type that an Arrow type stands for, if Hitherto can keep it exactly.
pub fn from_arrow(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Boolean => DataType::Bool,
        ArrowType::Int8 => DataType::Int8,
        ArrowType::Int16 => DataType::Int16,
        ArrowType::Int32 => DataType::Int32,
        ArrowType::Int64 => DataType::Int64,
        ArrowType::UInt8 => DataType::UInt8,
        ArrowType::UInt16 => DataType::UInt16,
        ArrowType::UInt32 => DataType::UInt32,
        ArrowType::UInt64 => DataType::UInt64,
        ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Decimal128(precision, scale) => {
            DataType::Decimal128 { precision: *precision, scale: *scale }
        }
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => DataType::Binary,
        ArrowType::Date32 => DataType::Date32,
        ArrowType::Timestamp(unit, zone) => DataType::Timestamp {
            unit: match unit {
                ArrowUnit::Second => TimeUnit::Second,
                ArrowUnit::Millisecond => TimeUnit::Milli,
                ArrowUnit::Microsecond => TimeUnit::Micro,
                ArrowUnit::Nanosecond => TimeUnit::Nano,
            },
            zone: zone.as_ref().map(ToString::to_string),
        },
        ArrowType::Dictionary(_, values) => from_arrow(values)?,
        ArrowType::List(items) | ArrowType::LargeList(items) => list_of(items, None)?,
        ArrowType::FixedSizeList(items, length) => {
            list_of(items, Some(u32::try_from(*length).ok()?))?
        }
        _ => return None,
    })
}

/// A type as definitions call it, or as Arrow does where they have no word for it.
pub fn type_name(arrow: &ArrowType) -> String {
    from_arrow(arrow).map_or_else(|| arrow.to_string(), |known| known.to_string())
}

/// A list type; its items must lie in memory as they do in a row.
fn list_of(items: &ArrowField, length: Option<u32>) -> Option<DataType> {
    let item = from_arrow(items.data_type()).filter(|item| to_arrow(item) == *items.data_type())?;
    DataType::list(item, length)
}

/// The Arrow type in which a feature is handed out.
pub fn to_arrow(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::UInt8 => ArrowType::UInt8,
        DataType::UInt16 => ArrowType::UInt16,
        DataType::UInt32 => ArrowType::UInt32,
        DataType::UInt64 => ArrowType::UInt64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::Decimal128 { precision, scale } => ArrowType::Decimal128(*precision, *scale),
        DataType::String => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date32 => ArrowType::Date32,
        DataType::Timestamp { unit, zone } => {
            let unit = match unit {
                TimeUnit::Second => ArrowUnit::Second,
                TimeUnit::Milli => ArrowUnit::Millisecond,
                TimeUnit::Micro => ArrowUnit::Microsecond,
                TimeUnit::Nano => ArrowUnit::Nanosecond,
            };
            ArrowType::Timestamp(unit, zone.as_deref().map(Arc::from))
        }
        DataType::List { item, length } => {
            let items = Arc::new(list_items(item));
            match length {
                None => ArrowType::List(items),
                Some(length) => ArrowType::FixedSizeList(items, *length as i32),
            }
        }
    }
}

/// A column as an Arrow array; null wherever there is no value and no default.
///
/// # Errors
/// `Corrupt` when stored text is not UTF-8.
pub fn to_array(column: Column) -> Result<ArrayRef> {
    let has_value = |status: &u8| column.is_filled || *status == Status::Present as u8;
    let nulls = NullBuffer::from(BooleanBuffer::from_iter(column.statuses.iter().map(has_value)));
    let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
    Ok(match (column.values, &column.data_type) {
        (Values::Bool(values), _) => {
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
        (Values::I32(values), DataType::Int8) => narrow::<Int8Type, _>(values, nulls),
        (Values::I32(values), DataType::Int16) => narrow::<Int16Type, _>(values, nulls),
        (Values::I32(values), DataType::Date32) => primitive::<Date32Type>(values, nulls),
        (Values::I32(values), _) => primitive::<Int32Type>(values, nulls),
        (Values::U32(values), DataType::UInt8) => narrow::<UInt8Type, _>(values, nulls),
        (Values::U32(values), DataType::UInt16) => narrow::<UInt16Type, _>(values, nulls),
        (Values::U32(values), _) => primitive::<UInt32Type>(values, nulls),
        (Values::I64(values), DataType::Timestamp { unit, zone }) => {
            timestamps(values, nulls, *unit, zone.as_deref())
        }
        (Values::I64(values), _) => primitive::<Int64Type>(values, nulls),
        (Values::U64(values), _) => primitive::<UInt64Type>(values, nulls),
        (Values::F32(values), _) => primitive::<Float32Type>(values, nulls),
        (Values::F64(values), _) => primitive::<Float64Type>(values, nulls),
        (Values::I128(values), data_type) => {
            let array = Decimal128Array::new(ScalarBuffer::from(values), nulls);
            Arc::new(array.with_data_type(to_arrow(data_type)))
        }
        (Values::Varlen { ends, data }, DataType::List { item, length }) => {
            lists::to_array(&ends, &data, nulls, item, *length)?
        }
        (Values::Varlen { ends, data }, data_type) => varlen(&ends, data, nulls, data_type)?,
    })
}

/// The Arrow field of a feature column.
pub fn field(name: &str, data_type: &DataType) -> ArrowField {
    ArrowField::new(name, to_arrow(data_type), true)
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

/// Narrow integers travel widened; each came from a slot of its own width, so
/// the conversion back cannot fail.
fn narrow<T, W>(values: Vec<W>, nulls: Option<NullBuffer>) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<W> + Default,
{
    let values = values.into_iter().map(|value| T::Native::try_from(value).unwrap_or_default());
    primitive::<T>(values.collect(), nulls)
}

fn timestamps(
    values: Vec<i64>,
    nulls: Option<NullBuffer>,
    unit: TimeUnit,
    zone: Option<&str>,
) -> ArrayRef {
    let values = ScalarBuffer::from(values);
    let zone = zone.map(Arc::<str>::from);
    match unit {
        TimeUnit::Second => {
            Arc::new(TimestampSecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Milli => {
            Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Micro => {
            Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Nano => {
            Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
    }
}

fn varlen(
    ends: &[u32],
    data: Vec<u8>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let mut start = 0;
    let lengths = ends.iter().map(|end| {
        let length = *end - start;
        start = *end;
        length as usize
    });
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let bytes = BinaryArray::new(offsets, Buffer::from_vec(data), nulls);
    if *data_type == DataType::Binary {
        return Ok(Arc::new(bytes));
    }
    StringArray::try_from_binary(bytes).map(|text| Arc::new(text) as ArrayRef).map_err(|cause| {
        Error::corrupt(format!("stored text is not UTF-8; {ROWS_ANEW}")).with_source(cause)
    })
}
