//! Facts on their way through a contest.

use crate::rule::Times;

/// A fact at its slot.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub(super) slot: u32,
    /// The fact's row, as its batch or file counts.
    pub row: u32,
    /// Its times.
    pub times: Times,
}

/// Facts on their way through a contest. Reused from batch to batch.
#[derive(Default)]
pub struct Entries {
    pub(super) facts: Vec<Entry>,
    /// Those of them that a step leaves, until it ends.
    pub(super) kept: Vec<Entry>,
    pub(super) unknown: Vec<(u32, Times)>,
}

impl Entries {
    /// The facts, as the last step left them.
    pub fn facts(&self) -> &[Entry] {
        &self.facts
    }

    /// Moves the facts out, behind those in `to`.
    pub fn drain_into(&mut self, to: &mut Entries) {
        to.facts.append(&mut self.facts);
    }

    /// Gives each fact another row number, in the order in which they are.
    pub fn renumber(&mut self, mut number: impl FnMut(u32) -> u32) {
        self.facts.iter_mut().for_each(|fact| fact.row = number(fact.row));
    }

    /// Drops the facts.
    pub fn clear(&mut self) {
        self.facts.clear();
    }
}
