//! From the winners of a view to columns beside the spine.
//!
//! Winners' rows lie in the order of slots, answers are in the order of spine
//! rows. Where nearly every slot has a row of its own, the columns are made at
//! once, a stretch of the spine at a time by all threads, and the rows are dropped:
//! batches are then slices of columns, and nothing is held twice. Where few rows answer
//! many spine rows, or text makes them of unknown size, the rows stay and every batch
//! gathers its own. Answers that were computed of events are columns in the order of slots, of
//! which every batch takes its own.

use std::ops::Range;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use ::arrow::compute::{concat, take};
use ::arrow::error::ArrowError;
use hitherto_api::arrow::{fill, to_array, to_arrow};
use hitherto_core::column::Column;
use hitherto_core::output::Output;
use hitherto_core::rule::Absence;
use hitherto_core::slots::{Answers, Contest, Events};
use hitherto_core::types::Physical;
use hitherto_core::{Error, Result};
use parking_lot::Mutex;

use super::report::Tally;
use super::taken::Taken;
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
    /// Computed, in the order of slots.
    Slots(Events, Vec<ArrayRef>),
}

impl ViewOutputs {
    /// Bytes of a spine row's values, text aside.
    pub fn row_bytes(&self) -> usize {
        self.columns.iter().map(|(_, output)| output.data_type.slot_bytes() + 1).sum()
    }

    /// Answers with all facts that were taken, counts the answers and brings them into their
    /// form.
    pub fn answer(&self, taken: Taken) -> Result<ViewAnswer> {
        let form = match taken {
            Taken::Contest(contest) => self.newest(contest)?,
            Taken::Events(events) => self.computed(events)?,
        };
        Ok(ViewAnswer { outputs: self.clone(), form })
    }

    /// Ends a contest.
    fn newest(&self, contest: Contest) -> Result<Form> {
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
        if has_text || 2 * answers.heap_bytes() < rows * self.row_bytes() {
            return Ok(Form::Rows(answers));
        }
        let Self { stretches, threads, .. } = self;
        let gather = |index: usize| self.gather(&answers, stretches[index].clone());
        Ok(Form::Columns(map(*threads, stretches.len(), gather)?))
    }

    /// Computes answers of events.
    fn computed(&self, events: Events) -> Result<Form> {
        let rows_of_slots = events.rows_of_slots();
        let parts = map(self.threads, events.parts(), |part| events.answer(part, &rows_of_slots))?;
        let mut tally = self.tally.lock();
        tally.absent(Absence::NullKey, events.spine().rows_without_key() as u64);
        let mut slot_leaks = Vec::with_capacity(rows_of_slots.len());
        for part in &parts {
            for (has_events, is_leak) in part.has_events.iter().zip(&part.is_leak) {
                let rows = u64::from(rows_of_slots[slot_leaks.len()]);
                match has_events {
                    true => tally.present(0, rows),
                    false => tally.empty_window(rows),
                }
                tally.leak(u64::from(*is_leak) * rows);
                slot_leaks.push(*is_leak);
            }
            for (feature, reasons) in part.reasons.iter().enumerate() {
                tally.reasons(feature, reasons);
            }
        }
        drop(tally);
        if slot_leaks.contains(&true) {
            let mut is_leaky = self.is_leaky.lock();
            let slots = events.slots_of_rows(0..is_leaky.len());
            for (is_leaky, slot) in is_leaky.iter_mut().zip(slots) {
                *is_leaky |= slot.is_some_and(|slot| slot_leaks[slot as usize]);
            }
        }
        let parts = parts.into_iter().map(|part| part.columns.into_iter().map(to_array).collect());
        let parts: Vec<Vec<ArrayRef>> = parts.collect::<Result<_>>()?;
        let columns = self.columns.iter().enumerate().map(|(feature, (_, output))| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part[feature].as_ref()).collect();
            if arrays.is_empty() {
                return Ok(new_empty_array(&to_arrow(&output.data_type)));
            }
            concat(&arrays).map_err(|cause| Self::unanswerable(output, cause))
        });
        Ok(Form::Slots(events, columns.collect::<Result<_>>()?))
    }

    fn unanswerable(output: &Output, cause: ArrowError) -> Error {
        Error::internal(format!("the answers of {:?} cannot be put together", output.name))
            .with_source(cause)
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
            Form::Slots(events, columns) => {
                let slots = UInt32Array::from_iter(events.slots_of_rows(rows));
                let columns = columns.iter().zip(self.outputs.columns.iter());
                let columns = columns.map(|(column, (_, output))| {
                    let taken = take(column, &slots, None);
                    taken.map_err(|cause| ViewOutputs::unanswerable(output, cause))
                });
                columns.collect::<Result<_>>()?
            }
        };
        let mut tally = self.outputs.tally.lock();
        for (place, array) in arrays.iter().enumerate() {
            tally.nulls(place, array.null_count() as u64);
        }
        drop(tally);
        let columns = self.outputs.columns.iter().zip(arrays);
        let filled = columns.map(|((position, output), array)| {
            let array = match &output.default {
                Some(default) => fill(array, &output.data_type, default)?,
                None => array,
            };
            Ok((*position, array))
        });
        filled.collect()
    }
}
