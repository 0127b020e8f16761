//! From facts to slots, many at a time.
//!
//! Finding a slot is three look-ups in memory that no cache holds, each of which
//! needs the one before it: the entity in the table, its range of slots, the
//! slot's time. Fact by fact the processor waits for all three in a row. Here a
//! block of facts makes each step before the next begins, and before a step that
//! branches on what it reads, one without branches touches all of it: the waits
//! overlap.
//!
//! ```text
//!   find_entities   touch the cells; key -> entity     facts of no entity are gone
//!   take_placed     entity -> its place                facts that have their slot are out
//!   find_ranges     entity -> slots                    touch their times
//!   find_slots      max(e, n) -> first slot            all binary searches in step
//! ```

#![expect(
    clippy::needless_range_loop,
    reason = "a step goes through several arrays of a block by one index"
)]

use std::hint::black_box;

use super::Terms;
use super::contest::TimesBatch;
use super::entities::NO_ENTITY;
use super::places::{self, Places};
use super::spine::Spine;
use crate::definition::Known;
use crate::key::batch::KeyBatch;
use crate::rule::Times;

/// Facts of a block: enough to overlap, few enough to stay in the first cache.
pub(super) const BLOCK_FACTS: usize = 256;

/// Marks a fact without a slot.
const NO_SLOT: u32 = u32::MAX;

/// Facts of the spine's entities on their way to their slots.
pub(super) struct Block {
    count: usize,
    rows: [u32; BLOCK_FACTS],
    entities: [u32; BLOCK_FACTS],
    starts: [u32; BLOCK_FACTS],
    ends: [u32; BLOCK_FACTS],
    slots: [u32; BLOCK_FACTS],
}

impl Default for Block {
    fn default() -> Self {
        let none = [NO_SLOT; BLOCK_FACTS];
        Self { count: 0, rows: none, entities: none, starts: none, ends: none, slots: none }
    }
}

impl Block {
    /// Takes the facts from row `start` on whose entities are in the spine.
    pub fn find_entities(
        &mut self,
        spine: &Spine,
        keys: &KeyBatch,
        times: TimesBatch<'_>,
        start: usize,
    ) {
        let rows = start..keys.len().min(start + BLOCK_FACTS);
        let found = &mut self.entities[..rows.len()];
        spine.find_entities(keys, rows.clone(), found);
        self.count = 0;
        for (index, row) in rows.enumerate() {
            let entity = self.entities[index];
            let happened = times.is_absent.is_none_or(|is_absent| !is_absent[row]);
            self.rows[self.count] = row as u32;
            self.entities[self.count] = entity;
            // No branch: whether a fact concerns the spine is as good as random.
            self.count += usize::from(happened & (entity != NO_ENTITY));
        }
    }

    /// Takes out the facts whose first slot is the place of their entity, and shows those
    /// that may win it: their rows and the slot.
    pub fn take_placed(
        &mut self,
        places: &mut Places,
        terms: Terms,
        times: TimesBatch<'_>,
        mut show: impl FnMut(usize, u32),
    ) {
        let entities = &self.entities[..self.count];
        black_box(entities.iter().fold(0, |touched, entity| touched ^ places.touch(*entity)));
        let mut left = 0;
        for index in 0..self.count {
            let (row, entity) = (self.rows[index], self.entities[index]);
            (self.rows[left], self.entities[left]) = (row, entity);
            let fact = times.get(row as usize);
            let is_known = terms.known == Known::Ignore || fact.known <= terms.known_by;
            let is_within = is_known & (fact.event >= places.from);
            let Some(place) = places.get_mut(entity).filter(|_| is_within) else {
                left += 1;
                continue;
            };
            let is_placed = fact.visible(terms.known) <= place.at;
            left += usize::from(!is_placed);
            if is_placed & (fact.event >= place.newest) & (place.slot != places::NO_SLOT) {
                place.newest = fact.event;
                show(row as usize, place.slot);
            }
        }
        self.count = left;
    }

    /// Looks up the slots of their entities.
    pub fn find_ranges(&mut self, spine: &Spine) {
        for index in 0..self.count {
            let slots = spine.slots_of(self.entities[index]);
            (self.starts[index], self.ends[index]) = (slots.start as u32, slots.end as u32);
        }
        let mut touched = 0;
        for index in 0..self.count {
            touched ^= spine.times[self.starts[index] as usize];
            touched ^= spine.times[self.ends[index] as usize - 1];
        }
        black_box(touched);
    }

    /// Finds the slot of each fact. Those that happened before a slot at which
    /// they were not yet known go to `unknown`, with the first such slot.
    pub fn find_slots(
        &mut self,
        spine: &Spine,
        terms: Terms,
        times: TimesBatch<'_>,
        unknown: &mut Vec<(u32, Times)>,
    ) {
        let Terms { known, known_by, .. } = terms;
        let mut visible = [i64::MAX; BLOCK_FACTS];
        for index in 0..self.count {
            visible[index] = times.get(self.rows[index] as usize).visible(known);
        }
        self.search(spine, &visible);
        for index in 0..self.count {
            let (start, end) = (self.starts[index], self.ends[index]);
            let fact = times.get(self.rows[index] as usize);
            let is_known = known == Known::Ignore || fact.known <= known_by;
            let slot = if is_known { self.slots[index] } else { end };
            self.slots[index] = if slot < end { slot } else { NO_SLOT };
            if slot > start && spine.times[slot as usize - 1] >= fact.event {
                let slot = spine.first_slot_from(start..end, fact.event);
                unknown.extend(slot.map(|slot| (slot, fact)));
            }
        }
    }

    /// For each fact the first of its entity's slots at or after a time, or the
    /// end of them. All searches halve their slots in step, as often as the
    /// longest needs; one that is done stays where it is.
    fn search(&mut self, spine: &Spine, from: &[i64; BLOCK_FACTS]) {
        let mut lengths = [0_u32; BLOCK_FACTS];
        let mut longest = 1;
        for index in 0..self.count {
            self.slots[index] = self.starts[index];
            lengths[index] = self.ends[index] - self.starts[index];
            longest = longest.max(lengths[index]);
        }
        for _ in 0..u32::BITS - (longest - 1).leading_zeros() {
            for index in 0..self.count {
                let half = lengths[index] / 2;
                let middle = self.slots[index] + half;
                let is_before = spine.times[middle as usize] < from[index];
                self.slots[index] = if is_before { middle } else { self.slots[index] };
                lengths[index] -= half;
            }
        }
        for index in 0..self.count {
            let slot = self.slots[index];
            self.slots[index] = slot + u32::from(spine.times[slot as usize] < from[index]);
        }
    }

    /// Each fact that has a slot: its row and the slot.
    pub fn slots(&self) -> impl Iterator<Item = (usize, u32)> {
        let facts = self.rows.iter().zip(&self.slots).take(self.count);
        facts.filter(|(_, slot)| **slot != NO_SLOT).map(|(row, slot)| (*row as usize, *slot))
    }
}
