//! The times of facts, as they come: in columns, or counted from one another.

use crate::rule::Times;

/// The times of a batch of facts, in microseconds UTC.
#[derive(Clone, Copy)]
pub struct TimesBatch<'a> {
    /// When each happened.
    pub event: &'a [i64],
    /// When each could first be known.
    pub known: KnownTimes<'a>,
    /// Facts that never happened, by row; they do not compete.
    pub is_absent: Option<&'a [bool]>,
}

/// When the facts of a batch could first be known.
#[derive(Clone, Copy)]
pub enum KnownTimes<'a> {
    /// So many microseconds after each happened.
    Delay(i64),
    /// As a column says; [`NEVER`] is never.
    Column(&'a [i64]),
}

impl TimesBatch<'_> {
    /// The times of a row.
    pub fn get(&self, row: usize) -> Times {
        let event = self.event[row];
        let known = match self.known {
            KnownTimes::Delay(delay) => event.saturating_add(delay),
            KnownTimes::Column(known) => known[row],
        };
        Times { event, known }
    }
}
