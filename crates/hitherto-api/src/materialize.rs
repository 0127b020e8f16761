//! Sources to the online store: what is to be done, and what was.

use serde::{Deserialize, Serialize};

/// What is to be materialized.
#[derive(Clone, Debug, Default)]
pub struct MaterializeRequest {
    /// View names; empty is all.
    pub views: Vec<String>,
    /// New files only, or everything.
    pub mode: MaterializeMode,
    /// Show a new generation even if it differs from the old by more than its definition
    /// allows.
    pub force: bool,
    /// Only facts with event times in this range, of all files. No file counts as
    /// consumed by that: the next run without a range reads what is new as ever.
    pub window: Option<TimeRange>,
}

/// How much of a source is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaterializeMode {
    /// Files that are new since the last run; all of them if one that was
    /// consumed has changed or is gone.
    #[default]
    Incremental,
    /// All files, into a new generation that replaces the old one at once.
    Full,
}

/// What happened to one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Materialized {
    /// The view's name.
    pub view: String,
    /// What was done; a first run is always full.
    pub mode: MaterializeMode,
    /// Whether there was nothing to do.
    pub is_up_to_date: bool,
    /// Files read.
    pub files: u64,
    /// Facts read.
    pub facts: u64,
    /// Facts without an event time: they answer nothing.
    pub facts_without_time: u64,
    /// Facts with a null join key: they answer nothing.
    pub facts_without_key: u64,
    /// Entities that the facts are about.
    pub entities: u64,
    /// History rows written.
    pub history_rows: u64,
    /// Bytes of sorted files.
    pub file_bytes: u64,
    /// The greatest event time consumed so far, of what has happened, microseconds UTC.
    pub watermark: Option<i64>,
    /// The generation that readers now see.
    pub generation: u32,
    /// What may not be meant, such as times without a zone, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A view that was taken back to its previous generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The view's name.
    pub view: String,
    /// The generation that readers saw.
    pub from: u32,
    /// The one that they see now.
    pub to: u32,
}

/// Event times that matter, in microseconds UTC, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// What happened before this cannot answer; `i64::MIN` is no bound.
    pub from: i64,
    /// What happened after this is not looked at.
    pub to: i64,
}

impl TimeRange {
    /// Every time.
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    /// The range between two bounds, either of which may be left open; `None` if both are.
    pub fn between(from: Option<i64>, to: Option<i64>) -> Option<Self> {
        let range = Self { from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX) };
        (range != Self::ALL).then_some(range)
    }

    /// Whether a time is in it.
    pub fn has(self, event: i64) -> bool {
        self.from <= event && event <= self.to
    }
}
