//! How far the log got, told by something else than the log.
//!
//! RocksDB reads its log up to the first record that is not whole: after a loss of power
//! that is the last write, which nobody was told of. A log that was cut, or is gone, reads
//! the same, with everything missing that was behind the cut. So the number of the last
//! write that somebody was told of is kept in a file of its own:
//!
//! ```text
//! <store>/acknowledged   | number of a write u64 | XXH3-64 of it u64 |   thrice, little endian
//! ```
//!
//! The first place is written and synced when the store is opened, and stays; the others are
//! written in turn, and the greatest number that is whole counts. **It is never ahead of the
//! log**: it is written after the log was synced, and need not be synced itself. Where power
//! is lost what was not synced may be torn, in both places, and the number be behind, which
//! hides a cut of the writes since only.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::io_failed;
use crate::disk;

const SLOT_BYTES: usize = 16;

/// The number of the last write that is on the disk for certain.
pub struct Acknowledged {
    file: File,
    last: Mutex<Last>,
}

struct Last {
    number: u64,
    /// The slot that is written next: 1 or 2.
    slot: u64,
}

/// Where it is kept.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("acknowledged")
}

/// The number that is kept of a store; `None` if none is, as by an earlier release.
///
/// # Errors
/// `Unavailable` when it cannot be read, `Corrupt` when it is no number.
pub fn read(folder: &Path) -> Result<Option<u64>> {
    let path = path(folder);
    let stored = match std::fs::read(&path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        stored => stored.map_err(|cause| io_failed(&path, cause))?,
    };
    let number = stored.chunks(SLOT_BYTES).filter_map(parse).max();
    number.map(Some).ok_or_else(|| {
        Error::corrupt(format!(
            "{} does not say how far the log of the store got; restore a backup, or delete that \
             file to go on without knowing whether a write is missing",
            path.display()
        ))
    })
}

fn parse(slot: &[u8]) -> Option<u64> {
    let (number, sum) = slot.split_first_chunk::<8>()?;
    (xxh3_64(number).to_le_bytes() == *sum).then(|| u64::from_le_bytes(*number))
}

impl Acknowledged {
    /// Keeps the number of a store from now on, which is `number` now.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn create(folder: &Path, number: u64) -> Result<Self> {
        let path = path(folder);
        disk::write_whole(&path, &[slot(number); 3].concat())?;
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(|cause| io_failed(&path, cause))?;
        Ok(Self { file, last: Mutex::new(Last { number, slot: 1 }) })
    }

    /// Says that all writes up to this number are on the disk.
    pub fn raise(&self, number: u64) {
        let mut last = self.last.lock();
        if number <= last.number {
            return;
        }
        match self.write(last.slot, number) {
            Ok(()) => *last = Last { number, slot: 3 - last.slot },
            // The log has it: what is not told of is found missing by nobody, no more.
            Err(cause) => tracing::warn!(%cause, "how far the log got is not kept"),
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, slot: u64, number: u64) -> std::io::Result<()> {
        self.file.write_all_at(&self::slot(number), slot * SLOT_BYTES as u64)
    }
}

/// A number with its checksum.
fn slot(number: u64) -> [u8; SLOT_BYTES] {
    let number = number.to_le_bytes();
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&number);
    bytes[8..].copy_from_slice(&xxh3_64(&number).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_number_that_is_whole_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let kept = Acknowledged::create(folder.path(), 7).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(7));
        for number in [8, 12, 11, 13] {
            kept.raise(number);
        }
        assert_eq!(read(folder.path()).unwrap(), Some(13));
        let whole = std::fs::read(path(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(path(folder.path()), &flipped).unwrap();
            assert!([12, 13].contains(&read(folder.path()).unwrap().unwrap()), "byte {at}");
        }
        let torn = [&whole[..16], &[1; 32]].concat();
        std::fs::write(path(folder.path()), torn).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(7), "what it was at opening");
        std::fs::write(path(folder.path()), b"").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), hitherto_core::Kind::Corrupt);
    }
}
