//! Latest rows kept in memory, and which of them still hold.
//!
//! A point lookup through RocksDB searches an index, a block and a filter; a
//! table of whole rows does not. A row in the table is what some snapshot read,
//! and another snapshot may be older or newer, so every entry carries the
//! moment of its snapshot, and every write to a generation leaves one behind:
//!
//! ```text
//! clock      3          4                      5            counts finished writes
//! write        |ingest|   .      .   |ingest|               to this generation
//! written    MAX-------4  .      .   MAX------5             see `begin_write`
//! snapshot                S                                 stamp 4
//! entry                          E                          stamp 4
//! ```
//!
//! *An entry with stamp `E` answers a snapshot with stamp `S` if, for its
//! generation, `written <= E <= S`.* A snapshot takes its stamp before RocksDB's
//! snapshot, so one whose stamp is at least `written` contains that write. While
//! a write is under way `written` is MAX and nobody takes or leaves a row of
//! that generation; others go on. An entry that was read before a write and put
//! here after it has a stamp below `written`, and is never taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::keys;
use crate::store::GenerationId;

/// Bytes of an entry beside its key and row: the table's and the allocator's.
const ENTRY_BYTES: usize = 96;
/// Bytes of a usual entry, by which the table is laid out.
const ENTRY_BYTES_USUAL: usize = 512;

/// Generations by the first bytes of their keys.
type Generation = [u8; keys::GENERATION_BYTES];

/// Rows of latest facts by key. Shared by all threads.
pub struct RowCache {
    rows: Cache<Box<[u8]>, Entry, EntryBytes>,
    clock: AtomicU64,
    written: RwLock<HashMap<Generation, u64>>,
}

#[derive(Clone)]
struct Entry {
    stamp: u64,
    row: Arc<[u8]>,
}

#[derive(Clone)]
struct EntryBytes;

impl Weighter<Box<[u8]>, Entry> for EntryBytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Entry) -> u64 {
        (key.len() + entry.row.len() + ENTRY_BYTES) as u64
    }
}

impl RowCache {
    /// An empty one that holds at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let entries = (bytes_max / ENTRY_BYTES_USUAL).max(1);
        Self {
            rows: Cache::with_weighter(entries, bytes_max as u64, EntryBytes),
            clock: AtomicU64::new(0),
            written: RwLock::default(),
        }
    }

    /// The stamp of a snapshot; to be taken before the snapshot is.
    pub fn stamp(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// What a snapshot with this stamp may take and leave.
    pub fn of_snapshot(&self, stamp: u64) -> SnapshotRows<'_> {
        SnapshotRows { cache: self, stamp, generation: None }
    }

    /// Says that rows of a generation are about to change; they have when the
    /// returned value is dropped. One write to a generation at a time.
    pub fn begin_write(&self, generation: GenerationId) -> Write<'_> {
        let write = Write { cache: self, generation: keys::generation(generation) };
        write.note(u64::MAX);
        write
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.rows.weight()
    }

    /// Rows found so far.
    pub fn hits(&self) -> u64 {
        self.rows.hits()
    }

    /// Rows not found so far.
    pub fn misses(&self) -> u64 {
        self.rows.misses()
    }

    fn written(&self, generation: &Generation) -> u64 {
        let written = self.written.read().unwrap_or_else(PoisonError::into_inner);
        written.get(generation).copied().unwrap_or(0)
    }
}

/// A write under way.
pub struct Write<'c> {
    cache: &'c RowCache,
    generation: Generation,
}

impl Write<'_> {
    fn note(&self, stamp: u64) {
        let mut written = self.cache.written.write().unwrap_or_else(PoisonError::into_inner);
        written.insert(self.generation, stamp);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.note(self.cache.clock.fetch_add(1, Ordering::SeqCst) + 1);
    }
}

/// The cache as one snapshot sees it.
pub struct SnapshotRows<'c> {
    cache: &'c RowCache,
    stamp: u64,
    /// The generation of the last key, and when it was written: keys of one
    /// generation come together.
    generation: Option<(Generation, u64)>,
}

impl SnapshotRows<'_> {
    /// The row that the snapshot would read, if it is here.
    pub fn get(&mut self, key: &[u8]) -> Option<Arc<[u8]>> {
        let written = self.written(key)?;
        let entry = self.cache.rows.get(key)?;
        (written <= entry.stamp && entry.stamp <= self.stamp).then_some(entry.row)
    }

    /// Leaves a row that the snapshot has read.
    pub fn put(&mut self, key: &[u8], row: &[u8]) {
        if self.written(key).is_some_and(|written| written <= self.stamp) {
            self.cache.rows.insert(key.into(), Entry { stamp: self.stamp, row: row.into() });
        }
    }

    fn written(&mut self, key: &[u8]) -> Option<u64> {
        let of_key: Generation = *key.first_chunk()?;
        match self.generation {
            Some((generation, written)) if generation == of_key => Some(written),
            _ => {
                let written = self.cache.written(&of_key);
                self.generation = Some((of_key, written));
                Some(written)
            }
        }
    }
}

#[cfg(test)]
mod tests;
