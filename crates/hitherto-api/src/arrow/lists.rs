//! Lists of numbers as Arrow's.

use std::sync::Arc;

use ::arrow::array::{ArrayData, ArrayRef, FixedSizeListArray, ListArray, make_array};
use ::arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer, OffsetBuffer};
use ::arrow::datatypes::Field as ArrowField;
use hitherto_core::list::List;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::to_arrow;

/// The Arrow field of a list's items.
pub(super) fn list_items(item: &DataType) -> ArrowField {
    ArrowField::new_list_field(to_arrow(item), true)
}

/// Stored lists as an Arrow array; row `i` has `data[ends[i - 1]..ends[i]]`.
///
/// # Errors
/// `Corrupt` when bytes are not a list of this type.
pub(super) fn to_array(
    ends: &[u32],
    data: &[u8],
    nulls: Option<NullBuffer>,
    item: &DataType,
    length: Option<u32>,
) -> Result<ArrayRef> {
    let mut items = MutableBuffer::with_capacity(data.len());
    let mut is_valid = Vec::new();
    let mut lengths = Vec::with_capacity(ends.len());
    let mut start = 0;
    for (row, end) in ends.iter().enumerate() {
        let bytes = &data[start..*end as usize];
        start = *end as usize;
        let before = is_valid.len();
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            let list = List::read(bytes, item, length)?;
            items.extend_from_slice(list.bytes());
            is_valid.extend((0..list.len()).map(|index| !list.is_null(index)));
        } else if let Some(length) = length {
            // A null of a fixed length takes its place all the same.
            items.extend_zeros(length as usize * item.slot_bytes());
            is_valid.resize(before + length as usize, true);
        }
        lengths.push(is_valid.len() - before);
    }
    let broken = |cause| Error::internal("lists cannot be made an array").with_source(cause);
    let item_nulls = NullBuffer::new(BooleanBuffer::from(is_valid.as_slice()));
    let values = ArrayData::builder(to_arrow(item))
        .len(is_valid.len())
        .add_buffer(items.into())
        .nulls(Some(item_nulls).filter(|nulls| nulls.null_count() > 0))
        .build()
        .map_err(broken)?;
    let (field, values) = (Arc::new(list_items(item)), make_array(values));
    Ok(match length {
        Some(length) => Arc::new(
            FixedSizeListArray::try_new(field, length as i32, values, nulls).map_err(broken)?,
        ),
        None => {
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
            Arc::new(ListArray::try_new(field, offsets, values, nulls).map_err(broken)?)
        }
    })
}
