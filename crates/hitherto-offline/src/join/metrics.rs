//! What EXPLAIN ANALYZE shows of a join.

use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, Time,
};

/// Metrics of one run.
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
