//! One Parquet file and its columns.

use std::fs::File;
use std::io::{ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use ::arrow::array::ArrayRef;
use bytes::{Buf, Bytes};
use hitherto_core::limits::{BATCH_ROWS, COLUMN_CHUNKS_BYTES_MAX};
use hitherto_core::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use crate::files::SourceFile;
use crate::footer::{Footer, open};

/// Bytes read ahead where a column is read piece by piece.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// A file that is being read.
pub(crate) struct FactFile {
    pub file: SourceFile,
    pub metadata: ArrowReaderMetadata,
    /// The same with page indexes, once somebody needs them.
    indexed: OnceLock<ArrowReaderMetadata>,
}

/// Which rows of a row group are read, by ascending number.
pub(super) enum Rows {
    All,
    Only(RowSelection),
}

impl FactFile {
    pub fn new(footer: Footer) -> Self {
        Self { file: footer.file, metadata: footer.metadata, indexed: OnceLock::new() }
    }

    /// The footer with page indexes, where the file has them.
    pub fn read_indexed(&self) -> Result<&ArrowReaderMetadata> {
        if let Some(indexed) = self.indexed.get() {
            return Ok(indexed);
        }
        let file = open(&self.file)?;
        let read = || {
            let plain = self.metadata.metadata().as_ref().clone();
            let mut reader = ParquetMetaDataReader::new_with_metadata(plain)
                .with_page_index_policy(PageIndexPolicy::Optional);
            reader.read_page_indexes(&file)?;
            ArrowReaderMetadata::try_new(Arc::new(reader.finish()?), ArrowReaderOptions::default())
        };
        let indexed = read().map_err(|cause| self.damaged(cause))?;
        Ok(self.indexed.get_or_init(|| indexed))
    }

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
        let mut roots: Vec<usize> = Vec::with_capacity(names.len());
        for name in names {
            roots.push(schema.index_of(name).map_err(|cause| {
                Error::internal(format!("source file {} lacks a column", self.file.name))
                    .with_source(cause)
            })?);
        }
        // The reader gives columns in the file's order, each once.
        let mut sorted = roots.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let order =
            roots.iter().map(|root| sorted.partition_point(|before| before < root)).collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), sorted);
        let columns = metadata.metadata().row_group(row_group).columns().iter().enumerate();
        let columns = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let chunks = match rows {
            Rows::All => self.chunks(columns.map(|(_, column)| column.byte_range()))?,
            Rows::Only(_) => self.chunks(std::iter::empty())?,
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, metadata.clone())
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

    /// The file's bytes, with these ranges (start and length) read at once if
    /// they are not too many; anything else is read when it is asked for.
    pub(super) fn chunks(&self, ranges: impl Iterator<Item = (u64, u64)>) -> Result<Chunks> {
        let ranges: Vec<(u64, u64)> = ranges.collect();
        let mut chunks = Chunks {
            file: Arc::new(open(&self.file)?),
            file_bytes: self.file.bytes,
            ahead: Vec::new(),
        };
        let bytes: u64 = ranges.iter().map(|(_, length)| length).sum();
        if bytes <= COLUMN_CHUNKS_BYTES_MAX {
            for (start, length) in ranges {
                let bytes = read_at(&chunks.file, start, length as usize).map_err(|cause| {
                    Error::corrupt(format!("source file {} ends too early", self.file.name))
                        .with_source(cause)
                })?;
                chunks.ahead.push((start, bytes));
            }
        }
        Ok(chunks)
    }

    /// An error of the reader, on bytes that may be anything.
    pub fn damaged(&self, cause: parquet::errors::ParquetError) -> Error {
        Error::corrupt(format!(
            "source file {} is damaged; write it again or restore it",
            self.file.name
        ))
        .with_source(cause)
    }
}

/// Some columns of one row group.
pub(super) struct FileColumns {
    reader: ParquetRecordBatchReader,
    order: Vec<usize>,
}

impl FileColumns {
    /// The next rows, as columns in the order that was asked for, and their number.
    pub fn next(&mut self, file: &FactFile) -> Option<Result<(Vec<ArrayRef>, usize)>> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(cause) => return Some(Err(file.damaged(cause.into()))),
        };
        let columns = self.order.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        Some(Ok((columns, batch.num_rows())))
    }
}

/// A file's bytes, some of them read already.
pub(super) struct Chunks {
    file: Arc<File>,
    file_bytes: u64,
    /// Where each piece begins, and the piece.
    ahead: Vec<(u64, Bytes)>,
}

impl Chunks {
    /// What was read from `start` on, to the end of its piece.
    fn read_ahead(&self, start: u64) -> Option<Bytes> {
        self.ahead.iter().find_map(|(begin, bytes)| {
            let offset = usize::try_from(start.checked_sub(*begin)?).ok()?;
            (offset < bytes.len()).then(|| bytes.slice(offset..))
        })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Chunks {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(match self.read_ahead(start) {
            Some(bytes) => Box::new(bytes.reader()),
            None => {
                let place = Place { file: Arc::clone(&self.file), at: start };
                Box::new(std::io::BufReader::with_capacity(READ_AHEAD_BYTES, place))
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self.read_ahead(start).filter(|bytes| bytes.len() >= length) {
            Some(bytes) => Ok(bytes.slice(..length)),
            None => Ok(read_at(&self.file, start, length)?),
        }
    }
}

/// A place in a file. Unlike a file's own, it is nobody else's.
struct Place {
    file: Arc<File>,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads into memory that nobody has to clear before.
fn read_at(mut file: &File, start: u64, length: usize) -> IoResult<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(start))?;
    if file.take(length as u64).read_to_end(&mut bytes)? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}
