//! Checking: from the written form to [`Definitions`].
//!
//! The one way in; a view and its parts are checked beside where they are
//! declared. Every problem of every file is found in one pass and reported with
//! its place, and nothing is returned unless there is none, so that whoever
//! holds [`Definitions`] never checks again.
//!
//! What needs a look at data (does the file exist, has it that column) is not
//! checked here: this crate does no I/O. [`Loaded::places`] is how whoever does
//! look can still point at a line.

use std::collections::BTreeMap;

use serde_saphyr::Location;

use super::form::{EntityForm, FeatureServiceForm, Spec};
use super::index::Index;
use super::place::{Place, Places, Problem};
use super::subject::{Siblings, Subject};
use super::yaml::{Document, Reading};
use super::{
    Definitions, Entity, FeatureService, FeatureView, Field, Metadata, OnDemandView, on_demand,
};
use crate::limits::{
    DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, ENTITY_KEYS_MAX, REQUEST_FEATURES_MAX,
};
use crate::name::{self, suggestion};
use crate::reference::{FeatureRef, ViewRef};
use crate::types::DataType;
use crate::{Error, Result};

const KEYS: Siblings = Siblings {
    path: "keys",
    noun: "join key",
    count_max: ENTITY_KEYS_MAX,
    check_name: name::check,
};
const SERVICE_FEATURES: Siblings = Siblings {
    path: "features",
    noun: "feature",
    count_max: REQUEST_FEATURES_MAX,
    check_name: name::check,
};

/// Definitions, and where each was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Checked, sorted by name.
    pub definitions: Definitions,
    /// For messages of later checks.
    pub places: Places,
}

/// Reads and checks definition files: pairs of a path relative to the
/// repository's root, for messages, and the file's text. Their order changes
/// nothing.
///
/// # Errors
/// `Invalid` with one line per problem, such as `views/labs.yaml:12:5: feature
/// view "lactate": ...`, sorted by file and line; fix the files.
pub fn load(files: &[(String, String)]) -> Result<Loaded> {
    if files.len() > DEFINITION_FILES_MAX {
        return Err(Error::invalid(format!(
            "there are {} definition files, and {DEFINITION_FILES_MAX} is the limit; see that this \
             is the root of a repository, and put more definitions into one file",
            files.len()
        )));
    }
    let mut reading = read(files);
    let mut problems = std::mem::take(&mut reading.problems);
    if reading.documents.is_empty() && problems.is_empty() {
        return Err(Error::invalid(format!(
            "no definitions found in {} YAML files; write an Entity, a FeatureView and a \
             FeatureService",
            files.len()
        )));
    }
    let index = Index::new(&reading);
    let mut definitions = Definitions::default();
    let mut places = Places::default();
    for document in &reading.documents {
        check(
            Subject::new(document, &mut places, &mut problems),
            document,
            &index,
            &mut definitions,
        );
    }
    on_demand::check_graph(&definitions, &places, &mut problems);
    if !problems.is_empty() {
        problems.sort();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Error::invalid(lines.join("\n")));
    }
    definitions.entities.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions.views.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions.on_demand.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions.services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    Ok(Loaded { definitions, places })
}

fn read(files: &[(String, String)]) -> Reading<'_> {
    let mut sorted: Vec<&(String, String)> = files.iter().collect();
    sorted.sort();
    let mut reading = Reading::default();
    for (file, text) in sorted {
        if text.len() as u64 <= DEFINITION_FILE_BYTES_MAX {
            reading.read(file, text);
            continue;
        }
        reading.unread_nameless = true;
        reading.problems.push(Problem {
            place: Place { file: file.clone(), line: 1, column: 1 },
            message: format!(
                "file has {} bytes, and {DEFINITION_FILE_BYTES_MAX} is the limit; split it",
                text.len()
            ),
        });
    }
    reading
}

fn check(
    mut subject: Subject<'_>,
    document: &Document<'_>,
    index: &Index<'_>,
    definitions: &mut Definitions,
) {
    let metadata = subject.metadata();
    match &document.spec {
        Spec::Entity(form) => definitions.entities.push(entity(&mut subject, metadata, form)),
        Spec::FeatureView(form) => {
            let view = FeatureView::check(&mut subject, index, metadata, form);
            definitions.views.push(view);
        }
        Spec::OnDemandView(form) => {
            let view = OnDemandView::check(&mut subject, index, metadata, form);
            definitions.on_demand.push(view);
        }
        Spec::FeatureService(form) => {
            definitions.services.push(service(&mut subject, index, metadata, form));
        }
    }
}

fn entity(subject: &mut Subject<'_>, metadata: Metadata, form: &EntityForm) -> Entity {
    for key in &form.keys.value {
        let found = &key.data_type;
        if found.value.parse().is_ok_and(|data_type: DataType| !data_type.is_key()) {
            subject.refuse(
                found.referenced,
                format_args!(
                    "join key {:?} has type {}, but keys are compared for exact equality; use an \
                     integer, string, binary, bool or date32",
                    key.name.value, found.value
                ),
            );
        }
    }
    for default in form.keys.value.iter().filter_map(|key| key.default.as_ref()) {
        let message = "a join key has no default; remove it, or give it to a feature";
        subject.refuse(default.referenced, message);
    }
    let keys = subject.fields(&KEYS, &form.keys, Field::check);
    Entity { metadata, keys }
}

fn service(
    subject: &mut Subject<'_>,
    index: &Index<'_>,
    metadata: Metadata,
    form: &FeatureServiceForm,
) -> FeatureService {
    let list = &form.features;
    subject.note("features", list.referenced);
    let mut features = Vec::new();
    let mut first: BTreeMap<String, Location> = BTreeMap::new();
    let mut views: Vec<ViewRef> = Vec::new();
    for text in &list.value {
        let at = text.referenced;
        let expanded = expand(index, &text.value).unwrap_or_else(|message| {
            subject.refuse(at, message);
            Vec::new()
        });
        if let Some(view) = expanded.first().map(|feature| &feature.view) {
            if let Err(error) = views.iter().try_for_each(|other| view.check_beside(other)) {
                subject.refuse(at, error);
            }
            views.push(view.clone());
        }
        for feature in expanded {
            let column = feature.column();
            if let Some(first) = first.get(&column) {
                let first = subject.place(*first);
                subject.refuse(
                    at,
                    format_args!("feature \"{column}\" is already at {first}; remove one"),
                );
            }
            subject.note(&format!("features.{feature}"), at);
            first.entry(column).or_insert(at);
            features.push(feature);
        }
    }
    subject.count(&SERVICE_FEATURES, list.referenced, features.len().max(list.value.len()));
    FeatureService { metadata, features }
}

/// The features that one line of a service or of inputs stands for, or why it stands for
/// none.
pub(super) fn expand(index: &Index<'_>, text: &str) -> Result<Vec<FeatureRef>, String> {
    let reference: FeatureRef = text.parse().map_err(|error| match index.features_of(text) {
        Some(_) => format!("{error}; did you mean \"{text}:*\"?"),
        None => format!("{error}"),
    })?;
    let FeatureRef { view: used, feature } = &reference;
    let view = used.view.as_str();
    let Some(features) = index.features_of(view) else {
        if index.may_be_unread(view) {
            return Ok(Vec::new());
        }
        let there = suggestion(view, index.view_names());
        return Err(format!("feature view {view:?} is not defined{there}"));
    };
    if index.on_demand.contains_key(view) {
        used.check_whole().map_err(|error| error.to_string())?;
    } else if let Some(keys) = index.keys_of(view) {
        used.check_keys(keys.iter().copied()).map_err(|error| error.to_string())?;
    }
    if reference.is_wildcard() {
        let expanded = features.iter().map(|feature| FeatureRef {
            view: used.clone(),
            feature: feature.clone().into_owned(),
        });
        return Ok(expanded.collect());
    }
    if !features.iter().any(|known| known == feature) {
        let there = suggestion(feature, features.iter().map(AsRef::as_ref));
        return Err(format!("feature view {view:?} has no feature {feature:?}{there}"));
    }
    Ok(vec![reference])
}
