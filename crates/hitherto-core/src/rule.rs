//! The one rule: which fact answers for an entity at a moment.
//!
//! For time `t`, knowledge cutoff `K` and a view's ttl, the answer is the fact
//! with
//!
//! ```text
//! e <= t   and   n <= min(t, K)   and   e >= t - ttl
//! ```
//!
//! that is the greatest by `(e, n, row bytes)`; `e` is its event time and `n`
//! its known time. Bounds are inclusive. Both stores use this module: lookups
//! walk an entity's facts newest first with [`answer`], training sets compete
//! for many moments at once in [`crate::slots`], built from the same parts.
//!
//! ```text
//!            e=09:00        n=10:30
//!  fact  ------*---------------|=============>   visible from max(e, n)
//!  spine   ^ 08:00   ^ 10:00       ^ 11:00
//!            no        not yet       answers
//! ```
//!
//! The ttl is tested on the winner alone: the greatest fact has the greatest
//! event time, so when it is too old every other one is.

use std::cmp::Ordering;

use serde::Serialize;

use crate::column::Status;
use crate::definition::Known;
use crate::{Result, row};

/// The known time of a fact of which nobody can say when it was known: no moment
/// sees it while known time counts.
pub const NEVER: i64 = i64::MAX;

/// The event time of what has none, such as the attributes of a patient: it always was.
/// Midnight of the first of January of the year 1, UTC, the earliest moment that every reader
/// of ours can write, so that such facts need no case of their own: not in keys, rows, stores,
/// files or joins.
pub const ALWAYS: i64 = -62_135_596_800_000_000;

/// When a fact happened and when it could be known, in microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Times {
    /// When it happened.
    pub event: i64,
    /// When it could first be known.
    pub known: i64,
}

impl Times {
    /// The first moment at which a reader may see the fact.
    pub fn visible(self, known: Known) -> i64 {
        match known {
            Known::Honor => self.event.max(self.known),
            Known::Ignore => self.event,
        }
    }
}

/// The point from which a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time in question `t`.
    pub at: i64,
    /// The knowledge cutoff `K`; `i64::MAX` is none.
    pub known_by: i64,
    /// Whether known time counts.
    pub known: Known,
}

impl Moment {
    /// A moment without a knowledge cutoff.
    pub fn new(at: i64, known: Known) -> Self {
        Self { at, known_by: i64::MAX, known }
    }

    /// Whether a fact with these times may be seen from here, whatever its age.
    pub fn sees(&self, times: Times) -> bool {
        times.event <= self.at && self.knows(times)
    }

    fn knows(&self, times: Times) -> bool {
        self.known == Known::Ignore
            || times.known <= self.at.min(self.known_by) && times.known != NEVER
    }
}

/// Whether an event is too old to answer at `at`.
pub fn is_expired(event: i64, at: i64, ttl_micros: Option<i64>) -> bool {
    ttl_micros.is_some_and(|ttl| event < at.saturating_sub(ttl))
}

/// The order in which facts of one entity supersede each other: by event time,
/// then known time, then row bytes, so that no tie is left to chance.
pub fn rank(a: (Times, &[u8]), b: (Times, &[u8])) -> Ordering {
    a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1))
}

/// Of two rows of one entity the one that supersedes the other.
///
/// # Errors
/// `Corrupt` when one of them is no row.
pub fn greater<'r>(a: &'r [u8], b: &'r [u8]) -> Result<&'r [u8]> {
    Ok(if rank((row::times(a)?, a), (row::times(b)?, b)).is_ge() { a } else { b })
}

/// Why no value answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// The entity has no fact up to this time.
    NeverSeen,
    /// It has facts, but none was known yet.
    NotYetKnown,
    /// The newest known fact is older than the ttl.
    Expired,
    /// The newest known fact is a deletion.
    Deleted,
    /// The entity key is null.
    NullKey,
}

impl Absence {
    /// All reasons, in the order of reports.
    pub const ALL: [Absence; 5] = [
        Absence::NeverSeen,
        Absence::NotYetKnown,
        Absence::Expired,
        Absence::Deleted,
        Absence::NullKey,
    ];

    /// As written in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Absence::NeverSeen => "never_seen",
            Absence::NotYetKnown => "not_yet_known",
            Absence::Expired => "expired",
            Absence::Deleted => "deleted",
            Absence::NullKey => "null_key",
        }
    }

    /// The status of every feature of the view.
    pub const fn status(self) -> Status {
        match self {
            Absence::Expired => Status::Expired,
            _ => Status::NotFound,
        }
    }
}

/// What the rule says: the row that answers, or why none does.
pub type Answer<'a> = Result<&'a [u8], Absence>;

/// What the greatest fact says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// These are the values.
    Values,
    /// There are none any more.
    Deletion,
}

impl Says {
    /// What a stored row says.
    pub fn of_row(row: &[u8]) -> Says {
        if row::is_deletion(row) { Says::Deletion } else { Says::Values }
    }
}

/// The last step of the rule, on the greatest fact that the moment sees.
///
/// `winner` is `None` when no fact is seen; `has_unknown` says whether the entity
/// then has facts with `e <= t` that were not yet known. `event` is the winner's
/// event time.
///
/// # Errors
/// Why the winner's values do not answer, which is no failure.
pub fn judge(
    winner: Option<(i64, Says)>,
    has_unknown: bool,
    at: i64,
    ttl_micros: Option<i64>,
) -> Result<(), Absence> {
    match winner {
        None if has_unknown => Err(Absence::NotYetKnown),
        None => Err(Absence::NeverSeen),
        Some((_, Says::Deletion)) => Err(Absence::Deleted),
        Some((event, _)) if is_expired(event, at, ttl_micros) => Err(Absence::Expired),
        Some(_) => Ok(()),
    }
}

/// Looks for the answer among an entity's facts, shown newest first by
/// [`rank`]. It holds no fact, so that a store can show bytes it has pinned.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    moment: Moment,
    ttl_micros: Option<i64>,
    has_unknown: bool,
}

impl Search {
    /// A search that has seen nothing.
    pub fn new(moment: Moment, ttl_micros: Option<i64>) -> Self {
        Self { moment, ttl_micros, has_unknown: false }
    }

    /// Shows the next older fact; `Some` ends the search.
    pub fn show<'a>(&mut self, times: Times, row: &'a [u8]) -> Option<Answer<'a>> {
        if self.moment.sees(times) {
            let winner = Some((times.event, Says::of_row(row)));
            return Some(judge(winner, false, self.moment.at, self.ttl_micros).map(|()| row));
        }
        self.has_unknown |= times.event <= self.moment.at;
        None
    }

    /// Why nothing answers, when no fact is left to show.
    pub fn absence(&self) -> Absence {
        if self.has_unknown { Absence::NotYetKnown } else { Absence::NeverSeen }
    }
}

/// Answers from an entity's facts, given newest first by [`rank`].
///
/// Stops at the first fact that the moment sees; cost is the facts skipped.
pub fn answer<'a>(
    facts_newest_first: impl IntoIterator<Item = (Times, &'a [u8])>,
    moment: Moment,
    ttl_micros: Option<i64>,
) -> Answer<'a> {
    let mut search = Search::new(moment, ttl_micros);
    facts_newest_first
        .into_iter()
        .find_map(|(times, row)| search.show(times, row))
        .unwrap_or_else(|| Err(search.absence()))
}

#[cfg(test)]
mod tests;
