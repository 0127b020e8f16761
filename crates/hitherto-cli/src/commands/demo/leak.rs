//! What a join on collection time would have said: the same spine twice, once
//! by the rule and once on event time alone.
//!
//! Only views whose known time stands in the data take part. Where a view
//! assumes a delay, a leak would be an assumption too.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use hitherto_api::{FeatureNames, Grant, Selection, TrainingSetReport, TrainingSetRequest};
use hitherto_core::definition::Known;
use hitherto_core::reference::FeatureRef;
use hitherto_core::{Error, Result};
use hitherto_engine::Engine;
use hitherto_engine::selection::{Resolved, ResolvedFeature};

use super::questions::TIMESTAMP;
use crate::spine::Spine;

/// The views that make a story a clinician sees at once, the better one first.
/// Within a view the steepest rise does: it is what such a model watches for.
const TOLD: [&str; 2] = ["lactate", "creatinine"];

/// Both answers for the whole spine.
pub struct Comparison {
    /// Counts, view by view.
    pub report: TrainingSetReport,
    honest: RecordBatch,
    naive: RecordBatch,
}

/// One spine row that a join on event time answers with the future.
#[derive(Clone, Debug)]
pub struct Case {
    /// The spine row.
    pub row: usize,
    /// The feature that differs.
    pub feature: FeatureRef,
    /// The number that was known.
    honest: f64,
    /// The number that a join on event time has.
    pub naive: f64,
}

impl Comparison {
    /// Builds both at `now`.
    ///
    /// # Errors
    /// Those of [`Engine::training_set`].
    pub async fn new(
        engine: &Engine,
        grant: &Grant,
        spine: &Spine,
        features: &[FeatureRef],
        now: i64,
    ) -> Result<Self> {
        let (honest, report) = build((engine, grant), spine, features, None, now).await?;
        let (naive, _) = build((engine, grant), spine, features, Some(Known::Ignore), now).await?;
        Ok(Self { report, honest, naive })
    }

    /// Where both have a number of a feature and they differ, the steepest rise first.
    pub fn cases(&self, feature: &FeatureRef) -> Vec<Case> {
        let mut cases = differences(feature, &self.honest, &self.naive);
        cases.sort_by(|a, b| b.rise().total_cmp(&a.rise()).then(a.row.cmp(&b.row)));
        cases
    }

    /// Those of the views whose stories are told, the best first.
    pub fn told(&self, features: &[FeatureRef]) -> Vec<Case> {
        let of_view = TOLD
            .into_iter()
            .flat_map(|view| features.iter().filter(move |feature| feature.view.view == view));
        of_view.flat_map(|feature| self.cases(feature)).collect()
    }
}

impl Case {
    /// How many times the honest number the other one is.
    fn rise(&self) -> f64 {
        self.naive / self.honest
    }
}

/// Features of a selection whose views have a column of known times.
pub fn released_features(resolved: &Resolved) -> Vec<FeatureRef> {
    let is_released = |feature: &&ResolvedFeature| {
        let view = resolved.view_of(feature);
        view.is_some_and(|of| of.view.definition.source.known_time.is_some())
    };
    let features = resolved.features.iter().filter(is_released);
    features.map(|feature| feature.reference.clone()).collect()
}

async fn build(
    (engine, grant): (&Engine, &Grant),
    spine: &Spine,
    features: &[FeatureRef],
    known: Option<Known>,
    now: i64,
) -> Result<(RecordBatch, TrainingSetReport)> {
    let request = TrainingSetRequest {
        selection: Selection::Features(features.to_vec()),
        timestamp: TIMESTAMP.to_owned(),
        timezone: None,
        known_by: None,
        known,
        names: FeatureNames::Full,
    };
    let schema = spine.schema.clone();
    let spine = (spine.batches.clone(), schema);
    let mut rows = engine.training_set(grant, &request, spine, now).await?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        batches.push(batch?);
    }
    let all = concat_batches(&rows.schema(), &batches).map_err(|cause| {
        Error::internal("a training set's batches do not fit each other").with_source(cause)
    })?;
    Ok((all, rows.finish().report))
}

/// Rows where both builds have a number, and not the same.
fn differences(feature: &FeatureRef, honest: &RecordBatch, naive: &RecordBatch) -> Vec<Case> {
    let name = feature.column();
    let numbers =
        |rows: &RecordBatch| rows.column_by_name(&name)?.as_primitive_opt::<Float64Type>().cloned();
    let (Some(honest), Some(naive)) = (numbers(honest), numbers(naive)) else {
        return Vec::new();
    };
    let case = |row: usize| Case {
        row,
        feature: feature.clone(),
        honest: honest.value(row),
        naive: naive.value(row),
    };
    let is_case = |row: &usize| {
        let has_both = honest.is_valid(*row) && naive.is_valid(*row);
        has_both && honest.value(*row) != naive.value(*row)
    };
    (0..honest.len()).filter(is_case).map(case).collect()
}
