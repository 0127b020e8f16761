//! From a request to a running join: sources opened, spine checked, plan built.

use std::collections::HashMap;
use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use hitherto_api::spine::SpineLayout;
use hitherto_api::{TimeRange, TrainingSetReport};
use hitherto_core::aggregate::AggregatePlan;
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::Field;
use hitherto_core::output::Output;
use hitherto_core::slots::Terms;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use super::{JoinView, PointInTimeJoinExec};
use crate::Offline;
use crate::arrow::doubled;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::files::SourceFile;
use crate::footer::{blame_if_broken, next_unwound};
use crate::source::is_read_as_stored;
use crate::spine::{SpinePlan, key_columns};

/// A point-in-time join to be run.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The spine, in the order in which it comes back.
    pub spine: SpinePlan,
    /// Its column of times.
    pub timestamp: String,
    /// Whose local times they are if they have no zone; `None` is UTC's.
    pub timezone: Option<Zone>,
    /// The views, each once for every role that it plays.
    pub views: Vec<JoinSource>,
    /// The feature columns, in the order in which they come back.
    pub outputs: Vec<Output>,
}

/// One view of a join.
#[derive(Clone, Debug)]
pub struct JoinSource {
    /// The view.
    pub view: AppliedView,
    /// What the request calls it.
    pub name: String,
    /// Its join keys under the names of the spine's columns.
    pub keys: Vec<Field>,
    /// How its facts are judged.
    pub terms: Terms,
    /// The source's files that hold its facts, but for those that `copy` covers.
    pub files: Vec<SourceFile>,
    /// The files of an optimized copy; none if there is none.
    pub copy: Vec<SourceFile>,
    /// The files of facts that were pushed.
    pub pushed: Vec<SourceFile>,
}

/// A running join. Dropping it stops it.
pub struct JoinStream {
    stream: SendableRecordBatchStream,
    join: Arc<PointInTimeJoinExec>,
    /// Files that DataFusion reads, whose errors do not name them.
    queried: Vec<SourceFile>,
    warnings: Vec<String>,
}

impl JoinStream {
    /// The spine's columns, then the features.
    pub fn schema(&self) -> SchemaRef {
        self.join.schema()
    }

    /// The next batch, in the spine's order; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let error = match next_unwound(&mut self.stream).await {
            Ok(None) => return None,
            Ok(Some(Ok(batch))) => return Some(Ok(batch)),
            Ok(Some(Err(cause))) => from_datafusion("the training set failed", cause),
            Err(error) => error,
        };
        Some(Err(blame_if_broken(&self.queried, error)))
    }

    /// What the join found; complete after the last batch.
    pub fn report(&self) -> TrainingSetReport {
        TrainingSetReport { warnings: self.warnings.clone(), ..self.join.report() }
    }

    /// The physical plan, for people.
    pub fn plan(&self) -> String {
        displayable(self.join.as_ref()).indent(false).to_string()
    }

    /// The physical plan with its metrics so far, for people.
    pub fn explain(&self) -> String {
        DisplayableExecutionPlan::with_metrics(self.join.as_ref()).indent(false).to_string()
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
        let spine = request.spine;
        let schema = &spine.schema();
        let layout = SpineLayout::new(schema, &request.timestamp, request.timezone)?;
        let mut warnings: Vec<String> = layout.read_as_utc(schema).into_iter().collect();
        check_names(schema, request.outputs.iter().map(|output| output.name.as_str()))?;
        // Rows at hand are all looked at here; a file's times only for those who need them.
        let needs_times = |view: &JoinSource| {
            let definition = &view.view.definition;
            !is_read_as_stored(definition) || definition.source.partitioned_by.is_some()
        };
        let range = match !spine.is_streamed() || request.views.iter().any(needs_times) {
            true => self.spine_times(&spine.times, &layout, schema).await?,
            false => None,
        };
        let layout = layout.within(range);
        let mut views = Vec::with_capacity(request.views.len());
        let mut queried = spine.files.clone();
        for (index, source) in request.views.iter().enumerate() {
            let JoinSource { view, name, keys, terms, files, copy, pushed } = source;
            let asked = request.outputs.iter().filter(|output| output.view == index);
            let asked: Vec<usize> = asked.map(|output| output.feature).collect();
            let plan = AggregatePlan::new(view, &asked);
            let reach = plan.as_ref().map_or(terms.ttl_micros, AggregatePlan::reach_micros);
            let range = range.map(|(from, to)| TimeRange {
                from: reach.map_or(i64::MIN, |reach| from.saturating_sub(reach)),
                to,
            });
            let mut facts = Vec::with_capacity(4);
            facts.extend(self.pushed_plans(view, pushed)?.into_iter().map(|(_, plan)| plan));
            if !copy.is_empty() {
                facts.push(self.own_facts(FactLayout::new(view), copy, &[])?);
            }
            if !files.is_empty() && is_read_as_stored(&view.definition) {
                facts.push(self.fact_files(view, files, range.map(|range| range.to))?);
            } else if !files.is_empty() {
                let query = self.fact_query(view, files, range).await?;
                queried.extend(query.files);
                facts.push(query.plan);
            }
            let layout = FactLayout::new(view);
            let told = facts.iter().find_map(|facts| layout.read_as_utc(&facts.schema()));
            warnings.extend(told.filter(|told| !warnings.contains(told)));
            let join = JoinView {
                name: name.clone(),
                spine_keys: key_columns(schema, keys, name)?,
                layout,
                terms: *terms,
                plan,
            };
            views.push((join, facts));
        }
        let join = Arc::new(PointInTimeJoinExec::new(spine, layout, views, request.outputs));
        let plan = Arc::clone(&join) as Arc<dyn ExecutionPlan>;
        tracing::debug!(plan = %displayable(plan.as_ref()).indent(false), "training set");
        let stream = execute_stream(plan, self.session().task_ctx()).map_err(failed)?;
        Ok(JoinStream { stream, join, queried, warnings })
    }
}

/// Refuses a result with two columns of one name, of a spine's columns and features called so.
///
/// # Errors
/// `Invalid` naming both.
pub fn check_names<'n>(schema: &SchemaRef, names: impl Iterator<Item = &'n str>) -> Result<()> {
    if let Some(both) = doubled(schema) {
        return Err(Error::invalid(format!("the spine has {both}; rename one")));
    }
    let fields = schema.fields().iter();
    let mut taken: HashMap<&str, bool> = fields.map(|field| (&**field.name(), true)).collect();
    for name in names {
        let (whose, advice) = match taken.insert(name, false) {
            None => continue,
            Some(true) => ("one of the spine's and a feature's", "rename the spine's"),
            Some(false) => ("two features'", "name one view otherwise (other=view:feature)"),
        };
        let or_full = if name.contains(':') { "" } else { ", or ask for full names, view:feature" };
        return Err(Error::invalid(format!(
            "the training set would have two columns named {name:?}, {whose}; {advice}{or_full}"
        )));
    }
    Ok(())
}
