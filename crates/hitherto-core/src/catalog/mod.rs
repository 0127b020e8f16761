//! The catalog: what is defined and what of it is published, as one server sees both at one
//! moment.
//!
//! | module      | what it owns                                                        |
//! | ----------- | ------------------------------------------------------------------- |
//! | `registry`  | what is defined: definitions, ids, versions; servers can share it   |
//! | `published` | what is online: generations, written by one leader                  |
//! | `record`    | both as one stored value                                            |
//!
//! One catalog is one immutable value; applying definitions or publishing a generation
//! makes the next one. A change of any size is one atomic write. What a store alone has,
//! such as the files that its generations were made of, is in neither: it is written beside
//! the catalog, in the same batch.

mod published;
mod record;
mod registry;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::definition::Definitions;
use record::Record;

pub use published::{Generation, Published, PublishedView, Reads};
pub use record::FORMAT;
pub use registry::{AppliedView, Registry};

/// What is defined, and what of it is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Record", from = "Record")]
pub struct Catalog {
    /// Counts changes; 0 is a catalog to which nothing was ever applied.
    pub version: u64,
    /// What is defined.
    pub registry: Arc<Registry>,
    /// What is published.
    pub published: Published,
}

impl Catalog {
    /// The catalog after applying `new` definitions at `now`.
    ///
    /// Views whose stored rows stay valid keep their id and generations; others
    /// get a new id and start without one, and what they had stays published. One that goes
    /// back to the definition of that has it again.
    pub fn apply(&self, new: &Definitions, now: i64) -> Self {
        let registry = self.registry.apply(new, &self.published, now);
        let published = self.published.under(&registry);
        Self { version: self.version + 1, registry: registry.into(), published }
    }

    /// The catalog after these were published.
    pub fn publish(&self, views: impl IntoIterator<Item = PublishedView>) -> Self {
        let published = views.into_iter().fold(self.published.clone(), Published::with);
        Self { version: self.version + 1, registry: Arc::clone(&self.registry), published }
    }

    /// What is published of the view with this id, if it is applied.
    pub fn online(&self, view_id: u32) -> Option<&PublishedView> {
        let view = self.registry.views.iter().find(|view| view.id == view_id)?;
        self.published.reads(view).own()
    }

    /// What is published under the definitions that are applied.
    pub fn built(&self) -> impl Iterator<Item = &PublishedView> {
        self.registry.views.iter().filter_map(|view| self.published.reads(view).own())
    }

    /// Views whose definition has nothing online yet.
    pub fn to_be_built(&self) -> impl Iterator<Item = &AppliedView> {
        self.registry.views.iter().filter(|view| self.published.reads(view).own().is_none())
    }

    /// The ids of all views that have a place in the store, each once: of those that are
    /// applied, and of those that are read in their stead.
    pub fn view_ids(&self) -> impl Iterator<Item = u32> {
        let earlier = |view| self.published.reads(view).earlier();
        let views = &self.registry.views;
        let earlier = views.iter().filter_map(earlier).map(|published| published.view.id);
        views.iter().map(|view| view.id).chain(earlier)
    }
}
