//! A plan whose rows somebody watches on their way.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};

/// Who watches rows: none is changed, and any may be refused.
pub(super) trait Watch: Copy + fmt::Debug + Send + Sync + 'static {
    /// The name of the plan's node.
    const NAME: &'static str;

    /// Writes what a plan shows behind the name.
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The rows, watched.
    fn watch(
        self,
        rows: SendableRecordBatchStream,
        context: &TaskContext,
    ) -> SendableRecordBatchStream;
}

/// The rows of a plan, watched.
#[derive(Debug)]
pub(super) struct WatchedExec<W> {
    pub plan: Arc<dyn ExecutionPlan>,
    pub watch: W,
}

impl<W: Watch> DisplayAs for WatchedExec<W> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(W::NAME)?;
        self.watch.show(f)
    }
}

impl<W: Watch> ExecutionPlan for WatchedExec<W> {
    fn name(&self) -> &str {
        W::NAME
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
        let watch = self.watch;
        match children.into_iter().next() {
            Some(plan) => Ok(Arc::new(Self { plan, watch })),
            None => Err(DataFusionError::Internal(format!("{} has one child", W::NAME))),
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
        let rows = self.plan.execute(partition, Arc::clone(&context))?;
        Ok(self.watch.watch(rows, &context))
    }
}
