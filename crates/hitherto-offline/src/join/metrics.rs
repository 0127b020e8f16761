//! What EXPLAIN ANALYZE shows of a join.

use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, Time,
};

/// Metrics of one run.
pub(super) struct JoinMetrics {
    /// Output rows and batches; time spent writing them.
    pub baseline: BaselineMetrics,
    /// Time spent turning the spine into slots.
    pub index_time: Time,
    /// Time spent judging slots and gathering columns, over all threads.
    pub answer_time: Time,
    /// Passes over the facts.
    pub passes: Count,
    /// Spine rows.
    pub spine_rows: Count,
    /// Facts read, over all views and passes.
    pub facts: Count,
    /// Row groups of views that are read from their files.
    pub row_groups: Count,
    /// Those without any of the spine's entities, or only with later events.
    pub row_groups_pruned: Count,
    /// Those that were not read because every answer was newer already.
    pub row_groups_settled: Count,
}

impl JoinMetrics {
    pub(super) fn new(set: &ExecutionPlanMetricsSet) -> Self {
        let count = |name| MetricBuilder::new(set).counter(name, 0);
        let time = |name| MetricBuilder::new(set).subset_time(name, 0);
        Self {
            baseline: BaselineMetrics::new(set, 0),
            index_time: time("index_time"),
            answer_time: time("answer_time"),
            passes: count("passes"),
            spine_rows: count("spine_rows"),
            facts: count("facts"),
            row_groups: count("row_groups"),
            row_groups_pruned: count("row_groups_pruned"),
            row_groups_settled: count("row_groups_settled"),
        }
    }
}
