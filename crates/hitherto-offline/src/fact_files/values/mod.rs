//! Numbers of chosen rows, straight out of the pages of a column.
//!
//! Of a dense spine's facts about one in ten leads, of a sparse one's fewer. A
//! reader of batches would decode all of them: unpack every index, look it up in
//! the dictionary, make room for nulls, and copy. Here a page is decompressed,
//! and of what it holds only the wanted rows are looked at:
//!
//! ```text
//!   page      [ definition levels ][ values ]
//!   row r  -> not null? how many before it are not? = i
//!   plain       bytes i * width .. of the values
//!   dictionary  index i of the packed indices -> bytes index * width of the
//!               dictionary page
//! ```
//!
//! Pages without a wanted row are not decompressed. This is for numbers and
//! times of fixed width in the two encodings that every writer uses by default;
//! anything else is read by parquet's own reader, with the same result.

mod hybrid;
mod page;

use std::ops::Range;
use std::sync::Arc;

use ::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use hitherto_core::types::{DataType, Physical};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use self::page::PageValues;

/// A column of numbers whose pages are read here.
pub(super) struct NumberColumn {
    leaf: usize,
    /// Bytes of a value in a page.
    page_width: usize,
    /// Bytes of a value in a row: narrow integers are widened in pages.
    row_width: usize,
}

/// Values of chosen rows, in their order.
pub(super) struct Numbers {
    /// `width` little-endian bytes each; zeros where null.
    pub values: Buffer,
    pub width: usize,
    pub nulls: Option<NullBuffer>,
}

impl NumberColumn {
    /// The column of that name in a row group, if it is one of these.
    pub fn find(group: &RowGroupMetaData, name: &str, data_type: &DataType) -> Option<Self> {
        let is_number =
            !matches!(data_type.physical(), Physical::Bool | Physical::Varlen | Physical::I128);
        let (leaf, column) =
            group.columns().iter().enumerate().find(
                |(_, column)| matches!(column.column_path().parts(), [root] if root == name),
            )?;
        let descriptor = column.column_descr();
        let is_flat = descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1;
        let page_width = match descriptor.physical_type() {
            PhysicalType::INT32 | PhysicalType::FLOAT => 4,
            PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
            _ => return None,
        };
        let row_width = data_type.slot_bytes();
        let is_known = |encoding| {
            matches!(
                encoding,
                Encoding::PLAIN
                    | Encoding::RLE
                    | Encoding::RLE_DICTIONARY
                    | Encoding::PLAIN_DICTIONARY
            )
        };
        let is_read_here =
            is_number && is_flat && row_width <= page_width && column.encodings().all(is_known);
        is_read_here.then_some(Self { leaf, page_width, row_width })
    }

    /// Reads the values of ascending rows.
    pub fn read<R: ChunkReader + 'static>(
        &self,
        chunks: &Arc<R>,
        group: &RowGroupMetaData,
        rows: &[u32],
    ) -> ParquetResult<Numbers> {
        let column: &ColumnChunkMetaData = group.column(self.leaf);
        let total = usize::try_from(group.num_rows())?;
        let mut pages = SerializedPageReader::new(Arc::clone(chunks), column, total, None)?;
        let is_nullable = column.column_descr().max_def_level() > 0;
        let mut values = vec![0; rows.len() * self.row_width];
        let mut is_valid = vec![true; if is_nullable { rows.len() } else { 0 }];
        let (mut dictionary, mut wanted, mut first_row) = (None, 0, 0);
        while wanted < rows.len() {
            let Some(next) = pages.peek_next_page()? else { break };
            let page_rows = next.num_rows.or(next.num_levels).unwrap_or(0);
            let here =
                rows[wanted..].partition_point(|row| (*row as usize) < first_row + page_rows);
            if !next.is_dict && here == 0 {
                pages.skip_next_page()?;
                first_row += page_rows;
                continue;
            }
            match pages.get_next_page()? {
                None => break,
                Some(Page::DictionaryPage { buf, .. }) => dictionary = Some(buf),
                Some(page) => {
                    let mut page =
                        PageValues::new(&page, dictionary.as_ref(), is_nullable, self.page_width)?;
                    for index in wanted..wanted + here {
                        match page.get(rows[index] as usize - first_row)? {
                            Some(value) => {
                                let at = index * self.row_width;
                                values[at..at + self.row_width]
                                    .copy_from_slice(&value[..self.row_width]);
                            }
                            None => is_valid[index] = false,
                        }
                    }
                    wanted += here;
                    first_row += page_rows;
                }
            }
        }
        if wanted < rows.len() {
            return Err(ParquetError::EOF(String::from("a column has fewer rows than its group")));
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(is_valid));
        Ok(Numbers {
            values: Buffer::from_vec(values),
            width: self.row_width,
            nulls: Some(nulls).filter(|nulls| nulls.null_count() > 0),
        })
    }

    /// The column's bytes in the file.
    pub fn byte_range(&self, group: &RowGroupMetaData) -> Range<u64> {
        super::file::whole(group.column(self.leaf))
    }
}
