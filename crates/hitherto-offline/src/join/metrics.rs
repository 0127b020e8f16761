//! What a join counts: DataFusion metrics for EXPLAIN ANALYZE, and the report
//! that belongs to a training set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, Time,
};
use hitherto_core::rule::{Absence, Answer};
use serde::{Deserialize, Serialize};

/// What a join found, complete after its last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Spine rows, which is output rows.
    pub rows: u64,
    /// Rows for which a join on event time alone would have used, in at least
    /// one view, a fact that was not known at the row's time.
    pub leaky_rows: u64,
    /// One for each view, in the order of the request.
    pub views: Vec<ViewReport>,
}

/// What a join found in one view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReport {
    /// The view's name.
    pub view: String,
    /// Facts read.
    pub facts: u64,
    /// Rows that a fact answers.
    pub present: u64,
    /// Rows that no fact answers, by reason.
    pub absent: BTreeMap<String, u64>,
    /// Rows for which a join on event time alone would have used a fact that
    /// was not known at the row's time.
    pub leaks: u64,
}

impl ViewReport {
    /// Counts one row's answer.
    pub(super) fn count(&mut self, answer: &Answer<'_>) {
        match answer {
            Ok(_) => self.present += 1,
            Err(absence) => {
                // Every reason has an entry from the start; see `new`.
                if let Some(rows) = self.absent.get_mut(absence.name()) {
                    *rows += 1;
                }
            }
        }
    }

    pub(super) fn new(view: &str) -> Self {
        let absent = Absence::ALL.iter().map(|absence| (absence.name().to_owned(), 0)).collect();
        Self { view: view.to_owned(), absent, ..Self::default() }
    }
}

/// A report while it is being made: the join writes, its owner reads.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedReport(Arc<Mutex<JoinReport>>);

impl SharedReport {
    pub(super) fn read(&self) -> JoinReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn write(&self, report: &JoinReport) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(report);
    }
}

/// What EXPLAIN ANALYZE shows.
pub(super) struct JoinMetrics {
    /// Output rows and batches, elapsed time.
    pub baseline: BaselineMetrics,
    /// Time spent indexing the spine.
    pub index_time: Time,
    /// Facts offered to slots, over all views.
    pub facts: Count,
    /// Distinct (entity, time) pairs of the spine.
    pub spine_rows: Count,
}

impl JoinMetrics {
    pub(super) fn new(set: &ExecutionPlanMetricsSet) -> Self {
        Self {
            baseline: BaselineMetrics::new(set, 0),
            index_time: MetricBuilder::new(set).subset_time("index_time", 0),
            facts: MetricBuilder::new(set).counter("facts", 0),
            spine_rows: MetricBuilder::new(set).counter("spine_rows", 0),
        }
    }
}
