//! What there is to say of a resource, field by field.
//!
//! Each part of a definition says it once, beside where its fields are declared and
//! checked, as *aspects*: where a field is written, its value as text, and the effect of
//! changing it. Whoever goes through a definition field by field goes through aspects and
//! knows no fields: [`diff`](super::diff) compares them, `fingerprint` hashes what of them
//! decides rows and answers, `hitherto inspect` shows them. An entity's keys are an aspect
//! of its views too, since they are part of every stored key.

use serde::{Deserialize, Serialize};

use super::{Definitions, Entity, FeatureService, FeatureView, Field, Metadata};

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

/// One thing about a resource that can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspect {
    /// Path as in YAML, lists by name: `source.eventTime`, `features.lactate`.
    pub path: String,
    /// The value; empty when there is none.
    pub value: String,
    /// What another value means.
    pub effect: Effect,
}

/// Aspects in the order in which fields are written.
pub type Aspects = Vec<Aspect>;

pub(super) fn aspect(path: impl Into<String>, value: impl ToString, effect: Effect) -> Aspect {
    Aspect { path: path.into(), value: value.to_string(), effect }
}

/// The aspect of a field that has no value unless somebody gave it one.
pub(super) fn optional<T: ToString>(path: &str, value: Option<&T>, effect: Effect) -> Aspect {
    aspect(path, value.map(ToString::to_string).unwrap_or_default(), effect)
}

/// The path of all features together, whose value is their order.
pub const ORDER: &str = "features";

/// A view's join keys; none for a view without an entity, and for an entity that
/// is not there, which `load` refuses.
pub fn keys<'a>(definitions: &'a Definitions, view: &FeatureView) -> &'a [Field] {
    let entity = view.entity.as_deref().and_then(|entity| definitions.entity(entity));
    entity.map_or(&[], |entity| &entity.keys)
}

/// Columns with their types, on one line.
pub(super) fn columns(fields: &[Field]) -> String {
    let columns = fields.iter().map(|field| format!("{}: {}", field.name, field.data_type));
    columns.collect::<Vec<_>>().join(", ")
}

impl Metadata {
    pub(super) fn describe(&self, to: &mut Aspects) {
        to.push(aspect("description", &self.description, Effect::None));
        to.push(aspect("owner", &self.owner, Effect::None));
        let tags = self.tags.iter();
        to.extend(tags.map(|(tag, value)| aspect(format!("tags.{tag}"), value, Effect::None)));
    }
}

impl Entity {
    /// What there is to say of it.
    pub fn describe(&self) -> Aspects {
        let Self { metadata, keys } = self;
        let mut to = Aspects::new();
        metadata.describe(&mut to);
        to.push(aspect("keys", columns(keys), Effect::Rematerialize));
        let described = keys.iter().filter(|key| !key.description.is_empty());
        let path = |key: &Field| format!("keys.{}.description", key.name);
        to.extend(described.map(|key| aspect(path(key), &key.description, Effect::None)));
        to
    }
}

impl FeatureService {
    /// What there is to say of it.
    pub fn describe(&self) -> Aspects {
        let Self { metadata, features } = self;
        let mut to = Aspects::new();
        metadata.describe(&mut to);
        let features: Vec<String> = features.iter().map(ToString::to_string).collect();
        to.push(aspect(ORDER, features.join(", "), Effect::Serving));
        let listed = |name| aspect(format!("features.{name}"), "listed", Effect::Serving);
        to.extend(features.iter().map(listed));
        to
    }
}
