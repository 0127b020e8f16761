//! A view's files as an ordinary leaf of a DataFusion plan.
//!
//! A point-in-time join takes the files from this node and reads them in its own
//! way. Executed by anybody else, it is a scan: whole facts, row group by row
//! group.

use std::fmt;
use std::sync::Arc;

use ::arrow::array::{RecordBatch, RecordBatchOptions};
use ::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::units::{FactFiles, Unit};

/// All facts of files, as one batch after the other.
pub struct FactFilesExec {
    files: Arc<FactFiles>,
    properties: Arc<PlanProperties>,
}

impl FactFilesExec {
    /// A scan in so many partitions.
    pub(crate) fn new(files: FactFiles, partitions: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&files.schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { files: Arc::new(files), properties: Arc::new(properties) }
    }

    /// The files, for a reader that knows more than a scan.
    pub(crate) fn files(&self) -> &Arc<FactFiles> {
        &self.files
    }
}

impl fmt::Debug for FactFilesExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Verbose, f)
    }
}

impl DisplayAs for FactFilesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FactFiles { files, .. } = self.files.as_ref();
        let groups = files.iter().map(|file| file.metadata.metadata().num_row_groups());
        write!(
            f,
            "FactFilesExec: files={}, row_groups={}, heads=[{}], features=[{}]",
            files.len(),
            groups.sum::<usize>(),
            self.files.heads().join(", "),
            self.files.features().join(", ")
        )
    }
}

impl ExecutionPlan for FactFilesExec {
    fn name(&self) -> &str {
        "FactFilesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let partitions = self.properties.partitioning.partition_count();
        let units = self.files.units().into_iter().skip(partition).step_by(partitions);
        let files = Arc::clone(&self.files);
        let batches = units.flat_map(move |unit| batches(&files, &unit));
        let schema: SchemaRef = Arc::clone(&self.files.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches).boxed())))
    }
}

/// The facts of one row group.
fn batches(
    files: &FactFiles,
    unit: &Unit,
) -> Box<dyn Iterator<Item = DataFusionResult<RecordBatch>> + Send> {
    let external = |cause| DataFusionError::External(Box::new(cause));
    let schema = Arc::clone(&files.schema);
    match files.read_columns(unit, &files.columns) {
        Err(cause) => Box::new(std::iter::once(Err(external(cause)))),
        Ok(batches) => Box::new(batches.map(move |batch| {
            let (columns, rows) = batch.map_err(external)?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
                .map_err(Into::into)
        })),
    }
}
