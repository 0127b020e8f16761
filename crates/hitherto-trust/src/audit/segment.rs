//! Files of records: names, headers, reading.
//!
//! ```text
//! <folder>/<first record, 16 hex>.audit         header, entries
//!         /<first record, 16 hex>.checkpoints   signed notes of while it was written
//!
//! header   "HTHAUDIT" | format u16 = 1 | log 16 B | first record u64 | chain before it 32 B
//!          | the first 8 bytes of the SHA-256 of all that               little endian
//! ```

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use hitherto_core::limits::AUDIT_RECORD_BYTES_MAX;
use hitherto_core::{Error, Result};

use super::chain::{Chain, LENGTH_BYTES, LogId, TAG_BYTES, sha256};

/// The form of files that this release writes, and the only one.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 8] = b"HTHAUDIT";
/// Bytes of a header.
pub const HEADER_BYTES: usize = 74;

const RECORDS: &str = "audit";
const CHECKPOINTS: &str = "checkpoints";

/// Where a file of records lies, by its first.
pub fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016x}.{RECORDS}"))
}

/// Where its checkpoints do.
pub fn checkpoints_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016x}.{CHECKPOINTS}"))
}

/// The first records of all files of records, in order.
pub fn list(folder: &Path) -> Result<Vec<u64>> {
    list_by(folder, RECORDS)
}

/// Those of all files of checkpoints; those of records that were retired among them.
pub fn list_checkpoints(folder: &Path) -> Result<Vec<u64>> {
    list_by(folder, CHECKPOINTS)
}

fn list_by(folder: &Path, ending: &str) -> Result<Vec<u64>> {
    let unreadable = |cause| Error::unreadable(folder.display(), cause);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 16);
        if path.extension().is_some_and(|found| found == ending)
            && let Some(first) = stem.and_then(|stem| u64::from_str_radix(stem, 16).ok())
        {
            found.push(first);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What a file of records begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of which log it is.
    pub log: LogId,
    /// The number of its first record; those of a log begin at 0.
    pub first: u64,
    /// The chain before it.
    pub before: Chain,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.before.0);
        let check = sha256(&[&out]);
        out.extend_from_slice(&check[..TAG_BYTES]);
        out
    }

    /// Reads a header; `None` if the bytes are none of this form.
    fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut rest = bytes.get(MAGIC.len() + 2..)?;
        let mut take = |count| {
            let (taken, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(taken)
        };
        let header = Self {
            log: LogId(take(16)?.try_into().ok()?),
            first: u64::from_le_bytes(take(8)?.try_into().ok()?),
            before: Chain(take(32)?.try_into().ok()?),
        };
        (header.encode() == bytes).then_some(header)
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A record: [`Reader::body`].
    Record,
    /// Nothing.
    End,
    /// Less than an entry, as a write leaves it that did not end.
    Unfinished,
    /// What was not written there.
    Foreign,
}

/// Reads one file, from its first record on.
pub struct Reader {
    file: BufReader<File>,
    /// Its header.
    pub header: Header,
    /// The chain behind what was read.
    pub chain: Chain,
    /// The number of the next record.
    pub next: u64,
    /// Where it begins in the file.
    pub offset: u64,
    body: Vec<u8>,
}

/// What a file begins with that is to be one of records.
pub enum Opened {
    Reader(Reader),
    /// Less than a header: its making did not end.
    Unfinished,
    /// No header.
    Foreign,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn open(path: &Path) -> Result<Opened> {
        let unreadable = |cause| Error::unreadable(path.display(), cause);
        let mut file = BufReader::with_capacity(256 << 10, File::open(path).map_err(unreadable)?);
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact(&mut bytes) {
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                return Ok(Opened::Unfinished);
            }
            read => read.map_err(unreadable)?,
        }
        let Some(header) = Header::decode(&bytes) else { return Ok(Opened::Foreign) };
        let (chain, next) = (header.before, header.first);
        let offset = HEADER_BYTES as u64;
        Ok(Opened::Reader(Self { file, header, chain, next, offset, body: Vec::new() }))
    }

    /// Goes on to the next record.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be read.
    pub fn step(&mut self) -> Result<Step> {
        self.take().map_err(|cause| Error::unreadable("a file of the audit log", cause))
    }

    fn take(&mut self) -> std::io::Result<Step> {
        let mut length = [0; LENGTH_BYTES];
        match read_up_to(&mut self.file, &mut length)? {
            0 => return Ok(Step::End),
            LENGTH_BYTES => {}
            _ => return Ok(Step::Unfinished),
        }
        let bytes = u32::from_le_bytes(length) as usize;
        match bytes {
            // A disk that lost its power may have got as far as the length of the file.
            0 => return Ok(Step::Unfinished),
            _ if bytes > AUDIT_RECORD_BYTES_MAX => return Ok(Step::Foreign),
            _ => {}
        }
        self.body.resize(bytes + TAG_BYTES, 0);
        if read_up_to(&mut self.file, &mut self.body)? < self.body.len() {
            return Ok(Step::Unfinished);
        }
        let (body, tag) = self.body.split_at(bytes);
        if !self.chain.follow(body, tag) {
            return Ok(Step::Foreign);
        }
        self.next += 1;
        self.offset += (LENGTH_BYTES + bytes + TAG_BYTES) as u64;
        Ok(Step::Record)
    }

    /// The bytes of the record that was read last.
    pub fn body(&self) -> &[u8] {
        &self.body[..self.body.len().saturating_sub(TAG_BYTES)]
    }
}

/// Reads until the buffer is full or the file at its end; how many bytes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
