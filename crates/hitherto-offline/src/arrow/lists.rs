//! Lists of numbers: from any of Arrow's list layouts into rows, and back.

use std::ops::Range;

use ::arrow::array::{Array, ArrayRef, AsArray};
use ::arrow::buffer::{Buffer, NullBuffer};
use ::arrow::datatypes::DataType as ArrowType;
use hitherto_core::list::Items;
use hitherto_core::row::RowWriter;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

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
