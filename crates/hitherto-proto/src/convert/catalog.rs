//! The catalog: everything that is applied, so that a remote caller sees what
//! one in the process sees.
//!
//! The format number stays at home: it belongs to the stored value, and the
//! contract's package has a version of its own.

use hitherto_core::catalog::{AppliedView, Catalog, FORMAT, Generation};
use hitherto_core::definition::{FeatureView, Known, Online};
use hitherto_core::{Error, Result};

use super::definition::Wire;
use crate::v1;

impl From<&Catalog> for v1::GetCatalogResponse {
    fn from(catalog: &Catalog) -> Self {
        Self {
            version: catalog.version,
            entities: catalog.entities.to_wire(),
            views: catalog.views.to_wire(),
            services: catalog.services.to_wire(),
            next_view_id: catalog.next_view_id,
            // Whoever answers says it.
            release: String::new(),
        }
    }
}

impl TryFrom<v1::GetCatalogResponse> for Catalog {
    type Error = Error;

    /// Checks a catalog that a server sent.
    ///
    /// # Errors
    /// `Internal` when it cannot be what a server has: no caller can mend it.
    fn try_from(catalog: v1::GetCatalogResponse) -> Result<Self> {
        read(catalog).map_err(|cause| {
            Error::internal(
                "the server's catalog is malformed; use a client of the server's release",
            )
            .with_source(cause)
        })
    }
}

fn read(catalog: v1::GetCatalogResponse) -> Result<Catalog> {
    Ok(Catalog {
        format: FORMAT,
        version: catalog.version,
        next_view_id: catalog.next_view_id,
        entities: Wire::from_wire(catalog.entities)?,
        views: Wire::from_wire(catalog.views)?,
        services: Wire::from_wire(catalog.services)?,
    })
}

impl Wire<v1::View> for AppliedView {
    fn to_wire(&self) -> v1::View {
        let FeatureView { metadata, entity, source, ttl_micros, known, features, online } =
            &self.definition;
        v1::View {
            metadata: metadata.to_wire(),
            version: self.version,
            entity: entity.to_wire(),
            keys: self.keys.to_wire(),
            features: features.to_wire(),
            source: source.to_wire(),
            ttl_micros: *ttl_micros,
            ignore_known_time: *known == Known::Ignore,
            history_micros: online.history_micros,
            max_change: online.max_change.to_wire(),
            applied_at_micros: self.applied_at,
            generation: self.generation.to_wire(),
            previous: self.previous.to_wire(),
            id: self.id,
            schema_version: self.schema_version.into(),
            fingerprint: self.fingerprint,
            before: self.before.as_deref().map(|before| Box::new(before.to_wire())),
        }
    }

    fn from_wire(view: v1::View) -> Result<Self> {
        let schema_version = u16::try_from(view.schema_version).map_err(|cause| {
            Error::internal("a schema version is out of range").with_source(cause)
        })?;
        Ok(Self {
            id: view.id,
            version: view.version,
            schema_version,
            fingerprint: view.fingerprint,
            definition: FeatureView {
                metadata: Wire::from_wire(view.metadata)?,
                entity: Wire::from_wire(view.entity)?,
                source: Wire::from_wire(view.source)?,
                ttl_micros: view.ttl_micros,
                known: if view.ignore_known_time { Known::Ignore } else { Known::Honor },
                features: Wire::from_wire(view.features)?,
                online: Online {
                    history_micros: view.history_micros,
                    max_change: Wire::from_wire(view.max_change)?,
                },
            },
            keys: Wire::from_wire(view.keys)?,
            applied_at: view.applied_at_micros,
            generation: Wire::from_wire(view.generation)?,
            previous: Wire::from_wire(view.previous)?,
            before: view.before.map(|before| Self::from_wire(*before)).transpose()?.map(Box::new),
        })
    }
}

impl Wire<v1::Generation> for Generation {
    fn to_wire(&self) -> v1::Generation {
        v1::Generation {
            number: self.number,
            horizon_micros: self.horizon,
            watermark_micros: self.watermark,
            facts: self.facts,
            entities: self.entities,
            materialized_at_micros: self.materialized_at,
            pushed_batches: self.pushed,
        }
    }

    fn from_wire(generation: v1::Generation) -> Result<Self> {
        Ok(Self {
            number: generation.number,
            horizon: generation.horizon_micros,
            watermark: generation.watermark_micros,
            facts: generation.facts,
            entities: generation.entities,
            materialized_at: generation.materialized_at_micros,
            pushed: generation.pushed_batches,
        })
    }
}

#[cfg(test)]
mod tests;
