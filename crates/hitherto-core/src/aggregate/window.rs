//! Windows: at which moments an event is in one, and which events are at a moment.
//!
//! A window of length `w`, moved back by an offset `o`, is at moment `t` half open:
//! `(t - o - w, t - o]`. Turned around, an event that happened at `e` is in it at the moments
//! `[e + o, e + o + w)`; and a version of it counts where it is current as well:
//!
//! ```text
//! in the window         e+o |=========================| e+o+w
//! current                         n |==========================| n'
//! counts                            |=================|
//!                            [ max(e+o, n) , min(e+o+w, n') )
//! ```
//!
//! That one range is the whole semantics. Late facts have a great `n`, corrected ones an `n'`;
//! neither is a case of its own, and nor is the order in which they come. A ttl bounds it from
//! above by `e + ttl`, inclusive, as in the rule of [`crate::rule`].
//!
//! Times are whole microseconds, so a half-open range is one up to its last moment, and is
//! held as that: no sum here can then leave the range of 64 bits, and the greatest moment of
//! all has no special case. A moment before the first of 64 bits, or an event after the last,
//! does not exist.

use serde::{Deserialize, Serialize};

/// A range of moments, in microseconds UTC, both ends in it. It is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl Moments {
    /// All of them.
    pub const ALL: Moments = Moments { first: i64::MIN, last: i64::MAX };

    /// From one moment to another, if that is not before it.
    pub fn between(first: i64, last: i64) -> Option<Moments> {
        (first <= last).then_some(Moments { first, last })
    }

    /// Whether a moment is in it.
    pub fn contains(&self, at: i64) -> bool {
        self.first <= at && at <= self.last
    }

    /// The moments that both have.
    pub fn both(&self, other: &Moments) -> Option<Moments> {
        Moments::between(self.first.max(other.first), self.last.min(other.last))
    }
}

/// Whether an event that happened at the very moment in question is in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrentTime {
    /// It is.
    Counts,
    /// It is not: it may be the label's own.
    Excluded,
}

/// A window, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its length, at least 1; `None` is a lifetime.
    pub length: Option<i64>,
    /// How far it is moved back; 0 or more.
    pub offset: i64,
    /// Whether its newer end is in it.
    pub current_time: CurrentTime,
    /// The age up to which an event counts at all; `None` is any.
    pub ttl: Option<i64>,
}

impl Window {
    /// The moments at which an event that happened at `event` is in the window.
    pub fn moments(&self, event: i64) -> Option<Moments> {
        let first = event.checked_add(self.offset)?.checked_add(self.excluded())?;
        let last = match self.length {
            None => i64::MAX,
            // In this order each step is exact, or beyond every moment.
            Some(length) => event.saturating_add(self.offset).saturating_add(length - 1),
        };
        let expiry = self.ttl.map_or(i64::MAX, |ttl| event.saturating_add(ttl));
        Moments::between(first, last.min(expiry))
    }

    /// The event times that are in the window at a moment: the other form of the same.
    pub fn events(&self, at: i64) -> Option<Moments> {
        let (first, last) = self.ends(at)?;
        Moments::between(first, last)
    }

    /// Its oldest and its newest event time at a moment: of a window that a ttl leaves nothing
    /// of, the former is beyond the latter. `None` before the first of all times.
    pub(super) fn ends(&self, at: i64) -> Option<(i64, i64)> {
        let last = at.checked_sub(self.offset)?.checked_sub(self.excluded())?;
        let first = match self.length {
            None => i64::MIN,
            Some(length) => at.saturating_sub(self.offset).saturating_sub(length - 1),
        };
        let oldest = self.ttl.map_or(i64::MIN, |ttl| at.saturating_sub(ttl));
        Some((first.max(oldest), last))
    }

    /// The age up to which an event is in the window; `None` is any.
    pub fn last_age(&self) -> Option<i64> {
        let age = self.length.map(|length| self.offset.saturating_add(length - 1));
        age.into_iter().chain(self.ttl).min()
    }

    /// How far before a moment the oldest event lies that can be in it then; `None` is any
    /// distance.
    pub fn reach(&self) -> Option<i64> {
        let window = self.length.map(|length| length.saturating_add(self.offset));
        match (window, self.ttl) {
            (Some(window), Some(ttl)) => Some(window.min(ttl)),
            (window, ttl) => window.or(ttl),
        }
    }

    fn excluded(&self) -> i64 {
        i64::from(self.current_time == CurrentTime::Excluded)
    }
}
