//! The operator as a plan: children, output schema, display.

use std::fmt;
use std::sync::Arc;

use ::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use hitherto_api::TrainingSetReport;
use hitherto_api::arrow::field;
use hitherto_api::spine::SpineLayout;
use hitherto_core::aggregate::AggregatePlan;
use hitherto_core::output::Output;
use hitherto_core::slots::Terms;

use super::metrics::JoinMetrics;
use super::report::Counts;
use super::stream;
use crate::facts::FactLayout;
use crate::spine::SpinePlan;

/// One view of a join.
#[derive(Clone, Debug)]
pub struct JoinView {
    /// The view's name.
    pub name: String,
    /// The spine's column index of each join key.
    pub spine_keys: Vec<usize>,
    /// How the view's fact batches are read.
    pub layout: FactLayout,
    /// Ttl, knowledge cutoff and whether known time counts.
    pub terms: Terms,
    /// How its features are computed, in the order in which they are asked for; `None` where
    /// they are the facts' own.
    pub plan: Option<AggregatePlan>,
}

/// The point-in-time join as a DataFusion operator. Its children are the spine
/// and then the facts of the views: of each one plan or several, whose facts
/// compete together.
#[derive(Debug)]
pub struct PointInTimeJoinExec {
    spine: Arc<dyn ExecutionPlan>,
    facts: Vec<Arc<dyn ExecutionPlan>>,
    shape: Arc<JoinShape>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    counts: Counts,
}

/// What a join computes, apart from its inputs.
#[derive(Debug)]
pub(super) struct JoinShape {
    pub spine: SpineLayout,
    /// Whether spine rows are held by the join alone.
    pub is_streamed: bool,
    pub views: Vec<JoinView>,
    /// The view of each plan of facts.
    pub view_of_facts: Vec<usize>,
    pub outputs: Vec<Output>,
    pub schema: SchemaRef,
}

impl PointInTimeJoinExec {
    /// A join of `spine` with the facts of `views`.
    pub fn new(
        spine: SpinePlan,
        layout: SpineLayout,
        views: Vec<(JoinView, Vec<Arc<dyn ExecutionPlan>>)>,
        outputs: Vec<Output>,
    ) -> Self {
        let (views, facts_of_views): (Vec<_>, Vec<_>) = views.into_iter().unzip();
        let view_of_facts =
            facts_of_views.iter().enumerate().flat_map(|(view, facts)| vec![view; facts.len()]);
        let view_of_facts = view_of_facts.collect();
        let is_streamed = spine.is_streamed();
        let spine = spine.plan;
        let passed = spine.schema().fields().clone();
        let features = outputs.iter().map(|output| field(&output.name, &output.data_type).into());
        let schema =
            Arc::new(Schema::new(passed.iter().cloned().chain(features).collect::<Vec<_>>()));
        let shape = JoinShape { spine: layout, is_streamed, views, view_of_facts, outputs, schema };
        let shape = Arc::new(shape);
        Self::over(single(spine), facts_of_views.into_iter().flatten().collect(), shape)
    }

    fn over(
        spine: Arc<dyn ExecutionPlan>,
        facts: Vec<Arc<dyn ExecutionPlan>>,
        shape: Arc<JoinShape>,
    ) -> Self {
        assert_eq!(facts.len(), shape.view_of_facts.len(), "each plan of facts has its view");
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&shape.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            spine,
            facts,
            shape,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            counts: Counts::default(),
        }
    }

    /// What the join found; complete after its last batch.
    pub fn report(&self) -> TrainingSetReport {
        self.counts.report()
    }
}

/// A plan whose output is one partition. A spine must come as one already,
/// since merging partitions forgets their order.
fn single(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    match plan.output_partitioning().partition_count() {
        1 => plan,
        _ => Arc::new(CoalescePartitionsExec::new(plan)),
    }
}

impl DisplayAs for PointInTimeJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<&str> = self.shape.views.iter().map(|view| view.name.as_str()).collect();
        let schema = self.spine.schema();
        let timestamp = schema.field(self.shape.spine.timestamp).name().clone();
        write!(
            f,
            "PointInTimeJoinExec: at={timestamp}, views=[{}], features={}",
            views.join(", "),
            self.shape.outputs.len()
        )
    }
}

impl ExecutionPlan for PointInTimeJoinExec {
    fn name(&self) -> &str {
        "PointInTimeJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        std::iter::once(&self.spine).chain(&self.facts).collect()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        // Facts may come in any number of partitions: they compete one by one.
        let facts = self.facts.iter().map(|_| Distribution::UnspecifiedDistribution);
        let spine = std::iter::once(Distribution::SinglePartition);
        InputDistributionRequirements::new(spine.chain(facts).collect())
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        std::iter::once(true).chain(self.facts.iter().map(|_| false)).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let spine = children.next();
        let facts: Vec<_> = children.collect();
        match spine {
            Some(spine) if facts.len() == self.facts.len() => {
                Ok(Arc::new(Self::over(spine, facts, Arc::clone(&self.shape))))
            }
            _ => Err(DataFusionError::Internal(format!(
                "PointInTimeJoinExec has {} children",
                1 + self.facts.len()
            ))),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::ChildrenPropertiesMode;
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!(
                "PointInTimeJoinExec has one partition, not {partition}"
            )));
        }
        let metrics = JoinMetrics::new(&self.metrics);
        let spine = self.spine.execute(0, Arc::clone(&context))?;
        Ok(stream::run(
            stream::Inputs { spine, facts: self.facts.clone() },
            Arc::clone(&self.shape),
            context,
            metrics,
            self.counts.clone(),
        ))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
