//! Latest rows and short histories kept in memory, and which of them still hold.
//!
//! A point lookup through RocksDB searches an index, a block and a filter; a
//! table of whole rows does not. A row in the table is what some snapshot read,
//! and another snapshot may be older or newer, so every entry carries the
//! moment of its snapshot, and every write leaves one behind: a load with its
//! generation, facts that are put with each of their keys.
//!
//! ```text
//! clock      3          4                      5            counts finished writes
//! load         |ingest|   .      .   |ingest|               to this generation
//! loaded     MAX-------4  .      .   MAX------5             see `begin_load`
//! snapshot                S                                 stamp 4
//! entry                          E                          stamp 4
//! ```
//!
//! *An entry with stamp `E` answers a snapshot with stamp `S` if, for its
//! generation, `loaded <= E <= S`.* A snapshot takes its stamp before RocksDB's
//! snapshot, so one whose stamp is at least `loaded` contains that load. While
//! a load is under way `loaded` is MAX and nobody takes or leaves a row of
//! that generation; others go on. An entry that was read before a load and put
//! here after it has a stamp below `loaded`, and is never taken.
//!
//! Facts that are put change few keys. These lose their entries before, and have new
//! ones after, so an entry that is there holds from `E` until now; meanwhile whoever
//! wants them asks RocksDB. What a snapshot read of a key is left here only if the key
//! was not put since `S`: each shard remembers when, for a few thousand groups of keys.
//!
//! A read of many rows locks each of the shards that it needs once, for as long
//! as it takes to copy the rows out; nobody waits for a disk meanwhile.

mod shard;

use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
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
#[expect(clippy::disallowed_methods, reason = "places of rows, of which no answer knows")]
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

/// Generations by the first bytes of their keys.
type Generation = [u8; keys::GENERATION_BYTES];

/// When a generation was last written; MAX is now.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    loaded: u64,
    put: u64,
}

fn hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, *SEED)
}

/// Rows of latest facts by key. Shared by all threads.
pub struct RowTable {
    /// A power of two.
    shards: Vec<RwLock<Shard>>,
    clock: AtomicU64,
    written: RwLock<HashMap<Generation, Written>>,
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

    /// Whether nothing was or is being loaded into these generations since a stamp was
    /// taken: a snapshot of the database made before asking is then of one moment.
    pub fn are_not_loaded_since(&self, stamp: u64, generations: &[GenerationId]) -> bool {
        generations.iter().all(|id| self.written(&keys::generation(*id)).loaded <= stamp)
    }

    /// Whether these generations were not written at all since a stamp was taken: a
    /// snapshot of the database made before asking is then of that moment.
    pub fn are_unchanged_since(&self, stamp: u64, generations: &[GenerationId]) -> bool {
        generations.iter().all(|id| {
            let written = self.written(&keys::generation(*id));
            written.loaded.max(written.put) <= stamp
        })
    }

    /// What a snapshot with this stamp may take and leave.
    pub fn of_snapshot(&self, stamp: u64) -> SnapshotRows<'_> {
        SnapshotRows { table: self, stamp, generation: None }
    }

    /// Says that any rows of a generation are about to change; they have when the
    /// returned value is dropped. One load of a generation at a time.
    pub fn begin_load(&self, generation: GenerationId) -> Write<'_> {
        let generation = keys::generation(generation);
        Write::begin(self, generation, |written| &mut written.loaded)
    }

    /// Says that these rows of a generation are about to change. One put at a time.
    pub fn begin_put<'t>(&'t self, id: GenerationId, keys: &'t LatestKeys) -> Put<'t> {
        let generation = keys::generation(id);
        let write = Write::begin(self, generation, |written| &mut written.put);
        let hashes: Vec<u64> = keys.iter().map(hash).collect();
        let mut put = Put { write, keys, hashes, was_held: Vec::new() };
        put.was_held = put.change(|shard, hash, key| shard.begin_put(hash, key));
        put
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

    /// The shards of these keys. To be locked in their order, as everybody does, or two
    /// could wait for each other behind others who wait for both.
    fn needed(&self, hashes: &[u64]) -> [bool; SHARDS_MAX] {
        let mut needed = [false; SHARDS_MAX];
        hashes.iter().for_each(|hash| needed[self.shard_of(*hash)] = true);
        needed
    }

    fn written(&self, generation: &Generation) -> Written {
        read(&self.written).get(generation).copied().unwrap_or_default()
    }
}

/// A lock whose holder broke off guards what is still whole: an entry is pointed at
/// only once it is there.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read()
}

/// A write under way.
pub struct Write<'t> {
    table: &'t RowTable,
    generation: Generation,
    /// Which of a generation's stamps it leaves behind.
    what: fn(&mut Written) -> &mut u64,
}

impl<'t> Write<'t> {
    fn begin(
        table: &'t RowTable,
        generation: Generation,
        what: fn(&mut Written) -> &mut u64,
    ) -> Self {
        let write = Self { table, generation, what };
        write.note(u64::MAX);
        write
    }

    fn note(&self, stamp: u64) {
        let mut written = self.table.written.write();
        *(self.what)(written.entry(self.generation).or_default()) = stamp;
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.note(self.table.clock.fetch_add(1, Ordering::SeqCst) + 1);
    }
}

/// Facts that are being put.
pub struct Put<'t> {
    write: Write<'t>,
    keys: &'t LatestKeys,
    hashes: Vec<u64>,
    /// Of each key whether it had an entry.
    was_held: Vec<bool>,
}

impl Put<'_> {
    /// Says that they are put, and what the rows are now to one who read what was
    /// stored at `stamp`; `None` where nobody knows. Those that had an entry have one
    /// again.
    pub fn finish(self, stamp: u64, rows: &[Option<Vec<u8>>]) {
        let table = self.write.table;
        let is_known = table.written(&self.write.generation).loaded <= stamp;
        let now = table.clock.fetch_add(1, Ordering::SeqCst) + 1;
        let mut rows = rows.iter().zip(&self.was_held);
        // They have no entry before the value is dropped, unless it is this one.
        self.change(|shard, hash, key| {
            let row = rows.next().filter(|(_, was_held)| is_known && **was_held);
            if let Some((Some(row), _)) = row {
                shard.write(hash, key, now, Some(row));
            }
        });
    }

    /// Changes the entry of each key, all for one moment of every reader.
    fn change<T>(&self, mut change: impl FnMut(&mut Shard, u64, &[u8]) -> T) -> Vec<T> {
        let table = self.write.table;
        let needed = table.needed(&self.hashes);
        let mut shards: [Option<RwLockWriteGuard<'_, Shard>>; SHARDS_MAX] =
            array::from_fn(|shard| {
                let lock = || table.shards[shard].write();
                needed[shard].then(lock)
            });
        let each = self.hashes.iter().zip(self.keys.iter());
        each.filter_map(|(hash, key)| {
            let shard = shards[table.shard_of(*hash)].as_deref_mut()?;
            Some(change(shard, *hash, key))
        })
        .collect()
    }
}

impl Drop for Put<'_> {
    fn drop(&mut self) {
        // Whether it was finished or has failed: nobody may be kept out for ever.
        let now = self.write.table.clock.fetch_add(1, Ordering::SeqCst) + 1;
        self.change(|shard, hash, _| shard.end_put(hash, now));
    }
}

/// The table as one snapshot sees it.
pub struct SnapshotRows<'t> {
    table: &'t RowTable,
    stamp: u64,
    /// The generation of the last key, and when it was loaded: keys of one
    /// generation come together.
    generation: Option<(Generation, u64)>,
}

impl SnapshotRows<'_> {
    /// Copies those rows that the snapshot would read and that are here; gives
    /// the numbers of the keys whose rows are not.
    pub fn take(&mut self, keys: &LatestKeys, rows: &mut Rows) -> Vec<usize> {
        let hashes: Vec<u64> = keys.iter().map(hash).collect();
        let needed = self.table.needed(&hashes);
        let shards: [Option<RwLockReadGuard<'_, Shard>>; SHARDS_MAX] =
            array::from_fn(|shard| needed[shard].then(|| read(&self.table.shards[shard])));
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
                let loaded = loaded(self.table, &mut self.generation, key);
                let entry = found
                    .zip(shard(*hash))
                    .and_then(|(candidate, shard)| shard.read(*hash, key, candidate))
                    .filter(|entry| loaded <= entry.stamp && entry.stamp <= self.stamp);
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
        if loaded(self.table, &mut self.generation, key) <= self.stamp {
            let hash = hash(key);
            let shard = &self.table.shards[self.table.shard_of(hash)];
            let mut shard = shard.write();
            if shard.last_put(hash) <= self.stamp {
                shard.write(hash, key, self.stamp, row);
            }
        }
    }
}

/// When the generation of a key was loaded, remembered from key to key.
fn loaded(table: &RowTable, last: &mut Option<(Generation, u64)>, key: &[u8]) -> u64 {
    let Some(of_key) = key.first_chunk::<{ keys::GENERATION_BYTES }>() else { return u64::MAX };
    match last {
        Some((generation, loaded)) if generation == of_key => *loaded,
        _ => {
            let loaded = table.written(of_key).loaded;
            *last = Some((*of_key, loaded));
            loaded
        }
    }
}

#[cfg(test)]
mod tests;
