//! Training sets: what is asked, and the report that belongs to the rows.

use std::collections::BTreeMap;

use hitherto_core::definition::Known;
use hitherto_core::zone::Zone;
use serde::{Deserialize, Serialize};

use crate::selection::{FeatureNames, Selection};

/// One training set.
#[derive(Clone, Debug)]
pub struct TrainingSetRequest {
    /// What is asked for.
    pub selection: Selection,
    /// The spine's column of times.
    pub timestamp: String,
    /// Whose local times they are if they have no zone; `None` is UTC's.
    pub timezone: Option<Zone>,
    /// The knowledge cutoff `K`, microseconds UTC; `None` is none.
    pub known_by: Option<i64>,
    /// Overrides every view's own setting; only to reproduce an older system.
    pub known: Option<Known>,
    /// How feature columns are named.
    pub names: FeatureNames,
}

/// What a join found, complete after its last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSetReport {
    /// Spine rows, which is output rows.
    pub rows: u64,
    /// Rows for which a join on event time alone would have used, in at least
    /// one view, a fact that was not known at the row's time; where known time does not
    /// count, the view did use it.
    pub leaky_rows: u64,
    /// One for each view, in the order of the request.
    pub views: Vec<ViewReport>,
    /// One for each on-demand view whose features are in the rows, or read by those that are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_demand: Vec<OnDemandReport>,
    /// What may not be meant, such as times without a zone, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a join found in one view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReport {
    /// What the request calls the view.
    pub view: String,
    /// Whether known time counted. If it did not, the leaks are in the rows.
    #[serde(default)]
    pub known: Known,
    /// Facts read.
    pub facts: u64,
    /// Rows that a fact answers.
    pub present: u64,
    /// Rows that no fact answers, by reason; where features are computed of events, those in
    /// whose windows there is none, as `empty_window`.
    pub absent: BTreeMap<String, u64>,
    /// Rows for which a join on event time alone would have used a fact that
    /// was not known at the row's time, or did use it: see `known`.
    pub leaks: u64,
    /// How old the facts are that answer; `None` when none does, and of a timeless view.
    pub age: Option<Ages>,
    /// Rows in which a feature is null, for whatever reason; in the order of
    /// the request.
    pub nulls: Vec<FeatureNulls>,
}

impl TrainingSetReport {
    /// The views into whose rows facts leaked that were not known yet, because known time
    /// did not count.
    pub fn leaked(&self) -> impl Iterator<Item = &ViewReport> {
        self.views.iter().filter(|view| view.has_leaked())
    }
}

impl ViewReport {
    /// Whether rows have facts that were not known yet.
    pub fn has_leaked(&self) -> bool {
        self.known == Known::Ignore && self.leaks > 0
    }
}

/// What was computed of one on-demand view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandReport {
    /// The view's name.
    pub view: String,
    /// Rows in which a feature has no value, by reason; a default may stand there.
    pub nulls: Vec<FeatureNulls>,
}

/// From event time to the row's time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages {
    /// Half of the facts are not older, to three digits.
    pub p50_micros: i64,
    /// Nineteen of twenty are not older, to three digits.
    pub p95_micros: i64,
    /// None is older.
    pub max_micros: i64,
}

/// How often a feature is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureNulls {
    /// The feature's name in its view.
    pub feature: String,
    /// Rows.
    pub rows: u64,
    /// Rows by the reason for no value, of a feature that is computed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
}
