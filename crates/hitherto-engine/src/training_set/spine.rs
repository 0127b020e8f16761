//! The forms of a spine, and what the offline layer makes of each.

use std::fmt;
use std::path::PathBuf;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use hitherto_core::definition::Field;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use hitherto_offline::join::JoinSource;
use hitherto_offline::spine::{ScannedView, SpineLayout, SpinePlan, SpineQuery, time_range};

pub use hitherto_offline::spine::{LabelFiles, QueryBounds, Scan};

use crate::Engine;

/// Where the label rows of a training set come from.
pub enum Spine {
    /// Rows in memory.
    Rows {
        /// The rows, in order.
        batches: Vec<RecordBatch>,
        /// Their columns, also when there is no batch.
        schema: SchemaRef,
    },
    /// What a reader gives, read once and as there is room for it.
    Reader {
        /// The rows, in order.
        rows: Box<dyn RecordBatchReader + Send>,
        /// The earliest and latest of their times in microseconds UTC, if somebody knows
        /// them: views with SQL are then read for these alone.
        times: Option<(i64, i64)>,
    },
    /// A Parquet file, read as there is room for it.
    File(PathBuf),
    /// A query over the source files of the views that are applied.
    Sql {
        /// One statement of DataFusion SQL that begins with SELECT or WITH.
        query: String,
        /// Whether it may read other files.
        files: LabelFiles,
        /// What it may take; anything if left out.
        bounds: Option<QueryBounds>,
    },
    /// No label rows: the facts say which there are.
    Scan(Scan),
}

impl fmt::Debug for Spine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spine::Rows { schema, .. } => f.debug_tuple("Rows").field(schema).finish(),
            Spine::Reader { rows, .. } => f.debug_tuple("Reader").field(&rows.schema()).finish(),
            Spine::File(path) => f.debug_tuple("File").field(path).finish(),
            Spine::Sql { query, .. } => f.debug_tuple("Sql").field(query).finish(),
            Spine::Scan(scan) => f.debug_tuple("Scan").field(scan).finish(),
        }
    }
}

impl From<(Vec<RecordBatch>, SchemaRef)> for Spine {
    fn from((batches, schema): (Vec<RecordBatch>, SchemaRef)) -> Self {
        Self::Rows { batches, schema }
    }
}

impl From<RecordBatch> for Spine {
    fn from(rows: RecordBatch) -> Self {
        Self::Rows { schema: rows.schema(), batches: vec![rows] }
    }
}

impl Spine {
    /// The earliest and latest time, where they are known or rows in memory show them.
    ///
    /// # Errors
    /// `Invalid` when rows in memory have no such column of times, or a null in it.
    pub fn times(&self, timestamp: &str, timezone: Option<&Zone>) -> Result<Option<(i64, i64)>> {
        match self {
            Spine::Rows { batches, schema } => {
                time_range(batches, &SpineLayout::new(schema, timestamp, timezone.cloned())?)
            }
            Spine::Reader { times, .. } => Ok(*times),
            Spine::File(_) | Spine::Sql { .. } | Spine::Scan(_) => Ok(None),
        }
    }
}

impl Engine {
    /// A spine for the join of `sources`, of whose views `of_sources` are the files
    /// that were not pushed.
    pub(super) async fn plan_spine(
        &self,
        spine: Spine,
        timestamp: &str,
        sources: &[JoinSource],
        of_sources: Vec<Vec<SourceFile>>,
        now: i64,
    ) -> Result<SpinePlan> {
        match spine {
            Spine::Rows { batches, schema } => {
                check_schemas(&batches, &schema)?;
                SpinePlan::of_rows(batches, &schema)
            }
            Spine::Reader { rows, times } => SpinePlan::of_reader(rows, times),
            Spine::File(path) => self.offline.file_spine(&path).await,
            Spine::Sql { query, files, bounds } => {
                let catalog = self.catalog();
                let query =
                    SpineQuery { sql: &query, views: &catalog.registry.views, files, bounds, now };
                self.offline.sql_spine(&query).await
            }
            Spine::Scan(scan) => {
                let views = scanned(scan, sources, of_sources)?;
                self.offline.scan_spine(scan, &views, timestamp).await
            }
        }
    }
}

fn check_schemas(batches: &[RecordBatch], schema: &SchemaRef) -> Result<()> {
    match batches.iter().find(|batch| batch.schema_ref() != schema) {
        None => Ok(()),
        Some(odd) => Err(Error::invalid(format!(
            "the spine's batches have two schemas; give all of them one: {schema} or {}",
            odd.schema_ref()
        ))),
    }
}

/// The views that say which rows there are: of a moment all that have an entity, of a
/// window the first.
fn scanned(
    scan: Scan,
    sources: &[JoinSource],
    of_sources: Vec<Vec<SourceFile>>,
) -> Result<Vec<ScannedView>> {
    check_window(scan)?;
    let count = match scan {
        Scan::At(_) => sources.len(),
        Scan::Between { .. } => 1,
    };
    let views = sources.iter().zip(of_sources).take(count).map(|(source, files)| ScannedView {
        view: source.view.clone(),
        keys: source.keys.clone(),
        terms: source.terms,
        files,
        pushed: source.pushed.clone(),
    });
    let views: Vec<ScannedView> = views.filter(|view| !view.keys.is_empty()).collect();
    let Some(first) = views.first() else {
        return Err(Error::invalid(
            "without a spine rows are those of an entity, and the feature view has none; name \
             a feature of one that has, first of all, or give label rows",
        ));
    };
    let is_beside = |source: &&JoinSource| !source.keys.is_empty() && source.keys != first.keys;
    match sources.iter().find(is_beside) {
        None => Ok(views),
        Some(other) => Err(Error::invalid(format!(
            "without a spine all features are of one entity in one role; {:?} is joined on {} \
             and {:?} on {}; give label rows, or make a training set of each",
            first.view.name(),
            listed(&first.keys),
            other.name,
            listed(&other.keys)
        ))),
    }
}

fn check_window(scan: Scan) -> Result<()> {
    match scan {
        Scan::Between { after, until } if after >= until => {
            Err(Error::invalid("the window ends no later than it begins; name a later end"))
        }
        _ => Ok(()),
    }
}

fn listed(keys: &[Field]) -> String {
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    names.join(", ")
}
