//! Facts of which it is not decided yet whether they can answer, by key and times alone.

use hitherto_api::TimeRange;
use hitherto_core::rule::Times;

use crate::facts::{FactHeads, Placed};

/// Keys and times of facts. Reused from batch to batch.
#[derive(Default)]
pub struct Candidates {
    /// All keys, one behind the other.
    keys: Vec<u8>,
    /// The facts, by ascending row.
    pub facts: Vec<Candidate>,
}

/// One fact.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// The fact's row, as its batch or row group counts.
    pub row: u32,
    /// Its times.
    pub times: Times,
    /// Whether it is a deletion.
    pub is_deletion: bool,
    key: (usize, usize),
}

impl Placed for Candidate {
    fn row(&self) -> u32 {
        self.row
    }

    fn times(&self) -> Times {
        self.times
    }
}

/// How many facts of a batch were turned away at once.
#[derive(Clone, Copy, Default)]
pub struct Refused {
    /// They have no event time.
    pub without_time: u64,
    /// A join key is null.
    pub without_key: u64,
    /// They happened outside of the window.
    pub outside: u64,
}

impl Candidates {
    /// Drops all.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.facts.clear();
    }

    /// Adds those of a batch that can answer anything at all and happened within a
    /// window; their rows count from `first_row`.
    pub fn add(&mut self, heads: &FactHeads, first_row: usize, window: TimeRange) -> Refused {
        let (mut refused, mut key) = (Refused::default(), Vec::new());
        for index in 0..heads.len() {
            if !heads.keys.read_into(index, &mut key) {
                refused.without_key += 1;
                continue;
            }
            let Some(times) = heads.times(index) else {
                refused.without_time += 1;
                continue;
            };
            if !window.has(times.event) {
                refused.outside += 1;
                continue;
            }
            self.push(&key, times, first_row + index, heads.is_deletion(index));
        }
        refused
    }

    /// Adds one.
    pub fn push(&mut self, key: &[u8], times: Times, row: usize, is_deletion: bool) {
        let place = (self.keys.len(), key.len());
        self.facts.push(Candidate { row: row as u32, times, is_deletion, key: place });
        self.keys.extend_from_slice(key);
    }

    /// The encoded entity key of a fact.
    pub fn key(&self, fact: &Candidate) -> &[u8] {
        let (start, length) = fact.key;
        &self.keys[start..start + length]
    }
}
