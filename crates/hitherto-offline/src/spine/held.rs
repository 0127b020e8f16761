//! Rows that a window function holds, counted.
//!
//! DataFusion's operators for window functions keep the rows of a partition, which may be
//! all that there are, and ask no memory pool for them. So what goes into one is counted
//! here, until the query ends, which is refused what the pool does not grant.

use std::fmt;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

/// Counts what goes into the window functions of a plan.
pub(super) fn held(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let counted = plan.transform_up(|node| {
        if !node.is::<WindowAggExec>() && !node.is::<BoundedWindowAggExec>() {
            return Ok(Transformed::no(node));
        }
        let hold = |plan: &Arc<dyn ExecutionPlan>| {
            Arc::new(HeldExec { plan: Arc::clone(plan) }) as Arc<dyn ExecutionPlan>
        };
        let children = node.children().into_iter().map(hold).collect();
        let mode = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        node.replace_children(children, mode).map(Transformed::yes)
    });
    counted.map(|counted| counted.data)
}

/// The rows of a plan, which somebody holds.
#[derive(Debug)]
struct HeldExec {
    plan: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for HeldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldExec")
    }
}

impl ExecutionPlan for HeldExec {
    fn name(&self) -> &str {
        "HeldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.plan]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        match children.into_iter().next() {
            Some(plan) => Ok(Arc::new(Self { plan })),
            None => Err(DataFusionError::Internal(String::from("HeldExec has one child"))),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mode = ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(mode))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let pool = context.memory_pool();
        let held = MemoryConsumer::new("rows of a window function").register(pool);
        let rows = self.plan.execute(partition, Arc::clone(&context))?;
        let rows = rows.map(move |batch| {
            let batch = batch?;
            // Of a slice what it shows: batches may share what they are cut out of.
            let bytes = |column: &ArrayRef| {
                let shown = column.to_data().get_slice_memory_size();
                shown.unwrap_or_else(|_| column.get_array_memory_size())
            };
            held.try_grow(batch.columns().iter().map(bytes).sum())?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
