//! Arrow arrays as columns, and what stands where they have no value.

use ::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, Scalar};
use ::arrow::compute::kernels::zip::zip;
use ::arrow::compute::{cast, is_null};
use ::arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use ::arrow::error::ArrowError;
use hitherto_core::column::{Column, Status, Values, varlen_end};
use hitherto_core::list::Items;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::{to_array, to_arrow};

/// An array as a column: PRESENT where there is a value, and else NULL.
///
/// # Errors
/// `Invalid` when it is of another type, or its text passes 4 GiB.
pub fn to_column(name: String, data_type: &DataType, array: &ArrayRef) -> Result<Column> {
    let nulls = array.logical_nulls();
    let status = |row| match nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
        true => Status::Present as u8,
        false => Status::Null as u8,
    };
    let statuses = (0..array.len()).map(status).collect();
    let values = to_values(array, data_type)?;
    Ok(Column { name, data_type: data_type.clone(), statuses, values, is_filled: false })
}

/// An array in the one layout that there is of its type: text and lists have several.
///
/// # Errors
/// When it is of another type, or its text passes 2 GiB.
pub fn laid_out(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let wanted = to_arrow(data_type);
    match *array.data_type() == wanted {
        true => Ok(ArrayRef::clone(array)),
        false => cast(array, &wanted),
    }
}

/// Lets a default, the values of a column with one row, stand wherever an array has no value.
///
/// # Errors
/// `Internal` when the default is of another type.
pub fn fill(array: ArrayRef, data_type: &DataType, default: &Values) -> Result<ArrayRef> {
    if array.null_count() == 0 {
        return Ok(array);
    }
    let mut column = Column::with_capacity(String::new(), data_type.clone(), 1);
    column.push_absent(Status::NotFound);
    column.fill(default)?;
    let default = to_array(column)?;
    let filled = is_null(&array).and_then(|is_null| zip(&is_null, &Scalar::new(default), &array));
    filled.map_err(|cause| Error::internal("a default cannot be filled in").with_source(cause))
}

/// The values of an array, zero or empty where there is none.
fn to_values(array: &ArrayRef, data_type: &DataType) -> Result<Values> {
    let array = laid_out(array, data_type).map_err(|cause| {
        Error::invalid(format!("values are not of type {data_type}; give some of that type"))
            .with_source(cause)
    })?;
    Ok(match data_type {
        DataType::Bool => {
            let values = array.as_boolean().iter();
            Values::Bool(values.map(Option::unwrap_or_default).collect())
        }
        DataType::Int8 => Values::I32(widened::<Int8Type, _>(&array)),
        DataType::Int16 => Values::I32(widened::<Int16Type, _>(&array)),
        DataType::Int32 => Values::I32(plain::<Int32Type>(&array)),
        DataType::Date32 => Values::I32(plain::<Date32Type>(&array)),
        DataType::UInt8 => Values::U32(widened::<UInt8Type, _>(&array)),
        DataType::UInt16 => Values::U32(widened::<UInt16Type, _>(&array)),
        DataType::UInt32 => Values::U32(plain::<UInt32Type>(&array)),
        DataType::Int64 => Values::I64(plain::<Int64Type>(&array)),
        DataType::Timestamp { .. } => {
            let counts = cast(&array, &ArrowType::Int64);
            let broken = |cause| Error::internal("times are no counts").with_source(cause);
            Values::I64(plain::<Int64Type>(&counts.map_err(broken)?))
        }
        DataType::UInt64 => Values::U64(plain::<UInt64Type>(&array)),
        DataType::Float32 => Values::F32(plain::<Float32Type>(&array)),
        DataType::Float64 => Values::F64(plain::<Float64Type>(&array)),
        DataType::Decimal128 { .. } => Values::I128(plain::<Decimal128Type>(&array)),
        DataType::String => {
            varlen(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)))?
        }
        DataType::Binary => varlen(array.as_binary::<i32>().iter())?,
        DataType::List { item, .. } => lists(&array, item)?,
    })
}

fn plain<T: ArrowPrimitiveType>(array: &ArrayRef) -> Vec<T::Native> {
    let array = array.as_primitive::<T>();
    match array.null_count() {
        0 => array.values().to_vec(),
        _ => array.iter().map(Option::unwrap_or_default).collect(),
    }
}

fn widened<T: ArrowPrimitiveType, W: From<T::Native> + Default>(array: &ArrayRef) -> Vec<W> {
    let array: &PrimitiveArray<T> = array.as_primitive::<T>();
    array.iter().map(|value| value.map(W::from).unwrap_or_default()).collect()
}

fn varlen<'a>(texts: impl Iterator<Item = Option<&'a [u8]>>) -> Result<Values> {
    let (mut ends, mut data) = (Vec::new(), Vec::new());
    for text in texts {
        data.extend_from_slice(text.unwrap_or_default());
        ends.push(varlen_end(&data)?);
    }
    Ok(Values::Varlen { ends, data })
}

/// Lists as rows hold them.
fn lists(array: &ArrayRef, item: &DataType) -> Result<Values> {
    let width = item.slot_bytes();
    let list = |row: usize| match array.as_list_opt::<i32>() {
        Some(lists) => lists.value(row),
        None => array.as_fixed_size_list().value(row),
    };
    let encoded = (0..array.len()).map(|row| {
        let items = array.is_valid(row).then(|| list(row))?;
        let data = items.to_data();
        let bytes = data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
        let nulls = (data.null_count() > 0)
            .then(|| (0..items.len()).map(|item| items.is_null(item)).collect::<Vec<bool>>());
        let mut list = Vec::new();
        Items { bytes: &bytes, width, nulls: nulls.as_deref() }.encode(&mut list);
        Some(list)
    });
    let encoded: Vec<Option<Vec<u8>>> = encoded.collect();
    varlen(encoded.iter().map(Option::as_deref))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::arrow::array::{FixedSizeListArray, ListArray, StringViewArray};

    use super::*;

    #[test]
    fn what_was_an_array_is_one_again() {
        let lists = [Some(vec![Some(1.0_f32), None]), None, Some(vec![Some(2.0), Some(3.0)])];
        let open = ListArray::from_iter_primitive::<Float32Type, _, _>(lists.clone());
        let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(lists, 2);
        let texts = StringViewArray::from(vec![Some("a"), None, Some("")]);
        let arrays: [(&str, ArrayRef); 3] = [
            ("list(float32)", Arc::new(open)),
            ("list(float32, 2)", Arc::new(fixed)),
            ("string", Arc::new(texts)),
        ];
        for (data_type, array) in arrays {
            let data_type: DataType = data_type.parse().unwrap();
            let column = to_column(String::new(), &data_type, &array).unwrap();
            assert_eq!(column.statuses, [0, 1, 0]);
            let expected = cast(&array, &to_arrow(&data_type)).unwrap();
            assert_eq!(*to_array(column).unwrap(), *expected, "{data_type}");
        }
    }
}
