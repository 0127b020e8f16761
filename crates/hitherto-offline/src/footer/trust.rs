//! Which statistics of a file are believed.
//!
//! A statistic saves reading; it never is an answer. What follows is what the Parquet
//! format promises of least and greatest values. Everything else is taken out of a footer
//! before anybody prunes by it, ourselves or DataFusion, as if the file did not have it:
//!
//! | column | why its bounds are believed, or not |
//! | --- | --- |
//! | integers, dates, times | ordered as numbers |
//! | text, bytes | ordered byte by byte without sign; shortened bounds are bounds still |
//! | floats | not: NaN has no place among them, and either zero may stand for both |
//! | INT96, decimals in bytes, intervals, geometry | not: undefined, or unlike the bytes |
//! | without column orders in the footer | not: what bounds mean is then undefined |
//! | in the deprecated fields | of signed integers only: others were compared with sign |
//! | greatest before least | not: whoever wrote it counted otherwise |
//! | without a count of nulls, or with one above the values | not: readers take none for zero |
//!
//! The number of rows is that of the row groups, each of which must have room for the values
//! of its columns.

use parquet::basic::{ColumnOrder, SortOrder, Type as PhysicalType};
use parquet::data_type::AsBytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

/// How the bounds of a column compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Signed,
    Unsigned,
    Bytes,
}

/// A footer without what is not believed. Page indexes are those of
/// [`believed_pages`].
///
/// # Errors
/// What makes its row counts impossible.
pub fn believed(metadata: ParquetMetaData) -> Result<ParquetMetaData> {
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups();
    let file = builder.build();
    let groups = groups.into_iter().enumerate().map(|(number, group)| {
        let rows = group.num_rows();
        let mut group = group.into_builder();
        let columns = group.take_columns().into_iter().enumerate().map(|(leaf, column)| {
            check_rows(number, rows, &column)?;
            if is_believed(file.file_metadata(), leaf, &column) {
                return Ok(column);
            }
            let column = column.into_builder().clear_statistics();
            column.set_column_index_offset(None).set_column_index_length(None).build()
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        group.set_column_metadata(columns).build()
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let rows = groups.iter().map(RowGroupMetaData::num_rows).fold(0, i64::saturating_add);
    let file = counted(file.file_metadata(), rows);
    Ok(ParquetMetaDataBuilder::new(file).set_row_groups(groups).build())
}

/// What a file says of itself, with as many rows as its row groups have: readers ask for no
/// more at once than the file has.
fn counted(file: &FileMetaData, rows: i64) -> FileMetaData {
    FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    )
}

/// The same with page indexes, of columns that [`believed`] left theirs.
pub fn believed_pages(metadata: ParquetMetaData) -> ParquetMetaData {
    let mut builder = metadata.into_builder();
    let Some(mut groups) = builder.take_column_index() else { return builder.build() };
    let metadata = builder.build();
    let descriptor = metadata.file_metadata().schema_descr_ptr();
    for group in &mut groups {
        for (leaf, pages) in group.iter_mut().enumerate() {
            let order = order(&descriptor.column(leaf));
            if !order.is_some_and(|order| are_ordered(pages, order)) {
                *pages = ColumnIndexMetaData::NONE;
            }
        }
    }
    metadata.into_builder().set_column_index(Some(groups)).build()
}

/// A row group with fewer rows than values would be read short, and one with none not
/// at all.
fn check_rows(group: usize, rows: i64, column: &ColumnChunkMetaData) -> Result<()> {
    let values = column.num_values();
    if column.column_descr().max_rep_level() > 0 || values <= rows {
        return Ok(());
    }
    Err(ParquetError::General(format!(
        "its footer says that row group {group} has {rows} rows, and {values} values of column {}",
        column.column_path()
    )))
}

fn is_believed(file: &FileMetaData, leaf: usize, column: &ColumnChunkMetaData) -> bool {
    let Some(statistics) = column.statistics() else {
        // Pages are judged one by one; what their order is, is the same question.
        let is_defined = matches!(file.column_order(leaf), ColumnOrder::TYPE_DEFINED_ORDER(_));
        return is_defined && order(column.column_descr()).is_some();
    };
    let Some(order) = order(column.column_descr()) else { return false };
    let is_meant = match file.column_order(leaf) {
        _ if statistics.is_min_max_deprecated() => order == Order::Signed,
        ColumnOrder::TYPE_DEFINED_ORDER(_) => true,
        ColumnOrder::UNDEFINED | ColumnOrder::UNKNOWN => false,
    };
    let nulls = statistics.null_count_opt();
    is_meant
        && nulls.is_some_and(|nulls| i64::try_from(nulls).is_ok_and(|n| n <= column.num_values()))
        && is_ordered(statistics, order)
}

/// How a column's bounds compare, if the format says so and they mean what they say.
fn order(column: &ColumnDescriptor) -> Option<Order> {
    let sort = ColumnOrder::sort_order_for_type(
        column.logical_type_ref(),
        column.converted_type(),
        column.physical_type(),
    );
    match (column.physical_type(), sort) {
        (PhysicalType::INT32 | PhysicalType::INT64, SortOrder::SIGNED) => Some(Order::Signed),
        (PhysicalType::INT32 | PhysicalType::INT64, SortOrder::UNSIGNED) => Some(Order::Unsigned),
        (PhysicalType::BOOLEAN, _) => Some(Order::Unsigned),
        (PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY, SortOrder::UNSIGNED) => {
            Some(Order::Bytes)
        }
        _ => None,
    }
}

/// Whether no greatest value is less than its least.
fn is_ordered(statistics: &Statistics, order: Order) -> bool {
    let bounds = statistics.min_bytes_opt().zip(statistics.max_bytes_opt());
    bounds.is_none_or(|(least, greatest)| order.has(least, greatest))
}

fn are_ordered(pages: &ColumnIndexMetaData, order: Order) -> bool {
    macro_rules! ordered {
        ($index:expr) => {
            $index.min_values_iter().zip($index.max_values_iter()).all(|bounds| match bounds {
                (Some(least), Some(greatest)) => order.has(least.as_bytes(), greatest.as_bytes()),
                _ => true,
            })
        };
    }
    match pages {
        ColumnIndexMetaData::BOOLEAN(index) => ordered!(index),
        ColumnIndexMetaData::INT32(index) => ordered!(index),
        ColumnIndexMetaData::INT64(index) => ordered!(index),
        ColumnIndexMetaData::BYTE_ARRAY(index) => ordered!(index),
        ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index) => ordered!(index),
        _ => false,
    }
}

impl Order {
    /// Whether these bounds, as a file has them, are in this order.
    fn has(self, least: &[u8], greatest: &[u8]) -> bool {
        match self {
            Order::Bytes => least <= greatest,
            _ => self.number(least) <= self.number(greatest),
        }
    }

    /// A number of one, four or eight little-endian bytes.
    fn number(self, bytes: &[u8]) -> i128 {
        let mut whole = [0; 16];
        let is_negative =
            self == Order::Signed && bytes.last().is_some_and(|byte| byte.leading_ones() > 0);
        whole.fill(if is_negative { u8::MAX } else { 0 });
        let length = bytes.len().min(whole.len());
        whole[..length].copy_from_slice(&bytes[..length]);
        i128::from_le_bytes(whole)
    }
}
