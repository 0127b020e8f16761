//! Checksums of the files that Hitherto writes itself, in a file beside each.
//!
//! ```text
//! <file>.sums   | magic | bytes of the file | XXH3-64 of each block | XXH3-64 of all before |
//!                 8       u64                 u64 ...                 u64     little endian
//! ```
//!
//! **No byte of a file with sums is believed that was not compared with them.** Parquet has
//! checksums of its own, of pages and not of what says where and what they are, and the
//! writer in use has none. A reader reads ranges, so a file is summed block by block: small
//! ones, since a range is widened to whole blocks. The hash finds accidents; it is not made
//! to withstand forgery.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind, Result as IoResult, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// How the file begins. The number in it is that of the format.
const MAGIC: &[u8; 8] = b"HTSUMS1\n";
/// Bytes of a block.
const BLOCK_BYTES: u64 = 16 << 10;
/// Nobody but its owner reads or writes a file of the store.
const FILE_MODE: u32 = 0o600;

/// The sums of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    bytes: u64,
    blocks: Vec<u64>,
}

/// Where the sums of a file are.
pub fn sums_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sums");
    PathBuf::from(name)
}

impl Sums {
    /// Reads the sums of the file at `path`; `None` if it has none.
    pub fn read(path: &Path) -> IoResult<Option<Self>> {
        match fs::read(sums_path(path)) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            read => {
                Self::parse(&read?).map(Some).ok_or_else(|| damaged("its checksums are damaged"))
            }
        }
    }

    fn parse(stored: &[u8]) -> Option<Self> {
        let (said, sum) = stored.split_last_chunk::<8>()?;
        let (bytes, blocks) = said.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (blocks, rest) = blocks.as_chunks::<8>();
        let bytes = u64::from_le_bytes(*bytes);
        let blocks: Vec<u64> = blocks.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
        let is_whole = rest.is_empty()
            && xxh3_64(said) == u64::from_le_bytes(*sum)
            && bytes.div_ceil(BLOCK_BYTES) == blocks.len() as u64;
        is_whole.then_some(Self { bytes, blocks })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut stored = MAGIC.to_vec();
        stored.extend_from_slice(&self.bytes.to_le_bytes());
        self.blocks.iter().for_each(|sum| stored.extend_from_slice(&sum.to_le_bytes()));
        stored.extend_from_slice(&xxh3_64(&stored).to_le_bytes());
        stored
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads a range of the file, every byte of it compared.
    pub fn read_range(&self, file: &File, range: Range<u64>) -> IoResult<Bytes> {
        if range.end > self.bytes || range.start > range.end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let first = range.start / BLOCK_BYTES;
        let start = first * BLOCK_BYTES;
        let end = range.end.next_multiple_of(BLOCK_BYTES).min(self.bytes);
        let mut read = vec![0; (end - start) as usize];
        file.read_exact_at(&mut read, start)?;
        let sums = &self.blocks[first as usize..];
        let mut blocks = read.chunks(BLOCK_BYTES as usize).zip(sums);
        if !blocks.all(|(block, sum)| xxh3_64(block) == *sum) {
            return Err(damaged("it is not as it was written"));
        }
        let from = (range.start - start) as usize;
        Ok(Bytes::from(read).slice(from..from + (range.end - range.start) as usize))
    }
}

fn damaged(what: &str) -> IoError {
    IoError::new(ErrorKind::InvalidData, what)
}

/// A file that is written with its sums.
pub(crate) struct SummedFile {
    file: File,
    path: PathBuf,
    sums: Sums,
    /// What is not written yet: less than a block.
    block: Vec<u8>,
}

impl SummedFile {
    /// A new file in the place of any that is there.
    pub fn create(path: &Path) -> IoResult<Self> {
        let (block, sums) = (Vec::with_capacity(BLOCK_BYTES as usize), Vec::new());
        let sums = Sums { bytes: 0, blocks: sums };
        Ok(Self { file: create(path)?, path: path.to_owned(), sums, block })
    }

    /// Ends the file and makes it durable, and its sums; returns its size.
    pub fn finish(mut self) -> IoResult<u64> {
        self.end_block()?;
        self.file.sync_all()?;
        let mut sums = create(&sums_path(&self.path))?;
        sums.write_all(&self.sums.to_bytes())?;
        sums.sync_all()?;
        Ok(self.sums.bytes)
    }

    fn end_block(&mut self) -> IoResult<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.block)?;
        self.sums.bytes += self.block.len() as u64;
        self.sums.blocks.push(xxh3_64(&self.block));
        self.block.clear();
        Ok(())
    }
}

impl Write for SummedFile {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let room = BLOCK_BYTES as usize - self.block.len();
        let taken = bytes.len().min(room);
        self.block.extend_from_slice(&bytes[..taken]);
        if taken == room {
            self.end_block()?;
        }
        Ok(taken)
    }

    /// Keeps what is less than a block: it is written with what follows.
    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

fn create(path: &Path) -> IoResult<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_read_as_it_was_written_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..40_000_u32).map(|number| ((number * 31) >> 3) as u8).collect();
        let mut file = SummedFile::create(&path).unwrap();
        content.chunks(777).for_each(|chunk| file.write_all(chunk).unwrap());
        assert_eq!(file.finish().unwrap(), 40_000);
        assert_eq!(fs::read(&path).unwrap(), content);
        let sums = Sums::read(&path).unwrap().unwrap();
        let ranges = [0..0, 0..1, 5..16_384, 16_384..16_385, 16_000..33_000, 39_999..40_000];
        for range in ranges.clone() {
            let read = sums.read_range(&File::open(&path).unwrap(), range.clone()).unwrap();
            assert_eq!(read, content[range.start as usize..range.end as usize], "{range:?}");
        }
        assert!(sums.read_range(&File::open(&path).unwrap(), 39_999..40_001).is_err());
        for at in [0, 5, 16_383, 16_384, 39_999] {
            let mut flipped = content.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            for range in ranges.clone() {
                match sums.read_range(&File::open(&path).unwrap(), range.clone()) {
                    Ok(read) => assert_eq!(read, content[range.start as usize..range.end as usize]),
                    Err(cause) => assert_eq!(cause.kind(), ErrorKind::InvalidData),
                }
            }
        }
        fs::write(&path, &content[..39_000]).unwrap();
        assert!(sums.read_range(&File::open(&path).unwrap(), 38_000..39_500).is_err());
        let stored = fs::read(sums_path(&path)).unwrap();
        for at in 0..stored.len() {
            let mut flipped = stored.clone();
            flipped[at] ^= 0x40;
            assert!(Sums::parse(&flipped).is_none() && Sums::parse(&stored[..at]).is_none());
        }
        assert!(Sums::read(&folder.path().join("other")).unwrap().is_none());
    }
}
