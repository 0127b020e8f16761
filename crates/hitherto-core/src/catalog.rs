//! The catalog: which definitions are applied and what of them is online.
//!
//! One catalog is one immutable value; applying definitions or materializing a
//! view makes the next one. It is stored as JSON under one key, so that a
//! change of any size is one atomic write, and read as a whole.
//!
//! A view's `id` names its rows in the online store. It changes whenever the
//! meaning of stored bytes would (a new source, other features, other keys), so
//! that old rows are never read with a new schema; ids are never reused. A
//! change that leaves rows as they are (a ttl, an owner) keeps the id.
//!
//! What is *applied* is not always what is *published*: a view whose rows have to
//! be built anew keeps the copy that it had, with the definition under which that
//! was built, until the new one has a generation.
//!
//! ```text
//! apply a        apply b                    materialize
//! a, nothing     b, nothing, before: none   b, generation 1
//! a, generation  b, nothing, before: a      b, generation 1       a's rows go
//! ```

use serde::{Deserialize, Serialize};

use crate::definition::{Definitions, Entity, FeatureService, FeatureView, Field, Known, diff};
use crate::name::suggestion;
use crate::row::RowSchema;
use crate::{Error, Result};

/// The catalog format that this release writes.
pub const FORMAT: u32 = 2;

/// Everything that is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Format of this value; a newer one is refused before anything is read.
    pub format: u32,
    /// Counts changes; 0 is a catalog to which nothing was ever applied.
    pub version: u64,
    /// The id that the next new view gets.
    pub next_view_id: u32,
    /// Entities, by name.
    pub entities: Vec<Entity>,
    /// Views, by name.
    pub views: Vec<AppliedView>,
    /// Services, by name.
    pub services: Vec<FeatureService>,
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
    /// The complete online copy that readers see, if there is one.
    pub generation: Option<Generation>,
    /// The one that it replaced, which can be gone back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Generation>,
    /// The view as it was when it last had a copy, with that: what lookups read while
    /// this definition has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<AppliedView>>,
}

/// One complete online copy of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Names the copy's rows, with the view's id.
    pub number: u32,
    /// `as_of` can ask back to here, in microseconds UTC, and no further.
    pub horizon: i64,
    /// The greatest event time that was consumed.
    pub watermark: i64,
    /// Facts consumed.
    pub facts: u64,
    /// Entities with a latest row.
    pub entities: u64,
    /// When the copy last changed, in microseconds UTC.
    pub materialized_at: i64,
    /// The end of the pushed batches that it had when it became the one that readers
    /// see, and when it ceased to be.
    #[serde(default)]
    pub pushed: u64,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            format: FORMAT,
            version: 0,
            next_view_id: 1,
            entities: Vec::new(),
            views: Vec::new(),
            services: Vec::new(),
        }
    }
}

impl Catalog {
    /// Reads a stored catalog.
    ///
    /// # Errors
    /// `Invalid` when a newer release wrote it, `Corrupt` when it is not one.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |cause: serde_json::Error| {
            Error::corrupt("the store's catalog cannot be read; restore it from a backup")
                .with_source(cause)
        };
        let Format { format } = serde_json::from_slice(json).map_err(damaged)?;
        if format > FORMAT {
            return Err(Error::invalid(format!(
                "the store's catalog has format {format}, this release reads up to {FORMAT}; use \
                 the release that wrote it or a newer one (nothing was changed)"
            )));
        }
        serde_json::from_slice(json).map_err(damaged)
    }

    /// The stored form.
    ///
    /// # Errors
    /// `Internal` if it cannot be written, which would be a bug.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|cause| Error::internal("the catalog cannot be written").with_source(cause))
    }

    /// The definitions as applied.
    pub fn definitions(&self) -> Definitions {
        Definitions {
            entities: self.entities.clone(),
            views: self.views.iter().map(|view| view.definition.clone()).collect(),
            services: self.services.clone(),
        }
    }

    /// The catalog after applying `new` definitions at `now`.
    ///
    /// Views whose stored rows stay valid keep their id and generation; others
    /// get a new id and start without one, beside the copy that they had. One that goes
    /// back to the definition of that copy has it again.
    pub fn apply(&self, new: &Definitions, now: i64) -> Self {
        let mut next = Self {
            format: FORMAT,
            version: self.version + 1,
            next_view_id: self.next_view_id,
            entities: new.entities.clone(),
            views: Vec::with_capacity(new.views.len()),
            services: new.services.clone(),
        };
        for definition in &new.views {
            let keys = diff::keys(new, definition);
            let fingerprint = diff::stored_fingerprint(new, definition);
            let old = self.views.iter().find(|view| view.name() == definition.metadata.name);
            let view = match old {
                Some(old) if old.definition == *definition && old.fingerprint == fingerprint => {
                    AppliedView { keys: keys.to_vec(), ..old.clone() }
                }
                Some(old) if old.fingerprint == fingerprint => AppliedView {
                    version: old.version + 1,
                    definition: definition.clone(),
                    keys: keys.to_vec(),
                    applied_at: now,
                    ..old.clone()
                },
                Some(AppliedView { version, before: Some(before), .. })
                    if before.fingerprint == fingerprint =>
                {
                    AppliedView {
                        version: version + 1,
                        definition: definition.clone(),
                        keys: keys.to_vec(),
                        applied_at: now,
                        ..(**before).clone()
                    }
                }
                _ => {
                    let version = old.map_or(1, |old| old.version + 1);
                    next.next_view_id += 1;
                    AppliedView {
                        id: next.next_view_id - 1,
                        version,
                        schema_version: version as u16,
                        fingerprint,
                        definition: definition.clone(),
                        keys: keys.to_vec(),
                        applied_at: now,
                        generation: None,
                        previous: None,
                        before: old.and_then(AppliedView::published).cloned().map(Box::new),
                    }
                }
            };
            next.views.push(view);
        }
        next
    }

    /// The catalog after a view's online copy changed, and the one before it.
    pub fn with_generations(
        &self,
        view_id: u32,
        generation: Generation,
        previous: Option<Generation>,
    ) -> Self {
        let mut next = self.clone();
        next.version += 1;
        if let Some(view) = next.views.iter_mut().find(|view| view.id == view_id) {
            view.generation = Some(generation);
            view.previous = previous;
            view.before = None;
        }
        next
    }

    /// All views that have a place in the store: those that are applied, and those whose
    /// copies are read in their stead.
    pub fn stored_views(&self) -> impl Iterator<Item = &AppliedView> {
        self.views.iter().flat_map(|view| [Some(view), view.before.as_deref()]).flatten()
    }

    /// The applied view of that name.
    ///
    /// # Errors
    /// `NotFound` with a suggestion.
    pub fn view(&self, name: &str) -> Result<&AppliedView> {
        self.views.iter().find(|view| view.name() == name).ok_or_else(|| {
            Error::not_found(format!(
                "no feature view {name:?} is applied{}",
                suggestion(name, self.views.iter().map(AppliedView::name))
            ))
        })
    }

    /// The applied service of that name.
    ///
    /// # Errors
    /// `NotFound` with a suggestion.
    pub fn service(&self, name: &str) -> Result<&FeatureService> {
        let names = || self.services.iter().map(|service| service.metadata.name.as_str());
        self.services.iter().find(|service| service.metadata.name == name).ok_or_else(|| {
            Error::not_found(format!(
                "no feature service {name:?} is applied{}",
                suggestion(name, names())
            ))
        })
    }
}

impl AppliedView {
    /// The view's name.
    pub fn name(&self) -> &str {
        &self.definition.metadata.name
    }

    /// The view as lookups read it: this definition if it has a copy, or else the one
    /// before that has; `None` if nothing is online.
    pub fn published(&self) -> Option<&AppliedView> {
        match self.generation {
            Some(_) => Some(self),
            None => self.before.as_deref(),
        }
    }

    /// The layout of its rows.
    pub fn row_schema(&self) -> RowSchema {
        let features = self.definition.features.iter();
        RowSchema::new(features.map(|feature| &feature.data_type), self.schema_version)
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
