//! Which fact answers for an entity at a moment, or which events count, and why others do not.

use hitherto_core::aggregate::{EventCounts, Reason};
use hitherto_core::column::Column;
use hitherto_core::definition::Known;
use hitherto_core::rule::Absence;
use hitherto_core::why::{Candidate, Counts, Verdict};
use serde::Serialize;

use crate::lookup::KeyColumn;

/// Asks why one entity has the values of one view, or one that is computed of events.
#[derive(Clone, Debug)]
pub struct WhyRequest {
    /// The feature view.
    pub view: String,
    /// Which of its features, where they are computed of events: each has its own. The features
    /// of other views all come from one fact.
    pub feature: Option<String>,
    /// One column for each join key, each with one value.
    pub keys: Vec<KeyColumn>,
    /// The time in question, microseconds UTC; `None` is now.
    pub at: Option<i64>,
    /// The knowledge cutoff `K`, microseconds UTC; `None` is none.
    pub known_by: Option<i64>,
    /// Overrides the view's own setting; only to reproduce an older system.
    pub known: Option<Known>,
    /// How many facts of each sort to list; `None` is a few.
    pub facts: Option<usize>,
}

impl WhyRequest {
    /// Asks of `view` or `view:feature` for now, and for all that is known.
    pub fn new(of: &str, keys: Vec<KeyColumn>) -> Self {
        let (view, feature) = match of.split_once(':') {
            Some((view, feature)) => (view, Some(feature.to_owned())),
            None => (of, None),
        };
        Self {
            view: view.to_owned(),
            feature,
            keys,
            at: None,
            known_by: None,
            known: None,
            facts: None,
        }
    }
}

/// Which fact answers, and why others do not. Times are microseconds UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The feature view.
    pub view: String,
    /// The time in question.
    pub at: i64,
    /// The knowledge cutoff.
    pub known_by: Option<i64>,
    /// Whether known time counted.
    pub known: Known,
    /// How long a fact answers.
    pub ttl_micros: Option<i64>,
    /// Why no fact answers; `None` when one does.
    pub absence: Option<Absence>,
    /// The facts that answer, count or came near, newest first.
    pub candidates: Vec<ShownFact>,
    /// The candidates' values: each feature as `view:feature`, a row each. Of events what the
    /// feature is computed of: `view:column`, and what identifies them.
    #[serde(skip)]
    pub columns: Vec<Column>,
    /// All facts of the entity that have an event time, by what became of them; where a window
    /// is looked at those in it, and those that had not happened.
    pub counts: Counts,
    /// What is computed of them, if it is a feature of events.
    pub aggregate: Option<ExplainedAggregate>,
    /// Facts of the entity without an event time: they answer nothing.
    pub facts_without_time: u64,
    /// What the online store says.
    pub online: Online,
}

/// What is computed of the events of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedAggregate {
    /// The feature's name.
    pub feature: String,
    /// How it is computed, as people say it: `sum of amount (float64) over 7d`.
    pub computed: String,
    /// The first and the last event time in the window; `None` where none can be.
    pub window: Option<(i64, i64)>,
    /// The value, one row, computed of the events that count, one after the other.
    #[serde(skip)]
    pub answer: Column,
    /// Why there is none.
    pub reason: Option<Reason>,
    /// Whether a training set says the same.
    pub training_set_agrees: bool,
    /// The facts that the moment sees, by what became of them, and those outside of the window.
    pub counts: EventCounts,
}

/// One fact of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShownFact {
    /// When it happened.
    pub event: i64,
    /// When it could first be known.
    pub known: i64,
    /// Whether it says that the entity's values are gone.
    pub is_deletion: bool,
    /// What became of it.
    pub verdict: Verdict,
    /// When it was pushed, whatever known time it claims; `None` for a fact of the source,
    /// and where an earlier release did not keep it.
    pub arrived: Option<i64>,
    /// By how much it missed; see [`Candidate::missed_by_micros`].
    pub missed_by_micros: i64,
}

/// What the online store says to the same question.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Online {
    /// Nothing of the view is online.
    Nothing,
    /// The copy of its definition before is, until it is materialized.
    EarlierDefinition,
    /// The moment lies before the history that it keeps.
    BeforeHorizon {
        /// Where that history begins.
        horizon: i64,
    },
    /// Lookups do not know such a question: it has a cutoff, or overrides the
    /// view's own setting of known time.
    NotAsked,
    /// It answers.
    Answers(OnlineAnswer),
}

/// The answer of a lookup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnlineAnswer {
    /// When its fact happened; `None` when none answers, and of what many are the answer.
    pub event: Option<i64>,
    /// When its fact was known.
    pub known: Option<i64>,
    /// Its values, one row.
    #[serde(skip)]
    pub columns: Vec<Column>,
    /// Whether it is the source's answer: the same times and values, or the
    /// same lack of them.
    pub agrees: bool,
}

impl Explanation {
    /// The candidate that answers, by index.
    pub fn answer(&self) -> Option<usize> {
        self.candidates.iter().position(|fact| fact.verdict == Verdict::Answers)
    }
}

impl From<&Candidate> for ShownFact {
    fn from(candidate: &Candidate) -> Self {
        Self {
            event: candidate.times.event,
            known: candidate.times.known,
            is_deletion: candidate.is_deletion(),
            verdict: candidate.verdict,
            arrived: candidate.arrived,
            missed_by_micros: candidate.missed_by_micros,
        }
    }
}
