//! Lists of numbers: from any of Arrow's list layouts into rows, and back.

use std::ops::Range;
use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, FixedSizeListArray, ListArray, make_array,
};
use ::arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer};
use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField};
use hitherto_core::list::{Items, List};
use hitherto_core::row::RowWriter;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::to_arrow;

/// The Arrow field of a list's items.
pub(super) fn list_items(item: &DataType) -> ArrowField {
    ArrowField::new_list_field(to_arrow(item), true)
}

/// A column of lists, ready to be copied into rows.
pub struct Lists {
    /// Where each list's items lie; `None` where the list is null.
    spans: Vec<Option<Range<usize>>>,
    /// All items side by side, `width` bytes each.
    items: Buffer,
    width: usize,
    item_nulls: Option<NullBuffer>,
}

impl Lists {
    /// Prepares an array whose type was checked: lists of `item`.
    pub(super) fn new(array: &ArrayRef, item: &DataType) -> Result<Self> {
        let (items, spans) = match array.data_type() {
            ArrowType::List(_) => {
                let lists = array.as_list::<i32>();
                let ends = lists.value_offsets();
                let span = |row: usize| ends[row] as usize..ends[row + 1] as usize;
                (lists.values(), spans(array, span))
            }
            ArrowType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                let ends = lists.value_offsets();
                let span = |row: usize| ends[row] as usize..ends[row + 1] as usize;
                (lists.values(), spans(array, span))
            }
            ArrowType::FixedSizeList(..) => {
                let lists = array.as_fixed_size_list();
                let length = lists.value_length() as usize;
                let span = |row: usize| row * length..(row + 1) * length;
                (lists.values(), spans(array, span))
            }
            other => return Err(Error::internal(format!("a column of lists has type {other}"))),
        };
        let width = item.slot_bytes();
        let data = items.to_data();
        let bytes = data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
        Ok(Self { spans, items: bytes, width, item_nulls: data.nulls().cloned() })
    }

    /// Copies the list of batch row `index` into a row being written.
    pub(super) fn write(
        &self,
        index: usize,
        feature: usize,
        row: &mut RowWriter<'_>,
    ) -> Result<()> {
        let Some(span) = self.spans[index].clone() else { return Ok(()) };
        let bytes = &self.items[span.start * self.width..span.end * self.width];
        let nulls = self.item_nulls.as_ref().map(|nulls| nulls.slice(span.start, span.len()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let nulls: Option<Vec<bool>> =
            nulls.map(|nulls| nulls.iter().map(|valid| !valid).collect());
        row.set_list(feature, Items { bytes, width: self.width, nulls: nulls.as_deref() })
    }
}

fn spans(array: &ArrayRef, span: impl Fn(usize) -> Range<usize>) -> Vec<Option<Range<usize>>> {
    (0..array.len()).map(|row| array.is_valid(row).then(|| span(row))).collect()
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
