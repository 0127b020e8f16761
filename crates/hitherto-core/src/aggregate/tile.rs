//! Tiles: fixed stretches of event times of one entity, whose states can be remembered.
//!
//! ```text
//! shift     14     18      22     26    30      34     38    42     ...  62
//! length    16 ms  262 ms  4.2 s  67 s  18 min  4.8 h  3.2 d  51 d
//! ```
//!
//! A tile of one length has sixteen of the next. They are the same for every view: a window
//! reads events at both ends, so that none has to end where a tile does, and a new window
//! needs no other tiles.
//!
//! What is remembered of a tile are the states of its events as they are once everything is
//! known that is, and when the last of that became known. A moment from then on takes the
//! states as they are; one before looks inside.

use std::ops::ControlFlow;

use super::plan::Tiled;
use super::state::State;
use super::window::Moments;
use crate::rule::Times;
use crate::{Error, Result};

/// The logarithm of the least length, in microseconds.
pub(super) const SHIFT_MIN: u32 = 14;
/// That of the greatest: four of them are all times that there are.
pub(super) const SHIFT_MAX: u32 = 62;
/// From one length to the next.
pub(super) const SHIFT_STEP: u32 = 4;

/// Which tile of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileId {
    /// The logarithm of its length, in microseconds.
    pub(super) shift: u32,
    /// How many of its length it lies behind the first of 1970.
    pub(super) index: i64,
}

impl TileId {
    /// The tiles of all lengths that an event time lies in.
    pub fn all_of(event: i64) -> impl Iterator<Item = TileId> {
        let shifts = (SHIFT_MIN..=SHIFT_MAX).step_by(SHIFT_STEP as usize);
        shifts.map(move |shift| TileId { shift, index: event >> shift })
    }

    /// Its name among those of one entity.
    pub fn bytes(self) -> [u8; 9] {
        let mut bytes = [self.shift as u8; 9];
        bytes[1..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    /// The event times in it.
    pub(super) fn times(self) -> Moments {
        let first = self.index << self.shift;
        Moments { first, last: first + ((1_i64 << self.shift) - 1) }
    }

    /// The sixteen of the next length.
    pub(super) fn inside(self) -> impl Iterator<Item = TileId> {
        let first = self.index << SHIFT_STEP;
        let shift = self.shift - SHIFT_STEP;
        (first..first + (1 << SHIFT_STEP)).map(move |index| TileId { shift, index })
    }
}

/// The events of one entity as a store has them, and what is remembered of them.
pub trait EventSource {
    /// Shows all versions of the events of these times, the newest event first and of each the
    /// newest known first, until `visit` breaks.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable` from the store.
    fn scan(&mut self, times: Moments, visit: &mut VersionVisitor<'_>) -> Result<()>;

    /// Appends what is remembered of a tile; `false` if nothing is, or something has changed
    /// in it since.
    ///
    /// # Errors
    /// `Unavailable` where it would have to be computed and there is no time for that.
    fn recall(&mut self, tile: TileId, bytes: &mut Vec<u8>) -> Result<bool>;

    /// Remembers a tile, if there is room.
    fn remember(&mut self, tile: TileId, bytes: &[u8]);

    /// The logarithm of the length of tiles that have few events at the ends of windows, as
    /// far as anybody has said; it says how fast an answer is and nothing else.
    fn finest(&mut self) -> Option<u32>;

    /// Says so.
    fn set_finest(&mut self, shift: u32);
}

/// Takes one version of an event; breaks when it has seen enough.
pub type VersionVisitor<'v> = dyn FnMut(Times, &[u8]) -> ControlFlow<()> + 'v;

/// What is remembered of a tile.
pub(super) struct Tile {
    /// How many versions its events have.
    pub versions: u64,
    /// When the last of them became known.
    pub known: i64,
    /// Of the events that count then, a state for each that the view has.
    pub states: Vec<State>,
}

impl Tile {
    /// Of no events.
    pub fn empty(tiled: &[Tiled]) -> Self {
        Self { versions: 0, known: i64::MIN, states: Tiled::states(tiled) }
    }

    /// Has no events again.
    pub fn clear(&mut self, tiled: &[Tiled]) {
        (self.versions, self.known) = (0, i64::MIN);
        let states = self.states.iter_mut().zip(tiled);
        states.for_each(|(state, tiled)| *state = State::new(tiled.kept.form));
    }

    /// Adds the events of another.
    pub fn merge(&mut self, other: &Tile) {
        self.versions += other.versions;
        self.known = self.known.max(other.known);
        self.states.iter_mut().zip(&other.states).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// Its bytes, which live as long as a process.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.versions.to_le_bytes());
        out.extend_from_slice(&self.known.to_le_bytes());
        self.states.iter().for_each(|state| state.encode(out));
    }

    /// What [`Tile::encode`] wrote.
    pub fn decode(tiled: &[Tiled], bytes: &[u8]) -> Result<Self> {
        let take = |bytes: &mut &[u8]| {
            let (number, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(u64::from_le_bytes(*number))
        };
        let mut rest = bytes;
        let header = take(&mut rest).zip(take(&mut rest));
        let (versions, known) =
            header.ok_or_else(|| Error::internal("a tile is remembered that is none"))?;
        let states = tiled.iter().map(|tiled| State::decode(tiled.kept.form, &mut rest));
        Ok(Self { versions, known: known as i64, states: states.collect::<Result<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_divide_all_times_and_each_other() {
        for event in [i64::MIN, -1, 0, 1, 1_764_000_000_123_456, i64::MAX] {
            let tiles: Vec<TileId> = TileId::all_of(event).collect();
            assert_eq!(tiles.len(), 13);
            for pair in tiles.windows(2) {
                let [inner, outer] = pair else { unreachable!() };
                assert!(inner.times().contains(event) && outer.times().contains(event));
                assert!(outer.inside().any(|tile| tile == *inner));
                let parts: Vec<Moments> = outer.inside().map(TileId::times).collect();
                assert_eq!(parts[0].first, outer.times().first);
                assert_eq!(parts[15].last, outer.times().last);
                assert!(parts.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
            }
        }
    }
}
