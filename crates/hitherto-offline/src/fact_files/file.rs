//! One Parquet file and its columns.

use std::ops::Range;

use ::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use hitherto_core::limits::{BATCH_ROWS, COLUMN_CHUNKS_BYTES_MAX};
use hitherto_core::{Error, Kind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use crate::files::Content;
use crate::footer::{DAMAGED, Footer};

/// Which rows of a row group are read, by ascending number.
pub(super) enum Rows {
    All,
    Only(RowSelection),
}

impl Footer {
    /// Reads columns of one row group, batch by batch, in the order of `names`.
    pub(super) fn read(
        &self,
        row_group: usize,
        names: &[String],
        rows: Rows,
    ) -> Result<FileColumns> {
        let metadata = match &rows {
            Rows::All => &self.metadata,
            Rows::Only(_) => self.read_indexed()?,
        };
        let schema = metadata.schema();
        let root = |name: &String| match self.constant(name) {
            Some(constant) => Ok(Err(constant.value.clone())),
            None => schema.index_of(name).map(Ok).map_err(|cause| {
                Error::internal(format!("source file {} lacks a column", self.file.name))
                    .with_source(cause)
            }),
        };
        let roots = names.iter().map(root).collect::<Result<Vec<Result<usize, ScalarValue>>>>()?;
        // The reader gives columns in the file's order, each once.
        let mut sorted: Vec<usize> = roots.iter().flatten().copied().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let order = roots
            .into_iter()
            .map(|root| root.map(|root| sorted.partition_point(|before| *before < root)))
            .collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), sorted);
        let columns = metadata.metadata().row_group(row_group).columns().iter().enumerate();
        let columns = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let ranges: Vec<Range<u64>> = match &rows {
            Rows::All => columns.map(|(_, column)| whole(column)).collect(),
            // A request for each page would take longer than all of them together.
            Rows::Only(selection) if self.file.is_remote() => {
                let pages = |(leaf, column)| self.pages(row_group, leaf, column, selection);
                columns.flat_map(pages).collect()
            }
            Rows::Only(_) => Vec::new(),
        };
        let content = self.content(ranges)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(content, metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![row_group])
            .with_batch_size(BATCH_ROWS);
        let reader = match rows {
            Rows::All => reader,
            Rows::Only(selection) => reader.with_row_selection(selection),
        };
        let reader = reader.build().map_err(|cause| self.damaged(cause))?;
        Ok(FileColumns { reader, order })
    }

    /// The file's bytes, with these ranges read at once if they are not too many; anything
    /// else is read when it is asked for.
    pub(super) fn content(&self, ranges: Vec<Range<u64>>) -> Result<Content> {
        let mut content = self.file.open()?;
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        if bytes <= COLUMN_CHUNKS_BYTES_MAX {
            content.read_ahead(ranges).map_err(|cause| match cause.kind() {
                Kind::Corrupt => self.damaged(ParquetError::EOF(cause.to_string())),
                _ => cause,
            })?;
        }
        Ok(content)
    }

    /// Where the pages of a column are that have rows of a selection, its dictionary
    /// before them; all of it if nothing says where.
    fn pages(
        &self,
        row_group: usize,
        leaf: usize,
        column: &ColumnChunkMetaData,
        selection: &RowSelection,
    ) -> Vec<Range<u64>> {
        let indexed = self.read_indexed().ok();
        let indexed = indexed.and_then(|indexed| indexed.metadata().offset_index());
        let index = indexed.and_then(|index| index.get(row_group)?.get(leaf));
        let whole = whole(column);
        let Some(locations) = index.map(|index| index.page_locations()) else {
            return vec![whole];
        };
        let Some(first) = locations.first() else { return vec![whole] };
        let mut ranges = selection.scan_ranges(locations);
        ranges.push(whole.start..first.offset as u64);
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }

    /// An error of the reader, on bytes that may be anything.
    pub fn damaged(&self, cause: ParquetError) -> Error {
        self.file.broken(DAMAGED, cause)
    }
}

/// Where a column of a row group is.
pub(super) fn whole(column: &ColumnChunkMetaData) -> Range<u64> {
    let (start, length) = column.byte_range();
    start..start + length
}

/// Some columns of one row group.
pub(super) struct FileColumns {
    reader: ParquetRecordBatchReader,
    /// For each column that was asked for its place among those that are read, or its one
    /// value.
    order: Vec<Result<usize, ScalarValue>>,
}

impl FileColumns {
    /// The next rows, as columns in the order that was asked for, and their number.
    pub fn next(&mut self, file: &Footer) -> Option<Result<(Vec<ArrayRef>, usize)>> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(cause) => return Some(Err(file.damaged(cause.into()))),
        };
        let columns = self.order.iter().map(|place| match place {
            Ok(index) => {
                file.convert(batch.schema_ref().field(*index).name(), batch.column(*index))
            }
            Err(value) => value.to_array_of_size(batch.num_rows()).map_err(|cause| {
                Error::internal("a column that a path names cannot be made").with_source(cause)
            }),
        });
        Some(columns.collect::<Result<_>>().map(|columns| (columns, batch.num_rows())))
    }
}
