//! A view's source as a DataFusion query, checked against the declared types.

use std::sync::Arc;

use ::arrow::datatypes::{DataType as ArrowType, Schema, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::{FeatureView, Field};
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Kind, Result};

use crate::Offline;
use crate::arrow::{from_arrow, to_arrow};
use crate::error::from_datafusion;
use crate::fact_files::check_paths;
use crate::facts::FactLayout;
use crate::files::{self, SourceFile};
use crate::footer::{Footers, count_rows};
use crate::spine::{read_only, shape};

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

/// A view's facts as a query.
pub struct FactQuery {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// The order of its columns; further ones may follow.
    pub(crate) layout: FactLayout,
    /// What it reads.
    pub(crate) files: Vec<SourceFile>,
    /// Whether new files can be read alone.
    pub shape: Shape,
    /// Event times outside of which a build leaves facts out.
    pub(crate) window: Option<TimeRange>,
}

impl FactQuery {
    /// The same without facts whose event time is outside of a range, for a build.
    pub fn within(self, window: TimeRange) -> Self {
        Self { window: Some(window), ..self }
    }
}

impl Offline {
    /// The files of a view's source now.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Invalid` for a malformed glob or a URL of a
    /// scheme that this build cannot read, `Unavailable` when they cannot be listed.
    pub fn list_files(&self, view: &FeatureView) -> Result<Vec<SourceFile>> {
        self.list(&view.source.parquet)
    }

    /// The Parquet files of a path, folder, glob or URL.
    ///
    /// # Errors
    /// Those of [`Offline::list_files`].
    pub fn list(&self, parquet: &str) -> Result<Vec<SourceFile>> {
        files::list(&self.root, &self.buckets, parquet)
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
        let footers = match Footers::read(&files) {
            Ok(footers) => footers,
            Err(cause) if cause.kind() == Kind::Invalid => {
                return Ok(problem("source.parquet", cause));
            }
            Err(cause) => return Err(cause),
        };
        match self.source(view, &files).await {
            Ok(source) => {
                let problems = check_columns(source.schema().as_arrow(), view, keys);
                match check_paths(&view.source, &footers) {
                    Err(cause) if problems.is_empty() => Ok(problem("source.partitionedBy", cause)),
                    _ => Ok(problems),
                }
            }
            Err(cause) if view.source.sql.is_some() => Ok(problem("source.sql", cause)),
            Err(cause) => Ok(problem("source.parquet", cause)),
        }
    }

    /// A query over these files of an applied view. With a range, facts after
    /// its end are left out, and those before its begin may come without their
    /// features: they are too old to answer, but not to say why nothing does.
    ///
    /// # Errors
    /// `Invalid` when the source no longer fits the definition; `Unavailable`
    /// or `Corrupt` from the files.
    pub async fn fact_query(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        range: Option<TimeRange>,
    ) -> Result<FactQuery> {
        self.filtered_fact_query(view, files, range, None).await
    }

    /// All facts of these files, the newest first as far as files and row groups tell.
    ///
    /// # Errors
    /// As [`Offline::fact_query`].
    pub async fn all_facts(&self, view: &AppliedView, files: &[SourceFile]) -> Result<FactQuery> {
        match view.definition.source.sql {
            Some(_) => self.fact_query(view, files, None).await,
            None => Ok(FactQuery {
                plan: self.fact_files(view, files, None)?,
                layout: FactLayout::new(view),
                shape: Shape::RowWise,
                files: files.to_vec(),
                window: None,
            }),
        }
    }

    /// Join keys, times and deletion marks of facts that happened up to `until`, and of
    /// some that happened later; no feature is read.
    ///
    /// # Errors
    /// As [`Offline::fact_query`].
    pub(crate) async fn head_query(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        until: i64,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        let footers = Footers::read(files)?;
        let source = self.source(&view.definition, files).await?;
        check_view_columns(source.schema().as_arrow(), view)?;
        let event_time = &view.definition.source.event_time;
        let range = TimeRange { from: i64::MIN, to: until };
        let event_type = field_type(source.schema().as_arrow(), event_time);
        let facts = match event_type.and_then(|event_type| range.bounds(event_type).1) {
            Some(until) => source.filter(column(event_time).lt_eq(lit(until))).map_err(failed)?,
            None => source,
        };
        let columns = fact_columns(&view.definition, &view.keys);
        let heads = whole(facts, &columns[..FactLayout::new(view).heads()]).map_err(failed)?;
        footers.check(&columns_read(heads.clone()).map_err(failed)?)?;
        heads.create_physical_plan().await.map_err(failed)
    }

    /// As [`Offline::fact_query`], with a condition on the source's columns.
    pub(crate) async fn filtered_fact_query(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        range: Option<TimeRange>,
        condition: Option<Expr>,
    ) -> Result<FactQuery> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        // First of all: DataFusion reads files that differ as if they did not.
        let footers = Footers::read(files)?;
        let source = self.source(&view.definition, files).await?;
        check_view_columns(source.schema().as_arrow(), view)?;
        let shape = shape(source.logical_plan()).map_err(failed)?;
        let event_time = &view.definition.source.event_time;
        let event_type = field_type(source.schema().as_arrow(), event_time).cloned();
        let range = range.zip(event_type).map(|(range, event_type)| {
            let bounds = range.bounds(&event_type);
            (
                bounds.0.map(|lower| column(event_time).gt_eq(lit(lower))),
                bounds.1.map(|upper| column(event_time).lt_eq(lit(upper))),
            )
        });
        let (from, to) = range.unwrap_or_default();
        let columns = fact_columns(&view.definition, &view.keys);
        let facts = match to {
            Some(to) => source.filter(to).map_err(failed)?,
            None => source,
        };
        let facts = match condition {
            Some(condition) => facts.filter(condition).map_err(failed)?,
            None => facts,
        };
        let query = match from {
            // A whole source may be an aggregate: it is computed once.
            Some(from) if shape == Shape::RowWise => {
                let young =
                    facts.clone().filter(from.clone()).and_then(|facts| whole(facts, &columns));
                let old =
                    facts.filter(from.is_not_true()).and_then(|facts| hollow(facts, &columns));
                young.and_then(|young| young.union(old?))
            }
            _ => whole(facts, &columns),
        };
        let query = query.map_err(failed)?;
        footers.check(&columns_read(query.clone()).map_err(failed)?)?;
        let plan = query.create_physical_plan().await.map_err(failed)?;
        let layout = FactLayout::new(view);
        Ok(FactQuery { plan, layout, shape, files: files.to_vec(), window: None })
    }

    /// The view's source before projection: its files, through its SQL if any.
    async fn source(&self, view: &FeatureView, files: &[SourceFile]) -> Result<DataFrame> {
        let session = self.session();
        let failed = |cause| from_datafusion("the source's files cannot be read together", cause);
        let table = read_files(&session, files).await.map_err(failed)?;
        let Some(sql) = &view.source.sql else { return Ok(table) };
        session.register_table(SOURCE_TABLE, table.into_view()).map_err(failed)?;
        shape::check(sql, "the view's SQL")?;
        let query = session.sql_with_options(sql, read_only()).await;
        query.map_err(|cause| from_datafusion("the SQL does not run over its source", cause))
    }
}

/// Files as one table.
pub(crate) async fn read_files(
    session: &SessionContext,
    files: &[SourceFile],
) -> datafusion::error::Result<DataFrame> {
    if let Some((file, store)) = files.iter().find_map(|file| Some((file, file.store()?))) {
        // All files of a source are in one bucket.
        let url = ListingTableUrl::parse(file.to_datafusion())?;
        session.runtime_env().register_object_store(url.get_url(), store);
    }
    let paths: Vec<String> = files.iter().map(SourceFile::to_datafusion).collect();
    session.read_parquet(paths, ParquetReadOptions::default().file_extension("")).await
}

/// One column of a fact batch, in the order of [`crate::facts::FactLayout`].
struct FactColumn<'v> {
    /// The definition's field, for messages.
    path: String,
    /// The source's column.
    name: &'v str,
    role: Role<'v>,
}

/// What a column of a fact batch is.
#[derive(Clone, Copy)]
enum Role<'v> {
    Time,
    Deleted,
    Key(&'v Field),
    Feature(&'v Field),
}

fn fact_columns<'v>(view: &'v FeatureView, keys: &'v [Field]) -> Vec<FactColumn<'v>> {
    let source = &view.source;
    let value = |path: String, field: &'v Field, role| {
        let name = source.column(&field.name);
        let is_renamed = source.columns.contains_key(&field.name);
        let path = if is_renamed { format!("source.columns.{}", field.name) } else { path };
        FactColumn { path, name, role }
    };
    let column = |path: &str, name: &'v str, role| FactColumn { path: path.to_owned(), name, role };
    let known = source.known_time.as_deref();
    let deleted = source.deleted.as_deref();
    let keys = keys.iter().map(|key| value(String::from("entity"), key, Role::Key(key)));
    let features = view.features.iter().map(|feature| {
        value(format!("features.{}", feature.name), feature, Role::Feature(feature))
    });
    keys.chain([column("source.eventTime", &source.event_time, Role::Time)])
        .chain(known.map(|known| column("source.knownTime", known, Role::Time)))
        .chain(deleted.map(|deleted| column("source.deleted", deleted, Role::Deleted)))
        .chain(features)
        .collect()
}

/// The source's column for each column of a view's facts.
pub(crate) fn source_columns(view: &AppliedView) -> Vec<String> {
    let columns = fact_columns(&view.definition, &view.keys);
    columns.into_iter().map(|column| column.name.to_owned()).collect()
}

/// Refuses a source that no longer fits its view.
pub(crate) fn check_view_columns(schema: &Schema, view: &AppliedView) -> Result<()> {
    let problems = check_columns(schema, &view.definition, &view.keys);
    problems.first().map_or(Ok(()), |problem| {
        Err(Error::invalid(format!(
            "feature view {:?}, {}: {}",
            view.name(),
            problem.field,
            problem.message
        )))
    })
}

fn check_columns(schema: &Schema, view: &FeatureView, keys: &[Field]) -> Vec<SourceProblem> {
    let mut problems = Vec::new();
    for FactColumn { path, name, role } in fact_columns(view, keys) {
        let message = match (field_type(schema, name), role) {
            (None, _) => {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                Some(format!("the source has no column {name:?}{}", suggestion(name, names)))
            }
            (Some(found), Role::Time) => {
                let is_timestamp = matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32);
                (!is_timestamp).then(|| {
                    format!("column {name:?} has type {found}; a timestamp or date is needed")
                })
            }
            (Some(found), Role::Deleted) => (*found != ArrowType::Boolean)
                .then(|| format!("column {name:?} has type {found}; a boolean is needed")),
            (Some(found), Role::Key(field) | Role::Feature(field)) => {
                check_type(found, name, field)
            }
        };
        problems.extend(message.map(|message| SourceProblem { field: path, message }));
    }
    problems
}

pub(crate) fn check_type(found: &ArrowType, column: &str, declared: &Field) -> Option<String> {
    match from_arrow(found) {
        Some(found) if found == declared.data_type => None,
        Some(found) => Some(format!(
            "column {column:?} has type {found} where {} is declared; declare {found}, or cast \
             it in source.sql",
            declared.data_type
        )),
        None => Some(format!(
            "column {column:?} has type {found}, which cannot be kept exactly; cast it to {} in \
             source.sql",
            to_arrow(&declared.data_type)
        )),
    }
}

fn field_type<'s>(schema: &'s Schema, name: &str) -> Option<&'s ArrowType> {
    schema.fields().iter().find(|field| field.name() == name).map(|field| field.data_type())
}

/// A column by its exact name; DataFusion would lower its case otherwise.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// All columns of facts. They are read by position, and two of them may be one
/// column of the source.
fn whole(facts: DataFrame, columns: &[FactColumn<'_>]) -> datafusion::error::Result<DataFrame> {
    let columns = columns.iter().enumerate();
    let columns = columns.map(|(index, FactColumn { name, .. })| named(column(name), index));
    facts.select(columns.collect::<Vec<_>>())
}

/// The columns of facts, features as nulls that nothing is read for.
fn hollow(facts: DataFrame, columns: &[FactColumn<'_>]) -> datafusion::error::Result<DataFrame> {
    let schema = facts.schema().clone();
    let columns = columns.iter().enumerate().map(|(index, FactColumn { name, role, .. })| {
        let null = match (role, field_type(schema.as_arrow(), name)) {
            (Role::Feature(_), Some(data_type)) => ScalarValue::try_new_null(data_type).map(lit),
            _ => Ok(column(name)),
        };
        null.map(|value| named(value, index))
    });
    let columns = columns.collect::<datafusion::error::Result<Vec<_>>>()?;
    facts.select(columns)
}

fn named(value: Expr, index: usize) -> Expr {
    value.alias(format!("{index}"))
}

/// Event times that matter, in microseconds UTC, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// What happened before this cannot answer; `i64::MIN` is no bound.
    pub from: i64,
    /// What happened after this is not looked at.
    pub to: i64,
}

impl TimeRange {
    /// Every time.
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    /// The range between two bounds, either of which may be left open; `None` if both are.
    pub fn between(from: Option<i64>, to: Option<i64>) -> Option<Self> {
        let range = Self { from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX) };
        (range != Self::ALL).then_some(range)
    }

    /// Whether a time is in it.
    pub(crate) fn has(self, event: i64) -> bool {
        self.from <= event && event <= self.to
    }

    /// Both bounds in a column's own type, so that row groups and pages are
    /// pruned by their statistics; widened to whole units. A fact's event time
    /// is rounded up to a microsecond when it is read, so the raw lower bound
    /// lies one microsecond earlier.
    fn bounds(self, event_type: &ArrowType) -> (Option<ScalarValue>, Option<ScalarValue>) {
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
        let from = Some(self.from).filter(|from| *from > i64::MIN);
        (from.and_then(|from| bound(from.saturating_sub(1), 0)), bound(self.to, 1))
    }
}

/// The columns that a query reads of its files.
pub(crate) fn columns_read(query: DataFrame) -> datafusion::error::Result<Vec<String>> {
    let mut names = Vec::new();
    query.into_optimized_plan()?.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let fields = scan.projected_schema.fields().iter();
            names.extend(fields.map(|field| field.name().clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}

fn shape(plan: &LogicalPlan) -> datafusion::error::Result<Shape> {
    let mut shape = Shape::RowWise;
    // A subquery inside an expression looks at other rows whatever it is made of.
    plan.apply_with_subqueries(|node| {
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
