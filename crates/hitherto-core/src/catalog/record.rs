//! The catalog as one stored value: JSON, under one key.
//!
//! ```text
//! {format, version, next_view_id, entities: [...], services: [...],
//!  on_demand: [...],
//!  views: [{id, version, schema_version, fingerprint, definition, keys, applied_at,
//!           generation, previous, before}]}
//! ```
//!
//! What is published stands beside the definition that it is of: `generation` and `previous`
//! in the view that is applied, or else in `before`, which is the view as it was when it
//! was published.

use serde::{Deserialize, Serialize};

use super::{AppliedView, Catalog, Generation, Published, PublishedView, Reads, Registry};
use crate::definition::{Entity, FeatureService, OnDemandView};
use crate::{Error, Result};

/// The newest catalog format.
pub const FORMAT: u32 = 3;
/// The one that is written where there are no on-demand views: earlier releases read it.
const FORMAT_WITHOUT_ON_DEMAND: u32 = 2;

/// The stored form of a catalog.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    version: u64,
    next_view_id: u32,
    entities: Vec<Entity>,
    views: Vec<ViewRecord>,
    services: Vec<FeatureService>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    on_demand: Vec<OnDemandView>,
}

/// A view, and what is published of it.
#[derive(Serialize, Deserialize)]
struct ViewRecord {
    #[serde(flatten)]
    view: AppliedView,
    generation: Option<Generation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Generation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<ViewRecord>>,
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
}

impl From<Catalog> for Record {
    fn from(catalog: Catalog) -> Self {
        let Registry { next_view_id, entities, views, services, on_demand } =
            (*catalog.registry).clone();
        let views = views.into_iter().map(|view| match catalog.published.reads(&view) {
            Reads::Nothing => ViewRecord::of(view),
            Reads::Own(own) => ViewRecord::from(own),
            Reads::Earlier(earlier) => {
                let before = Some(Box::new(ViewRecord::from(earlier)));
                ViewRecord { before, ..ViewRecord::of(view) }
            }
        });
        let format = if on_demand.is_empty() { FORMAT_WITHOUT_ON_DEMAND } else { FORMAT };
        let (version, views) = (catalog.version, views.collect());
        Self { format, version, next_view_id, entities, views, services, on_demand }
    }
}

impl From<Record> for Catalog {
    fn from(record: Record) -> Self {
        let Record { version, next_view_id, entities, views, services, on_demand, .. } = record;
        let published: Published = views.iter().filter_map(ViewRecord::published).collect();
        let views = views.into_iter().map(|record| record.view).collect();
        let registry = Registry { next_view_id, entities, views, services, on_demand };
        Self { version, registry: registry.into(), published }
    }
}

impl ViewRecord {
    /// Of a view of which nothing is published.
    fn of(view: AppliedView) -> Self {
        Self { view, generation: None, previous: None, before: None }
    }

    fn published(&self) -> Option<PublishedView> {
        match &self.generation {
            Some(generation) => Some(PublishedView {
                view: self.view.clone(),
                generation: generation.clone(),
                previous: self.previous.clone(),
            }),
            None => self.before.as_ref()?.published(),
        }
    }
}

impl From<&PublishedView> for ViewRecord {
    fn from(published: &PublishedView) -> Self {
        let PublishedView { view, generation, previous } = published.clone();
        Self { generation: Some(generation), previous, ..Self::of(view) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::load;

    const VIEW: &str = "apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: risk }
spec:
  request: [{ name: amount, type: float64 }]
  features: [{ name: double, type: float64, expr: amount * 2, default: 0 }]
";
    const ENTITY: &str = "apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: id, type: int64 }] }
";

    #[test]
    fn earlier_releases_read_a_catalog_without_what_they_do_not_know() {
        for (text, format) in [(ENTITY, 2), (VIEW, 3)] {
            let loaded = load(&[(String::from("a.yaml"), text.to_owned())]).unwrap();
            let catalog = Catalog::default().apply(&loaded.definitions, 7);
            let json = catalog.to_json().unwrap();
            let stored: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(stored["format"], format, "{text}");
            assert_eq!(stored.get("on_demand").is_some(), format == 3);
            assert_eq!(Catalog::from_json(&json).unwrap(), catalog);
        }
    }
}
