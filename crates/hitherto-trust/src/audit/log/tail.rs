//! The file that is written to: records at its end, and their chain.

use std::fs::{self, File};
use std::io::{Result as IoResult, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::chain::{Chain, LogId};
use super::super::file::{self, Appended};
use super::super::segment::{self, HEADER_BYTES, Header};

/// The file that is written to.
pub struct Tail {
    pub log: LogId,
    /// The number of its first record.
    pub first: u64,
    /// The number of the next.
    pub records: u64,
    pub chain: Chain,
    pub appended: Appended,
    path: PathBuf,
    /// Device and number of the file, whatever its name.
    identity: (u64, u64),
    buffer: Vec<u8>,
}

impl Tail {
    /// A file that is there, up to `bytes`, behind which the chain is.
    pub fn go_on(
        folder: &Path,
        header: Header,
        (records, chain, bytes): (u64, Chain, u64),
    ) -> IoResult<Self> {
        let path = segment::path_of(folder, header.first);
        let file = file::append(&path)?;
        Self::new(path, file, header, (records, chain, bytes))
    }

    /// Begins a file, durably.
    pub fn begin(folder: &Path, header: Header) -> IoResult<Self> {
        let path = segment::path_of(folder, header.first);
        let mut file = file::make(&path)?;
        let begun = file.write_all(&header.encode()).and_then(|()| file.sync_all());
        // The next try makes it again.
        begun.inspect_err(|_| drop(fs::remove_file(&path)))?;
        file::sync_folder_of(&path)?;
        Self::new(path, file, header, (header.first, header.before, HEADER_BYTES as u64))
    }

    fn new(
        path: PathBuf,
        file: File,
        header: Header,
        (records, chain, bytes): (u64, Chain, u64),
    ) -> IoResult<Self> {
        let found = file.metadata()?;
        let Header { log, first, .. } = header;
        let identity = (found.dev(), found.ino());
        let appended = Appended::new(file, bytes);
        Ok(Self { log, first, records, chain, appended, path, identity, buffer: Vec::new() })
    }

    /// Writes records, all of them or none.
    pub fn put<'r>(&mut self, bodies: impl Iterator<Item = &'r [u8]>) -> IoResult<()> {
        let (mut chain, mut records) = (self.chain, self.records);
        self.buffer.clear();
        for body in bodies {
            chain.append(body, &mut self.buffer);
            records += 1;
        }
        self.appended.put(&self.buffer)?;
        (self.chain, self.records) = (chain, records);
        Ok(())
    }

    /// The header of the file that would follow.
    pub fn next(&self) -> Header {
        Header { log: self.log, first: self.records, before: self.chain }
    }

    /// Whether the file still has its name.
    pub fn is_in_place(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
