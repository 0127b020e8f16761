//! How a copy's columns are written, and why.
//!
//! ```text
//! LZ4            decodes at memory speed; zstd costs a training set more than it saves
//! delta-packed   integer keys and all times: sorted, they shrink to a few bits, and
//!                unpack without branches
//! dictionary     only where few values repeat; elsewhere it is a detour over memory
//! pages          of 20,000 rows: what a small spine reads of a column at least
//! statistics     of join keys and event time alone: nothing else is pruned by
//! ```

use ::arrow::array::{Array, ArrayRef, RecordBatch};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType as ArrowType, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding, Type};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnDescriptor;

/// Rows of one row group, unless they are wide.
const GROUP_ROWS: usize = 131_072;
/// Bytes of one row group before it is encoded: it is held in memory.
const GROUP_BYTES: usize = 128 << 20;
/// Rows of one page.
const PAGE_ROWS: usize = 20_000;
/// Rows that the writer takes at a time; it looks at the size of a page after
/// each of them.
const WRITE_ROWS: usize = 1_000;
/// Bytes of a page: far above what its rows take, so that these decide.
const PAGE_BYTES: usize = 64 << 20;
/// A dictionary is worth its detour if each value is met so often.
const REPEATS_MIN: usize = 32;

const _: () = assert!(PAGE_ROWS.is_multiple_of(WRITE_ROWS), "a page is whole writes");

/// The rows of a row group whose facts are like those of a sample.
pub(super) fn group_rows(sample: &RecordBatch) -> usize {
    let row_bytes = sample.get_array_memory_size() / sample.num_rows().max(1);
    (GROUP_BYTES / row_bytes.max(1)).clamp(PAGE_ROWS, GROUP_ROWS)
}

/// How facts like those of a sample are written; the first columns are `keys`
/// join keys and the event time.
pub(crate) fn properties(sample: &RecordBatch, keys: usize) -> Result<WriterProperties> {
    let schema: &Schema = sample.schema_ref();
    let leaves = ArrowSchemaConverter::new().convert(schema)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(WRITE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false);
    for (leaf, descriptor) in leaves.columns().iter().enumerate() {
        let root = leaves.get_column_root_idx(leaf);
        properties = column(properties, descriptor, sample.column(root), root < keys);
        if root <= keys {
            let page = EnabledStatistics::Page;
            properties = properties.set_column_statistics_enabled(descriptor.path().clone(), page);
        }
    }
    Ok(properties.build())
}

fn column(
    properties: WriterPropertiesBuilder,
    descriptor: &ColumnDescriptor,
    sample: &ArrayRef,
    is_key: bool,
) -> WriterPropertiesBuilder {
    let path = descriptor.path().clone();
    let is_time = matches!(sample.data_type(), ArrowType::Timestamp(..) | ArrowType::Date32);
    let encoding = match descriptor.physical_type() {
        Type::INT32 | Type::INT64 if is_time || is_key => Encoding::DELTA_BINARY_PACKED,
        Type::BOOLEAN => Encoding::PLAIN,
        _ if repeats(sample) => return properties.set_column_dictionary_enabled(path, true),
        Type::BYTE_ARRAY => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        _ => Encoding::PLAIN,
    };
    properties.set_column_encoding(path, encoding)
}

/// Whether few values are met again and again.
fn repeats(sample: &ArrayRef) -> bool {
    if matches!(sample.data_type(), ArrowType::Dictionary(..)) {
        return true;
    }
    let values = Box::new(sample.data_type().clone());
    let dictionary = cast(sample, &ArrowType::Dictionary(Box::new(ArrowType::Int32), values));
    // Types of which Arrow makes no dictionary, such as lists, are written plainly.
    let Ok(dictionary) = dictionary else { return false };
    let data = dictionary.to_data();
    let distinct = data.child_data().first().map_or(usize::MAX, |values| values.len());
    distinct.saturating_mul(REPEATS_MIN) <= sample.len()
}
