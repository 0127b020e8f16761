//! From a request to a running join: sources opened, spine checked, plan built.

use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::StreamExt;
use hitherto_core::catalog::AppliedView;
use hitherto_core::slots::Terms;
use hitherto_core::{Error, Result};

use super::{JoinOutput, JoinReport, JoinView, PointInTimeJoinExec};
use crate::Offline;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::spine::{SpineLayout, key_columns};

/// A point-in-time join to be run.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The spine, in the order in which it comes back.
    pub spine: Vec<RecordBatch>,
    /// Its schema, also when there is no batch.
    pub spine_schema: SchemaRef,
    /// Its column of times.
    pub timestamp: String,
    /// The views, each with the terms on which its facts are judged.
    pub views: Vec<(AppliedView, Terms)>,
    /// The feature columns, in the order in which they come back.
    pub outputs: Vec<JoinOutput>,
}

/// A running join. Dropping it stops it.
pub struct JoinStream {
    stream: SendableRecordBatchStream,
    join: Arc<PointInTimeJoinExec>,
}

impl JoinStream {
    /// The spine's columns, then the features.
    pub fn schema(&self) -> SchemaRef {
        self.join.schema()
    }

    /// The next batch, in the spine's order; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.stream.next().await?;
        Some(batch.map_err(|cause| from_datafusion("the training set failed", cause)))
    }

    /// What the join found; complete after the last batch.
    pub fn report(&self) -> JoinReport {
        self.join.report()
    }

    /// The physical plan with its metrics so far, for people.
    pub fn explain(&self) -> String {
        let plan: &dyn ExecutionPlan = self.join.as_ref();
        datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan)
            .indent(false)
            .to_string()
    }
}

impl Offline {
    /// Starts a point-in-time join. Sources are opened here; facts are read
    /// when the stream is polled.
    ///
    /// # Errors
    /// `Invalid` for a spine that lacks a column, has one of another type or
    /// twice; what [`Offline::fact_query`] returns for the sources.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinStream> {
        let failed = |cause| from_datafusion("the training set cannot be planned", cause);
        let schema = &request.spine_schema;
        let layout = SpineLayout::new(schema, &request.timestamp)?;
        check_names(schema, &request.outputs)?;
        let range = time_range(&request.spine, &layout)?;
        let mut views = Vec::with_capacity(request.views.len());
        for (view, terms) in &request.views {
            let files = self.list_files(&view.definition)?;
            let range = range.map(|(from, to)| {
                (terms.ttl_micros.map_or(i64::MIN, |ttl| from.saturating_sub(ttl)), to)
            });
            let query = self.fact_query(view, &files, range).await?;
            let join = JoinView {
                name: view.name().to_owned(),
                spine_keys: key_columns(schema, &view.keys, view.name())?,
                layout: FactLayout::new(view),
                terms: *terms,
            };
            views.push((join, query.plan));
        }
        let spine = MemorySourceConfig::try_new_exec(
            std::slice::from_ref(&request.spine),
            Arc::clone(schema),
            None,
        )
        .map_err(failed)?;
        let join = Arc::new(PointInTimeJoinExec::new(spine, layout, views, request.outputs));
        let plan = Arc::clone(&join) as Arc<dyn ExecutionPlan>;
        tracing::debug!(plan = %displayable(plan.as_ref()).indent(false), "training set");
        let stream = execute_stream(plan, self.session().task_ctx()).map_err(failed)?;
        Ok(JoinStream { stream, join })
    }
}

fn check_names(schema: &SchemaRef, outputs: &[JoinOutput]) -> Result<()> {
    let spine = schema.fields().iter().map(|field| field.name().as_str());
    let names: Vec<&str> = spine.chain(outputs.iter().map(|output| output.name.as_str())).collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(Error::invalid(format!(
                "the training set would have two columns named {name:?}; rename the spine's \
                 column, or ask for full names (view:feature)"
            )));
        }
    }
    Ok(())
}

/// The earliest and latest time in the spine.
fn time_range(spine: &[RecordBatch], layout: &SpineLayout) -> Result<Option<(i64, i64)>> {
    let mut range: Option<(i64, i64)> = None;
    for batch in spine {
        for at in layout.times(batch)? {
            range = Some(range.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
        }
    }
    Ok(range)
}
