//! Computing a compiled expression, and why rows have no value.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use ::arrow::buffer::{BooleanBuffer, NullBuffer};
use ::arrow::compute::{concat, filter_record_batch};
use datafusion::error::Result as DataFusionResult;
use hitherto_core::expression::{Reason, Reasons};
use hitherto_core::{Error, Result};

use super::{Compiled, Expressions, broken, faults};
use crate::arrow::normalize;

/// The values of one feature.
#[derive(Clone, Debug)]
pub struct Computed {
    /// One a row, of the declared type.
    pub values: ArrayRef,
    /// Rows without a value, by reason.
    pub reasons: Reasons,
}

impl Expressions {
    /// Computes a feature, by its place in the view, of the columns that it reads, in the order
    /// of [`Expressions::reads`].
    ///
    /// # Errors
    /// `Internal` when columns are not what it reads.
    pub fn compute(&self, feature: usize, columns: Vec<ArrayRef>, rows: usize) -> Result<Computed> {
        self.0[feature].compute(columns, rows)
    }
}

impl Compiled {
    fn compute(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Computed> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        let batch = batch.map_err(|cause| {
            Error::internal(format!("feature {} was given other columns; report it", self.name))
                .with_source(cause)
        })?;
        faults::forget();
        let values = self.evaluate(&batch)?;
        let mut reasons = Reasons::default();
        if values.null_count() > 0 {
            self.explain(&batch, &values, &mut reasons)?;
        }
        Ok(Computed { values, reasons })
    }

    /// The values of all rows; where a batch fails, those of its halves.
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        match self.attempt(batch) {
            Ok(values) => normalize(&values),
            Err(_) if rows == 1 => normalize(&new_null_array(&self.data_type(batch)?, 1)),
            Err(_) if rows > 1 => {
                let halves = [batch.slice(0, rows / 2), batch.slice(rows / 2, rows - rows / 2)];
                let [first, second] = [self.evaluate(&halves[0])?, self.evaluate(&halves[1])?];
                concat(&[first.as_ref(), second.as_ref()])
                    .map_err(|cause| broken(&self.name, cause.into()))
            }
            Err(cause) => Err(broken(&self.name, cause)),
        }
    }

    fn attempt(&self, batch: &RecordBatch) -> DataFusionResult<ArrayRef> {
        self.expr.evaluate(batch)?.into_array(batch.num_rows())
    }

    fn data_type(&self, batch: &RecordBatch) -> Result<::arrow::datatypes::DataType> {
        let found = self.expr.data_type(batch.schema_ref());
        found.map_err(|cause| broken(&self.name, cause))
    }

    /// Counts rows without a value by reason. Rows that have all that is read are computed once
    /// more, to see what goes wrong with them.
    fn explain(&self, batch: &RecordBatch, values: &ArrayRef, to: &mut Reasons) -> Result<()> {
        let inputs = batch.columns().iter().map(|column| column.logical_nulls());
        let inputs = inputs.fold(None, |all, one| NullBuffer::union(all.as_ref(), one.as_ref()));
        let is_valued = |nulls: Option<&NullBuffer>| match nulls {
            Some(nulls) => nulls.inner().clone(),
            None => BooleanBuffer::new_set(batch.num_rows()),
        };
        let has_value = is_valued(values.logical_nulls().as_ref());
        let unexplained = &(!&has_value) & &is_valued(inputs.as_ref());
        let nulls = batch.num_rows() - has_value.count_set_bits();
        let count = unexplained.count_set_bits();
        to.add(Reason::NullInput, (nulls - count) as u64);
        if count == 0 {
            return Ok(());
        }
        if batch.num_columns() == 0 {
            to.add(Reason::Null, count as u64);
            return Ok(());
        }
        let rows = filter_record_batch(batch, &BooleanArray::new(unexplained, None))
            .map_err(|cause| broken(&self.name, cause.into()))?;
        self.attribute(&rows, to);
        Ok(())
    }

    /// Finds out why rows have no value though all that they are computed of has one.
    fn attribute(&self, batch: &RecordBatch, to: &mut Reasons) {
        faults::forget();
        let (rows, outcome) = (batch.num_rows(), self.attempt(batch));
        let reason = match outcome {
            Err(_) if rows == 1 => Some(Reason::Failed),
            Err(_) => None,
            Ok(_) if faults::is_empty() => Some(Reason::Null),
            Ok(_) if rows == 1 => faults::first(),
            Ok(_) => faults::of_all(rows),
        };
        match reason {
            Some(reason) => to.add(reason, rows as u64),
            None => {
                self.attribute(&batch.slice(0, rows / 2), to);
                self.attribute(&batch.slice(rows / 2, rows - rows / 2), to);
            }
        }
    }
}
