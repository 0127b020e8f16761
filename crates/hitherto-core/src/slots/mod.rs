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
//! first slot is found by binary search; there the greatest by
//! [`rule::rank`](crate::rule::rank) stays. The running maximum then makes each
//! slot hold the greatest fact visible at its time, which is the rule; the ttl
//! is tested last, on the winner.
//!
//! **Memory.** One winner a slot and one row for each slot that some fact won.
//! Facts are neither sorted nor kept. **Cost.** One lookup of the entity a fact, and one
//! binary search where it has another slot than the entity's fact before it; bytes are
//! encoded only for a fact that leads, or ties.
//!
//! **Degenerate cases.** A null key has no slot. Facts of entities outside the
//! spine, after its last time, or known after the cutoff, win nothing. Equal
//! spine rows share a slot. All facts in one entity only meet at one lock.
//!
//! **Leaks.** A join on event time alone would use, at each slot, the greatest
//! fact that happened by then, known or not. That is the greater of the slot's
//! winner and of the facts that happened before it and became visible after:
//! those are kept apart, without rows. They make the leakage report.
//!
//! **Settled.** No fact older than the winner of an entity's first slot can
//! change any of its answers, values or reasons. A scan from the newest facts
//! to the oldest therefore ends early ([`Contest::is_settled`]).
//!
//! Bringing facts to their slots knows nothing of what they do there: the contest is one
//! thing that takes them. Where features are computed of many facts, all of an entity's are
//! kept until the last has come (`events`).
//!
//! | module | what it owns |
//! | --- | --- |
//! | `entities` | from an entity key to the entity's number |
//! | `spine` | from spine rows to slots |
//! | `times` | when the facts of a batch happened and could be known |
//! | `places` | where each entity's last fact had its slot |
//! | `block` | from facts to slots, many at a time |
//! | `contest` | who wins: one view's facts, from many threads, and what each spine row gets |
//! | `events` | who counts: the same where many facts answer together |

mod block;
mod contest;
mod entities;
mod events;
mod places;
mod spine;
mod times;

pub use contest::{Answers, Contest, Entries, Entry, SlotAnswer};
pub use events::{Arrival, Events, PartAnswers};
pub use places::Places;
pub use spine::{Spine, SpineBuilder};
pub use times::{KnownTimes, TimesBatch};

use crate::definition::Known;

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

#[cfg(test)]
mod tests;
