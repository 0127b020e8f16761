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
//!
//! A read of many rows locks each of the shards that it needs once, for as long
//! as it takes to copy the rows out; nobody waits for a disk meanwhile.

mod shard;

use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::keys::{self, LatestKeys};
use crate::store::{GenerationId, Rows};
use shard::{Candidate, Shard};

/// Parts of the table that are locked apart.
const SHARDS_MAX: usize = 16;
/// A shard is not made smaller than this.
const SHARD_BYTES_MIN: usize = 1 << 20;
/// Rows that are fetched from memory together: more than the processor waits for
/// at a time, fewer than its first cache holds.
const TOGETHER: usize = 32;

/// Different in every process: who chooses keys cannot choose where they go.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

/// Generations by the first bytes of their keys.
type Generation = [u8; keys::GENERATION_BYTES];

fn hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, *SEED)
}

/// Rows of latest facts by key. Shared by all threads.
pub struct RowTable {
    /// A power of two.
    shards: Vec<RwLock<Shard>>,
    clock: AtomicU64,
    written: RwLock<HashMap<Generation, u64>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl RowTable {
    /// An empty one that holds at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        Self {
            shards: (0..shards).map(|_| RwLock::new(Shard::new(bytes_max / shards))).collect(),
            clock: AtomicU64::new(0),
            written: RwLock::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The stamp of a snapshot; to be taken before the snapshot is.
    pub fn stamp(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Whether nothing of these generations was or is being written since a stamp
    /// was taken: a snapshot of the database made before asking is then one of that
    /// moment.
    pub fn are_unwritten_since(&self, stamp: u64, generations: &[GenerationId]) -> bool {
        generations.iter().all(|id| self.written(&keys::generation(*id)) <= stamp)
    }

    /// What a snapshot with this stamp may take and leave.
    pub fn of_snapshot(&self, stamp: u64) -> SnapshotRows<'_> {
        SnapshotRows { table: self, stamp, generation: None }
    }

    /// Says that rows of a generation are about to change; they have when the
    /// returned value is dropped. One write to a generation at a time.
    pub fn begin_write(&self, generation: GenerationId) -> Write<'_> {
        let write = Write { table: self, generation: keys::generation(generation) };
        write.note(u64::MAX);
        write
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let bytes = |shard: &RwLock<Shard>| read(shard).bytes();
        self.shards.iter().map(bytes).sum()
    }

    /// Rows found so far, with those of which it was found that there are none.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Rows not found so far.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn shard_of(&self, hash: u64) -> usize {
        hash as usize & (self.shards.len() - 1)
    }

    fn written(&self, generation: &Generation) -> u64 {
        read(&self.written).get(generation).copied().unwrap_or(0)
    }
}

/// A lock whose holder broke off guards what is still whole: an entry is pointed at
/// only once it is there.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// A write under way.
pub struct Write<'t> {
    table: &'t RowTable,
    generation: Generation,
}

impl Write<'_> {
    fn note(&self, stamp: u64) {
        let mut written = self.table.written.write().unwrap_or_else(PoisonError::into_inner);
        written.insert(self.generation, stamp);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.note(self.table.clock.fetch_add(1, Ordering::SeqCst) + 1);
    }
}

/// The table as one snapshot sees it.
pub struct SnapshotRows<'t> {
    table: &'t RowTable,
    stamp: u64,
    /// The generation of the last key, and when it was written: keys of one
    /// generation come together.
    generation: Option<(Generation, u64)>,
}

impl SnapshotRows<'_> {
    /// Copies those rows that the snapshot would read and that are here; gives
    /// the numbers of the keys whose rows are not.
    pub fn take(&mut self, keys: &LatestKeys, rows: &mut Rows) -> Vec<usize> {
        let hashes: Vec<u64> = keys.iter().map(hash).collect();
        let mut is_needed = [false; SHARDS_MAX];
        hashes.iter().for_each(|hash| is_needed[self.table.shard_of(*hash)] = true);
        // In one order for everybody, or two readers could wait for each other behind
        // writers who wait for both.
        let shards: [Option<RwLockReadGuard<'_, Shard>>; SHARDS_MAX] =
            array::from_fn(|shard| is_needed[shard].then(|| read(&self.table.shards[shard])));
        let shard = |hash: u64| shards[self.table.shard_of(hash)].as_deref();
        let mut found: [Option<Candidate>; TOGETHER] = [None; TOGETHER];
        let mut missing = Vec::new();
        let mut keys = keys.iter();
        for (start, hashes) in (0..).step_by(TOGETHER).zip(hashes.chunks(TOGETHER)) {
            for (hash, found) in hashes.iter().zip(&mut found) {
                *found = shard(*hash).and_then(|shard| shard.candidate(*hash));
            }
            let touched = hashes.iter().zip(&found).map(|(hash, found)| {
                found.zip(shard(*hash)).map_or(0, |(candidate, shard)| shard.touch(candidate))
            });
            black_box(touched.fold(0, |touched, byte| touched ^ byte));
            let each = hashes.iter().zip(&found).zip(&mut keys).enumerate();
            for (index, ((hash, found), key)) in each {
                let written = written(self.table, &mut self.generation, key);
                let entry = found
                    .zip(shard(*hash))
                    .and_then(|(candidate, shard)| shard.read(*hash, key, candidate))
                    .filter(|entry| written <= entry.stamp && entry.stamp <= self.stamp);
                match entry.map(|entry| entry.row) {
                    Some(Some(row)) => rows.set(start + index, row),
                    Some(None) => {}
                    None => missing.push(start + index),
                }
            }
        }
        self.table.hits.fetch_add((hashes.len() - missing.len()) as u64, Ordering::Relaxed);
        self.table.misses.fetch_add(missing.len() as u64, Ordering::Relaxed);
        missing
    }

    /// Leaves a row that the snapshot has read, or that there is none.
    pub fn leave(&mut self, key: &[u8], row: Option<&[u8]>) {
        if written(self.table, &mut self.generation, key) <= self.stamp {
            let hash = hash(key);
            let shard = &self.table.shards[self.table.shard_of(hash)];
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.write(hash, key, self.stamp, row);
        }
    }
}

/// When the generation of a key was written, remembered from key to key.
fn written(table: &RowTable, last: &mut Option<(Generation, u64)>, key: &[u8]) -> u64 {
    let Some(of_key) = key.first_chunk::<{ keys::GENERATION_BYTES }>() else { return u64::MAX };
    match last {
        Some((generation, written)) if generation == of_key => *written,
        _ => {
            let written = table.written(of_key);
            *last = Some((*of_key, written));
            written
        }
    }
}

#[cfg(test)]
mod tests;
