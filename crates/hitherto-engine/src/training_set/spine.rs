//! The forms of a spine, and what the offline layer makes of each.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_api::{Scan, Spine};
use hitherto_core::definition::Field;
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use hitherto_offline::join::JoinSource;
use hitherto_offline::spine::{ScannedView, SpinePlan, SpineQuery};

use crate::Engine;

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
