//! The steps of a training set: batches of the join to batches of the answer.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use hitherto_api::arrow::{field, fill, from_arrow, laid_out, type_name};
use hitherto_api::spine::SpineLayout;
use hitherto_api::training_set::{FeatureNulls, OnDemandReport, TrainingSetReport};
use hitherto_core::definition::Field;
use hitherto_core::expression::Reasons;
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Result};

use super::{Layout, Operand, Step};

/// What computes the rows of one training set.
pub(crate) struct Rows {
    layout: Layout,
    /// Where times lie in the spine.
    times: SpineLayout,
    /// Columns of the spine, which are the first.
    spine: usize,
    /// The spine's column of each field of the request.
    fields: Vec<usize>,
    schema: SchemaRef,
    /// What each step did not answer.
    reasons: Vec<Reasons>,
}

impl Rows {
    /// For a spine of that schema.
    ///
    /// # Errors
    /// `Invalid` when the spine lacks a field of the request, or has it in another type.
    pub fn new(layout: Layout, spine: &SchemaRef, times: SpineLayout) -> Result<Self> {
        let fields = layout.request.iter().map(|field| place(field, spine));
        let fields = fields.collect::<Result<_>>()?;
        let shown = layout.shown.iter().map(|place| {
            Arc::new(match place.checked_sub(layout.stored.len()) {
                None => field(&layout.stored[*place].name, &layout.stored[*place].data_type),
                Some(step) => field(&layout.steps[step].name, &layout.steps[step].data_type),
            })
        });
        let schema = Schema::new(spine.fields().iter().cloned().chain(shown).collect::<Vec<_>>());
        let reasons = vec![Reasons::default(); layout.steps.len()];
        let (spine, schema) = (spine.fields().len(), Arc::new(schema));
        Ok(Self { layout, times, spine, fields, schema, reasons })
    }

    /// The spine's columns, then those of the answer.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// A batch of the join with what is computed of it.
    ///
    /// # Errors
    /// `Internal` when an expression does not take what it reads.
    pub fn answer(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.layout.is_plain() {
            return Ok(batch.clone());
        }
        let mut columns: Vec<ArrayRef> = batch.columns()[self.spine..].to_vec();
        for (index, step) in self.layout.steps.iter().enumerate() {
            let read = step.reads.iter().map(|from| self.read(*from, batch, &columns));
            let read = read.collect::<Result<_>>()?;
            let computed = step.expressions.compute(step.place, read, batch.num_rows())?;
            self.reasons[index].extend(&computed.reasons);
            columns.push(finished(step, computed.values)?);
        }
        let shown = self.layout.shown.iter().map(|place| ArrayRef::clone(&columns[*place]));
        let all = batch.columns()[..self.spine].iter().cloned().chain(shown).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema(), all, &options).map_err(|cause| {
            Error::internal("a training set batch is malformed").with_source(cause)
        })
    }

    fn read(&self, from: Operand, batch: &RecordBatch, columns: &[ArrayRef]) -> Result<ArrayRef> {
        Ok(match from {
            Operand::Column(place) => ArrayRef::clone(&columns[place]),
            Operand::Time => {
                let times = TimestampMicrosecondArray::new(self.times.times(batch)?, None);
                Arc::new(times.with_timezone("UTC"))
            }
            Operand::Request(field) => {
                let column = batch.column(self.fields[field]);
                laid_out(column, &self.layout.request[field].data_type).map_err(|cause| {
                    Error::invalid(
                        "a text column holds more than 2 GiB in one batch; use smaller batches",
                    )
                    .with_source(cause)
                })?
            }
        })
    }

    /// A join's report with what was not answered, view by view, and without the columns that
    /// only expressions read.
    pub fn complete(&self, mut report: TrainingSetReport) -> TrainingSetReport {
        for hidden in &self.layout.stored[self.layout.asked..] {
            report.views[hidden.view].nulls.retain(|nulls| nulls.feature != hidden.of);
        }
        TrainingSetReport { on_demand: self.report(), ..report }
    }

    fn report(&self) -> Vec<OnDemandReport> {
        let mut reports: Vec<OnDemandReport> = Vec::new();
        for (step, reasons) in self.layout.steps.iter().zip(&self.reasons) {
            let nulls = FeatureNulls {
                feature: step.feature.clone(),
                rows: reasons.rows(),
                reasons: reasons.named(),
            };
            match reports.iter_mut().find(|report| report.view == step.view) {
                Some(report) => report.nulls.push(nulls),
                None => {
                    reports.push(OnDemandReport { view: step.view.clone(), nulls: vec![nulls] });
                }
            }
        }
        reports
    }
}

/// Values as they are handed out: in one layout, with the default where there is none.
fn finished(step: &Step, values: ArrayRef) -> Result<ArrayRef> {
    let values = laid_out(&values, &step.data_type).map_err(|cause| {
        Error::internal(format!("feature {} has values of another type", step.name))
            .with_source(cause)
    })?;
    match &step.default {
        Some(default) => fill(values, &step.data_type, default),
        None => Ok(values),
    }
}

/// The spine's column of a field.
fn place(field: &Field, spine: &SchemaRef) -> Result<usize> {
    let Field { name, data_type, .. } = field;
    let Ok(index) = spine.index_of(name) else {
        let columns = spine.fields().iter().map(|column| column.name().as_str());
        return Err(Error::invalid(format!(
            "the spine has no column {name:?} ({data_type}), which an on-demand view takes from \
             the request; add it{}",
            suggestion(name, columns)
        )));
    };
    let found = spine.field(index).data_type();
    match from_arrow(found).as_ref() == Some(data_type) {
        true => Ok(index),
        false => Err(Error::invalid(format!(
            "the spine's column {name:?} is {}, and an on-demand view takes it from the request \
             as {data_type}; cast it",
            type_name(found)
        ))),
    }
}
