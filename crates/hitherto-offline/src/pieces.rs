//! A view's facts in pieces, each of which one thread reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use hitherto_core::{Error, Result};

use crate::fact_files::{FactFiles, FactFilesExec, Unit};

/// Where a view's facts come from.
pub enum FactSource {
    /// Files that are read here.
    Files(Arc<FactFiles>),
    /// A plan that is run.
    Plan(Arc<dyn ExecutionPlan>),
}

/// A part of a view's facts.
pub enum Piece {
    /// One row group.
    Unit(Arc<FactFiles>, Unit),
    /// One partition of a plan.
    Partition(Arc<dyn ExecutionPlan>, usize),
}

impl FactSource {
    /// Files, if the plan only reads these.
    pub fn new(plan: &Arc<dyn ExecutionPlan>) -> Self {
        match plan.downcast_ref::<FactFilesExec>() {
            Some(exec) => FactSource::Files(Arc::clone(exec.files())),
            None => FactSource::Plan(Arc::clone(plan)),
        }
    }

    /// All pieces, in the order of reading.
    pub fn pieces(self) -> Vec<Piece> {
        match self {
            FactSource::Files(files) => {
                let units = files.units().into_iter();
                units.map(|unit| Piece::Unit(Arc::clone(&files), unit)).collect()
            }
            FactSource::Plan(plan) => {
                let partitions = plan.output_partitioning().partition_count();
                (0..partitions).map(|one| Piece::Partition(Arc::clone(&plan), one)).collect()
            }
        }
    }
}

/// Reads a row group, with the file named if that fails. The reader can panic on damaged
/// bytes.
///
/// # Errors
/// Those of `read`, or what is wrong with the file.
pub fn read_unit<T>(unit: &Unit, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::internal("the Parquet reader gave up, with the words above"))
    });
    read.map_err(|cause| unit.blame(cause))
}
