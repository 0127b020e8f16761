//! What is defined: definitions, with the ids under which their rows are stored and the
//! versions that count their changes.
//!
//! A registry knows nothing of what is online, so that servers can share one.
//!
//! A view's `id` names its rows in an online store. It changes whenever the
//! meaning of stored bytes would (a new source, other features, other keys), so
//! that old rows are never read with a new schema; ids are never reused. A
//! change that leaves rows as they are (a ttl, an owner) keeps the id.

use serde::{Deserialize, Serialize};

use super::Published;
use crate::definition::{
    Definitions, Entity, FactValue, FeatureService, FeatureView, Field, Known, OnDemandView, diff,
};
use crate::name::suggestion;
use crate::row::RowSchema;
use crate::{Error, Result};

/// What is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The id that the next new view gets.
    pub next_view_id: u32,
    /// Entities, by name.
    pub entities: Vec<Entity>,
    /// Views, by name.
    pub views: Vec<AppliedView>,
    /// Services, by name.
    pub services: Vec<FeatureService>,
    /// On-demand views, by name.
    pub on_demand: Vec<OnDemandView>,
}

/// A view as applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedView {
    /// Names the view's rows in the online store.
    pub id: u32,
    /// Counts changes to the definition, from 1.
    pub version: u32,
    /// The version at which the row layout last changed; part of row headers.
    pub schema_version: u16,
    /// Changes when stored rows would.
    pub fingerprint: u64,
    /// The definition.
    pub definition: FeatureView,
    /// The entity's join keys; none for a view without an entity.
    pub keys: Vec<Field>,
    /// Microseconds UTC of the last change.
    pub applied_at: i64,
}

impl Default for Registry {
    fn default() -> Self {
        let (entities, views, services, on_demand) = Default::default();
        Self { next_view_id: 1, entities, views, services, on_demand }
    }
}

impl Registry {
    /// The definitions as applied.
    pub fn definitions(&self) -> Definitions {
        Definitions {
            entities: self.entities.clone(),
            views: self.views.iter().map(|view| view.definition.clone()).collect(),
            on_demand: self.on_demand.clone(),
            services: self.services.clone(),
        }
    }

    /// The registry after applying `new` definitions at `now`.
    ///
    /// Views whose stored rows stay valid keep their id, others get a new one. A view that
    /// goes back to the definition under which it is still published has that id again.
    pub fn apply(&self, new: &Definitions, published: &Published, now: i64) -> Self {
        let mut next = Self {
            next_view_id: self.next_view_id,
            entities: new.entities.clone(),
            views: Vec::with_capacity(new.views.len()),
            services: new.services.clone(),
            on_demand: new.on_demand.clone(),
        };
        for definition in &new.views {
            let name = &definition.metadata.name;
            let old = self.views.iter().find(|view| view.name() == name);
            let fingerprint = diff::stored_fingerprint(new, definition);
            let is_same = |old: &&AppliedView| {
                old.fingerprint == fingerprint && old.definition == *definition
            };
            let (version, applied_at) = match old.filter(is_same) {
                Some(old) => (old.version, old.applied_at),
                None => (old.map_or(1, |old| old.version + 1), now),
            };
            let mut stored =
                old.into_iter().chain(published.of(name).map(|published| &published.view));
            let (id, schema_version) = match stored.find(|view| view.fingerprint == fingerprint) {
                Some(view) => (view.id, view.schema_version),
                None => (next.take_view_id(), version as u16),
            };
            next.views.push(AppliedView {
                id,
                version,
                schema_version,
                fingerprint,
                definition: definition.clone(),
                keys: diff::keys(new, definition).to_vec(),
                applied_at,
            });
        }
        next
    }

    fn take_view_id(&mut self) -> u32 {
        self.next_view_id += 1;
        self.next_view_id - 1
    }

    /// The applied on-demand view of that name.
    pub fn on_demand_view(&self, name: &str) -> Option<&OnDemandView> {
        self.on_demand.iter().find(|view| view.name() == name)
    }

    /// The applied view of that name.
    ///
    /// # Errors
    /// `NotFound` with a suggestion; `Invalid` for an on-demand view, of which nothing is stored.
    pub fn view(&self, name: &str) -> Result<&AppliedView> {
        if let Some(view) = self.on_demand_view(name) {
            let views = view.views().join(", ");
            return Err(Error::invalid(format!(
                "{name:?} is an on-demand view: it is computed when it is asked for, and nothing \
                 of it is stored, loaded or explained; name a view that it reads ({views}), or \
                 look it up"
            )));
        }
        let on_demand = self.on_demand.iter().map(OnDemandView::name);
        let names = || self.views.iter().map(AppliedView::name).chain(on_demand.clone());
        self.views.iter().find(|view| view.name() == name).ok_or_else(|| match names().next() {
            None => Error::not_found(format!(
                "no feature view {name:?} is applied; run `hitherto apply` (in Python \
                 store.apply()) first"
            )),
            Some(_) => Error::not_found(format!(
                "no feature view {name:?} is applied{}",
                suggestion(name, names())
            )),
        })
    }

    /// The applied service of that name.
    ///
    /// # Errors
    /// `NotFound` with a suggestion.
    pub fn service(&self, name: &str) -> Result<&FeatureService> {
        let names = || self.services.iter().map(|service| service.metadata.name.as_str());
        let found = self.services.iter().find(|service| service.metadata.name == name);
        found.ok_or_else(|| match names().next() {
            None => Error::not_found(format!(
                "no feature service {name:?} is applied; define one and run `hitherto apply` (in \
                 Python store.apply()) first"
            )),
            Some(_) => Error::not_found(format!(
                "no feature service {name:?} is applied{}",
                suggestion(name, names())
            )),
        })
    }
}

impl AppliedView {
    /// The view's name.
    pub fn name(&self) -> &str {
        &self.definition.metadata.name
    }

    /// The layout of the rows of its facts.
    pub fn row_schema(&self) -> RowSchema {
        let values = self.definition.fact_values();
        RowSchema::new(values.iter().map(FactValue::data_type), self.schema_version)
    }

    /// Whether known time counts for it.
    pub fn known(&self) -> Known {
        self.definition.known
    }

    /// The index of one of its features.
    ///
    /// # Errors
    /// `NotFound` with a suggestion.
    pub fn feature_index(&self, name: &str) -> Result<usize> {
        let features = &self.definition.features;
        features.iter().position(|feature| feature.name == name).ok_or_else(|| {
            Error::not_found(format!(
                "feature view {:?} has no feature {name:?}{}",
                self.name(),
                suggestion(name, features.iter().map(|feature| feature.name.as_str()))
            ))
        })
    }
}
