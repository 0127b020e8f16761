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
//! the rule's own last step judges it.
//!
//! **Invariant.** The answer is that of [`rule::answer`] over the same facts:
//! seeing, ranking and judging are all [`rule`]'s.
//!
//! **Memory.** [`WHY_CANDIDATES_MAX`] facts of each sort. A fact that was read
//! twice, byte for byte, is listed once and counted twice.

use serde::Serialize;

use crate::limits::WHY_CANDIDATES_MAX;
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
}

impl Verdict {
    /// All verdicts, in the order of the documentation.
    pub const ALL: [Verdict; 7] = [
        Verdict::Answers,
        Verdict::Superseded,
        Verdict::NotYetKnown,
        Verdict::AfterCutoff,
        Verdict::NotYetHappened,
        Verdict::Expired,
        Verdict::Deleted,
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
    /// happened or was known, after the cutoff it was known, or before the
    /// ttl's bound it happened. 0 for the other verdicts.
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
    seen: Shortlist,
    not_yet_known: Shortlist,
    after_cutoff: Shortlist,
    not_yet_happened: Shortlist,
    counts: Counts,
}

impl Inquiry {
    /// An inquiry that was shown nothing.
    pub fn new(moment: Moment, ttl_micros: Option<i64>) -> Self {
        let newest = Shortlist { keep: Keep::Newest, facts: Vec::new() };
        Self {
            moment,
            ttl_micros,
            seen: newest.clone(),
            not_yet_known: newest.clone(),
            after_cutoff: newest,
            not_yet_happened: Shortlist { keep: Keep::Oldest, facts: Vec::new() },
            counts: Counts::default(),
        }
    }

    /// Shows one more fact. Copies its row if it makes a short list.
    pub fn show(&mut self, times: Times, row: &[u8]) {
        self.show_pushed(times, row, None);
    }

    /// Shows one more fact, which was pushed at `arrived`.
    pub fn show_pushed(&mut self, times: Times, row: &[u8], arrived: Option<i64>) {
        let unseen = self.unseen(times);
        let counts = &mut self.counts;
        let (count, list) = match unseen {
            None => (&mut counts.seen, &mut self.seen),
            Some(Verdict::NotYetHappened) => {
                (&mut counts.not_yet_happened, &mut self.not_yet_happened)
            }
            Some(Verdict::AfterCutoff) => (&mut counts.after_cutoff, &mut self.after_cutoff),
            Some(_) => (&mut counts.not_yet_known, &mut self.not_yet_known),
        };
        *count += 1;
        list.offer(times, row, arrived);
    }

    /// The answer, when no fact is left to show.
    pub fn finish(mut self) -> Finding {
        let has_unknown = self.counts.not_yet_known + self.counts.after_cutoff > 0;
        let winner = self.seen.facts.first();
        let winner = winner.map(|fact| (fact.times.event, Says::of_row(&fact.row)));
        let judged = rule::judge(winner, has_unknown, self.moment.at, self.ttl_micros);
        let won = match judged {
            Err(Absence::Expired) => Verdict::Expired,
            Err(Absence::Deleted) => Verdict::Deleted,
            _ => Verdict::Answers,
        };
        let seen = std::mem::take(&mut self.seen.facts).into_iter().enumerate();
        let mut candidates: Vec<Candidate> = seen
            .map(|(place, fact)| {
                self.candidate(fact, if place == 0 { won } else { Verdict::Superseded })
            })
            .collect();
        for (list, verdict) in [
            (std::mem::take(&mut self.not_yet_known), Verdict::NotYetKnown),
            (std::mem::take(&mut self.after_cutoff), Verdict::AfterCutoff),
            (std::mem::take(&mut self.not_yet_happened), Verdict::NotYetHappened),
        ] {
            candidates.extend(list.facts.into_iter().map(|fact| self.candidate(fact, verdict)));
        }
        candidates.sort_by(|a, b| rule::rank((b.times, &b.row), (a.times, &a.row)));
        let answers = |candidate: &Candidate| candidate.verdict == Verdict::Answers;
        let answer = judged.map(|()| candidates.iter().position(answers).unwrap_or_default());
        Finding { answer, candidates, counts: self.counts }
    }

    /// The first condition of the rule that keeps the moment from seeing a
    /// fact; `None` if it sees it.
    fn unseen(&self, times: Times) -> Option<Verdict> {
        if self.moment.sees(times) {
            return None;
        }
        Some(match () {
            () if times.event > self.moment.at => Verdict::NotYetHappened,
            () if times.known > self.moment.at => Verdict::NotYetKnown,
            () => Verdict::AfterCutoff,
        })
    }

    fn candidate(&self, Fact { times, row, arrived }: Fact, verdict: Verdict) -> Candidate {
        let Moment { at, known_by, .. } = self.moment;
        let missed_by_micros = match verdict {
            Verdict::NotYetHappened => times.event.saturating_sub(at),
            // Never is no distance away.
            Verdict::NotYetKnown if times.known == NEVER => 0,
            Verdict::NotYetKnown => times.known.saturating_sub(at),
            Verdict::AfterCutoff => times.known.saturating_sub(known_by),
            Verdict::Expired => {
                at.saturating_sub(self.ttl_micros.unwrap_or(0)).saturating_sub(times.event)
            }
            Verdict::Answers | Verdict::Superseded | Verdict::Deleted => 0,
        };
        Candidate { times, row, arrived, verdict, missed_by_micros }
    }
}

impl Candidate {
    /// Whether it says that the entity's values are gone.
    pub fn is_deletion(&self) -> bool {
        row::is_deletion(&self.row)
    }
}

/// A fact that was shown.
#[derive(Clone, Debug)]
struct Fact {
    times: Times,
    row: Vec<u8>,
    arrived: Option<i64>,
}

/// Which facts of a sort are near.
#[derive(Clone, Copy, Debug, Default)]
enum Keep {
    #[default]
    Newest,
    Oldest,
}

/// The nearest facts of one sort, newest first.
#[derive(Clone, Debug, Default)]
struct Shortlist {
    keep: Keep,
    facts: Vec<Fact>,
}

impl Shortlist {
    fn offer(&mut self, times: Times, row: &[u8], arrived: Option<i64>) {
        let rank = |held: &Fact| rule::rank((times, row), (held.times, held.row.as_slice()));
        let place = self.facts.binary_search_by(rank);
        // Found is the same fact read twice.
        let Err(place) = place else { return };
        let is_full = self.facts.len() == WHY_CANDIDATES_MAX;
        let fact = || Fact { times, row: row.to_vec(), arrived };
        match self.keep {
            Keep::Newest if place == WHY_CANDIDATES_MAX => {}
            Keep::Oldest if is_full && place == 0 => {}
            Keep::Newest => {
                self.facts.truncate(WHY_CANDIDATES_MAX - 1);
                self.facts.insert(place, fact());
            }
            Keep::Oldest => {
                self.facts.insert(place, fact());
                if is_full {
                    self.facts.remove(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
