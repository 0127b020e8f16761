//! One part of the table of rows: a ring of entries and an index into it.
//!
//! ```text
//! index   | tag, place | empty | tag, place | ...        open addressing, by hash
//!                 |                    |
//! ring    ... | entry | entry | entry | entry | free ... written at the head,
//!             ^ tail                          ^ head     given up at the tail
//!
//! entry   stamp u64 | row bytes u32 | key bytes u32 | key | row | to a multiple of 8
//! ```
//!
//! An entry is one stretch of memory: to find a row costs the index's line and
//! the row's own. Readers write nothing but the mark in the index that an entry
//! was asked for. When the head needs room the oldest entries go; a marked one is
//! moved to the head once, without its mark. Memory is the system's until it is
//! first written; only the index grows, by doubling.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes before an entry's key.
const HEADER_BYTES: usize = 16;
/// Places in the ring are counted in units of so many bytes.
const UNIT_BYTES: usize = 8;
/// In place of a row's length: the store has no such row.
const NO_ROW: u32 = u32::MAX;
/// In place of a key's length: the rest of the ring is empty.
const REST: u32 = u32::MAX;
/// Marked entries that are moved to the head for one that is written: more would
/// hold up everybody for long.
const MOVED_MAX: usize = 16;
/// Of the bytes of a shard, the part that the index may grow to.
const INDEX_SHARE: usize = 8;
/// Slots of an index at first.
const SLOTS_MIN: usize = 64;
/// Groups of keys of which it is known when one of them was last put.
const GROUPS: usize = 4 << 10;

/// A slot of the index that points nowhere.
const EMPTY: u64 = u64::MAX;
/// The mark of a slot whose entry was asked for.
const ASKED: u64 = 1 << 31;
const PLACE: u64 = ASKED - 1;

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'s> {
    /// When it was written.
    pub stamp: u64,
    /// The row; `None` if the store has none.
    pub row: Option<&'s [u8]>,
}

/// A ring of entries and its index.
pub struct Shard {
    /// `tag << 32 | asked << 31 | place`, or [`EMPTY`]. Its length is a power of two.
    index: Vec<AtomicU64>,
    /// Slots in use.
    used: usize,
    /// What the index may grow to.
    slots_max: usize,
    ring: Vec<u8>,
    /// Bytes written so far, with what was skipped: the head is that, modulo the
    /// ring.
    head: u64,
    /// Bytes given up so far.
    tail: u64,
    /// When a key of each group was last put; MAX is now. Empty until one is.
    puts: Vec<u64>,
}

impl Shard {
    /// An empty one of so many bytes, which are taken as they are needed.
    pub fn new(bytes: usize) -> Self {
        let slots = (bytes / INDEX_SHARE / size_of::<u64>() + 1).next_power_of_two() / 2;
        let slots_max = slots.max(SLOTS_MIN);
        let ring = bytes.saturating_sub(slots_max * size_of::<u64>());
        let units = (ring / UNIT_BYTES).clamp(SLOTS_MIN, PLACE as usize);
        Self {
            index: empty(SLOTS_MIN),
            used: 0,
            slots_max,
            ring: vec![0; units * UNIT_BYTES],
            head: 0,
            tail: 0,
            puts: Vec::new(),
        }
    }

    /// Bytes of entries.
    pub fn bytes(&self) -> u64 {
        self.head - self.tail
    }

    /// Bytes of the longest entry that is kept: a few must not drive out all others.
    pub fn entry_bytes_max(&self) -> usize {
        self.ring.len() / 16
    }

    /// Where an entry with this hash may be: the first slot with its tag.
    ///
    /// Looking for many keys at once goes in steps, so that the processor waits
    /// for the memory of all of them together: [`Shard::home`] and `candidate`
    /// for each, [`Shard::touch`] for each, then [`Shard::read`].
    pub fn candidate(&self, hash: u64) -> Option<Candidate> {
        self.probe(hash, self.home(hash))
    }

    /// The first slot with the tag of a hash from `slot` on.
    fn probe(&self, hash: u64, mut slot: usize) -> Option<Candidate> {
        loop {
            let held = self.index[slot].load(Ordering::Relaxed);
            if held == EMPTY {
                return None;
            }
            if held >> 32 == hash >> 32 {
                return Some(Candidate { slot, place: held });
            }
            slot = self.next(slot);
        }
    }

    /// From one candidate on, the first whose entry, by where it begins, is it.
    fn first(
        &self,
        hash: u64,
        mut candidate: Candidate,
        is_it: impl Fn(usize) -> bool,
    ) -> Option<Candidate> {
        while !is_it(candidate.start()) {
            candidate = self.probe(hash, self.next(candidate.slot))?;
        }
        Some(candidate)
    }

    /// Reads a byte of every cache line of an entry, whatever it is.
    pub fn touch(&self, candidate: Candidate) -> u8 {
        const LINE_BYTES: usize = 64;
        /// More is fetched by the processor itself once it is copied.
        const LINES_MAX: usize = 8;
        let start = candidate.start();
        let lines = self.ring[start..].iter().step_by(LINE_BYTES).take(LINES_MAX);
        lines.fold(0, |touched, byte| touched ^ byte)
    }

    /// The entry of a key, looking on from where it may be.
    pub fn read(&self, hash: u64, key: &[u8], candidate: Candidate) -> Option<Entry<'_>> {
        let found = self.first(hash, candidate, |start| self.key(start) == key)?;
        if found.place & ASKED == 0 {
            self.index[found.slot].store(found.place | ASKED, Ordering::Relaxed);
        }
        Some(self.entry(found.start(), key.len()))
    }

    /// Keeps a row, or that there is none, in place of what was kept for the key.
    /// One that is too long is not kept.
    pub fn write(&mut self, hash: u64, key: &[u8], stamp: u64, row: Option<&[u8]>) {
        let bytes = HEADER_BYTES + key.len() + row.map_or(0, <[u8]>::len);
        let bytes = bytes.next_multiple_of(UNIT_BYTES);
        self.remove(hash, key);
        if bytes > self.entry_bytes_max() {
            return;
        }
        self.make_room(bytes);
        let start = self.offset(self.head);
        self.ring[start..start + 8].copy_from_slice(&stamp.to_le_bytes());
        let row_bytes = row.map_or(NO_ROW, |row| row.len() as u32);
        self.ring[start + 8..start + 12].copy_from_slice(&row_bytes.to_le_bytes());
        self.ring[start + 12..start + 16].copy_from_slice(&(key.len() as u32).to_le_bytes());
        let row_start = start + HEADER_BYTES + key.len();
        self.ring[start + HEADER_BYTES..row_start].copy_from_slice(key);
        if let Some(row) = row {
            self.ring[row_start..row_start + row.len()].copy_from_slice(row);
        }
        self.point(hash, start);
        self.head += bytes as u64;
    }

    /// Gives up the oldest entries until one of so many bytes can be written at
    /// the head, in one stretch and with a slot.
    fn make_room(&mut self, bytes: usize) {
        let mut moved = 0;
        loop {
            let rest = self.ring.len() - self.offset(self.head);
            let needed = if rest < bytes { rest + bytes } else { bytes };
            let is_room = self.bytes() as usize + needed <= self.ring.len();
            // A fuller index is walked for long.
            let is_slot = self.used < self.index.len() / 4 * 3 || self.grow();
            match is_room && is_slot {
                true if rest < bytes => self.skip(rest),
                true => return,
                false => moved += usize::from(self.give_up_oldest(moved < MOVED_MAX)),
            }
        }
    }

    /// Doubles the index, if it may grow; a slot knows where it belongs.
    fn grow(&mut self) -> bool {
        let slots = self.index.len() * 2;
        if slots > self.slots_max {
            return false;
        }
        let held = std::mem::replace(&mut self.index, empty(slots));
        for held in held.into_iter().map(AtomicU64::into_inner).filter(|held| *held != EMPTY) {
            self.hold(held);
        }
        true
    }

    /// Leaves the rest of the ring empty.
    fn skip(&mut self, rest: usize) {
        let start = self.offset(self.head);
        // What is shorter than a header is skipped without a word.
        if rest >= HEADER_BYTES {
            self.ring[start + 12..start + 16].copy_from_slice(&REST.to_le_bytes());
        }
        self.head += rest as u64;
    }

    /// Takes the entry at the tail out of the ring; says whether it was moved to
    /// the head instead of given up.
    fn give_up_oldest(&mut self, may_move: bool) -> bool {
        let start = self.offset(self.tail);
        let rest = self.ring.len() - start;
        if rest < HEADER_BYTES || self.number(start + 12) == REST {
            self.tail += rest as u64;
            return false;
        }
        let bytes = self.entry_bytes(start);
        self.tail += bytes as u64;
        let hash = super::hash(self.key(start));
        // An entry that was replaced has no slot any more.
        let oldest = self.candidate(hash);
        let oldest = oldest.and_then(|oldest| self.first(hash, oldest, |other| other == start));
        let Some(Candidate { slot, place }) = oldest else { return false };
        let is_moved = may_move && place & ASKED != 0;
        self.clear(slot);
        let head = self.offset(self.head);
        if !is_moved || self.ring.len() - head < bytes {
            return false;
        }
        // There is room for it: at least its own, which has just been given up.
        self.ring.copy_within(start..start + bytes, head);
        self.point(hash, head);
        self.head += bytes as u64;
        true
    }

    /// Removes the entry of a key; says whether there was one.
    fn remove(&mut self, hash: u64, key: &[u8]) -> bool {
        let held = self.candidate(hash);
        let held = held.and_then(|held| self.first(hash, held, |start| self.key(start) == key));
        held.map(|held| self.clear(held.slot)).is_some()
    }

    /// Says that a key is being put, and removes its entry; says whether there was one.
    pub fn begin_put(&mut self, hash: u64, key: &[u8]) -> bool {
        self.end_put(hash, u64::MAX);
        self.remove(hash, key)
    }

    /// Says when a key was put.
    pub fn end_put(&mut self, hash: u64, stamp: u64) {
        self.puts.resize(GROUPS, 0);
        self.puts[Self::group(hash)] = stamp;
    }

    /// When a key of this one's group was last put; MAX is now.
    pub fn last_put(&self, hash: u64) -> u64 {
        self.puts.get(Self::group(hash)).copied().unwrap_or(0)
    }

    /// Bits that choose neither the shard nor the slot.
    fn group(hash: u64) -> usize {
        (hash >> 16) as usize % GROUPS
    }

    /// Makes the index point at a new entry.
    fn point(&mut self, hash: u64, start: usize) {
        self.hold(hash >> 32 << 32 | (start / UNIT_BYTES) as u64);
        self.used += 1;
    }

    /// Puts the word of a slot where it is looked for.
    fn hold(&mut self, held: u64) {
        let mut slot = self.home(held);
        while *self.index[slot].get_mut() != EMPTY {
            slot = self.next(slot);
        }
        *self.index[slot].get_mut() = held;
    }

    /// Empties a slot, and moves those behind it that may now stand nearer to
    /// where they are looked for.
    fn clear(&mut self, slot: usize) {
        let mut hole = slot;
        let mut slot = self.next(slot);
        loop {
            let held = *self.index[slot].get_mut();
            if held == EMPTY {
                break;
            }
            let mask = self.index.len() - 1;
            let home = self.home(held);
            // Cyclic: the hole lies between where the entry is looked for and where it is.
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                *self.index[hole].get_mut() = held;
                hole = slot;
            }
            slot = self.next(slot);
        }
        *self.index[hole].get_mut() = EMPTY;
        self.used -= 1;
    }

    /// The slot at which a hash is looked for first; a slot's own word has the
    /// same upper half.
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.index.len() - 1)
    }

    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.index.len() - 1)
    }

    fn offset(&self, position: u64) -> usize {
        (position % self.ring.len() as u64) as usize
    }

    fn number(&self, at: usize) -> u32 {
        self.ring[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn key(&self, start: usize) -> &[u8] {
        let bytes = self.number(start + 12) as usize;
        &self.ring[start + HEADER_BYTES..start + HEADER_BYTES + bytes]
    }

    fn entry(&self, start: usize, key_bytes: usize) -> Entry<'_> {
        let stamp = self.ring[start..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let row_bytes = self.number(start + 8);
        let row_start = start + HEADER_BYTES + key_bytes;
        let row = (row_bytes != NO_ROW).then(|| &self.ring[row_start..][..row_bytes as usize]);
        Entry { stamp, row }
    }

    fn entry_bytes(&self, start: usize) -> usize {
        let row_bytes = match self.number(start + 8) {
            NO_ROW => 0,
            bytes => bytes as usize,
        };
        let key_bytes = self.number(start + 12) as usize;
        (HEADER_BYTES + key_bytes + row_bytes).next_multiple_of(UNIT_BYTES)
    }
}

fn empty(slots: usize) -> Vec<AtomicU64> {
    std::iter::repeat_with(|| AtomicU64::new(EMPTY)).take(slots).collect()
}

/// A slot whose tag is that of a hash, and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    slot: usize,
    place: u64,
}

impl Candidate {
    fn start(self) -> usize {
        (self.place & PLACE) as usize * UNIT_BYTES
    }
}
