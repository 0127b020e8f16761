//! Rows that a window function holds, counted.
//!
//! DataFusion's operators for window functions keep the rows of a partition, which may be
//! all that there are, and ask no memory pool for them. So what goes into one is counted
//! here, until the query ends, which is refused what the pool does not grant.

use std::fmt;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use futures::StreamExt;

use super::watched::{Watch, WatchedExec};

/// Counts what goes into the window functions of a plan.
pub(super) fn held(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let counted = plan.transform_up(|node| {
        if !node.is::<WindowAggExec>() && !node.is::<BoundedWindowAggExec>() {
            return Ok(Transformed::no(node));
        }
        let hold = |plan: &Arc<dyn ExecutionPlan>| {
            Arc::new(WatchedExec { plan: Arc::clone(plan), watch: Held }) as Arc<dyn ExecutionPlan>
        };
        let children = node.children().into_iter().map(hold).collect();
        let mode = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        node.replace_children(children, mode).map(Transformed::yes)
    });
    counted.map(|counted| counted.data)
}

/// Who holds all rows that pass.
#[derive(Clone, Copy, Debug)]
struct Held;

impl Watch for Held {
    const NAME: &'static str = "HeldExec";

    fn show(self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    fn watch(
        self,
        rows: SendableRecordBatchStream,
        context: &TaskContext,
    ) -> SendableRecordBatchStream {
        let pool = context.memory_pool();
        let held = MemoryConsumer::new("rows of a window function").register(pool);
        let schema = rows.schema();
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
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}
