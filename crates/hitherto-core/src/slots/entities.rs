//! From a fact's entity key to the number of a spine's entity.
//!
//! Entities are numbered in key order, so that facts clustered by key walk
//! through the slots from left to right, and a range of keys (the bounds of a
//! row group) is a range of numbers.
//!
//! The table is open addressing with linear probing, at most half full; a cell
//! holds 64 bits of the key (all of a word, a hash of bytes) and the number, so
//! that a fact of an unknown entity costs one line of memory. Words that lie close
//! together, as numbers given in sequence do, need no search once they are sorted: the
//! number is in the cell of the word itself.

use std::hint::black_box;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::key::batch::{Key, KeyBatch};

/// The number of no entity.
pub(super) const NO_ENTITY: u32 = u32::MAX;

/// Odd, with bits like noise: one multiplication spreads a key over 128 bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Cells of the smallest table.
const CELLS_MIN: usize = 16;

#[derive(Clone, Copy)]
struct Cell {
    tag: u64,
    entity: u32,
}

const FREE: Cell = Cell { tag: 0, entity: NO_ENTITY };

/// Words lie close together if this many times as many would fill all that is between
/// them: no more memory than cells take.
const DIRECT_SPAN_MAX: u64 = 8;

/// The number of each word from the least to the greatest.
struct Direct {
    first: u64,
    numbers: Vec<u32>,
}

impl Direct {
    /// Of sorted words, if they lie close together.
    fn of(words: &[u64]) -> Option<Self> {
        let (first, last) = (*words.first()?, *words.last()?);
        let span = (last - first).checked_add(1)?;
        if span > words.len() as u64 * DIRECT_SPAN_MAX {
            return None;
        }
        let mut numbers = vec![NO_ENTITY; span as usize];
        for (number, word) in words.iter().enumerate() {
            numbers[(word - first) as usize] = number as u32;
        }
        Some(Self { first, numbers })
    }

    fn find(&self, word: u64) -> u32 {
        let place = word.wrapping_sub(self.first);
        usize::try_from(place)
            .ok()
            .and_then(|place| self.numbers.get(place))
            .copied()
            .unwrap_or(NO_ENTITY)
    }
}

/// The distinct entity keys of a spine.
pub(super) struct Entities {
    cells: Vec<Cell>,
    keys: Distinct,
    /// In the place of cells, once the keys are sorted.
    direct: Option<Direct>,
}

/// Distinct keys by number.
enum Distinct {
    Words(Vec<u64>),
    Bytes { bytes: Vec<u8>, ends: Vec<usize> },
}

impl Distinct {
    fn len(&self) -> usize {
        match self {
            Distinct::Words(words) => words.len(),
            Distinct::Bytes { ends, .. } => ends.len(),
        }
    }

    fn get(&self, entity: u32) -> Key<'_> {
        let entity = entity as usize;
        match self {
            Distinct::Words(words) => Key::Word(words[entity]),
            Distinct::Bytes { bytes, ends } => {
                let start = if entity == 0 { 0 } else { ends[entity - 1] };
                Key::Bytes(&bytes[start..ends[entity]])
            }
        }
    }

    fn push(&mut self, key: Key<'_>) {
        match (self, key) {
            (Distinct::Words(words), Key::Word(word)) => words.push(word),
            (Distinct::Bytes { bytes, ends }, Key::Bytes(key)) => {
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
            _ => unreachable!("one spine has keys of one form"),
        }
    }
}

fn tag(key: Key<'_>) -> u64 {
    match key {
        Key::Word(word) => word,
        Key::Bytes(bytes) => xxh3_64(bytes),
    }
}

/// Where a tag's search begins.
fn home(tag: u64, cells: usize) -> usize {
    let product = u128::from(tag ^ SPREAD) * u128::from(SPREAD);
    ((product as u64) ^ ((product >> 64) as u64)) as usize & (cells - 1)
}

impl Entities {
    /// No entity yet; keys come in the form of `batch`.
    pub fn for_keys_like(batch: &KeyBatch) -> Self {
        let keys = match batch.as_words() {
            Some(_) => Distinct::Words(Vec::new()),
            None => Distinct::Bytes { bytes: Vec::new(), ends: Vec::new() },
        };
        Self { cells: vec![FREE; CELLS_MIN], keys, direct: None }
    }

    /// Entities.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let keys = match &self.keys {
            Distinct::Words(words) => words.capacity() * size_of::<u64>(),
            Distinct::Bytes { bytes, ends } => bytes.capacity() + ends.capacity() * 8,
        };
        let direct = self.direct.as_ref().map_or(0, |direct| direct.numbers.capacity() * 4);
        keys + self.cells.capacity() * size_of::<Cell>() + direct
    }

    /// The key of an entity.
    pub fn key(&self, entity: u32) -> Key<'_> {
        self.keys.get(entity)
    }

    /// The number of an entity; [`NO_ENTITY`] if there is none of that key.
    pub fn find(&self, key: Key<'_>) -> u32 {
        match (key, &self.direct) {
            (Key::Word(word), Some(direct)) => direct.find(word),
            (Key::Word(word), None) => self.probe(word, |_| true),
            (Key::Bytes(_), _) => self.probe(tag(key), |entity| self.keys.get(entity) == key),
        }
    }

    /// As [`Entities::find`], for many words at once.
    pub fn find_words(&self, words: &[u64], found: &mut [u32]) {
        if let Some(direct) = &self.direct {
            found.iter_mut().zip(words).for_each(|(found, word)| *found = direct.find(*word));
            return;
        }
        let mut touched = 0;
        for word in words {
            touched ^= self.cells[home(*word, self.cells.len())].entity;
        }
        black_box(touched);
        for (found, word) in found.iter_mut().zip(words) {
            *found = self.probe(*word, |_| true);
        }
    }

    fn probe(&self, tag: u64, is_it: impl Fn(u32) -> bool) -> u32 {
        let mut at = home(tag, self.cells.len());
        loop {
            let cell = self.cells[at & (self.cells.len() - 1)];
            if cell.entity == NO_ENTITY || (cell.tag == tag && is_it(cell.entity)) {
                return cell.entity;
            }
            at += 1;
        }
    }

    /// The number of an entity, which is new if its key is.
    pub fn find_or_add(&mut self, key: Key<'_>) -> u32 {
        let found = self.find(key);
        if found != NO_ENTITY {
            return found;
        }
        let entity = self.keys.len() as u32;
        self.keys.push(key);
        if self.keys.len() * 2 > self.cells.len() {
            self.rebuild(self.cells.len() * 2);
        } else {
            self.place(tag(key), entity);
        }
        entity
    }

    fn rebuild(&mut self, cells: usize) {
        self.cells.clear();
        self.cells.resize(cells, FREE);
        for entity in 0..self.keys.len() as u32 {
            self.place(tag(self.keys.get(entity)), entity);
        }
    }

    fn place(&mut self, tag: u64, entity: u32) {
        let mask = self.cells.len() - 1;
        let mut at = home(tag, self.cells.len());
        while self.cells[at & mask].entity != NO_ENTITY {
            at += 1;
        }
        self.cells[at & mask] = Cell { tag, entity };
    }

    /// Numbers the entities in key order; returns the new number of each. None can be
    /// added afterwards.
    pub fn sort(&mut self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.keys.get(*a).cmp(&self.keys.get(*b)));
        let mut number = vec![0; order.len()];
        let mut sorted = match &self.keys {
            Distinct::Words(_) => Distinct::Words(Vec::with_capacity(order.len())),
            Distinct::Bytes { bytes, ends } => Distinct::Bytes {
                bytes: Vec::with_capacity(bytes.len()),
                ends: Vec::with_capacity(ends.len()),
            },
        };
        for (entity, before) in order.into_iter().enumerate() {
            sorted.push(self.keys.get(before));
            number[before as usize] = entity as u32;
        }
        self.keys = sorted;
        self.direct = match &self.keys {
            Distinct::Words(words) => Direct::of(words),
            Distinct::Bytes { .. } => None,
        };
        match self.direct {
            Some(_) => self.cells = Vec::new(),
            None => self.rebuild(self.cells.len()),
        }
        number
    }

    /// The numbers of all keys from `low` to `high`, both inclusive, once sorted.
    pub fn between(&self, low: Key<'_>, high: Key<'_>) -> Range<u32> {
        let first = |is_before: &dyn Fn(Key<'_>) -> bool| {
            let (mut from, mut to) = (0, self.keys.len() as u32);
            while from < to {
                let middle = from + (to - from) / 2;
                if is_before(self.keys.get(middle)) { from = middle + 1 } else { to = middle }
            }
            from
        };
        let start = first(&|key| key < low);
        start..first(&|key| key <= high).max(start)
    }
}
