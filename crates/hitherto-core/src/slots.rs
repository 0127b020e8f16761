//! The rule for many moments at once, with the facts in any order.
//!
//! The spine is the small side. Per entity its distinct times, sorted, are
//! *slots*; all slots of all entities lie in one array:
//!
//! ```text
//! entity        A                 B
//! times     09:00 10:00 12:00 | 08:00 12:00
//! slots       0     1     2   |   3     4
//!
//! a fact of A visible from 09:40:   offered to slot 1, the first time >= 09:40
//! after the last fact:              a running maximum, left to right in each
//!                                   entity, carries it on to slot 2
//! ```
//!
//! **Algorithm.** A fact becomes visible at `v = max(e, n)` and stays so. Its
//! first slot is found by binary search; there it competes by
//! [`rule::rank`](crate::rule::rank). The running maximum then makes each slot
//! hold the greatest fact visible at its time, which is the rule; the ttl is
//! tested last, on the winner.
//!
//! **Memory.** One entry a slot and one row per slot that some fact won.
//! Facts are neither sorted nor kept. **Cost.** One hash lookup and one binary
//! search a fact; bytes are encoded only for a fact that wins, or to break a tie.
//!
//! **Degenerate cases.** A null key has no slot. Facts of entities outside the
//! spine, after its last time, or known after the cutoff, are dropped. Equal
//! spine rows share a slot.
//!
//! Beside the winners runs a second competition on event time alone, without
//! rows: where its winner was not known at the slot's time, a join on event
//! time would have leaked the future. That is the leakage report.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::definition::Known;
use crate::limits::SPINE_ROWS_MAX;
use crate::rule::{self, Absence, Answer, Times};
use crate::{Error, Result};

/// The slot of a spine row whose entity key is null.
const NO_SLOT: u32 = u32::MAX;

/// Collects a spine's rows before they become slots.
#[derive(Default)]
pub struct SpineBuilder {
    entities: HashMap<Box<[u8]>, u32, Xxh3DefaultBuilder>,
    rows: Vec<(u32, i64)>,
}

impl SpineBuilder {
    /// Appends one spine row: its encoded entity key, `None` if any part is
    /// null, and its time.
    ///
    /// # Errors
    /// `Invalid` beyond [`SPINE_ROWS_MAX`] rows.
    pub fn push(&mut self, key: Option<&[u8]>, at: i64) -> Result<()> {
        if self.rows.len() >= SPINE_ROWS_MAX {
            return Err(Error::invalid(format!(
                "the spine has more than {SPINE_ROWS_MAX} rows; split it"
            )));
        }
        let entity = match key {
            None => NO_SLOT,
            Some(key) => match self.entities.get(key) {
                Some(entity) => *entity,
                None => {
                    let entity = self.entities.len() as u32;
                    self.entities.insert(key.into(), entity);
                    entity
                }
            },
        };
        self.rows.push((entity, at));
        Ok(())
    }

    /// Sorts each entity's distinct times into slots.
    pub fn build(self) -> Spine {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        order.sort_unstable_by_key(|row| self.rows[*row as usize]);
        let mut spine = Spine {
            first_slots: Vec::with_capacity(self.entities.len() + 1),
            entities: self.entities,
            times: Vec::new(),
            slot_of_row: vec![NO_SLOT; self.rows.len()],
        };
        let mut previous = None;
        for row in order {
            let (entity, at) = self.rows[row as usize];
            if entity == NO_SLOT {
                break;
            }
            if previous != Some((entity, at)) {
                if entity as usize == spine.first_slots.len() {
                    spine.first_slots.push(spine.times.len() as u32);
                }
                spine.times.push(at);
                previous = Some((entity, at));
            }
            spine.slot_of_row[row as usize] = spine.times.len() as u32 - 1;
        }
        spine.first_slots.push(spine.times.len() as u32);
        spine
    }
}

/// The slots of one spine for one entity; shared by all views of that entity.
pub struct Spine {
    entities: HashMap<Box<[u8]>, u32, Xxh3DefaultBuilder>,
    /// Entity `i` has the slots `first_slots[i]..first_slots[i + 1]`.
    first_slots: Vec<u32>,
    times: Vec<i64>,
    slot_of_row: Vec<u32>,
}

impl Spine {
    /// Rows of the spine, null keys included.
    pub fn rows(&self) -> usize {
        self.slot_of_row.len()
    }

    /// Distinct entity keys.
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// The earliest and latest time that has a slot.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    /// Bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        let keys: usize = self.entities.keys().map(|key| key.len() + 32).sum();
        keys + 4 * (self.first_slots.len() + self.slot_of_row.len()) + 8 * self.times.len()
    }

    /// The slots of an entity, by its encoded key.
    fn slots_of(&self, key: &[u8]) -> Option<std::ops::Range<usize>> {
        let entity = *self.entities.get(key)? as usize;
        Some(self.first_slots[entity] as usize..self.first_slots[entity + 1] as usize)
    }
}

/// How one view's facts are to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The view's ttl in microseconds.
    pub ttl_micros: Option<i64>,
    /// The knowledge cutoff `K`; `i64::MAX` is none.
    pub known_by: i64,
    /// Whether known time counts.
    pub known: Known,
}

/// One view's facts competing for the slots of a spine.
pub struct Slots {
    spine: Arc<Spine>,
    terms: Terms,
    /// Per slot, the times of its winner so far; `None` is no fact yet.
    winners: Vec<Option<Times>>,
    /// Per slot, its winner's row bytes.
    rows: Vec<Vec<u8>>,
    /// Per slot, the winner by event time alone, known or not.
    by_event: Vec<Option<Times>>,
    scratch: Vec<u8>,
    row_bytes: usize,
}

impl Slots {
    /// Empty slots for one view.
    pub fn new(spine: Arc<Spine>, terms: Terms) -> Self {
        let count = spine.times.len();
        Self {
            spine,
            terms,
            winners: vec![None; count],
            rows: vec![Vec::new(); count],
            by_event: vec![None; count],
            scratch: Vec::new(),
            row_bytes: 0,
        }
    }

    /// Offers one fact. `encode` writes its row bytes and is called at most
    /// once, only when the fact wins a slot or ties with its winner.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn offer(
        &mut self,
        key: &[u8],
        times: Times,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let Some(slots) = self.spine.slots_of(key) else { return Ok(()) };
        let first_at_or_after = |from: i64| {
            let moments = &self.spine.times[slots.clone()];
            Some(slots.start + moments.partition_point(|at| *at < from)).filter(|i| *i < slots.end)
        };
        if let Some(slot) = first_at_or_after(times.event) {
            self.by_event[slot] = self.by_event[slot].max(Some(times));
        }
        if self.terms.known == Known::Honor && times.known > self.terms.known_by {
            return Ok(());
        }
        let Some(slot) = first_at_or_after(times.visible(self.terms.known)) else {
            return Ok(());
        };
        match self.winners[slot].cmp(&Some(times)) {
            Ordering::Greater => return Ok(()),
            Ordering::Less => self.replace(slot, encode)?,
            Ordering::Equal => self.compete(slot, encode)?,
        }
        self.winners[slot] = Some(times);
        Ok(())
    }

    fn replace(
        &mut self,
        slot: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.row_bytes -= self.rows[slot].capacity();
        encode(&mut self.rows[slot])?;
        self.row_bytes += self.rows[slot].capacity();
        Ok(())
    }

    /// Equal event and known time: the greater bytes stay.
    fn compete(
        &mut self,
        slot: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        encode(&mut self.scratch)?;
        if self.scratch > self.rows[slot] {
            self.row_bytes += self.scratch.capacity();
            self.row_bytes -= self.rows[slot].capacity();
            std::mem::swap(&mut self.scratch, &mut self.rows[slot]);
        }
        Ok(())
    }

    /// Bytes held beside the spine, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        const SLOT: usize = 2 * size_of::<Option<Times>>() + size_of::<Vec<u8>>();
        self.winners.len() * SLOT + self.row_bytes
    }

    /// Ends the competition: carries each winner on to the later slots of its
    /// entity that no greater fact won.
    pub fn finish(self) -> Answers {
        let Slots { spine, terms, winners, rows, by_event, .. } = self;
        let mut holder: Vec<u32> = (0..winners.len() as u32).collect();
        let mut event_winner = by_event;
        for slots in spine.first_slots.windows(2) {
            let mut best = None;
            for slot in slots[0] as usize..slots[1] as usize {
                // Ranks of carried and local winner can tie on times only.
                let is_greater =
                    best.is_none_or(|held: usize| match (winners[slot], winners[held]) {
                        (Some(here), Some(there)) => {
                            rule::rank((here, &rows[slot]), (there, &rows[held])).is_gt()
                        }
                        (here, there) => here > there,
                    });
                let held = if is_greater { slot } else { best.unwrap_or(slot) };
                best = Some(held);
                holder[slot] = held as u32;
                if slot > slots[0] as usize {
                    event_winner[slot] = event_winner[slot].max(event_winner[slot - 1]);
                }
            }
        }
        Answers { spine, terms, winners, rows, holder, event_winner }
    }
}

/// The rule's answer for every row of a spine.
pub struct Answers {
    spine: Arc<Spine>,
    terms: Terms,
    winners: Vec<Option<Times>>,
    rows: Vec<Vec<u8>>,
    /// Per slot, the slot whose winner answers it.
    holder: Vec<u32>,
    event_winner: Vec<Option<Times>>,
}

impl Answers {
    /// The answer for a spine row.
    pub fn of_row(&self, spine_row: usize) -> Answer<'_> {
        let Some(slot) = self.slot(spine_row) else { return Err(Absence::NullKey) };
        let held = self.holder[slot] as usize;
        let winner = self.winners[held].map(|times| (times, self.rows[held].as_slice()));
        let has_unknown = self.event_winner[slot].is_some();
        rule::judge(winner, has_unknown, self.spine.times[slot], self.terms.ttl_micros)
    }

    /// How long before this spine row's time the fact happened that answers it,
    /// in microseconds; 0 where none does.
    pub fn age_of_row(&self, spine_row: usize) -> i64 {
        let winner = self.slot(spine_row).and_then(|slot| {
            let times = self.winners[self.holder[slot] as usize]?;
            Some(self.spine.times[slot].saturating_sub(times.event))
        });
        winner.unwrap_or(0)
    }

    /// Whether a join on event time alone would have answered this spine row
    /// with a fact that was not known at its time.
    pub fn is_leak(&self, spine_row: usize) -> bool {
        let Some(slot) = self.slot(spine_row) else { return false };
        let at = self.spine.times[slot];
        self.event_winner[slot].is_some_and(|times| {
            times.known > at && !rule::is_expired(times.event, at, self.terms.ttl_micros)
        })
    }

    fn slot(&self, spine_row: usize) -> Option<usize> {
        let slot = self.spine.slot_of_row[spine_row];
        (slot != NO_SLOT).then_some(slot as usize)
    }
}

#[cfg(test)]
mod tests;
