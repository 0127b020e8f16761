//! A view's source as a DataFusion query, checked against the declared types.

use std::sync::Arc;

use ::arrow::datatypes::{DataType as ArrowType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::{FeatureView, Field};
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Result};

use crate::Offline;
use crate::arrow::{from_arrow, to_arrow};
use crate::error::from_datafusion;
use crate::files::{self, SourceFile};

/// The name under which `source.sql` sees the Parquet files.
const SOURCE_TABLE: &str = "source";

/// Something a definition says of its source that the source does not bear out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProblem {
    /// The definition's field, such as `source.eventTime` or `features.hr`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Whether each fact of a source depends on one input row alone. Only then can
/// new files be consumed without the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Projections and filters only.
    RowWise,
    /// Aggregates, windows, joins, limits or the like.
    WholeSource,
}

/// A view's facts as a query: columns in the order of
/// [`crate::facts::FactLayout`].
pub struct FactQuery {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// Whether new files can be read alone.
    pub shape: Shape,
}

impl Offline {
    /// The files of a view's source now.
    ///
    /// # Errors
    /// Those of [`files::list`].
    pub fn list_files(&self, view: &FeatureView) -> Result<Vec<SourceFile>> {
        files::list(&self.root, &view.source.parquet)
    }

    /// Rows in these files, from their footers.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, naming the file.
    pub fn count_rows(&self, files: &[SourceFile]) -> Result<u64> {
        files.iter().map(count_rows).sum()
    }

    /// Compares a view's definition with its source's columns and types, and
    /// returns every difference. Reads file footers only.
    ///
    /// # Errors
    /// What keeps the source from being looked at: `Unavailable`, `Corrupt`.
    pub async fn check_view(
        &self,
        view: &FeatureView,
        keys: &[Field],
    ) -> Result<Vec<SourceProblem>> {
        let problem = |field: &str, cause: Error| {
            vec![SourceProblem { field: field.to_owned(), message: cause.chain() }]
        };
        let files = match self.list_files(view) {
            Ok(files) => files,
            Err(cause) => return Ok(problem("source.parquet", cause)),
        };
        for file in &files {
            count_rows(file)?;
        }
        match self.source(view, &files).await {
            Ok(source) => Ok(check_columns(source.schema(), view, keys)),
            Err(cause) if view.source.sql.is_some() => Ok(problem("source.sql", cause)),
            Err(cause) => Ok(problem("source.parquet", cause)),
        }
    }

    /// A query over these files of an applied view, with event times within
    /// `range` (inclusive, microseconds UTC) if one is given.
    ///
    /// # Errors
    /// `Invalid` when the source no longer fits the definition; `Unavailable`
    /// or `Corrupt` from the files.
    pub async fn fact_query(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        range: Option<(i64, i64)>,
    ) -> Result<FactQuery> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        let source = self.source(&view.definition, files).await?;
        let problems = check_columns(source.schema(), &view.definition, &view.keys);
        if let Some(problem) = problems.first() {
            return Err(Error::invalid(format!(
                "feature view {:?}, {}: {}",
                view.name(),
                problem.field,
                problem.message
            )));
        }
        let shape = shape(source.logical_plan()).map_err(failed)?;
        let event_time = &view.definition.source.event_time;
        let event_type = field_type(source.schema(), event_time).cloned();
        let filtered = match (range, event_type) {
            (Some(range), Some(event_type)) => {
                source.filter(within(event_time, &event_type, range)).map_err(failed)?
            }
            _ => source,
        };
        let columns = fact_columns(&view.definition, &view.keys).map(|(_, name)| column(name));
        let projected = filtered.select(columns.collect::<Vec<_>>()).map_err(failed)?;
        let plan = projected.create_physical_plan().await.map_err(failed)?;
        Ok(FactQuery { plan, shape })
    }

    /// The view's source before projection: its files, through its SQL if any.
    async fn source(&self, view: &FeatureView, files: &[SourceFile]) -> Result<DataFrame> {
        let session = self.session();
        let paths: Vec<String> =
            files.iter().map(|file| file.path.to_string_lossy().into_owned()).collect();
        let options = ParquetReadOptions::default().file_extension("");
        let failed = |cause| from_datafusion("the source's files cannot be read together", cause);
        let table = session.read_parquet(paths, options).await.map_err(failed)?;
        let Some(sql) = &view.source.sql else { return Ok(table) };
        session.register_table(SOURCE_TABLE, table.into_view()).map_err(failed)?;
        // A definition may read its files; it may not write, create or set anything.
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let query = session.sql_with_options(sql, read_only).await;
        query.map_err(|cause| from_datafusion("the SQL does not run over its source", cause))
    }
}

/// The columns of a fact batch in order: definition field and column name.
fn fact_columns<'v>(
    view: &'v FeatureView,
    keys: &'v [Field],
) -> impl Iterator<Item = (String, &'v str)> {
    let keys = keys.iter().map(|key| (String::from("entity"), key.name.as_str()));
    let event = (String::from("source.eventTime"), view.source.event_time.as_str());
    let known = view.source.known_time.as_deref();
    let known = known.map(|known| (String::from("source.knownTime"), known));
    let features = view.features.iter();
    let features = features.map(|field| (format!("features.{}", field.name), field.name.as_str()));
    keys.chain([event]).chain(known).chain(features)
}

fn check_columns(schema: &DFSchema, view: &FeatureView, keys: &[Field]) -> Vec<SourceProblem> {
    let declared: Vec<&Field> = keys.iter().chain(&view.features).collect();
    let mut problems = Vec::new();
    for (field, name) in fact_columns(view, keys) {
        let is_time = field == "source.eventTime" || field == "source.knownTime";
        let message = match field_type(schema, name) {
            None => {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                Some(format!("the source has no column {name:?}{}", suggestion(name, names)))
            }
            Some(found) if is_time => {
                let is_timestamp = matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32);
                (!is_timestamp).then(|| {
                    format!("column {name:?} has type {found}; a timestamp or date is needed")
                })
            }
            Some(found) => declared
                .iter()
                .find(|field| field.name == name)
                .and_then(|field| check_type(found, field)),
        };
        problems.extend(message.map(|message| SourceProblem { field, message }));
    }
    problems
}

fn check_type(found: &ArrowType, declared: &Field) -> Option<String> {
    match from_arrow(found) {
        Some(found) if found == declared.data_type => None,
        Some(found) => Some(format!(
            "column {:?} has type {found} where {} is declared; declare {found}, or cast it in \
             source.sql",
            declared.name, declared.data_type
        )),
        None => Some(format!(
            "column {:?} has type {found}, which cannot be kept exactly; cast it to {} in \
             source.sql",
            declared.name,
            to_arrow(&declared.data_type)
        )),
    }
}

fn field_type<'s>(schema: &'s DFSchema, name: &str) -> Option<&'s ArrowType> {
    schema.fields().iter().find(|field| field.name() == name).map(|field| field.data_type())
}

/// A column by its exact name; DataFusion would lower its case otherwise.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Event times that can matter, in the column's own type so that row groups
/// and pages are pruned by their statistics. Bounds are widened to whole units.
fn within(event_time: &str, event_type: &ArrowType, (from, to): (i64, i64)) -> Expr {
    let bound = |micros: i64, up: i64| {
        let units = |per_unit: i64| {
            micros.div_euclid(per_unit) + i64::from(micros.rem_euclid(per_unit) != 0) * up
        };
        Some(match event_type {
            ArrowType::Timestamp(TimeUnit::Second, zone) => {
                ScalarValue::TimestampSecond(Some(units(1_000_000)), zone.clone())
            }
            ArrowType::Timestamp(TimeUnit::Millisecond, zone) => {
                ScalarValue::TimestampMillisecond(Some(units(1_000)), zone.clone())
            }
            ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
                ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
            }
            ArrowType::Timestamp(TimeUnit::Nanosecond, zone) => {
                ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1_000)?), zone.clone())
            }
            _ => ScalarValue::Date32(Some(i32::try_from(units(86_400_000_000)).ok()?)),
        })
    };
    // A fact's event time is rounded up to a microsecond when it is read; the
    // raw lower bound may therefore lie one microsecond earlier.
    let lower = bound(from.saturating_sub(1), 0).map(|bound| column(event_time).gt_eq(lit(bound)));
    let upper = bound(to, 1).map(|bound| column(event_time).lt_eq(lit(bound)));
    match (lower, upper) {
        (Some(lower), Some(upper)) => lower.and(upper),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => lit(true),
    }
}

fn shape(plan: &LogicalPlan) -> datafusion::error::Result<Shape> {
    let mut shape = Shape::RowWise;
    plan.apply(|node| {
        let is_row_wise = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
        );
        if is_row_wise {
            return Ok(TreeNodeRecursion::Continue);
        }
        shape = Shape::WholeSource;
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(shape)
}

fn count_rows(file: &SourceFile) -> Result<u64> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let opened = std::fs::File::open(&file.path).map_err(|cause| {
        Error::unavailable(format!("source file {} cannot be read", file.name)).with_source(cause)
    })?;
    let reader = SerializedFileReader::new(opened).map_err(|cause| {
        Error::corrupt(format!(
            "source file {} is not a whole Parquet file; write it again",
            file.name
        ))
        .with_source(cause)
    })?;
    Ok(reader.metadata().file_metadata().num_rows().max(0) as u64)
}
