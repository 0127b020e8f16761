//! From the winners of a view to columns beside the spine.
//!
//! Winners' rows lie in the order of slots, answers are in the order of spine
//! rows. Where nearly every slot has a row of its own, the columns are made at
//! once, a stretch of the spine at a time by all threads, and the rows are dropped:
//! batches are then slices of columns, and nothing is held twice. Where few rows answer
//! many spine rows, or text makes them of unknown size, the rows stay and every batch
//! gathers its own.

use std::ops::Range;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, Scalar};
use ::arrow::compute::is_null;
use ::arrow::compute::kernels::zip::zip;
use hitherto_core::column::{Column, Status};
use hitherto_core::output::Output;
use hitherto_core::rule::Absence;
use hitherto_core::slots::{Answers, Contest};
use hitherto_core::types::Physical;
use hitherto_core::{Error, Result};
use parking_lot::Mutex;

use super::report::Tally;
use crate::arrow::to_array;
use crate::shared::map;

/// What is wanted of a view, and where it is counted.
#[derive(Clone)]
pub(super) struct ViewOutputs {
    /// Columns of the view, each with its position among all feature columns.
    pub columns: Arc<[(usize, Output)]>,
    /// Stretches of the spine, one after the other; a batch lies in one of them.
    pub stretches: Arc<[Range<usize>]>,
    pub threads: usize,
    pub tally: Arc<Mutex<Tally>>,
    /// Per spine row, whether any view would have leaked.
    pub is_leaky: Arc<Mutex<Vec<bool>>>,
}

/// A view's answers to a spine.
pub(super) struct ViewAnswer {
    outputs: ViewOutputs,
    form: Form,
}

enum Form {
    /// Of each stretch.
    Columns(Vec<Vec<ArrayRef>>),
    Rows(Answers),
}

impl ViewOutputs {
    /// Bytes of a spine row's values, text aside.
    pub fn row_bytes(&self) -> usize {
        self.columns.iter().map(|(_, output)| output.data_type.slot_bytes() + 1).sum()
    }

    /// Ends a contest, counts its answers and brings them into their form.
    pub fn answer(&self, contest: Contest) -> Result<ViewAnswer> {
        let rows = contest.spine().rows();
        let null_keys = contest.spine().rows_without_key();
        let mut tally = self.tally.lock();
        let mut leaks = 0;
        let answers = contest.finish(|slot, rows| {
            match slot.judged() {
                Ok(()) => tally.present(slot.age_micros, rows.into()),
                Err(absence) => tally.absent(absence, rows.into()),
            }
            leaks += u64::from(slot.is_leak) * u64::from(rows);
        });
        tally.absent(Absence::NullKey, null_keys as u64);
        tally.leak(leaks);
        drop(tally);
        if leaks > 0 {
            let mut is_leaky = self.is_leaky.lock();
            let marks = is_leaky.iter_mut().enumerate();
            marks.for_each(|(row, is_leaky)| *is_leaky |= answers.is_leak(row));
        }
        let is_text = |output: &Output| output.data_type.physical() == Physical::Varlen;
        let has_text = self.columns.iter().any(|(_, output)| is_text(output));
        let form = if has_text || 2 * answers.heap_bytes() < rows * self.row_bytes() {
            Form::Rows(answers)
        } else {
            let Self { stretches, threads, .. } = self;
            let gather = |index: usize| self.gather(&answers, stretches[index].clone());
            Form::Columns(map(*threads, stretches.len(), gather)?)
        };
        Ok(ViewAnswer { outputs: self.clone(), form })
    }

    fn gather(&self, answers: &Answers, rows: Range<usize>) -> Result<Vec<ArrayRef>> {
        let columns = self.columns.iter();
        let columns = columns.map(|(_, output)| (output.feature, output.column(rows.len())));
        let mut columns: Vec<(usize, Column)> = columns.collect();
        answers.gather(rows, &mut columns)?;
        columns.into_iter().map(|(_, column)| to_array(column)).collect()
    }
}

impl ViewAnswer {
    /// The columns of a range of spine rows, each with its position in the output.
    pub fn columns(&self, rows: Range<usize>) -> Result<Vec<(usize, ArrayRef)>> {
        let arrays = match &self.form {
            Form::Columns(columns) => {
                let stretches = &self.outputs.stretches;
                let index = stretches.partition_point(|stretch| stretch.end <= rows.start);
                let start = rows.start - stretches[index].start;
                columns[index].iter().map(|column| column.slice(start, rows.len())).collect()
            }
            Form::Rows(answers) => self.outputs.gather(answers, rows)?,
        };
        let mut tally = self.outputs.tally.lock();
        for (place, array) in arrays.iter().enumerate() {
            tally.nulls(place, array.null_count() as u64);
        }
        drop(tally);
        let columns = self.outputs.columns.iter().zip(arrays);
        columns.map(|((position, output), array)| Ok((*position, fill(output, array)?))).collect()
    }
}

/// Lets an output's default stand wherever there is no value.
fn fill(output: &Output, array: ArrayRef) -> Result<ArrayRef> {
    let Some(default) = output.default.as_ref().filter(|_| array.null_count() > 0) else {
        return Ok(array);
    };
    let mut column = output.column(1);
    column.push_absent(Status::NotFound);
    column.fill(default)?;
    let default = to_array(column)?;
    let filled = is_null(&array).and_then(|is_null| zip(&is_null, &Scalar::new(default), &array));
    filled.map_err(|cause| {
        Error::internal(format!("the default of {:?} cannot be filled in", output.name))
            .with_source(cause)
    })
}
