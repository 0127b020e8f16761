//! What a contest says of one slot, once all facts have competed.

use super::slot::{State, Winner};
use crate::rule::{self, Says, Times};
use crate::slots::Terms;

/// The rule's answer at one slot.
pub struct SlotAnswer {
    /// The number of the row that answers, or why none does.
    pub(super) row: Result<u32, rule::Absence>,
    /// How long before the slot's time the fact happened that answers, in
    /// microseconds.
    pub age_micros: i64,
    /// Whether a join on event time alone would have answered with a fact that
    /// was not known at the slot's time.
    pub is_leak: bool,
}

impl SlotAnswer {
    pub(super) fn judge(
        best: Option<(Winner, u32)>,
        unknown: Option<Times>,
        at: i64,
        terms: Terms,
    ) -> Self {
        let says = |winner: Winner| match winner.state {
            State::Deleted => Says::Deletion,
            _ => Says::Values,
        };
        let winner = best.map(|(winner, _)| (winner.times.event, says(winner)));
        let judged = rule::judge(winner, unknown.is_some(), at, terms.ttl_micros);
        let by_event = best.map(|(winner, _)| winner.times).max(unknown);
        let is_leak = by_event.is_some_and(|times| {
            times.known > at && !rule::is_expired(times.event, at, terms.ttl_micros)
        });
        let row = judged.map(|()| {
            let (winner, base) = best.expect("only a winner answers");
            assert!(winner.state == State::Filled, "every winner brought its row");
            base + winner.row
        });
        let age_micros = best.map_or(0, |(winner, _)| at.saturating_sub(winner.times.event));
        Self { row, age_micros, is_leak }
    }

    /// Why nothing answers; `Ok` if a fact does.
    ///
    /// # Errors
    /// The reason, which is no failure.
    pub fn judged(&self) -> Result<(), rule::Absence> {
        self.row.map(|_| ())
    }
}
