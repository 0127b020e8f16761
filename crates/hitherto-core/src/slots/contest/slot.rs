//! One slot of a contest: its time and the fact that has it.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering::Relaxed};

use super::rows::Rows;
use crate::rule::{Says, Times};

const NO_ROW: u32 = u32::MAX;

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No fact.
    Empty,
    /// A fact whose row is still to come.
    Pending,
    /// A fact and its row.
    Filled,
    /// A fact too old for this slot and so for every later one; its row is not
    /// needed.
    Expired,
    /// A deletion.
    Deleted,
}

impl State {
    const ALL: [Self; 5] = [Self::Empty, Self::Pending, Self::Filled, Self::Expired, Self::Deleted];
}

/// The fact that has a slot.
#[derive(Clone, Copy)]
pub struct Winner {
    pub times: Times,
    /// Number of its row, or of one that can be written over.
    pub row: u32,
    pub state: State,
}

impl Winner {
    /// Whether a fact takes the slot or ties with the one that has it, and its
    /// row is needed.
    pub fn challenge(&mut self, times: Times, says: Says, is_expired: bool) -> bool {
        let state = match says {
            Says::Deletion => State::Deleted,
            Says::Values if is_expired => State::Expired,
            Says::Values => State::Pending,
        };
        if self.state == State::Empty || times > self.times {
            *self = Winner { times, row: self.row, state };
            return state == State::Pending;
        }
        if times < self.times || self.state == State::Deleted {
            return false;
        }
        // Equal times. A deletion's flag makes the greater bytes.
        if state == State::Deleted {
            self.state = state;
        }
        state == State::Pending
    }

    /// Brings the row of a fact that competed for this slot.
    pub fn fill(&mut self, times: Times, row: &[u8], rows: &mut Rows) {
        if self.times != times {
            return;
        }
        match self.state {
            State::Pending if self.row == NO_ROW => self.row = rows.push(row),
            State::Pending => rows.replace(self.row, row),
            State::Filled if row > rows.get(self.row) => rows.replace(self.row, row),
            _ => return,
        }
        self.state = State::Filled;
    }
}

/// A slot, half a line of cache. Read by anybody, written by who holds its stripe's lock.
#[repr(align(32))]
pub struct Slot {
    /// Its time.
    pub at: i64,
    /// When its winner happened; the beginning of time without one. It only grows, so that
    /// a fact which happened before it is out, whenever it is read; most facts are turned
    /// away here, without a lock.
    event: AtomicI64,
    known: AtomicI64,
    row: AtomicU32,
    state: AtomicU8,
}

impl Slot {
    /// A slot without a winner.
    pub fn empty(at: i64) -> Self {
        Self {
            at,
            event: i64::MIN.into(),
            known: i64::MIN.into(),
            row: NO_ROW.into(),
            state: (State::Empty as u8).into(),
        }
    }

    /// When its winner happened, or earlier.
    pub fn newest(&self) -> i64 {
        self.event.load(Relaxed)
    }

    /// Its winner. Whole, if no other thread can write it meanwhile.
    pub fn winner(&self) -> Winner {
        Winner {
            times: Times { event: self.event.load(Relaxed), known: self.known.load(Relaxed) },
            row: self.row.load(Relaxed),
            state: State::ALL[usize::from(self.state.load(Relaxed))],
        }
    }

    /// Gives it another.
    pub fn set(&self, winner: Winner) {
        self.event.store(winner.times.event, Relaxed);
        self.known.store(winner.times.known, Relaxed);
        self.row.store(winner.row, Relaxed);
        self.state.store(winner.state as u8, Relaxed);
    }
}
