//! All batches of some plans, each made into another, in one order.
//!
//! ```text
//! plans (one stream a thread) -> map each batch
//!                             -> sort within the memory limit, spilling
//!                             -> merge into one stream
//! ```

use std::fmt;
use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;

/// Makes a batch into another.
pub trait MapBatch: Fn(&RecordBatch) -> DataFusionResult<RecordBatch> + Send + Sync {}

impl<F: Fn(&RecordBatch) -> DataFusionResult<RecordBatch> + Send + Sync> MapBatch for F {}

/// Runs plans, maps their batches to `schema` and sorts what comes out of all.
///
/// # Errors
/// When DataFusion refuses a plan; the stream has those of the plans and of
/// `map`.
pub fn ordered<'p>(
    plans: impl IntoIterator<Item = &'p Arc<dyn ExecutionPlan>>,
    schema: SchemaRef,
    ordering: LexOrdering,
    context: Arc<TaskContext>,
    map: impl MapBatch + 'static,
) -> DataFusionResult<SendableRecordBatchStream> {
    let map: Arc<dyn MapBatch> = Arc::new(map);
    let partitions = mapped(plans, &schema, &map);
    let mapped =
        StreamingTableExec::try_new(Arc::clone(&schema), partitions, None, None, false, None)?;
    let sorted = SortExec::new(ordering.clone(), Arc::new(mapped)).with_preserve_partitioning(true);
    let sorted: Arc<dyn ExecutionPlan> = Arc::new(sorted);
    let streams = (0..sorted.output_partitioning().partition_count()).map(|partition| {
        Ok(spawn_buffered(sorted.execute(partition, Arc::clone(&context))?, AHEAD))
    });
    // Not DataFusion's operator for that: sorts that merge what they have spilled take all
    // the memory that there is, and it would get none. It needs a few batches a thread.
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    StreamingMergeBuilder::new()
        .with_streams(streams.collect::<DataFusionResult<_>>()?)
        .with_schema(schema)
        .with_expressions(&ordering)
        .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
        .with_batch_size(context.session_config().batch_size())
        .with_reservation(MemoryConsumer::new("merge").register(&pool))
        .build()
}

/// The partitions of plans, their batches mapped to `schema`.
pub fn mapped<'p>(
    plans: impl IntoIterator<Item = &'p Arc<dyn ExecutionPlan>>,
    schema: &SchemaRef,
    map: &Arc<dyn MapBatch>,
) -> Vec<Arc<dyn PartitionStream>> {
    let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
    for plan in plans {
        for partition in 0..plan.output_partitioning().partition_count() {
            let (plan, schema, map) = (Arc::clone(plan), Arc::clone(schema), Arc::clone(map));
            partitions.push(Arc::new(Mapped { plan, partition, schema, map }));
        }
    }
    partitions
}

/// Batches of a sort that wait to be merged.
const AHEAD: usize = 1;

/// One partition of a plan, its batches mapped.
struct Mapped {
    plan: Arc<dyn ExecutionPlan>,
    partition: usize,
    schema: SchemaRef,
    map: Arc<dyn MapBatch>,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl PartitionStream for Mapped {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let batches = match self.plan.execute(self.partition, context) {
            Ok(batches) => batches,
            Err(cause) => {
                let failed = futures::stream::once(async { Err(cause) });
                return Box::pin(RecordBatchStreamAdapter::new(schema, failed));
            }
        };
        let map = Arc::clone(&self.map);
        let mapped = batches.map(move |batch| map(&batch?));
        Box::pin(RecordBatchStreamAdapter::new(schema, mapped))
    }
}
