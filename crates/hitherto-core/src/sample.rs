//! Which facts a verification asks about, and when.
//!
//! ```text
//! facts, in any order --> the `max` whose hash with the seed is smallest
//!                         --> a moment of each, picked by the same hash
//! ```
//!
//! Taking the smallest hashes gives a uniform sample of any stream in one pass,
//! in memory of the sample's size, and the same one for the same seed however
//! the facts are ordered or split into files. Moments are picked where the rule
//! changes its mind: as a fact becomes visible, as it expires, and one
//! microsecond to the other side.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::Xxh3;

use crate::definition::Known;
use crate::rule::Times;

/// One fact of a sample. Ordered by its hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// The hash that chose it, and chooses its moment.
    pub draw: u64,
    /// Its encoded entity key.
    pub key: Vec<u8>,
    /// When it happened and was known.
    pub times: Times,
}

/// A uniform sample of facts, made in one pass. Equal facts are one.
#[derive(Clone, Debug)]
pub struct Sample {
    max: usize,
    seed: u64,
    drawn: BTreeSet<Drawn>,
}

impl Sample {
    /// An empty sample of at most `max` facts.
    pub fn new(max: usize, seed: u64) -> Self {
        Self { max, seed, drawn: BTreeSet::new() }
    }

    /// Offers a fact.
    pub fn offer(&mut self, key: &[u8], times: Times) {
        let draw = self.draw(key, times);
        let is_full = self.drawn.len() >= self.max;
        let is_beyond = self.drawn.last().is_none_or(|last| draw > last.draw);
        if is_full && is_beyond {
            return;
        }
        self.drawn.insert(Drawn { draw, key: key.to_vec(), times });
        if self.drawn.len() > self.max {
            self.drawn.pop_last();
        }
    }

    /// The facts drawn, by their hashes.
    pub fn into_facts(self) -> impl Iterator<Item = Drawn> {
        self.drawn.into_iter()
    }

    fn draw(&self, key: &[u8], times: Times) -> u64 {
        let mut hash = Xxh3::with_seed(self.seed);
        hash.update(key);
        hash.update(&times.event.to_le_bytes());
        hash.update(&times.known.to_le_bytes());
        hash.digest()
    }
}

/// What decides where a view's rule changes its mind.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// How long after it happened a fact begins to count, in microseconds.
    pub offset_micros: i64,
    /// The age up to which it counts, in microseconds: the view's ttl, or where a window ends.
    pub ttl_micros: Option<i64>,
    /// Whether known time counts.
    pub known: Known,
    /// No moment lies before it.
    pub horizon: i64,
    /// The present, microseconds UTC.
    pub now: i64,
}

impl Drawn {
    /// The moment at which to ask about this fact's entity.
    pub fn moment(&self, span: Span) -> i64 {
        let inside = self.times.event.saturating_add(span.offset_micros);
        let visible = self.times.visible(span.known).max(inside);
        let expiry = match span.ttl_micros {
            Some(ttl) => self.times.event.saturating_add(ttl),
            None => span.now,
        };
        let moment = match self.draw % 7 {
            0 => visible,
            1 => visible.saturating_sub(1),
            2 => self.times.event,
            3 => expiry,
            4 => expiry.saturating_add(1),
            5 => between(visible.max(span.horizon), expiry, self.draw / 7),
            _ => span.now,
        };
        moment.max(span.horizon)
    }
}

/// A time from `from` to `to`, both included; `from` where `to` is not later.
fn between(from: i64, to: i64, draw: u64) -> i64 {
    let width = to.saturating_sub(from).max(0) as u64;
    from.saturating_add_unsigned(draw % width.saturating_add(1))
}

#[cfg(test)]
mod tests;
