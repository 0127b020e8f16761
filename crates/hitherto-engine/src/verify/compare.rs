//! Both answers to the same questions, by the paths that everybody uses.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::verify::{Comparison, Difference};
use hitherto_api::{FeatureNames, Grant, KeyColumn, LookupRequest, Selection, TrainingSetRequest};
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::Status;
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::VERIFY_DIFFERENCES_MAX;
use hitherto_core::reference::{FeatureRef, ViewRef};
use hitherto_core::{Error, Result};
use hitherto_offline::pairs::to_spine;

use super::questions::Questions;
use crate::Engine;
use crate::files::ViewFiles;
use crate::training_set::Read;

/// The spine's column of times. No join key can have this name: theirs are
/// lower case.
const TIMESTAMP: &str = "AT";

/// Answers every question on both sides and counts where they differ.
///
/// # Errors
/// Those of training sets and lookups.
pub(super) async fn compare(
    (engine, grant): (&Engine, &Grant),
    view: &AppliedView,
    files: &ViewFiles,
    questions: &Questions,
    now: i64,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    if questions.times.is_empty() {
        return Ok(comparison);
    }
    let all = FeatureRef { view: ViewRef::new(view.name()), feature: String::from("*") };
    let selection = Selection::Features(vec![all]);
    let offline = offline(engine, view, files, questions, &selection, now).await?;
    let features = &offline.columns()[view.keys.len() + 1..];
    for (row, (entity, at)) in questions.entities.iter().zip(&questions.times).enumerate() {
        let keys = view.keys.iter().zip(entity);
        let keys = keys.map(|(key, part)| KeyColumn {
            name: key.name.clone(),
            parts: vec![Some(part.clone())],
        });
        let request = LookupRequest {
            selection: selection.clone(),
            keys: keys.collect(),
            request: Vec::new(),
            as_of: Some(*at),
            with_times: false,
        };
        let online = engine.lookup(grant, &request, now)?;
        let has_value = online.columns.iter().any(|column| column.status(0) == Status::Present);
        let online = to_record_batch(&online)?;
        comparison.pairs += 1;
        comparison.pairs_with_value += u64::from(has_value);
        for (feature, (offline, online)) in features.iter().zip(online.columns()).enumerate() {
            comparison.values += 1;
            // Arrays are equal when their bits are; null only equals null.
            if offline.slice(row, 1).to_data() == online.to_data() {
                continue;
            }
            comparison.differences += 1;
            if comparison.first.len() < VERIFY_DIFFERENCES_MAX {
                let feature = &view.definition.features[feature].name;
                comparison.first.push(Difference {
                    entity: entity_text(&view.keys, entity),
                    at: *at,
                    feature: format!("{}:{feature}", view.name()),
                    offline: value_text(offline, row)?,
                    online: value_text(online, 0)?,
                });
            }
        }
    }
    Ok(comparison)
}

/// The training set over all questions, read to its end.
async fn offline(
    engine: &Engine,
    view: &AppliedView,
    files: &ViewFiles,
    questions: &Questions,
    selection: &Selection,
    now: i64,
) -> Result<RecordBatch> {
    let request = TrainingSetRequest {
        selection: selection.clone(),
        timestamp: TIMESTAMP.to_owned(),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    let spine = to_spine(&view.keys, &questions.entities, questions.times.clone(), TIMESTAMP)?;
    let read = Read::These(files);
    let mut set = engine.read_training_set(&request, spine.into(), now, read).await?;
    let mut batches = Vec::new();
    while let Some(batch) = set.next().await {
        batches.push(batch?);
    }
    concat_batches(&set.schema(), &batches).map_err(|cause| {
        Error::internal("a training set's batches do not fit each other").with_source(cause)
    })
}

fn entity_text(keys: &[Field], entity: &[OwnedPart]) -> String {
    let parts = keys.iter().zip(entity);
    let parts = parts.map(|(key, part)| format!("{}={}", key.name, part.to_text()));
    parts.collect::<Vec<_>>().join(", ")
}

fn value_text(array: &ArrayRef, row: usize) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    array_value_to_string(array, row)
        .map(Some)
        .map_err(|cause| Error::internal("a value cannot be written").with_source(cause))
}
