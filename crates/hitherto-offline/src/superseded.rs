//! Facts that a newer one of their entity has made worthless, found before they are
//! encoded and sorted.
//!
//! An online copy answers from a horizon on. Of an entity's facts that are visible at
//! it, the greatest answers there, and no other ever again. So a fact that ranks below
//! one that was read before, both visible at the horizon, can be dropped. Files are read
//! newest first, which makes that nearly all facts of a long history.
//!
//! ```text
//! bucket = hash of the entity key:  | key, times | key, times | key, times | key, times |
//! ```
//!
//! The table forgets: where a bucket is full an entry makes room. That costs sorting a
//! fact for nothing, and never an answer. Longer keys are not looked for.

use std::sync::{Mutex, PoisonError};

use hitherto_core::definition::Known;
use hitherto_core::rule::Times;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of an entity key that is looked for.
const KEY_BYTES_MAX: usize = 16;
/// Entries of a bucket.
const WAYS: usize = 4;
/// Parts of the table that are locked apart.
const SHARDS: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    key: [u8; KEY_BYTES_MAX],
    /// One more than the key's length; 0 is no entry.
    length: u8,
    times: Times,
}

const NONE: Entry =
    Entry { key: [0; KEY_BYTES_MAX], length: 0, times: Times { event: 0, known: 0 } };

/// What was read of each entity, as far as it is remembered. Shared by all threads.
pub(crate) struct Superseded {
    horizon: i64,
    /// Buckets that a shard grows to.
    buckets_max: usize,
    shards: Vec<Mutex<Shard>>,
}

/// One part of the table: as large as what was read makes it.
#[derive(Default)]
struct Shard {
    buckets: Vec<[Entry; WAYS]>,
    held: usize,
}

impl Superseded {
    /// Nothing was read yet; the table grows to about so many bytes.
    pub fn new(horizon: i64, bytes_max: usize) -> Self {
        let buckets_max = (bytes_max / SHARDS / size_of::<[Entry; WAYS]>()).max(1);
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { horizon, buckets_max, shards }
    }

    /// Whether a fact that is read now can answer nothing, because of one that was read
    /// before.
    pub fn is(&self, key: &[u8], times: Times) -> bool {
        if key.len() > KEY_BYTES_MAX || times.visible(Known::Honor) > self.horizon {
            return false;
        }
        let mut entry = Entry { length: key.len() as u8 + 1, times, ..NONE };
        entry.key[..key.len()].copy_from_slice(key);
        let shard = &self.shards[entry.hash() as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.held >= shard.buckets.len() * WAYS / 2 {
            shard.grow(self.buckets_max);
        }
        let same = shard.bucket(&entry).iter_mut().find(|held| held.is_of(&entry));
        if let Some(held) = same {
            let is_superseded = times < held.times;
            held.times = held.times.max(times);
            return is_superseded;
        }
        shard.hold(entry);
        false
    }
}

impl Shard {
    /// Doubles it, if it may grow.
    fn grow(&mut self, buckets_max: usize) {
        let buckets = (self.buckets.len() * 2).clamp(1, buckets_max);
        if buckets > self.buckets.len() {
            let before = std::mem::replace(&mut self.buckets, vec![[NONE; WAYS]; buckets]);
            self.held = 0;
            let held = before.into_iter().flatten().filter(|entry| entry.length > 0);
            held.for_each(|entry| self.hold(entry));
        }
    }

    /// Where an entry is, or will be.
    fn bucket(&mut self, entry: &Entry) -> &mut [Entry; WAYS] {
        let bucket = (entry.hash() >> 8) as usize % self.buckets.len();
        &mut self.buckets[bucket]
    }

    /// Keeps an entry that is not there; another makes room for it if it must.
    fn hold(&mut self, entry: Entry) {
        let bucket = self.bucket(&entry);
        let free = bucket.iter().position(|held| held.length == 0);
        bucket[free.unwrap_or((entry.hash() >> 56) as usize % WAYS)] = entry;
        self.held += usize::from(free.is_some());
    }
}

impl Entry {
    fn hash(&self) -> u64 {
        xxh3_64(&self.key[..usize::from(self.length - 1)])
    }

    fn is_of(&self, other: &Entry) -> bool {
        (self.length, self.key) == (other.length, other.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_newer_visible_fact_outranks_is_dropped() {
        let times = |event, known| Times { event, known };
        let facts = Superseded::new(100, 1 << 20);
        assert!(!facts.is(b"a", times(50, 50)), "the first");
        assert!(facts.is(b"a", times(49, 99)));
        assert!(facts.is(b"a", times(50, 49)), "a restatement that was known earlier");
        assert!(!facts.is(b"a", times(50, 50)), "of equal times the bytes decide");
        assert!(!facts.is(b"a", times(40, 101)), "not visible at the horizon");
        assert!(!facts.is(b"b", times(1, 1)) && !facts.is(b"", times(1, 1)), "others");
        assert!(!facts.is(b"c", times(101, 101)) && !facts.is(b"c", times(3, 3)));
        assert!(!facts.is(&[7; 17], times(50, 50)) && !facts.is(&[7; 17], times(1, 1)));
    }

    #[test]
    fn a_table_that_is_too_small_forgets_and_errs_on_one_side() {
        let facts = Superseded::new(i64::MAX, 1);
        for newest in [9, 5, 9, 1] {
            for entity in 0..5_000_u32 {
                let times = Times { event: newest, known: newest };
                let dropped = facts.is(&entity.to_be_bytes(), times);
                assert!(!dropped || newest < 9, "the greatest is never dropped");
            }
        }
    }
}
