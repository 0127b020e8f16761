//! A view's source as a DataFusion query, checked against the declared types.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `columns` | the columns of facts, and whether the source has them as declared |
//! | `range` | event times that matter, and a query's condition on them |
//! | `sql` | what a view's SQL does with the rows of its source |

mod columns;
mod range;
mod sql;

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use hitherto_api::TimeRange;
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::{FeatureView, Field, Origin, Source};
use hitherto_core::{Error, Kind, Result};

use self::columns::{FactColumn, Role, check_columns, fact_columns, field_type};
use self::range::event_bounds;
use self::sql::{check_lasting, shape};
use crate::Offline;
use crate::error::from_datafusion;
use crate::fact_files::check_paths;
use crate::facts::FactLayout;
use crate::files::{self, SourceFile};
use crate::footer::{Declared, Footers, count_rows};
use crate::spine::{read_only, shape};
use crate::table::read_files;

pub(crate) use self::columns::{
    check_view_columns, is_read_as_stored, read_as_utc, source_columns,
};
pub(crate) use self::sql::condition;

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

/// What a look at a view's source found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What has to be mended.
    pub problems: Vec<SourceProblem>,
    /// What may not be meant, a sentence each.
    pub warnings: Vec<String>,
}

impl Checked {
    fn refused(field: &str, cause: &Error) -> Self {
        let problem = SourceProblem { field: field.to_owned(), message: cause.chain() };
        Self { problems: vec![problem], warnings: Vec::new() }
    }
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
    /// What to say of times without a zone that nobody has said anything of.
    pub fn read_as_utc(&self) -> Option<String> {
        self.layout.read_as_utc(&self.plan.schema())
    }

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
        let Origin::Parquet(parquet) = &view.source.origin;
        self.list(parquet)
    }

    /// The Parquet files of a path, folder, glob or URL.
    ///
    /// # Errors
    /// Those of [`Offline::list_files`].
    pub fn list(&self, parquet: &str) -> Result<Vec<SourceFile>> {
        files::list(&self.root, &self.stores, parquet)
    }

    /// Rows in these files, from their footers.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, naming the file.
    pub fn count_rows(&self, files: &[SourceFile]) -> Result<u64> {
        files.iter().map(count_rows).sum()
    }

    /// Compares a view's definition with its source's columns and types, and
    /// returns every difference, and what may not be meant. Reads file footers only.
    ///
    /// # Errors
    /// What keeps the source from being looked at: `Unavailable`, `Corrupt`.
    pub async fn check_view(&self, view: &FeatureView, keys: &[Field]) -> Result<Checked> {
        let files = match self.list_files(view) {
            Ok(files) => files,
            Err(cause) => return Ok(Checked::refused("source.parquet", &cause)),
        };
        let footers = match Footers::read(&files, &Declared::by(view, keys)) {
            Ok(footers) => footers,
            Err(cause) if cause.kind() == Kind::Invalid => {
                return Ok(Checked::refused("source.parquet", &cause));
            }
            Err(cause) => return Err(cause),
        };
        match self.source(view, &footers).await {
            Ok(source) => Ok(check_source(source, view, keys, &footers)),
            Err(cause) if view.source.sql.is_some() => Ok(Checked::refused("source.sql", &cause)),
            Err(cause) => Ok(Checked::refused("source.parquet", &cause)),
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
        match is_read_as_stored(&view.definition) {
            false => self.fact_query(view, files, None).await,
            true => Ok(FactQuery {
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
        let footers = Footers::read(files, &Declared::by(&view.definition, &view.keys))?;
        let source = self.source(&view.definition, &footers).await?;
        check_view_columns(source.schema().as_arrow(), view, &footers)?;
        let range = TimeRange { from: i64::MIN, to: until };
        let (_, until) = event_bounds(&view.definition, source.schema().as_arrow(), range);
        let facts = match until {
            Some(until) => source.filter(until).map_err(failed)?,
            None => source,
        };
        let columns = fact_columns(&view.definition, &view.keys);
        let heads = whole(facts, &columns[..FactLayout::new(view).heads()])?;
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
        let footers = Footers::read(files, &Declared::by(&view.definition, &view.keys))?;
        let source = self.source(&view.definition, &footers).await?;
        check_view_columns(source.schema().as_arrow(), view, &footers)?;
        let shape = shape(source.logical_plan()).map_err(failed)?;
        let bounds =
            range.map(|range| event_bounds(&view.definition, source.schema().as_arrow(), range));
        let (from, to) = bounds.unwrap_or_default();
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
                let young = facts.clone().filter(from.clone()).map_err(failed)?;
                let old = facts.filter(from.is_not_true()).map_err(failed)?;
                whole(young, &columns)?.union(hollow(old, &columns)?).map_err(failed)?
            }
            _ => whole(facts, &columns)?,
        };
        footers.check(&columns_read(query.clone()).map_err(failed)?)?;
        let plan = query.create_physical_plan().await.map_err(failed)?;
        let layout = FactLayout::new(view);
        Ok(FactQuery { plan, layout, shape, files: files.to_vec(), window: None })
    }

    /// The view's source before projection: its files, through its SQL if any.
    async fn source(&self, view: &FeatureView, footers: &Footers) -> Result<DataFrame> {
        let session = self.session();
        let failed = |cause| from_datafusion("the source's files cannot be read together", cause);
        let table = read_files(&session, footers).map_err(failed)?;
        let Some(sql) = &view.source.sql else { return Ok(table) };
        session.register_table(SOURCE_TABLE, table.into_view()).map_err(failed)?;
        shape::check(sql, "the view's SQL", shape::Author::Owner)?;
        let query = session.sql_with_options(sql, read_only()).await;
        let query = query
            .map_err(|cause| from_datafusion("the SQL does not run over its source", cause))?;
        check_lasting(query.logical_plan())?;
        Ok(query)
    }
}

/// Compares a view's definition with a source that can be read.
fn check_source(
    source: DataFrame,
    view: &FeatureView,
    keys: &[Field],
    footers: &Footers,
) -> Checked {
    let schema = source.schema().as_arrow();
    let problems = check_columns(schema, view, keys, footers);
    if !problems.is_empty() {
        return Checked { problems, warnings: Vec::new() };
    }
    let of = |name: &Option<String>| field_type(schema, name.as_deref()?);
    let Source { timezone, event_time, known_time, .. } = &view.source;
    let (event, known) = (of(event_time), of(known_time));
    let warning = read_as_utc(&view.metadata.name, timezone.as_ref(), event, known);
    if let Err(cause) = check_paths(&view.source, footers) {
        return Checked::refused("source.partitionedBy", &cause);
    }
    let columns = fact_columns(view, keys);
    let wrong = columns.iter().find_map(|column| Some((column, column.value(&source).err()?)));
    if let Some((column, cause)) = wrong {
        return Checked::refused(&column.path, &cause);
    }
    let unreadable = |cause| from_datafusion("the source cannot be read", cause);
    let read = whole(source, &columns).and_then(|read| columns_read(read).map_err(unreadable));
    match read.and_then(|read| footers.check_types(&read)) {
        Ok(()) => Checked { problems, warnings: warning.into_iter().collect() },
        Err(cause) => Checked::refused("source.parquet", &cause),
    }
}

/// A column by its exact name; DataFusion would lower its case otherwise.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// All columns of facts. They are read by position, and two of them may be one
/// column of the source.
fn whole(facts: DataFrame, columns: &[FactColumn<'_>]) -> Result<DataFrame> {
    select(facts, columns, |facts, column| column.value(facts))
}

/// The columns of facts, features as nulls that nothing is read for.
fn hollow(facts: DataFrame, columns: &[FactColumn<'_>]) -> Result<DataFrame> {
    select(facts, columns, |facts, column| {
        let found = field_type(facts.schema().as_arrow(), column.name);
        match (column.role, found) {
            (Role::Feature(_), Some(data_type)) => {
                ScalarValue::try_new_null(data_type).map(lit).map_err(unselectable)
            }
            _ => column.value(facts),
        }
    })
}

fn select(
    facts: DataFrame,
    columns: &[FactColumn<'_>],
    value: impl Fn(&DataFrame, &FactColumn<'_>) -> Result<Expr>,
) -> Result<DataFrame> {
    let values = columns.iter().enumerate();
    let values = values.map(|(index, column)| Ok(named(value(&facts, column)?, index)));
    let values = values.collect::<Result<Vec<_>>>()?;
    facts.select(values).map_err(unselectable)
}

fn unselectable(cause: DataFusionError) -> Error {
    from_datafusion("the columns of facts cannot be read", cause)
}

fn named(value: Expr, index: usize) -> Expr {
    value.alias(format!("{index}"))
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
