//! A spine that SQL makes of the files of feature views.
//!
//! ```text
//! text -> not too long or deep -> one statement, a query
//!      -> a caller's: made of what is listed, and not too much of it
//!      -> its tables: views by name, files by path
//!      -> plan: nothing but reading -> one partition, batch by batch
//! ```
//!
//! The query runs in one partition, so that the same query over the same files gives
//! the same rows in the same order, and a manifest the same spine. Its clock is an
//! argument, like everybody's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::common::TableReference;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Query, Statement as SqlStatement};
use hitherto_api::{LabelFiles, QueryBounds};
use hitherto_core::catalog::AppliedView;
use hitherto_core::limits::{BATCH_ROWS, SQL_BATCH_CELLS_MAX, SQL_PLAN_SECONDS_MAX};
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Result};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::callers;
use super::held::held;
use super::plan::{SpinePlan, Times, label_file};
use super::shape::{self, Author};
use super::watched::WatchedExec;
use crate::Offline;
use crate::error::from_datafusion;
use crate::files::SourceFile;
use crate::footer::{Declared, Footers};
use crate::source::columns_read;
use crate::table::read_files;

/// A query for label rows.
#[derive(Clone, Copy, Debug)]
pub struct SpineQuery<'q> {
    /// DataFusion SQL: one statement that begins with SELECT or WITH.
    pub sql: &'q str,
    /// The tables: the files of each view's source, under the view's name.
    pub views: &'q [AppliedView],
    /// Whether a quoted path is a table.
    pub files: LabelFiles,
    /// What it may take; anything if left out.
    pub bounds: Option<QueryBounds>,
    /// What `now()` is, microseconds UTC.
    pub now: i64,
}

/// Files that a query reads as one table.
struct LabelTable {
    files: Vec<SourceFile>,
    footers: Footers,
}

impl Offline {
    /// The rows of a query, in its order.
    ///
    /// # Errors
    /// `Invalid` when it is not a query, names a table that there is not, or does not
    /// fit its tables; those of listing and opening files.
    pub async fn sql_spine(&self, query: &SpineQuery<'_>) -> Result<SpinePlan> {
        let failed = |cause| from_datafusion("the spine's SQL does not run", cause);
        let mut session = self.session_in_order();
        let author = match query.bounds {
            Some(_) => Author::Caller,
            None => Author::Owner,
        };
        let statement = parse(&session.state(), query.sql, author)?;
        if query.bounds.is_some() {
            let size = callers::check(asked(&statement)?)?;
            let rows = (SQL_BATCH_CELLS_MAX / size.cells.max(1)).clamp(1, BATCH_ROWS);
            session = self.session_in_batches(rows);
        }
        let names = session.state().resolve_table_references(&statement).map_err(failed)?;
        let mut tables = Vec::with_capacity(names.len());
        for name in &names {
            tables.push(self.register(&session, query, name)?);
        }
        let mut state = session.state();
        let now = timestamp_us_to_datetime(query.now).map(|now| now.and_utc());
        state.execution_props_mut().query_execution_start_time = now;
        let (read, plan) = match query.bounds {
            None => plan(state, statement).await?,
            Some(_) => self.plan_in_time(state, statement).await?,
        };
        let mut files = Vec::new();
        for table in tables {
            table.check(&read)?;
            files.extend(table.files);
        }
        let plan = match query.bounds {
            Some(watch) => Arc::new(WatchedExec { plan, watch }),
            None => plan,
        };
        Ok(SpinePlan { plan, times: Times::Unknown, files })
    }

    /// Plans a caller's query where it holds up nobody, and no longer than is allowed.
    async fn plan_in_time(&self, state: SessionState, statement: Statement) -> Result<Planned> {
        let full = || {
            Error::unavailable(
                "the server is planning as many queries as it may at a time; back off and retry",
            )
        };
        let place = Arc::clone(&self.planning).try_acquire_owned().map_err(|_| full())?;
        let planning = SpawnedTask::spawn_blocking(move || {
            // Held until it is done, which nobody can hasten.
            let _place = place;
            Handle::current().block_on(plan(state, statement))
        });
        match timeout(Duration::from_secs(SQL_PLAN_SECONDS_MAX), planning.join()).await {
            Ok(planned) => planned.map_err(|cause| {
                Error::internal("planning the spine's SQL broke off").with_source(cause)
            })?,
            Err(_) => Err(Error::invalid(format!(
                "the spine's SQL takes more than {SQL_PLAN_SECONDS_MAX} seconds to plan, which is \
                 the limit for a caller's SQL; join fewer tables, or make the rows where you are \
                 and send them"
            ))),
        }
    }

    /// Makes a view or a file a table of the session.
    fn register(
        &self,
        session: &SessionContext,
        query: &SpineQuery<'_>,
        name: &TableReference,
    ) -> Result<LabelTable> {
        let failed = |cause| from_datafusion("the spine's SQL does not run", cause);
        let is_named = |view: &&AppliedView| name.schema().is_none() && view.name() == name.table();
        let (files, footers) = match query.views.iter().find(is_named) {
            Some(view) => {
                let files = self.list_files(&view.definition)?;
                // The source's own columns, and not what the view's SQL makes of them.
                let declared = Declared::by(&view.definition, &view.keys);
                let footers = Footers::read(&files, &declared)?;
                (files, footers)
            }
            None => {
                let (file, footers) = label_file(query.path(name)?)?;
                (vec![file], footers)
            }
        };
        let rows = read_files(session, &footers).map_err(failed)?;
        session.register_table(name.clone(), rows.into_view()).map_err(failed)?;
        Ok(LabelTable { files, footers })
    }
}

impl SpineQuery<'_> {
    /// The file that a table's name is the path of.
    fn path<'n>(&self, name: &'n TableReference) -> Result<&'n Path> {
        let table = name.table();
        let path = Path::new(table);
        let is_path = name.schema().is_none() && (table.contains('/') || table.contains('.'));
        match self.files {
            LabelFiles::Readable if is_path => Ok(path),
            _ => Err(self.no_table(name)),
        }
    }

    fn no_table(&self, name: &TableReference) -> Error {
        let views = self.views.iter().map(AppliedView::name);
        let tables = match self.files {
            LabelFiles::Readable => {
                "neither a feature view that is applied nor the quoted path of a Parquet file"
            }
            LabelFiles::Closed => "no feature view that is applied",
        };
        Error::invalid(format!(
            "the spine's SQL reads {:?}, which is {tables}{}",
            name.to_string(),
            suggestion(name.table(), views)
        ))
    }
}

impl LabelTable {
    /// Checks that every file has those columns of the table that a query reads.
    fn check(&self, read: &[String]) -> Result<()> {
        let schema = self.footers.schema();
        let own: Vec<String> =
            read.iter().filter(|name| schema.index_of(name).is_ok()).cloned().collect();
        self.footers.check(&own)
    }
}

/// The columns of tables that a query reads, and its plan.
type Planned = (Vec<String>, Arc<dyn ExecutionPlan>);

async fn plan(state: SessionState, statement: Statement) -> Result<Planned> {
    let failed = |cause| from_datafusion("the spine's SQL does not run", cause);
    let plan = state.statement_to_plan(statement).await.map_err(failed)?;
    read_only().verify_plan(&plan).map_err(failed)?;
    let rows = DataFrame::new(state, plan);
    let read = columns_read(rows.clone()).map_err(failed)?;
    let plan = rows.create_physical_plan().await.map_err(failed)?;
    Ok((read, held(plan).map_err(failed)?))
}

/// The one query of a text.
fn parse(state: &SessionState, sql: &str, author: Author) -> Result<Statement> {
    shape::check(sql, "the spine's SQL", author)?;
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state
        .sql_to_statement(sql, &dialect)
        .map_err(|cause| from_datafusion("the spine's SQL cannot be read", cause))?;
    asked(&statement)?;
    Ok(statement)
}

/// The query that a statement is.
fn asked(statement: &Statement) -> Result<&Query> {
    if let Statement::Statement(inner) = statement
        && let SqlStatement::Query(query) = &**inner
    {
        return Ok(query);
    }
    Err(Error::invalid(format!(
        "a spine is a query and changes nothing; write one SELECT, not {statement}"
    )))
}

/// What is left of SQL: reading.
pub(crate) fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}
