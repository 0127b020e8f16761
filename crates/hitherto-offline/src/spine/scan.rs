//! Spines that the facts make themselves: all entities at one moment, or every fact of
//! a window at the moment when it could be seen.
//!
//! ```text
//! at        heads of all views -> seen by then -> keys, each once -> sorted by key
//! between   heads of one view  -> seen within  -> keys, moment    -> sorted by moment, key
//! ```
//!
//! Only who has rows is decided here, by the rule's own condition on times. What a row
//! shows is the join's to find, as of any other spine.

use std::fmt;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use ::arrow::compute::{SortOptions, filter};
use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use hitherto_api::Scan;
use hitherto_api::arrow::field;
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::Field;
use hitherto_core::rule::{Moment, Times};
use hitherto_core::slots::Terms;
use hitherto_core::{Error, Result};

use super::plan::{self, SpinePlan};
use crate::Offline;
use crate::arrow::normalize;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::files::SourceFile;
use crate::order::{MapBatch, mapped, ordered};

/// A view whose facts are scanned.
#[derive(Clone, Debug)]
pub struct ScannedView {
    /// The view.
    pub view: AppliedView,
    /// Its join keys under the names that the spine's columns get; at least one.
    pub keys: Vec<Field>,
    /// How its facts are judged; the ttl decides nothing here.
    pub terms: Terms,
    /// The files of its source.
    pub files: Vec<SourceFile>,
    /// The files of facts that were pushed.
    pub pushed: Vec<SourceFile>,
}

impl Offline {
    /// A spine of the join keys of `views`, which are the same in all, and a column
    /// `timestamp`. Facts without an entity, deletions among the others, count.
    ///
    /// # Errors
    /// Those of [`Offline::fact_query`].
    pub async fn scan_spine(
        &self,
        scan: Scan,
        views: &[ScannedView],
        timestamp: &str,
    ) -> Result<SpinePlan> {
        let failed = |cause| from_datafusion("the entities cannot be scanned", cause);
        let keys = views.first().map_or(&[][..], |view| &view.keys);
        let rows = to_schema(keys, timestamp);
        let mut partitions = Vec::new();
        let mut files = Vec::new();
        for view in views {
            for (layout, plan) in self.heads(view, until(scan)).await? {
                let map = to_rows(layout, view.terms, scan, Arc::clone(&rows));
                let map: Arc<dyn MapBatch> = Arc::new(map);
                partitions.extend(mapped(&[plan], &rows, &map));
            }
            files.extend(view.files.iter().cloned());
        }
        let table = StreamingTable::try_new(Arc::clone(&rows), partitions).map_err(failed)?;
        let found = self.session().read_table(Arc::new(table)).map_err(failed)?;
        let found = match scan {
            Scan::At(_) => found.distinct().map_err(failed)?,
            Scan::Between { .. } => found,
        };
        let ordering = match scan {
            Scan::At(_) => (0..keys.len()).collect::<Vec<_>>(),
            Scan::Between { .. } => std::iter::once(keys.len()).chain(0..keys.len()).collect(),
        };
        let plan = found.create_physical_plan().await.map_err(failed)?;
        let sorted = Sorted { plan, schema: Arc::clone(&rows), ordering };
        let times = match scan {
            Scan::At(at) => plan::Times::Within(at, at),
            Scan::Between { after, until } => plan::Times::Within(after, until),
        };
        Ok(SpinePlan { plan: plan::streamed(rows, Arc::new(sorted))?, times, files })
    }

    /// Keys and times of a view's facts that happened up to `until`, and of others.
    async fn heads(
        &self,
        scanned: &ScannedView,
        until: i64,
    ) -> Result<Vec<(FactLayout, Arc<dyn ExecutionPlan>)>> {
        let ScannedView { view, files, pushed, .. } = scanned;
        let mut plans = self.pushed_plans(view, pushed)?;
        if !files.is_empty() {
            let plan = self.head_query(view, files, until).await?;
            plans.push((FactLayout::new(view), plan));
        }
        Ok(plans)
    }
}

/// The columns of the spine.
fn to_schema(keys: &[Field], timestamp: &str) -> SchemaRef {
    let micros = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let keys = keys.iter().map(|key| field(&key.name, &key.data_type));
    let time = ArrowField::new(timestamp, micros, false);
    Arc::new(Schema::new(keys.chain([time]).collect::<Vec<_>>()))
}

/// The moment at which a fact has a row, if it has one.
fn row(scan: Scan, times: Times, terms: &Terms) -> Option<i64> {
    let at = match scan {
        Scan::At(at) => at,
        Scan::Between { .. } => times.visible(terms.known),
    };
    let is_within = match scan {
        Scan::At(_) => true,
        Scan::Between { after, until } => after < at && at <= until,
    };
    let moment = Moment { at, known_by: terms.known_by, known: terms.known };
    (is_within && moment.sees(times)).then_some(at)
}

/// The latest moment that a row can have.
fn until(scan: Scan) -> i64 {
    match scan {
        Scan::At(at) => at,
        Scan::Between { until, .. } => until,
    }
}

/// Makes a batch of a view's facts into rows of the spine.
fn to_rows(layout: FactLayout, terms: Terms, scan: Scan, schema: SchemaRef) -> impl MapBatch {
    move |facts: &RecordBatch| {
        let external = |cause: Error| DataFusionError::External(Box::new(cause));
        let heads = &facts.columns()[..layout.heads()];
        let keys: Vec<ArrayRef> = heads[..layout.keys().len()]
            .iter()
            .map(normalize)
            .collect::<Result<_>>()
            .map_err(external)?;
        let heads = layout.read_heads(heads, facts.num_rows()).map_err(external)?;
        let rows = (0..facts.num_rows()).map(|index| {
            let has_keys = keys.iter().all(|key| key.is_valid(index));
            heads.times(index).filter(|_| has_keys).and_then(|times| row(scan, times, &terms))
        });
        let rows: Vec<Option<i64>> = rows.collect();
        let is_row: BooleanArray = rows.iter().map(|row| Some(row.is_some())).collect();
        let times: Vec<i64> = rows.into_iter().flatten().collect();
        let columns = keys.iter().map(|key| filter(key, &is_row));
        let mut columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        columns.push(Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")));
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    }
}

/// The rows of a plan in order.
struct Sorted {
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    /// Indices of the columns to sort by.
    ordering: Vec<usize>,
}

impl fmt::Debug for Sorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorted").field("by", &self.ordering).finish_non_exhaustive()
    }
}

impl Sorted {
    fn sort(&self, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let by = |index: &usize| {
            let column = Column::new(self.schema.field(*index).name(), *index);
            let options = SortOptions { descending: false, nulls_first: false };
            PhysicalSortExpr::new(Arc::new(column), options)
        };
        let ordering = LexOrdering::new(self.ordering.iter().map(by)).ok_or_else(|| {
            DataFusionError::Internal(String::from("a scan has no columns to sort by"))
        })?;
        let same = |batch: &RecordBatch| Ok(batch.clone());
        ordered([&self.plan], Arc::clone(&self.schema), ordering, context, same)
    }
}

impl PartitionStream for Sorted {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.sort(context).unwrap_or_else(|cause| {
            let failed = futures::stream::once(async { Err(cause) });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), failed))
        })
    }
}
