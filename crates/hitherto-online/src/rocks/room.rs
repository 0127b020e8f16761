//! Room on the disk: nothing is begun that a full disk would break off.
//!
//! ```text
//! free  |.............................|##########|
//!        facts, loads, catalogs        kept       what has begun ends here: rows of facts
//!        begin while this is there     free       that are logged, memtables, compaction
//! ```
//!
//! RocksDB takes it hard when its log cannot be written. It stops all writes, and looks every
//! five seconds whether there is room for its largest memtable: so writes are refused before
//! it would come to that, and are taken again in the moment in which there is room. Where
//! somebody else fills the disk faster than that is seen, RocksDB goes on by itself; that
//! nothing can be written until then is found by the write that failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use hitherto_core::limits::{DISK_KEPT_BYTES, DISK_KEPT_PARTS};
use hitherto_core::{Error, Result};
use rustix::fs::statvfs;

/// The disk that a store is on.
pub struct Room {
    folder: PathBuf,
    /// Bytes that are kept free.
    kept: u64,
    /// Whether the last write failed.
    has_failed: AtomicBool,
}

impl Room {
    /// Looks at the disk of a folder.
    pub fn of(folder: &Path) -> Self {
        let size = statvfs(folder).map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        let kept = size.map_or(DISK_KEPT_BYTES, kept_of);
        Self { folder: folder.to_owned(), kept, has_failed: AtomicBool::new(false) }
    }

    /// Bytes that are kept free; a memtable is as large.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Refuses to begin what writes, if there is no room for it. One call of the system, no I/O.
    ///
    /// # Errors
    /// `Unavailable` until somebody makes room.
    pub fn check(&self) -> Result<()> {
        // What cannot be looked at is written to and says for itself what is wrong.
        let Ok(disk) = statvfs(&self.folder) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= self.kept {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the disk of the store {} is full: {} MiB are free, and {} MiB are kept for what has \
             begun; make room, and writes are taken again without a restart",
            self.folder.display(),
            free >> 20,
            self.kept >> 20
        )))
    }

    /// Notes how a write ended, and hands its outcome on.
    pub fn wrote<T, E>(&self, outcome: std::result::Result<T, E>) -> std::result::Result<T, E> {
        self.has_failed.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    /// Whether the last write failed.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }
}

/// What is kept of a disk of this size.
fn kept_of(size: u64) -> u64 {
    (size / DISK_KEPT_PARTS).clamp(1 << 20, DISK_KEPT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_kept_of_a_small_disk() {
        assert_eq!(kept_of(1 << 40), DISK_KEPT_BYTES);
        assert_eq!(kept_of(64 << 20), 4 << 20);
        assert_eq!(kept_of(0), 1 << 20, "a disk that does not say");
        let room = Room::of(&std::env::temp_dir());
        room.check().unwrap();
        let full = Room { kept: u64::MAX, ..room };
        let refusal = full.check().unwrap_err();
        assert_eq!(refusal.kind(), hitherto_core::Kind::Unavailable);
        assert!(refusal.to_string().contains("make room"), "{refusal}");
    }
}
