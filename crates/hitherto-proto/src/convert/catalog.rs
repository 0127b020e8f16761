//! The catalog: everything that is applied, so that a remote caller sees what
//! one in the process sees.
//!
//! The format number stays at home: it belongs to the stored value, and the
//! contract's package has a version of its own.

use hitherto_core::catalog::{AppliedView, Catalog, Generation, PublishedView, Reads, Registry};
use hitherto_core::definition::{FeatureView, Known, Online};
use hitherto_core::{Error, Result};

use super::definition::Wire;
use crate::v1;

impl From<&Catalog> for v1::GetCatalogResponse {
    fn from(Catalog { version, registry, published }: &Catalog) -> Self {
        let views = registry.views.iter();
        Self {
            version: *version,
            entities: registry.entities.to_wire(),
            views: views.map(|view| to_wire(view, published.reads(view))).collect(),
            services: registry.services.to_wire(),
            on_demand_views: registry.on_demand.to_wire(),
            next_view_id: registry.next_view_id,
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
    let views = catalog.views.into_iter().map(from_wire).collect::<Result<Vec<_>>>()?;
    let (views, published): (Vec<_>, Vec<_>) = views.into_iter().unzip();
    let registry = Registry {
        next_view_id: catalog.next_view_id,
        entities: Wire::from_wire(catalog.entities)?,
        views,
        services: Wire::from_wire(catalog.services)?,
        on_demand: Wire::from_wire(catalog.on_demand_views)?,
    };
    Ok(Catalog {
        version: catalog.version,
        registry: registry.into(),
        published: published.into_iter().flatten().collect(),
    })
}

/// A view with what is published of it: as on disk, that stands beside the definition that
/// it is of.
fn to_wire(view: &AppliedView, reads: Reads<'_>) -> v1::View {
    let own = reads.own();
    let earlier = reads.earlier().map(|one| to_wire(&one.view, Reads::Own(one)));
    v1::View {
        generation: own.map(|own| own.generation.to_wire()),
        previous: own.and_then(|own| own.previous.to_wire()),
        before: earlier.map(Box::new),
        ..view.to_wire()
    }
}

fn from_wire(mut view: v1::View) -> Result<(AppliedView, Option<PublishedView>)> {
    let (generation, before) = (view.generation.take(), view.before.take());
    let previous = Wire::from_wire(view.previous.take())?;
    let view = AppliedView::from_wire(view)?;
    let published = match (generation, before) {
        (Some(generation), _) => {
            let generation = Wire::from_wire(generation)?;
            Some(PublishedView { view: view.clone(), generation, previous })
        }
        (None, Some(before)) => from_wire(*before)?.1,
        (None, None) => None,
    };
    Ok((view, published))
}

/// Without what is published of it.
impl Wire<v1::View> for AppliedView {
    fn to_wire(&self) -> v1::View {
        let FeatureView {
            metadata,
            entity,
            source,
            ttl_micros,
            known,
            features,
            aggregates,
            online,
        } = &self.definition;
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
            generation: None,
            previous: None,
            id: self.id,
            schema_version: self.schema_version.into(),
            fingerprint: self.fingerprint,
            before: None,
            aggregates: aggregates.to_wire(),
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
                aggregates: Wire::from_wire(view.aggregates)?,
                online: Online {
                    history_micros: view.history_micros,
                    max_change: Wire::from_wire(view.max_change)?,
                },
            },
            keys: Wire::from_wire(view.keys)?,
            applied_at: view.applied_at_micros,
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
