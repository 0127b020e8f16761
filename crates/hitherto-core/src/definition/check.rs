//! Checking: from the written form to [`Definitions`].
//!
//! The one way in. Every problem of every file is found in one pass and
//! reported with its place, and nothing is returned unless there is none, so
//! that whoever holds [`Definitions`] never checks again.
//!
//! What needs a look at data (does the file exist, has it that column) is not
//! checked here: this crate does no I/O. [`Loaded::places`] is how whoever does
//! look can still point at a line.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::form::{EntityForm, FeatureServiceForm, FeatureViewForm, OnlineForm, SourceForm, Spec};
use super::index::Index;
use super::place::{Place, Places, Problem};
use super::subject::{Length, Siblings, Subject};
use super::yaml::{Document, Reading};
use super::{
    DefaultValue, Definitions, Entity, FeatureService, FeatureView, Field, Known, MaxChange,
    Metadata, Online, Source,
};
use crate::limits::{
    DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, ENTITY_KEYS_MAX, REQUEST_FEATURES_MAX,
    VIEW_FEATURES_MAX,
};
use crate::name::suggestion;
use crate::reference::{FeatureRef, ViewRef};
use crate::types::DataType;
use crate::{Error, Result};

const KEYS: Siblings = Siblings { path: "keys", noun: "join key", count_max: ENTITY_KEYS_MAX };
const PARTITIONS: Siblings =
    Siblings { path: "source.partitions", noun: "partition", count_max: ENTITY_KEYS_MAX };
const FEATURES: Siblings =
    Siblings { path: "features", noun: "feature", count_max: VIEW_FEATURES_MAX };
const SERVICE_FEATURES: Siblings =
    Siblings { path: "features", noun: "feature", count_max: REQUEST_FEATURES_MAX };

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
            "there are {} definition files; at most {DEFINITION_FILES_MAX} are allowed, is this \
             the root of a feature repository?",
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
    if !problems.is_empty() {
        problems.sort();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Error::invalid(lines.join("\n")));
    }
    definitions.entities.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions.views.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
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
                "file has {} bytes; a definition file may have {DEFINITION_FILE_BYTES_MAX}",
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
            definitions.views.push(view(&mut subject, index, metadata, form));
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
    let keys = subject.fields(&KEYS, &form.keys);
    Entity { metadata, keys }
}

fn view(
    subject: &mut Subject<'_>,
    index: &Index<'_>,
    metadata: Metadata,
    form: &FeatureViewForm,
) -> FeatureView {
    let entity = form.entity.as_ref().map(|entity| known_entity(subject, index, entity));
    let keys = entity.as_deref().and_then(|entity| index.entities.get(entity));
    let keys = keys.map_or(&[][..], Vec::as_slice);
    FeatureView {
        metadata,
        source: source(subject, form, keys),
        ttl_micros: subject.duration("ttl", form.ttl.as_ref(), Length::Positive),
        known: known(subject, form.known.as_ref()),
        features: features(subject, form, keys),
        defaults: defaults(subject, form),
        online: online(subject, form.online.as_ref()),
        entity,
    }
}

fn online(subject: &mut Subject<'_>, form: Option<&OnlineForm>) -> Online {
    let Some(form) = form else { return Online::default() };
    let mut share = |name: &str, found: Option<&Spanned<String>>| {
        subject.parsed(&format!("online.maxChange.{name}"), found)
    };
    let max_change = form.max_change.as_ref().map(|form| MaxChange {
        entities: share("entities", form.entities.as_ref()),
        nulls: share("nulls", form.nulls.as_ref()),
        range: share("range", form.range.as_ref()),
    });
    let history = subject.duration("online.history", form.history.as_ref(), Length::Positive);
    Online { history_micros: history, max_change }
}

/// The name of an entity that must be there.
fn known_entity(subject: &mut Subject<'_>, index: &Index<'_>, found: &Spanned<String>) -> String {
    let entity = subject.text("entity", found);
    let is_known = index.entities.contains_key(entity.as_str());
    if !is_known && !entity.is_empty() && !index.may_be_unread(&entity) {
        let there = suggestion(&entity, index.entities.keys().copied());
        subject.refuse(found.referenced, format_args!("entity {entity:?} is not defined{there}"));
    }
    entity
}

fn source(subject: &mut Subject<'_>, view: &FeatureViewForm, keys: &[&str]) -> Source {
    let form = &view.source;
    subject.note("source", form.parquet.referenced);
    let delay = form.delay.as_ref();
    if let (Some(delay), Some(_)) = (delay, &form.known_time) {
        subject.refuse(
            delay.referenced,
            "source.delay and source.knownTime exclude each other; a column says when each fact \
             was known, so remove the delay",
        );
    }
    let partitioned_by = form.partitioned_by.as_ref();
    if let (Some(period), Some(_)) = (partitioned_by, &form.sql) {
        subject.refuse(
            period.referenced,
            "source.partitionedBy and source.sql exclude each other; event times are what the SQL \
             makes of them, so name the period there in a WHERE",
        );
    }
    Source {
        parquet: subject.text("source.parquet", &form.parquet),
        partitioned_by: subject.parsed("source.partitionedBy", partitioned_by),
        partitions: partitions(subject, form),
        sql: subject.optional_text("source.sql", form.sql.as_ref()),
        event_time: event_time(subject, view),
        known_time: subject.optional_text("source.knownTime", form.known_time.as_ref()),
        delay_micros: subject.duration("source.delay", delay, Length::Any).unwrap_or(0),
        deleted: subject.optional_text("source.deleted", form.deleted.as_ref()),
        columns: columns(subject, view, keys),
    }
}

/// Columns that paths name.
fn partitions(subject: &mut Subject<'_>, form: &SourceForm) -> Vec<Field> {
    let Some(partitions) = &form.partitions else { return Vec::new() };
    for default in partitions.value.iter().filter_map(|column| column.default.as_ref()) {
        let message = "a partition has no default: every path names its value; remove it";
        subject.refuse(default.referenced, message);
    }
    let mut columns = subject.fields(&PARTITIONS, partitions);
    // What is said of it for people decides no fact.
    columns.iter_mut().for_each(|column| column.description.clear());
    columns
}

/// The column of event times, or none and with it nothing that counts from one.
fn event_time(subject: &mut Subject<'_>, view: &FeatureViewForm) -> Option<String> {
    let form = &view.source;
    let timeless = form.timeless.as_ref().filter(|timeless| match timeless.value.as_str() {
        "true" => true,
        "false" => false,
        other => {
            let message = format_args!("source.timeless is true or left out, not {other:?}");
            subject.refuse(timeless.referenced, message);
            true
        }
    });
    let Some(timeless) = timeless else {
        if form.event_time.is_none() {
            subject.refuse(
                form.parquet.referenced,
                "the source says nothing of time; name the column that says when a thing \
                 happened, as eventTime, or write timeless: true for attributes that have none",
            );
        }
        return subject.optional_text("source.eventTime", form.event_time.as_ref());
    };
    subject.note("source.timeless", timeless.referenced);
    let online = view.online.as_ref().and_then(|online| online.history.as_ref());
    let online = online.filter(|_| form.known_time.is_none());
    let refusals = [
        (&form.event_time, "source.eventTime and source.timeless exclude each other; remove one"),
        (&view.ttl, "a timeless view has no ttl: what always was does not age; remove the ttl"),
        (
            &form.delay,
            "a timeless source has no delay: there is no event to count from; name a knownTime",
        ),
        (
            &form.partitioned_by,
            "a timeless source is not partitioned by time; remove partitionedBy",
        ),
        (
            &online.cloned(),
            "a timeless view without knownTime needs no online.history: it answers every moment; \
             remove it",
        ),
    ];
    for (found, message) in refusals {
        if let Some(found) = found {
            subject.refuse(found.referenced, message);
        }
    }
    None
}

/// Columns by the name of their join key or feature.
fn columns(
    subject: &mut Subject<'_>,
    form: &FeatureViewForm,
    keys: &[&str],
) -> BTreeMap<String, String> {
    let features = form.features.value.iter().map(|feature| feature.name.value.as_str());
    let fields: Vec<&str> = keys.iter().copied().chain(features).collect();
    let mut columns = BTreeMap::new();
    for (field, column) in form.source.columns.iter().flatten() {
        if !fields.contains(&field.as_str()) {
            let there = suggestion(field, fields.iter().copied());
            let message = format_args!(
                "source.columns names {field:?}, which is neither a join key nor a feature{there}"
            );
            subject.refuse(column.referenced, message);
        }
        let path = format!("source.columns.{field}");
        columns.insert(field.clone(), subject.text(&path, column));
    }
    columns
}

fn known(subject: &mut Subject<'_>, found: Option<&Spanned<String>>) -> Known {
    let Some(found) = found else { return Known::default() };
    subject.note("known", found.referenced);
    match found.value.as_str() {
        "honor" => Known::Honor,
        "ignore" => Known::Ignore,
        other => {
            let there = suggestion(other, super::schema::KNOWN);
            let message = format_args!("known: {other:?} is not a choice{there}");
            subject.refuse(found.referenced, message);
            Known::default()
        }
    }
}

fn features(subject: &mut Subject<'_>, form: &FeatureViewForm, keys: &[&str]) -> Vec<Field> {
    for field in &form.features.value {
        if keys.contains(&field.name.value.as_str()) {
            subject.refuse(
                field.name.referenced,
                format_args!(
                    "feature {:?} is a join key of the view's entity, which every answer has \
                     already; remove it, or give it another name in source.columns",
                    field.name.value
                ),
            );
        }
    }
    subject.fields(&FEATURES, &form.features)
}

/// Defaults by feature; what has no legal type was refused for that.
fn defaults(subject: &mut Subject<'_>, form: &FeatureViewForm) -> BTreeMap<String, DefaultValue> {
    let mut defaults = BTreeMap::new();
    for feature in &form.features.value {
        let (Some(found), Ok(data_type)) = (&feature.default, feature.data_type.value.parse())
        else {
            continue;
        };
        let name = &feature.name.value;
        subject.note(&format!("features.{name}.default"), found.referenced);
        match DefaultValue::parse(&found.value, &data_type) {
            Ok(default) => drop(defaults.insert(name.clone(), default)),
            Err(why) => subject.refuse(found.referenced, format_args!("feature {name:?}: {why}")),
        }
    }
    defaults
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

/// The features that one line of a service stands for, or why it stands for
/// none.
fn expand(index: &Index<'_>, text: &str) -> Result<Vec<FeatureRef>, String> {
    let reference: FeatureRef = text.parse().map_err(|error| match index.views.get(text) {
        Some(_) => format!("{error}; did you mean \"{text}:*\"?"),
        None => format!("{error}"),
    })?;
    let FeatureRef { view: used, feature } = &reference;
    let view = used.view.as_str();
    let Some(features) = index.views.get(view) else {
        if index.may_be_unread(view) {
            return Ok(Vec::new());
        }
        let there = suggestion(view, index.views.keys().copied());
        return Err(format!("feature view {view:?} is not defined{there}"));
    };
    if let Some(keys) = index.keys_of(view) {
        used.check_keys(keys.iter().copied()).map_err(|error| error.to_string())?;
    }
    if reference.is_wildcard() {
        let expanded = features
            .iter()
            .map(|feature| FeatureRef { view: used.clone(), feature: (*feature).to_owned() });
        return Ok(expanded.collect());
    }
    if !features.contains(&feature.as_str()) {
        let there = suggestion(feature, features.iter().copied());
        return Err(format!("feature view {view:?} has no feature {feature:?}{there}"));
    }
    Ok(vec![reference])
}
