//! What applying one set of definitions over another changes, and what that
//! means for rows already stored.
//!
//! Compares what there is to say of each resource ([`describe`](super::describe)), and
//! knows no field of any.
//!
//! [`stored_fingerprint`] and [`definition_hash`] say the same of one view in
//! one number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::describe::{Aspect, Aspects, ORDER};
use super::{Definitions, FeatureView, ResourceKind};

pub use super::describe::{Effect, keys};
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

/// What turns `old` into `new`: entities, views, on-demand views and services, each by
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
        ResourceKind::OnDemandView | ResourceKind::FeatureService => Effect::Serving,
    }
}

/// The aspects of all resources of a kind, by name.
fn described(definitions: &Definitions, kind: ResourceKind) -> BTreeMap<&str, Aspects> {
    match kind {
        ResourceKind::Entity => {
            let entities = definitions.entities.iter();
            entities.map(|entity| (entity.metadata.name.as_str(), entity.describe())).collect()
        }
        ResourceKind::FeatureView => {
            let views = definitions.views.iter();
            let aspects = |view: &FeatureView| view.describe(keys(definitions, view));
            views.map(|view| (view.metadata.name.as_str(), aspects(view))).collect()
        }
        ResourceKind::OnDemandView => {
            let views = definitions.on_demand.iter();
            views.map(|view| (view.name(), view.describe())).collect()
        }
        ResourceKind::FeatureService => {
            let services = definitions.services.iter();
            services.map(|service| (service.metadata.name.as_str(), service.describe())).collect()
        }
    }
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
