//! The rule with its reasons: which fact answers, and why the others do not.
//!
//! [`rule::answer`] wants an entity's facts newest first and stops at the one
//! that answers. Somebody who asks *why* has facts in any order, may have
//! millions of them, and wants to see those that came near:
//!
//! ```text
//!     seen: e <= t, n <= min(t, K)       not seen
//!  ----------------------------------|---------------------------------->  rank
//!   superseded  superseded  [winner]   not yet known   not yet happened
//!                              |       after cutoff
//!                              v
//!                  answers, expired or deleted
//! ```
//!
//! **Algorithm.** Facts are sorted by which condition of the rule they fail,
//! and of each sort a short list is kept: the newest, or of those that have
//! not happened the nearest. The winner is the newest fact that is seen, and
//! the rule's own last step judges it. Of a feature that is computed of events
//! many facts count; [`crate::aggregate::EventInquiry`] says which.
//!
//! **Invariant.** The answer is that of [`rule::answer`] over the same facts:
//! seeing, ranking and judging are all [`rule`]'s.
//!
//! **Memory.** As many facts of each sort as are asked for. A fact that was read
//! twice, byte for byte, is listed once and counted twice.

use serde::Serialize;

use crate::row;
use crate::rule::{self, Absence, Moment, NEVER, Says, Times};

/// What became of one fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It answers.
    Answers,
    /// The moment sees it, and a fact that ranks higher.
    Superseded,
    /// It had happened, and became known after the moment.
    NotYetKnown,
    /// It was known at the moment, and not by the knowledge cutoff.
    AfterCutoff,
    /// It happened after the moment.
    NotYetHappened,
    /// It is the newest that the moment sees, and older than the ttl.
    Expired,
    /// It is the newest that the moment sees, and a deletion.
    Deleted,
    /// Its event is in the window, and counts.
    Counts,
    /// Its event is in the window, and is not such as the condition asks for.
    Filtered,
    /// Its event is older than the window.
    LeftWindow,
    /// Its event is newer than the window, which ends before the moment.
    NotYetInWindow,
}

impl Verdict {
    /// All verdicts, in the order of the documentation.
    pub const ALL: [Verdict; 11] = [
        Verdict::Answers,
        Verdict::Superseded,
        Verdict::NotYetKnown,
        Verdict::AfterCutoff,
        Verdict::NotYetHappened,
        Verdict::Expired,
        Verdict::Deleted,
        Verdict::Counts,
        Verdict::Filtered,
        Verdict::LeftWindow,
        Verdict::NotYetInWindow,
    ];

    /// As written in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Answers => "answers",
            Verdict::Superseded => "superseded",
            Verdict::NotYetKnown => "not_yet_known",
            Verdict::AfterCutoff => "after_cutoff",
            Verdict::NotYetHappened => "not_yet_happened",
            Verdict::Expired => "expired",
            Verdict::Deleted => "deleted",
            Verdict::Counts => "counts",
            Verdict::Filtered => "filtered",
            Verdict::LeftWindow => "left_window",
            Verdict::NotYetInWindow => "not_yet_in_window",
        }
    }
}

/// One fact that answers or came near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// When it happened and was known.
    pub times: Times,
    /// Its row bytes.
    pub row: Vec<u8>,
    /// When it was pushed; `None` for one of the source, or if nobody kept it.
    pub arrived: Option<i64>,
    /// What became of it.
    pub verdict: Verdict,
    /// By how much it missed, in microseconds: how long after the moment it
    /// happened or was known, after the cutoff it was known, before the ttl's
    /// bound or the window it happened, or after the window. Of an event's
    /// version that is superseded, how long it has been. 0 for the other
    /// verdicts.
    pub missed_by_micros: i64,
}

/// Facts by what kept them from answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seen, whether they answer or not.
    pub seen: u64,
    /// Happened, and known after the moment.
    pub not_yet_known: u64,
    /// Known at the moment, and after the knowledge cutoff.
    pub after_cutoff: u64,
    /// Happened after the moment.
    pub not_yet_happened: u64,
}

/// The rule's answer and its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The candidate that answers, by index, or why none does.
    pub answer: Result<usize, Absence>,
    /// Newest first by [`rule::rank`].
    pub candidates: Vec<Candidate>,
    /// All facts that were shown.
    pub counts: Counts,
}

/// Asks why of one entity's facts, shown one at a time in any order.
#[derive(Clone, Debug)]
pub struct Inquiry {
    moment: Moment,
    ttl_micros: Option<i64>,
    /// What the moment sees is superseded until the winner is known.
    lists: Shortlists,
}

impl Inquiry {
    /// An inquiry that was shown nothing, and lists so many facts of each sort, at least one.
    pub fn new(moment: Moment, ttl_micros: Option<i64>, most: usize) -> Self {
        Self { moment, ttl_micros, lists: Shortlists::new(most) }
    }

    /// Shows one more fact, and when it was pushed if it was. Copies its row if it makes a
    /// short list.
    pub fn show(&mut self, times: Times, row: &[u8], arrived: Option<i64>) {
        let missed = unseen(self.moment, times).unwrap_or((Verdict::Superseded, 0));
        self.lists.offer(missed, times, row, arrived);
    }

    /// The answer, when no fact is left to show.
    pub fn finish(mut self) -> Finding {
        let at = self.moment.at;
        let counts = self.lists.counts();
        let has_unknown = counts.not_yet_known + counts.after_cutoff > 0;
        let winner = self.lists.of(Verdict::Superseded).facts.first_mut();
        let says = winner.as_ref().map(|fact| (fact.times.event, Says::of_row(&fact.row)));
        let judged = rule::judge(says, has_unknown, at, self.ttl_micros);
        if let Some(winner) = winner {
            let ttl = self.ttl_micros.unwrap_or(0);
            let missed = at.saturating_sub(ttl).saturating_sub(winner.times.event);
            (winner.verdict, winner.missed_by_micros) = match judged {
                Err(Absence::Expired) => (Verdict::Expired, missed),
                Err(Absence::Deleted) => (Verdict::Deleted, 0),
                _ => (Verdict::Answers, 0),
            };
        }
        let candidates = self.lists.into_candidates();
        let answers = |candidate: &Candidate| candidate.verdict == Verdict::Answers;
        let answer = judged.map(|()| candidates.iter().position(answers).unwrap_or_default());
        Finding { answer, candidates, counts }
    }
}

impl Candidate {
    /// Whether it says that the entity's values are gone.
    pub fn is_deletion(&self) -> bool {
        row::is_deletion(&self.row)
    }
}

/// The first condition of the rule that keeps a moment from seeing a fact, and by how many
/// microseconds; `None` if it sees it.
pub(crate) fn unseen(moment: Moment, times: Times) -> Option<(Verdict, i64)> {
    if moment.sees(times) {
        return None;
    }
    let Moment { at, known_by, .. } = moment;
    Some(match () {
        () if times.event > at => (Verdict::NotYetHappened, times.event.saturating_sub(at)),
        // Never is no distance away.
        () if times.known == NEVER => (Verdict::NotYetKnown, 0),
        () if times.known > at => (Verdict::NotYetKnown, times.known.saturating_sub(at)),
        () => (Verdict::AfterCutoff, times.known.saturating_sub(known_by)),
    })
}

/// The facts of each sort: how many, and the nearest.
#[derive(Clone, Debug)]
pub(crate) struct Shortlists {
    most: usize,
    lists: [Shortlist; Verdict::ALL.len()],
}

impl Shortlists {
    /// None yet, of each sort so many at most, at least one.
    pub fn new(most: usize) -> Self {
        Self { most, lists: Default::default() }
    }

    fn of(&mut self, verdict: Verdict) -> &mut Shortlist {
        &mut self.lists[verdict as usize]
    }

    /// Counts a fact, and lists it if it is near. Copies its row then.
    pub fn offer(
        &mut self,
        missed: (Verdict, i64),
        times: Times,
        row: &[u8],
        arrived: Option<i64>,
    ) {
        let (verdict, missed_by_micros) = missed;
        let most = self.most;
        let Shortlist { count, facts } = self.of(verdict);
        *count += 1;
        let rank = |held: &Candidate| rule::rank((times, row), (held.times, held.row.as_slice()));
        // Found is the same fact read twice.
        let Err(place) = facts.binary_search_by(rank) else { return };
        let is_full = facts.len() == most;
        // The newest are near, of what is to come the oldest.
        let is_coming = matches!(verdict, Verdict::NotYetHappened | Verdict::NotYetInWindow);
        let (is_far, farthest) =
            if is_coming { (is_full && place == 0, 0) } else { (place == most, most) };
        if is_far {
            return;
        }
        let row = row.to_vec();
        facts.insert(place, Candidate { times, row, arrived, verdict, missed_by_micros });
        if is_full {
            facts.remove(farthest);
        }
    }

    /// How many facts of a sort there are.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.lists[verdict as usize].count
    }

    /// All facts by the conditions of the rule.
    pub fn counts(&self) -> Counts {
        let seen = [Verdict::Superseded, Verdict::Deleted, Verdict::Counts, Verdict::Filtered];
        Counts {
            seen: seen.into_iter().map(|verdict| self.count(verdict)).sum(),
            not_yet_known: self.count(Verdict::NotYetKnown),
            after_cutoff: self.count(Verdict::AfterCutoff),
            not_yet_happened: self.count(Verdict::NotYetHappened),
        }
    }

    /// What is listed, newest first.
    pub fn into_candidates(self) -> Vec<Candidate> {
        let mut candidates: Vec<_> = self.lists.into_iter().flat_map(|list| list.facts).collect();
        candidates.sort_by(|a, b| rule::rank((b.times, &b.row), (a.times, &a.row)));
        candidates
    }
}

/// The facts of one sort: how many, and the nearest, newest first.
#[derive(Clone, Debug, Default)]
struct Shortlist {
    count: u64,
    facts: Vec<Candidate>,
}

#[cfg(test)]
mod tests;
