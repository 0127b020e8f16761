//! A spine as slots: per entity its distinct times, sorted.

use std::ops::Range;

use super::entities::{Entities, NO_ENTITY};
use crate::definition::Field;
use crate::key::batch::{Key, KeyBatch, word_bytes};
use crate::limits::SPINE_ROWS_MAX;
use crate::{Error, Result};

/// The slot of a spine row whose entity key is null.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Collects a spine's rows before they become slots.
#[derive(Default)]
pub struct SpineBuilder {
    entities: Option<Entities>,
    entity_of_row: Vec<u32>,
    time_of_row: Vec<i64>,
}

impl SpineBuilder {
    /// Appends spine rows: their entity keys, and one time each in microseconds
    /// UTC.
    ///
    /// # Errors
    /// `Invalid` beyond [`SPINE_ROWS_MAX`] rows.
    pub fn push(&mut self, keys: &KeyBatch, times: &[i64]) -> Result<()> {
        if self.time_of_row.len() + times.len() > SPINE_ROWS_MAX {
            return Err(Error::invalid(format!(
                "the spine has more than {SPINE_ROWS_MAX} rows; split it"
            )));
        }
        let entities = self.entities.get_or_insert_with(|| Entities::for_keys_like(keys));
        let of_row = (0..keys.len()).map(|row| match keys.get(row) {
            Some(key) => entities.find_or_add(key),
            None => NO_ENTITY,
        });
        self.entity_of_row.extend(of_row);
        self.time_of_row.extend_from_slice(times);
        Ok(())
    }

    /// Sorts each entity's distinct times into slots.
    pub fn build(self) -> Spine {
        let Self { entities, mut entity_of_row, time_of_row } = self;
        let Some(mut entities) = entities else { return Spine::empty() };
        let number = entities.sort();
        let mut starts = vec![0_u32; entities.len() + 1];
        for entity in entity_of_row.iter_mut().filter(|entity| **entity != NO_ENTITY) {
            *entity = number[*entity as usize];
            starts[*entity as usize + 1] += 1;
        }
        for entity in 0..entities.len() {
            starts[entity + 1] += starts[entity];
        }
        let mut slot_of_row = vec![NO_SLOT; time_of_row.len()];
        let mut rows = by_entity(&entity_of_row, &time_of_row, &starts);
        drop((entity_of_row, time_of_row));
        let mut first_slots = Vec::with_capacity(entities.len() + 1);
        let mut times = Vec::with_capacity(rows.len());
        let mut has_shared_slots = false;
        for entity in starts.windows(2) {
            first_slots.push(times.len() as u32);
            let first = times.len();
            let rows = &mut rows[entity[0] as usize..entity[1] as usize];
            rows.sort_unstable();
            for (at, row) in rows.iter() {
                match times[first..].last() == Some(at) {
                    true => has_shared_slots = true,
                    false => times.push(*at),
                }
                slot_of_row[*row as usize] = times.len() as u32 - 1;
            }
        }
        first_slots.push(times.len() as u32);
        let time_range = times.iter().copied().min().zip(times.iter().copied().max());
        let entities = Some(entities);
        Spine { entities, first_slots, times, slot_of_row, has_shared_slots, time_range }
    }
}

/// Rows with their times, entity by entity: one pass, for the entities of a
/// spine are known by number.
fn by_entity(entity_of_row: &[u32], time_of_row: &[i64], starts: &[u32]) -> Vec<(i64, u32)> {
    let mut next = starts.to_vec();
    let mut rows = vec![(0, 0); *starts.last().unwrap_or(&0) as usize];
    for (row, (entity, at)) in entity_of_row.iter().zip(time_of_row).enumerate() {
        if *entity != NO_ENTITY {
            let place = &mut next[*entity as usize];
            rows[*place as usize] = (*at, row as u32);
            *place += 1;
        }
    }
    rows
}

/// The slots of one spine for one entity; shared by all views of that entity.
pub struct Spine {
    entities: Option<Entities>,
    /// Entity `i` has the slots `first_slots[i]..first_slots[i + 1]`.
    pub(super) first_slots: Vec<u32>,
    pub(super) times: Vec<i64>,
    pub(super) slot_of_row: Vec<u32>,
    has_shared_slots: bool,
    time_range: Option<(i64, i64)>,
}

impl Spine {
    fn empty() -> Self {
        Self {
            entities: None,
            first_slots: vec![0],
            times: Vec::new(),
            slot_of_row: Vec::new(),
            has_shared_slots: false,
            time_range: None,
        }
    }

    /// Rows of the spine, null keys included.
    pub fn rows(&self) -> usize {
        self.slot_of_row.len()
    }

    /// Distinct (entity, time) pairs.
    pub fn slots(&self) -> usize {
        self.times.len()
    }

    /// Rows without an entity, for a part of their key is null.
    pub fn rows_without_key(&self) -> usize {
        self.slot_of_row.iter().filter(|slot| **slot == NO_SLOT).count()
    }

    /// The earliest and latest time that has a slot.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.time_range
    }

    /// Bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        let entities = self.entities.as_ref().map_or(0, Entities::heap_bytes);
        entities + 4 * (self.first_slots.len() + self.slot_of_row.len()) + 8 * self.times.len()
    }

    /// Bytes held at most while a spine of so many rows is built, and after,
    /// if no key is longer than a word.
    pub fn bytes_max(rows: usize) -> usize {
        // Entity and time of each row, the sorted pair, slot and slot time; then
        // the table of entities, twice while it grows, and their keys.
        rows * (4 + 8 + 16 + 4 + 8) + rows * (2 * 2 * 16 + 2 * 8 + 4)
    }

    /// Writes the entity of each of these rows, [`NO_ENTITY`] if it is not in the
    /// spine.
    pub(super) fn find_entities(&self, keys: &KeyBatch, rows: Range<usize>, found: &mut [u32]) {
        let Some(entities) = &self.entities else { return found.fill(NO_ENTITY) };
        match keys.as_words() {
            Some(words) if !keys.has_nulls() => entities.find_words(&words[rows], found),
            _ => {
                for (found, row) in found.iter_mut().zip(rows) {
                    *found = keys.get(row).map_or(NO_ENTITY, |key| entities.find(key));
                }
            }
        }
    }

    /// The spine's entities whose keys lie between two, inclusive.
    pub fn entities_between(&self, low: Key<'_>, high: Key<'_>) -> Range<u32> {
        self.entities.as_ref().map_or(0..0, |entities| entities.between(low, high))
    }

    /// Writes an entity's encoded key, of these join keys, into `out`, which is
    /// cleared.
    pub fn read_key(&self, entity: u32, keys: &[Field], out: &mut Vec<u8>) {
        out.clear();
        match self.entities.as_ref().map(|entities| entities.key(entity)) {
            Some(Key::Word(word)) => {
                let bytes = word.to_be_bytes();
                out.extend_from_slice(&bytes[bytes.len() - word_bytes(keys).unwrap_or(0)..]);
            }
            Some(Key::Bytes(bytes)) => out.extend_from_slice(bytes),
            None => {}
        }
    }

    /// All of the spine's entities.
    pub fn all_entities(&self) -> Range<u32> {
        0..self.first_slots.len() as u32 - 1
    }

    /// The entities whose first slots lie in a range.
    pub(super) fn entities_from(&self, from: usize, to: usize) -> Range<u32> {
        let all = &self.first_slots[..self.first_slots.len() - 1];
        let number = |slot: usize| all.partition_point(|first| (*first as usize) < slot) as u32;
        number(from)..number(to)
    }

    /// The slots of neighbouring entities.
    pub(super) fn slots_of_all(&self, entities: &Range<u32>) -> Range<usize> {
        let first = |entity: u32| self.first_slots[entity as usize] as usize;
        first(entities.start)..first(entities.end)
    }

    /// How many spine rows ask at each slot.
    pub(super) fn rows_of_slots(&self) -> Vec<u32> {
        if !self.has_shared_slots {
            return vec![1; self.times.len()];
        }
        let mut rows = vec![0; self.times.len()];
        for slot in self.slot_of_row.iter().filter(|slot| **slot != NO_SLOT) {
            rows[*slot as usize] += 1;
        }
        rows
    }

    /// The first of an entity's slots at or after a time.
    pub(super) fn first_slot_from(&self, slots: Range<u32>, from: i64) -> Option<u32> {
        let times = &self.times[slots.start as usize..slots.end as usize];
        let slot = slots.start + lower_bound(times, from) as u32;
        (slot < slots.end).then_some(slot)
    }

    /// The slots of an entity.
    pub(super) fn slots_of(&self, entity: u32) -> Range<usize> {
        let entity = entity as usize;
        self.first_slots[entity] as usize..self.first_slots[entity + 1] as usize
    }
}

/// How many of the sorted times lie before one. The halves are chosen without a
/// branch: which one is taken is as good as random.
fn lower_bound(times: &[i64], from: i64) -> usize {
    let (mut base, mut length) = (0, times.len());
    while length > 1 {
        let half = length / 2;
        base += if times[base + half - 1] < from { half } else { 0 };
        length -= half;
    }
    base + usize::from(length == 1 && times[base] < from)
}
