//! Parquet as a user's pipeline writes it: what pyarrow does when asked for
//! zstd and a page index, and for nothing else. A layout chosen for reading
//! would flatter every reader.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::Result;

/// Bytes of a dictionary after which a column chunk goes on without it.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// Rows of a page.
const PAGE_ROWS_MAX: usize = 20_000;

/// Microseconds UTC, as all time columns are.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A time column.
pub fn times(times: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
}

/// A schema of nullable columns: pipelines seldom declare what is never null.
pub fn schema(columns: impl IntoIterator<Item = (String, DataType)>) -> SchemaRef {
    let fields = columns.into_iter().map(|(name, of)| Field::new(name, of, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Writes one file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, rows: &RecordBatch, row_group_rows: usize) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        // For each page, which makes the page index.
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(row_group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.close()?;
    Ok(())
}
