//! Both sides compared, value by value: what is asked, and what was found.

use serde::Serialize;

/// Compares online with offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRequest {
    /// View names; empty is all.
    pub views: Vec<String>,
    /// Facts drawn from each view.
    pub samples: usize,
    /// Draws the facts: the same seed asks the same questions of the same facts.
    pub seed: u64,
}

impl Default for VerifyRequest {
    fn default() -> Self {
        Self { views: Vec::new(), samples: 1_000, seed: 0 }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// One for each view, in the order of the request.
    pub views: Vec<VerifiedView>,
}

/// What was found of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedView {
    /// The view's name.
    pub view: String,
    /// Whether it was compared, and what came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a view was compared, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing of it is online.
    Skipped,
    /// What the online copy has consumed can no longer be read.
    Stale {
        /// What is not as it was, such as `data/labs.parquet has changed`.
        reason: String,
    },
    /// It was compared.
    Compared(Comparison),
}

/// Both sides of one view. Times are microseconds UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// No question was asked for a moment before it.
    pub horizon: i64,
    /// Questions: an entity and a moment.
    pub pairs: u64,
    /// Questions that the offline side answers with at least one value.
    pub pairs_with_value: u64,
    /// Values compared, nulls included.
    pub values: u64,
    /// Values that are not the same on both sides.
    pub differences: u64,
    /// The first differences.
    pub first: Vec<Difference>,
}

/// One value that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The entity, as `key=value`, several with commas between.
    pub entity: String,
    /// The moment, microseconds UTC.
    pub at: i64,
    /// The feature, as `view:feature`.
    pub feature: String,
    /// The training set's value as text; `None` is null.
    pub offline: Option<String>,
    /// The lookup's value as text; `None` is null.
    pub online: Option<String>,
}

impl Verification {
    /// Values compared, over all views.
    pub fn values(&self) -> u64 {
        self.compared().map(|comparison| comparison.values).sum()
    }

    /// Values that differ, over all views.
    pub fn differences(&self) -> u64 {
        self.compared().map(|comparison| comparison.differences).sum()
    }

    /// Views that could not be compared, because what they consumed is not there
    /// as it was: names with reasons.
    pub fn stale(&self) -> impl Iterator<Item = (&str, &str)> {
        self.views.iter().filter_map(|view| match &view.outcome {
            Outcome::Stale { reason } => Some((view.view.as_str(), reason.as_str())),
            _ => None,
        })
    }

    fn compared(&self) -> impl Iterator<Item = &Comparison> {
        self.views.iter().filter_map(|view| match &view.outcome {
            Outcome::Compared(comparison) => Some(comparison),
            _ => None,
        })
    }
}
