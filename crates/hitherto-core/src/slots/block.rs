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
//!
//! What facts do at their slots is not known here. Whoever takes them says which can still
//! count, and is compiled into the same loops.

#![expect(
    clippy::needless_range_loop,
    reason = "a step goes through several arrays of a block by one index"
)]

use std::hint::black_box;

use super::Terms;
use super::entities::NO_ENTITY;
use super::places::{NO_SLOT, Place, Places};
use super::spine::Spine;
use super::times::TimesBatch;
use crate::definition::Known;
use crate::key::batch::KeyBatch;
use crate::rule::Times;

/// Facts of a block: enough to overlap, few enough to stay in the first cache.
const BLOCK_FACTS: usize = 256;

/// The facts of a batch, and the slots that they are brought to.
#[derive(Clone, Copy)]
pub(super) struct Arrivals<'a> {
    pub spine: &'a Spine,
    pub terms: Terms,
    pub keys: &'a KeyBatch,
    pub times: TimesBatch<'a>,
}

impl Arrivals<'_> {
    /// Shows `take` the rows of facts that have a slot, each with it, a block at a time.
    /// Those that happened before a slot at which they were not yet known go to `unknown`,
    /// with the first such slot. `can_count` is asked of some, before their slots are
    /// touched: whether a fact that happened at the first time can count where one that
    /// happened at the second was shown. `places` are a thread's own.
    pub fn find_slots(
        self,
        places: &mut Places,
        unknown: &mut Vec<(u32, Times)>,
        can_count: impl Fn(i64, i64) -> bool,
        mut take: impl FnMut(&[(u32, u32)]),
    ) {
        let Self { spine, terms, keys, times } = self;
        let mut block = Block::default();
        for start in (0..keys.len()).step_by(BLOCK_FACTS) {
            block.find_entities(spine, keys, times, start);
            let mut places = places.are_asked().then_some(&mut *places);
            if let Some(places) = &mut places {
                block.take_placed(places, terms, times, &can_count);
            }
            block.find_ranges(spine);
            block.find_slots(spine, terms, times, places, unknown);
            take(&block.found[..block.found_count]);
        }
    }
}

/// Facts of the spine's entities on their way to their slots.
struct Block {
    count: usize,
    rows: [u32; BLOCK_FACTS],
    entities: [u32; BLOCK_FACTS],
    starts: [u32; BLOCK_FACTS],
    ends: [u32; BLOCK_FACTS],
    slots: [u32; BLOCK_FACTS],
    /// Rows that have a slot, and the slot.
    found: [(u32, u32); BLOCK_FACTS],
    found_count: usize,
}

impl Default for Block {
    fn default() -> Self {
        let none = [NO_SLOT; BLOCK_FACTS];
        Self {
            count: 0,
            rows: none,
            entities: none,
            starts: none,
            ends: none,
            slots: none,
            found: [(0, NO_SLOT); BLOCK_FACTS],
            found_count: 0,
        }
    }
}

impl Block {
    /// Takes the facts from row `start` on whose entities are in the spine.
    fn find_entities(
        &mut self,
        spine: &Spine,
        keys: &KeyBatch,
        times: TimesBatch<'_>,
        start: usize,
    ) {
        let rows = start..keys.len().min(start + BLOCK_FACTS);
        let found = &mut self.entities[..rows.len()];
        spine.find_entities(keys, rows.clone(), found);
        (self.count, self.found_count) = (0, 0);
        for (index, row) in rows.enumerate() {
            let entity = self.entities[index];
            let happened = times.is_absent.is_none_or(|is_absent| !is_absent[row]);
            self.rows[self.count] = row as u32;
            self.entities[self.count] = entity;
            // No branch: whether a fact concerns the spine is as good as random.
            self.count += usize::from(happened & (entity != NO_ENTITY));
        }
    }

    /// Takes out the facts that have the slot of their entity's place.
    fn take_placed(
        &mut self,
        places: &mut Places,
        terms: Terms,
        times: TimesBatch<'_>,
        can_count: impl Fn(i64, i64) -> bool,
    ) {
        let entities = &self.entities[..self.count];
        black_box(entities.iter().fold(0, |touched, entity| touched ^ places.touch(*entity)));
        let (asked, mut left, mut elsewhere) = (self.count, 0, 0);
        for index in 0..asked {
            let (row, entity) = (self.rows[index], self.entities[index]);
            (self.rows[left], self.entities[left]) = (row, entity);
            let fact = times.get(row as usize);
            let is_known = terms.known == Known::Ignore || fact.known <= terms.known_by;
            let place = places.get_mut(entity);
            let is_placed =
                is_known & (fact.event > place.after) & (fact.visible(terms.known) <= place.until);
            left += usize::from(!is_placed);
            elsewhere += usize::from(!is_placed & place.is_known());
            if is_placed & can_count(fact.event, place.newest) & (place.slot != NO_SLOT) {
                place.newest = fact.event;
                self.found[self.found_count] = (row, place.slot);
                self.found_count += 1;
            }
        }
        self.count = left;
        places.learn(elsewhere, asked);
    }

    /// Looks up the slots of their entities.
    fn find_ranges(&mut self, spine: &Spine) {
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

    /// Finds the slot of each fact, and has the places of their entities there. Those
    /// that happened before a slot at which they were not yet known go to `unknown`,
    /// with the first such slot.
    fn find_slots(
        &mut self,
        spine: &Spine,
        terms: Terms,
        times: TimesBatch<'_>,
        mut places: Option<&mut Places>,
        unknown: &mut Vec<(u32, Times)>,
    ) {
        let Terms { known, known_by, .. } = terms;
        let mut visible = [i64::MAX; BLOCK_FACTS];
        for index in 0..self.count {
            visible[index] = times.get(self.rows[index] as usize).visible(known);
        }
        self.search(spine, &visible);
        for index in 0..self.count {
            let (start, end, slot) = (self.starts[index], self.ends[index], self.slots[index]);
            let fact = times.get(self.rows[index] as usize);
            let after = if slot > start { spine.times[slot as usize - 1] } else { i64::MIN };
            let has_slot = slot < end;
            if let Some(places) = &mut places {
                let until = if has_slot { spine.times[slot as usize] } else { i64::MAX };
                let slot = if has_slot { slot } else { NO_SLOT };
                let newest = i64::MIN;
                *places.get_mut(self.entities[index]) = Place { after, until, newest, slot };
            }
            let is_known = known == Known::Ignore || fact.known <= known_by;
            self.found[self.found_count] = (self.rows[index], slot);
            self.found_count += usize::from(has_slot & is_known);
            let first_unknown = if is_known { slot } else { end };
            if first_unknown > start && spine.times[first_unknown as usize - 1] >= fact.event {
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
}
