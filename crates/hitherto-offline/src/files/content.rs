//! The bytes of a file, as Parquet's readers ask for them.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use hitherto_core::{Error, Kind, Result};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::bucket::Object;
use super::sums::Sums;
use super::{Place, SourceFile};

/// Bytes read at a time where a column is read piece by piece. A request to an object
/// store costs as much as some hundred kilobytes.
const PIECE_BYTES: usize = 64 << 10;
const OBJECT_PIECE_BYTES: u64 = 1 << 20;

/// The end of an object that is read at once for its footer.
const FOOTER_BYTES: u64 = 64 << 10;

/// A file's bytes, some of them read already.
#[derive(Clone)]
pub struct Content {
    place: Opened,
    bytes: u64,
    /// Where each piece begins, and the piece.
    ahead: Vec<(u64, Bytes)>,
}

#[derive(Clone)]
enum Opened {
    Disk(Arc<File>),
    /// A file whose bytes are compared with its checksums.
    Summed(Arc<File>, Arc<Sums>),
    Object(Object),
}

impl SourceFile {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// `Unavailable`, naming it.
    pub(crate) fn open(&self) -> Result<Content> {
        let place = match &self.place {
            Place::Object(object) => Opened::Object(object.clone()),
            Place::Disk(path) => {
                let file = File::open(path).map_err(|cause| {
                    Error::unreadable(format_args!("source file {}", self.name), cause)
                })?;
                let file = Arc::new(file);
                match &self.sums {
                    None => Opened::Disk(file),
                    Some(sums) => Opened::Summed(file, Arc::clone(sums)),
                }
            }
        };
        Ok(Content { place, bytes: self.bytes, ahead: Vec::new() })
    }

    /// Whether reading it is a request to another machine.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Object(_))
    }

    /// A reader's error on bytes that may be anything: `Corrupt` in these words, or why
    /// they could not be had at all.
    pub(crate) fn broken(&self, what: &str, cause: ParquetError) -> Error {
        let first: &(dyn std::error::Error + 'static) = &cause;
        let mut causes = std::iter::successors(Some(first), |cause| cause.source());
        let refused = causes.find_map(|cause| cause.downcast_ref::<Refused>());
        if let Some(Refused(kind, message)) = refused {
            return Error::new(*kind, message.clone());
        }
        if is_overfull(&cause) {
            return Error::corrupt(format!(
                "source file {} packs integers that are beyond their type: it is damaged, or its \
                 writer packs them so, as DuckDB's PARQUET_VERSION V2 does; write it as V1",
                self.name
            ))
            .with_source(cause);
        }
        if let Some(why) = unread(&cause) {
            return Error::invalid(format!("source file {} {why}", self.name)).with_source(cause);
        }
        Error::corrupt(format!("source file {} {what}", self.name)).with_source(cause)
    }
}

/// Whether packed integers are wider than their column, which some writers mean and Arrow's
/// reader takes for damage.
fn is_overfull(cause: &ParquetError) -> bool {
    let first: &(dyn std::error::Error + 'static) = cause;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.any(|cause| cause.to_string().contains("first value too large"))
}

/// What a reader's error says of a file that may be whole: it is written in a way that is
/// not read. Parquet's reader tells most of that in words alone.
fn unread(cause: &ParquetError) -> Option<&'static str> {
    let first: &(dyn std::error::Error + 'static) = cause;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.find_map(|cause| {
        let told = cause.to_string();
        let is_unread = matches!(cause.downcast_ref::<ParquetError>(), Some(ParquetError::NYI(_)))
            || told.contains("NYI");
        if told.contains("encrypt") {
            return Some("is encrypted, and is read by nobody without its keys; write it without");
        }
        if told.contains("Disabled feature at compile time") {
            return Some("is compressed in a way that is not read here; write it with zstd");
        }
        is_unread.then_some("has an encoding that is not read here; write it with another")
    })
}

/// An error of ours on its way through Parquet's reader.
#[derive(Debug, Clone)]
struct Refused(Kind, String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Refused {}

fn refused(error: Error) -> ParquetError {
    ParquetError::External(Box::new(Refused(error.kind(), error.chain())))
}

impl Content {
    /// Reads the end of an object, where its footer is. A file on disk needs none.
    pub fn read_end_ahead(&mut self) -> Result<()> {
        if let Opened::Object(_) = self.place {
            let end = self.bytes.saturating_sub(FOOTER_BYTES)..self.bytes;
            self.read_ahead(vec![end])?;
        }
        Ok(())
    }

    /// Reads these ranges now, all at once.
    ///
    /// # Errors
    /// `Corrupt` when the file ends too early, `Unavailable`, `Conflict`.
    pub fn read_ahead(&mut self, ranges: Vec<Range<u64>>) -> Result<()> {
        let begins = ranges.iter().map(|range| range.start);
        let begins: Vec<u64> = begins.collect();
        let pieces = self.read_ranges(ranges)?;
        self.ahead.extend(begins.into_iter().zip(pieces));
        Ok(())
    }

    /// Reads these ranges, those of an object all at once.
    ///
    /// # Errors
    /// Those of [`Content::read_ahead`].
    pub fn read_ranges(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let pieces: IoResult<Vec<_>> = match &self.place {
            Opened::Object(object) => return object.read(ranges),
            Opened::Disk(file) => {
                let length = |range: &Range<u64>| (range.end - range.start) as usize;
                ranges.iter().map(|range| read_at(file, range.start, length(range))).collect()
            }
            Opened::Summed(file, sums) => {
                ranges.into_iter().map(|range| sums.read_range(file, range)).collect()
            }
        };
        pieces.map_err(|cause| match cause.kind() {
            ErrorKind::UnexpectedEof => {
                Error::corrupt("a source file ends too early; write it again").with_source(cause)
            }
            ErrorKind::InvalidData => {
                Error::corrupt("a file is not as it was written; restore a backup")
                    .with_source(cause)
            }
            _ => Error::unreadable("a source file", cause),
        })
    }

    /// What was read from `start` on, to the end of its piece.
    fn read_before(&self, start: u64) -> Option<Bytes> {
        self.ahead.iter().find_map(|(begin, bytes)| {
            let offset = usize::try_from(start.checked_sub(*begin)?).ok()?;
            (offset < bytes.len()).then(|| bytes.slice(offset..))
        })
    }
}

impl Length for Content {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Content {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        if let Some(bytes) = self.read_before(start) {
            return Ok(Box::new(bytes.reader()));
        }
        Ok(match &self.place {
            Opened::Disk(file) => {
                let place = FilePlace { file: Arc::clone(file), at: start };
                Box::new(BufReader::with_capacity(PIECE_BYTES, place))
            }
            Opened::Summed(file, sums) => {
                let (file, sums) = (Arc::clone(file), Arc::clone(sums));
                Box::new(SummedPlace { file, sums, rest: start..self.bytes, piece: Bytes::new() })
            }
            Opened::Object(object) => {
                let rest = start..self.bytes;
                Box::new(ObjectPlace { object: object.clone(), rest, piece: Bytes::new() })
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if let Some(bytes) = self.read_before(start).filter(|bytes| bytes.len() >= length) {
            return Ok(bytes.slice(..length));
        }
        match &self.place {
            Opened::Disk(file) => Ok(read_at(file, start, length)?),
            Opened::Summed(file, sums) => Ok(sums.read_range(file, start..start + length as u64)?),
            Opened::Object(object) => {
                object.read_range(start..start + length as u64).map_err(refused)
            }
        }
    }
}

/// A place in a file. Unlike a file's own, it is nobody else's.
struct FilePlace {
    file: Arc<File>,
    at: u64,
}

impl Read for FilePlace {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A place in a file with checksums, from which it is read piece by piece.
struct SummedPlace {
    file: Arc<File>,
    sums: Arc<Sums>,
    rest: Range<u64>,
    piece: Bytes,
}

impl Read for SummedPlace {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        if self.piece.is_empty() && !self.rest.is_empty() {
            // To the end of a piece, so that no block is read twice.
            let end = (self.rest.start + 1).next_multiple_of(PIECE_BYTES as u64);
            let end = end.min(self.rest.end);
            self.piece = self.sums.read_range(&self.file, self.rest.start..end)?;
            self.rest.start = end;
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// A place in an object, from which it is read piece by piece.
struct ObjectPlace {
    object: Object,
    rest: Range<u64>,
    piece: Bytes,
}

impl Read for ObjectPlace {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        if self.piece.is_empty() && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + OBJECT_PIECE_BYTES);
            self.piece = self.object.read_range(self.rest.start..end).map_err(refused)?;
            self.rest.start = end;
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
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
