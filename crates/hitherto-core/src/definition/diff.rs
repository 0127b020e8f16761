//! What applying one set of definitions over another changes, and what that
//! means for rows already stored.
//!
//! Every resource is described as a flat list of *aspects*: a path, a value as
//! text, and the effect of changing it. The diff compares those lists and knows
//! nothing about kinds. An entity's keys are an aspect of its views too, since
//! they are part of every stored key.
//!
//! [`stored_fingerprint`] and [`definition_hash`] say the same of one view in
//! one number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Definitions, FeatureService, FeatureView, Field, Known, MaxChange, Metadata, Period,
    ResourceKind,
};
use crate::time::format_duration;

pub use super::fingerprint::{definition_hash, stored_fingerprint};

/// One resource that is added, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens to the resource.
    pub action: Action,
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// What differs, in the order in which fields are written; empty unless the
    /// action is an update.
    pub fields: Vec<FieldChange>,
    /// The greatest effect among the fields.
    pub effect: Effect,
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there.
    Create,
    /// It is there, and differs.
    Update,
    /// It will not be there.
    Delete,
}

/// What a change means for rows and answers, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing: description, owner, tags, an entity that no view has yet.
    None,
    /// Answers change, stored rows do not.
    Serving,
    /// Stored rows change. They are built under a new version of the view, or
    /// dropped with it, but never reinterpreted.
    Rematerialize,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Path as in YAML, lists by name: `source.eventTime`, `features.lactate`.
    pub path: String,
    /// The value before; empty when there was none.
    pub old: String,
    /// The value after; empty when there is none.
    pub new: String,
}

/// What turns `old` into `new`: entities, then views, then services, each by
/// name; empty when nothing differs.
pub fn diff(old: &Definitions, new: &Definitions) -> Vec<Change> {
    let mut changes = Vec::new();
    for kind in ResourceKind::ALL {
        let (old, new) = (described(old, kind), described(new, kind));
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        changes.extend(names.into_iter().filter_map(|name| {
            let (action, fields, effect) = match (old.get(name), new.get(name)) {
                (Some(old), Some(new)) => {
                    let (fields, effect) = compare(old, new)?;
                    (Action::Update, fields, effect)
                }
                (None, Some(_)) => (Action::Create, Vec::new(), whole(kind)),
                (Some(_), None) => (Action::Delete, Vec::new(), whole(kind)),
                (None, None) => return None,
            };
            Some(Change { action, kind, name: name.to_owned(), fields, effect })
        }));
    }
    changes
}

/// The effect of creating or deleting a whole resource.
fn whole(kind: ResourceKind) -> Effect {
    match kind {
        ResourceKind::Entity => Effect::None,
        ResourceKind::FeatureView => Effect::Rematerialize,
        ResourceKind::FeatureService => Effect::Serving,
    }
}

/// A view's join keys; none for a view without an entity, and for an entity that
/// is not there, which `load` refuses.
pub fn keys<'a>(definitions: &'a Definitions, view: &FeatureView) -> &'a [Field] {
    let entity = view.entity.as_deref().and_then(|entity| definitions.entity(entity));
    entity.map_or(&[], |entity| &entity.keys)
}

/// One thing about a resource that can change.
struct Aspect {
    path: String,
    value: String,
    effect: Effect,
}

/// Aspects in the order in which fields are written.
type Aspects = Vec<Aspect>;

fn aspect(path: impl Into<String>, value: impl Into<String>, effect: Effect) -> Aspect {
    Aspect { path: path.into(), value: value.into(), effect }
}

/// The aspects of all resources of a kind, by name.
fn described<'a>(definitions: &'a Definitions, kind: ResourceKind) -> BTreeMap<&'a str, Aspects> {
    let named = |metadata: &'a Metadata, spec: Aspects| {
        (metadata.name.as_str(), metadata_aspects(metadata).into_iter().chain(spec).collect())
    };
    match kind {
        ResourceKind::Entity => {
            let entities = definitions.entities.iter();
            entities.map(|entity| named(&entity.metadata, entity_aspects(&entity.keys))).collect()
        }
        ResourceKind::FeatureView => {
            let aspects = |view| view_aspects(view, keys(definitions, view));
            definitions.views.iter().map(|view| named(&view.metadata, aspects(view))).collect()
        }
        ResourceKind::FeatureService => {
            let services = definitions.services.iter();
            services.map(|service| named(&service.metadata, service_aspects(service))).collect()
        }
    }
}

fn entity_aspects(keys: &[Field]) -> Aspects {
    let mut aspects = vec![aspect("keys", columns(keys), Effect::Rematerialize)];
    aspects.extend(descriptions("keys", keys));
    aspects
}

fn service_aspects(service: &FeatureService) -> Aspects {
    let features: Vec<String> = service.features.iter().map(ToString::to_string).collect();
    let mut aspects = vec![aspect(ORDER, features.join(", "), Effect::Serving)];
    aspects.extend(
        features.iter().map(|name| aspect(format!("features.{name}"), "listed", Effect::Serving)),
    );
    aspects
}

fn metadata_aspects(metadata: &Metadata) -> Aspects {
    let mut aspects = vec![
        aspect("description", &metadata.description, Effect::None),
        aspect("owner", &metadata.owner, Effect::None),
    ];
    let tags = metadata.tags.iter();
    aspects.extend(tags.map(|(tag, value)| aspect(format!("tags.{tag}"), value, Effect::None)));
    aspects
}

fn view_aspects(view: &FeatureView, keys: &[Field]) -> Aspects {
    use Effect::{Rematerialize, Serving};
    let FeatureView { source, features, .. } = view;
    let duration = |micros: Option<i64>| micros.map(format_duration).unwrap_or_default();
    let known = match view.known {
        Known::Honor => "honor",
        Known::Ignore => "ignore",
    };
    let mut aspects = vec![
        aspect("entity", view.entity.clone().unwrap_or_default(), Serving),
        aspect("entity.keys", columns(keys), Rematerialize),
        aspect("source.parquet", &source.parquet, Rematerialize),
        aspect(
            "source.partitionedBy",
            source.partitioned_by.map(Period::name).unwrap_or_default(),
            Rematerialize,
        ),
        aspect("source.partitions", columns(&source.partitions), Rematerialize),
        aspect("source.sql", source.sql.clone().unwrap_or_default(), Rematerialize),
        aspect("source.eventTime", source.event_time.clone().unwrap_or_default(), Rematerialize),
        aspect("source.timeless", if source.is_timeless() { "true" } else { "" }, Rematerialize),
        aspect("source.knownTime", source.known_time.clone().unwrap_or_default(), Rematerialize),
        aspect("source.delay", format_duration(source.delay_micros), Rematerialize),
        aspect("source.deleted", source.deleted.clone().unwrap_or_default(), Rematerialize),
        aspect("ttl", duration(view.ttl_micros), Serving),
        aspect("known", known, Serving),
        aspect(ORDER, names(features), Rematerialize),
    ];
    aspects.extend(
        source.columns.iter().map(|(field, column)| {
            aspect(format!("source.columns.{field}"), column, Rematerialize)
        }),
    );
    aspects.extend(features.iter().map(|feature| {
        aspect(format!("features.{}", feature.name), feature.data_type.to_string(), Rematerialize)
    }));
    aspects.extend(descriptions("features", features));
    aspects.extend(view.defaults.iter().map(|(feature, default)| {
        aspect(format!("features.{feature}.default"), default.to_string(), Serving)
    }));
    aspects.push(aspect("online.history", duration(view.online.history_micros), Rematerialize));
    let MaxChange { entities, nulls, range } = view.online.max_change.unwrap_or_default();
    aspects.extend([("entities", entities), ("nulls", nulls), ("range", range)].map(
        |(name, share)| {
            let share = share.map(|share| share.to_string()).unwrap_or_default();
            aspect(format!("online.maxChange.{name}"), share, Effect::None)
        },
    ));
    aspects
}

/// The path of all features together, whose value is their order.
const ORDER: &str = "features";

fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn columns(fields: &[Field]) -> String {
    let columns = fields.iter().map(|field| format!("{}: {}", field.name, field.data_type));
    columns.collect::<Vec<_>>().join(", ")
}

fn descriptions(list: &str, fields: &[Field]) -> Aspects {
    let path = |field: &Field| format!("{list}.{}.description", field.name);
    let described = fields.iter().filter(|field| !field.description.is_empty());
    described.map(|field| aspect(path(field), &field.description, Effect::None)).collect()
}

/// What differs between two descriptions of one resource, if anything does.
fn compare(old: &Aspects, new: &Aspects) -> Option<(Vec<FieldChange>, Effect)> {
    let by_path = |aspects: &'_ Aspects| -> BTreeMap<String, String> {
        aspects.iter().map(|aspect| (aspect.path.clone(), aspect.value.clone())).collect()
    };
    let (old_values, new_values) = (by_path(old), by_path(new));
    let removed = old.iter().filter(|aspect| !new_values.contains_key(&aspect.path));
    let mut effect = Effect::None;
    let mut fields = Vec::new();
    for Aspect { path, effect: of_field, .. } in new.iter().chain(removed) {
        let (old, new) = (old_values.get(path), new_values.get(path));
        if old != new {
            effect = effect.max(*of_field);
            let value = |value: Option<&String>| value.cloned().unwrap_or_default();
            fields.push(FieldChange { path: path.clone(), old: value(old), new: value(new) });
        }
    }
    fields.retain(|change| change.path != ORDER || is_reorder(change));
    (!fields.is_empty()).then_some((fields, effect))
}

/// Whether the same features come in another order. Features that come or go
/// show for themselves; two long lists would only bury them.
fn is_reorder(change: &FieldChange) -> bool {
    let sorted = |names: &str| names.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
    sorted(&change.old) == sorted(&change.new)
}

/// Changes as text for people: a line for each resource marked `+`, `~` or
/// `-`, its fields below it, and a line that counts them.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a>(pub &'a [Change]);

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing to change");
        }
        for change in self.0 {
            writeln!(f, "{change}")?;
        }
        let count = |action| self.0.iter().filter(|change| change.action == action).count();
        write!(
            f,
            "{} to create, {} to update, {} to delete",
            count(Action::Create),
            count(Action::Update),
            count(Action::Delete)
        )
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { action, kind, name, .. } = self;
        let mark = match action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
        };
        let meaning = match (action, self.effect) {
            (Action::Create, Effect::Rematerialize) => " (to be materialized)",
            (Action::Delete, Effect::Rematerialize) => " (stored rows are dropped)",
            (Action::Update, Effect::Rematerialize) if *kind == ResourceKind::Entity => {
                " (its views are built again)"
            }
            (Action::Update, Effect::Rematerialize) => " (new version, to be materialized again)",
            (Action::Update, Effect::Serving) => " (answers change, stored rows stay)",
            (_, Effect::None | Effect::Serving) => "",
        };
        write!(f, "{mark} {kind} {name:?}{meaning}")?;
        for FieldChange { path, old, new } in &self.fields {
            write!(f, "\n    {path}: {} -> {}", shown(old), shown(new))?;
        }
        Ok(())
    }
}

/// A value on one line.
fn shown(value: &str) -> String {
    match value {
        "" => String::from("(none)"),
        value if value.contains(char::is_control) => format!("{value:?}"),
        value => value.to_owned(),
    }
}
