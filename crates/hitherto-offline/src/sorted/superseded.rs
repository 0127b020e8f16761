//! Facts that a newer one of their entity has made worthless, found before they are
//! read any further.
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

use std::hint::black_box;

use hitherto_core::definition::Known;
use hitherto_core::rule::Times;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::candidates::{Candidate, Candidates};

/// Bytes of an entity key that is looked for.
const KEY_BYTES_MAX: usize = 16;
/// Entries of a bucket.
const WAYS: usize = 4;
/// Parts of the table that are locked apart.
const SHARDS: usize = 64;
/// Facts whose buckets are fetched together: what one of them waits for in memory,
/// others wait for at the same time.
const TOGETHER: usize = 32;

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
pub struct Superseded {
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

/// A fact that is looked for.
#[derive(Clone, Copy)]
struct Wanted {
    hash: u64,
    fact: usize,
}

impl Superseded {
    /// Nothing was read yet; the table grows to about so many bytes.
    pub fn new(horizon: i64, bytes_max: usize) -> Self {
        let buckets_max = (bytes_max / SHARDS / size_of::<[Entry; WAYS]>()).max(1);
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { horizon, buckets_max, shards }
    }

    /// Drops those facts from number `from` on that can answer nothing, because of one
    /// that was read before or is among them; the others are remembered.
    pub fn drop_worthless(&self, candidates: &mut Candidates, from: usize) {
        let mut wanted: [Vec<Wanted>; SHARDS] = std::array::from_fn(|_| Vec::new());
        for (fact, candidate) in candidates.facts.iter().enumerate().skip(from) {
            let key = candidates.key(candidate);
            let is_visible = candidate.times.visible(Known::Honor) <= self.horizon;
            if is_visible && key.len() <= KEY_BYTES_MAX {
                let hash = xxh3_64(key);
                wanted[hash as usize % SHARDS].push(Wanted { hash, fact });
            }
        }
        let mut is_worthless = vec![false; candidates.facts.len() - from];
        for (shard, wanted) in self.shards.iter().zip(&wanted) {
            let mut shard = shard.lock();
            for wanted in wanted.chunks(TOGETHER) {
                shard.grow(wanted.len(), self.buckets_max);
                shard.fetch(wanted);
                for Wanted { hash, fact } in wanted {
                    let candidate = &candidates.facts[*fact];
                    let entry = Entry::new(candidate, candidates.key(candidate));
                    is_worthless[*fact - from] = shard.offer(*hash, entry);
                }
            }
        }
        let mut end = from;
        for (fact, is_worthless) in is_worthless.into_iter().enumerate() {
            if !is_worthless {
                candidates.facts[end] = candidates.facts[from + fact];
                end += 1;
            }
        }
        candidates.facts.truncate(end);
    }
}

impl Shard {
    /// Makes room for so many more, if it may grow.
    fn grow(&mut self, more: usize, buckets_max: usize) {
        while (self.held + more) * 2 > self.buckets.len() * WAYS {
            let buckets = (self.buckets.len() * 2).clamp(1, buckets_max);
            if buckets == self.buckets.len() {
                return;
            }
            let before = std::mem::replace(&mut self.buckets, vec![[NONE; WAYS]; buckets]);
            self.held = 0;
            let held = before.into_iter().flatten().filter(|entry| entry.length > 0);
            held.for_each(|entry| self.hold(entry.hash(), entry));
        }
    }

    /// Brings the buckets of facts near.
    fn fetch(&self, wanted: &[Wanted]) {
        let lengths = wanted.iter().map(|wanted| {
            let bucket = &self.buckets[self.bucket(wanted.hash)];
            bucket.iter().fold(0, |lengths, entry| lengths ^ entry.length)
        });
        black_box(lengths.fold(0, |all, lengths| all ^ lengths));
    }

    /// Whether a fact is superseded by what is held; if not it is held itself.
    fn offer(&mut self, hash: u64, entry: Entry) -> bool {
        let bucket = self.bucket(hash);
        let same = self.buckets[bucket].iter_mut().find(|held| held.is_of(&entry));
        let Some(held) = same else {
            self.hold(hash, entry);
            return false;
        };
        let is_superseded = entry.times < held.times;
        held.times = held.times.max(entry.times);
        is_superseded
    }

    /// Which bucket an entry is in, or will be.
    fn bucket(&self, hash: u64) -> usize {
        (hash >> 8) as usize % self.buckets.len()
    }

    /// Keeps an entry that is not there; another makes room for it if it must.
    fn hold(&mut self, hash: u64, entry: Entry) {
        let bucket = self.bucket(hash);
        let bucket = &mut self.buckets[bucket];
        let free = bucket.iter().position(|held| held.length == 0);
        bucket[free.unwrap_or((hash >> 56) as usize % WAYS)] = entry;
        self.held += usize::from(free.is_some());
    }
}

impl Entry {
    fn new(fact: &Candidate, key: &[u8]) -> Self {
        let mut entry = Entry { length: key.len() as u8 + 1, times: fact.times, ..NONE };
        entry.key[..key.len()].copy_from_slice(key);
        entry
    }

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

    /// Which of some facts of one batch are kept.
    fn kept(table: &Superseded, facts: &[(&[u8], i64, i64)]) -> Vec<bool> {
        let mut candidates = Candidates::default();
        for (row, (key, event, known)) in facts.iter().enumerate() {
            candidates.push(key, Times { event: *event, known: *known }, row, false);
        }
        table.drop_worthless(&mut candidates, 0);
        let rows: Vec<u32> = candidates.facts.iter().map(|fact| fact.row).collect();
        (0..facts.len()).map(|row| rows.contains(&(row as u32))).collect()
    }

    #[test]
    fn only_what_a_newer_visible_fact_outranks_is_dropped() {
        let facts = Superseded::new(100, 1 << 20);
        assert_eq!(kept(&facts, &[(b"a", 50, 50)]), [true], "the first");
        assert_eq!(kept(&facts, &[(b"a", 49, 99)]), [false]);
        assert_eq!(kept(&facts, &[(b"a", 50, 49)]), [false], "a restatement known earlier");
        assert_eq!(kept(&facts, &[(b"a", 50, 50)]), [true], "of equal times the bytes decide");
        assert_eq!(kept(&facts, &[(b"a", 40, 101)]), [true], "not visible at the horizon");
        assert_eq!(kept(&facts, &[(b"b", 1, 1), (b"", 1, 1)]), [true, true], "others");
        assert_eq!(kept(&facts, &[(b"c", 101, 101), (b"c", 3, 3)]), [true, true]);
        let long: &[u8] = &[7; 17];
        assert_eq!(kept(&facts, &[(long, 50, 50), (long, 1, 1)]), [true, true]);
    }

    #[test]
    fn a_table_that_is_too_small_forgets_and_errs_on_one_side() {
        let facts = Superseded::new(i64::MAX, 1);
        for newest in [9, 5, 9, 1] {
            for entity in 0..5_000_u32 {
                let is_kept = kept(&facts, &[(&entity.to_be_bytes(), newest, newest)])[0];
                assert!(is_kept || newest < 9, "the greatest is never dropped");
            }
        }
    }
}
