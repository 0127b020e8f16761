//! The catalog: everything that is applied, so that a remote caller sees what
//! one in the process sees.
//!
//! The format number stays at home: it belongs to the stored value, and the
//! contract's package has a version of its own.

use hitherto_core::catalog::{AppliedView, Catalog, FORMAT, Generation};
use hitherto_core::definition::{
    DefaultValue, Entity, FeatureService, FeatureView, Field, Known, MaxChange, Metadata, Online,
    Period, Share, Source,
};
use hitherto_core::{Error, Result};

use crate::v1;

impl From<&Catalog> for v1::GetCatalogResponse {
    fn from(catalog: &Catalog) -> Self {
        Self {
            version: catalog.version,
            entities: catalog.entities.iter().map(Into::into).collect(),
            views: catalog.views.iter().map(Into::into).collect(),
            services: catalog.services.iter().map(Into::into).collect(),
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
        entities: all(catalog.entities, entity)?,
        views: all(catalog.views, view)?,
        services: all(catalog.services, service)?,
    })
}

impl From<&Entity> for v1::Entity {
    fn from(entity: &Entity) -> Self {
        Self { metadata: Some((&entity.metadata).into()), keys: fields_to_wire(&entity.keys) }
    }
}

fn entity(entity: v1::Entity) -> Result<Entity> {
    Ok(Entity { metadata: metadata(entity.metadata)?, keys: all(entity.keys, field)? })
}

impl From<&AppliedView> for v1::View {
    fn from(view: &AppliedView) -> Self {
        let definition = &view.definition;
        Self {
            metadata: Some((&definition.metadata).into()),
            version: view.version,
            entity: definition.entity.clone().unwrap_or_default(),
            keys: fields_to_wire(&view.keys),
            features: features_to_wire(definition),
            source: Some((&definition.source).into()),
            ttl_micros: definition.ttl_micros,
            ignore_known_time: definition.known == Known::Ignore,
            history_micros: definition.online.history_micros,
            max_change: definition.online.max_change.as_ref().map(Into::into),
            applied_at_micros: view.applied_at,
            generation: view.generation.as_ref().map(Into::into),
            previous: view.previous.as_ref().map(Into::into),
            id: view.id,
            schema_version: view.schema_version.into(),
            fingerprint: view.fingerprint,
            before: view.before.as_deref().map(|before| Box::new(before.into())),
        }
    }
}

fn view(view: v1::View) -> Result<AppliedView> {
    let schema_version = u16::try_from(view.schema_version)
        .map_err(|cause| Error::internal("a schema version is out of range").with_source(cause))?;
    Ok(AppliedView {
        id: view.id,
        version: view.version,
        schema_version,
        fingerprint: view.fingerprint,
        definition: FeatureView {
            metadata: metadata(view.metadata)?,
            entity: Some(view.entity).filter(|entity| !entity.is_empty()),
            source: source(view.source)?,
            ttl_micros: view.ttl_micros,
            known: if view.ignore_known_time { Known::Ignore } else { Known::Honor },
            defaults: view.features.iter().filter_map(default).collect(),
            features: all(view.features, field)?,
            online: Online {
                history_micros: view.history_micros,
                max_change: view.max_change.map(max_change).transpose()?,
            },
        },
        keys: all(view.keys, field)?,
        applied_at: view.applied_at_micros,
        generation: view.generation.map(generation),
        previous: view.previous.map(generation),
        before: view.before.map(|before| self::view(*before)).transpose()?.map(Box::new),
    })
}

impl From<&MaxChange> for v1::MaxChange {
    fn from(max: &MaxChange) -> Self {
        let share = |share: Option<Share>| share.map(String::from).unwrap_or_default();
        Self { entities: share(max.entities), nulls: share(max.nulls), range: share(max.range) }
    }
}

fn max_change(max: v1::MaxChange) -> Result<MaxChange> {
    let share = |text: String| match text.as_str() {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|error| Error::internal(format!("{text:?} {error}")))
        }
    };
    Ok(MaxChange {
        entities: share(max.entities)?,
        nulls: share(max.nulls)?,
        range: share(max.range)?,
    })
}

impl From<&Source> for v1::Source {
    fn from(source: &Source) -> Self {
        Self {
            parquet: source.parquet.clone(),
            partitioned_by: source.partitioned_by.map(|period| period.name().to_owned()),
            partitions: fields_to_wire(&source.partitions),
            sql: source.sql.clone(),
            event_time: source.event_time.clone().unwrap_or_default(),
            known_time: source.known_time.clone(),
            delay_micros: source.delay_micros,
            deleted: source.deleted.clone(),
            columns: source.columns.clone().into_iter().collect(),
        }
    }
}

fn period(name: Option<&str>) -> Result<Option<Period>> {
    let read = |name: &str| {
        name.parse().map_err(|error| Error::internal(format!("period {name:?} {error}")))
    };
    name.map(read).transpose()
}

fn source(source: Option<v1::Source>) -> Result<Source> {
    let source = source.ok_or_else(|| Error::internal("a view has no source"))?;
    Ok(Source {
        parquet: source.parquet,
        partitioned_by: period(source.partitioned_by.as_deref())?,
        partitions: source.partitions.into_iter().map(field).collect::<Result<_>>()?,
        sql: source.sql,
        event_time: Some(source.event_time).filter(|column| !column.is_empty()),
        known_time: source.known_time,
        delay_micros: source.delay_micros,
        deleted: source.deleted,
        columns: source.columns.into_iter().collect(),
    })
}

impl From<&Generation> for v1::Generation {
    fn from(generation: &Generation) -> Self {
        Self {
            number: generation.number,
            horizon_micros: generation.horizon,
            watermark_micros: generation.watermark,
            facts: generation.facts,
            entities: generation.entities,
            materialized_at_micros: generation.materialized_at,
            pushed_batches: generation.pushed,
        }
    }
}

fn generation(generation: v1::Generation) -> Generation {
    Generation {
        number: generation.number,
        horizon: generation.horizon_micros,
        watermark: generation.watermark_micros,
        facts: generation.facts,
        entities: generation.entities,
        materialized_at: generation.materialized_at_micros,
        pushed: generation.pushed_batches,
    }
}

impl From<&FeatureService> for v1::Service {
    fn from(service: &FeatureService) -> Self {
        Self {
            metadata: Some((&service.metadata).into()),
            features: service.features.iter().map(ToString::to_string).collect(),
        }
    }
}

fn service(service: v1::Service) -> Result<FeatureService> {
    Ok(FeatureService {
        metadata: metadata(service.metadata)?,
        features: all(service.features, |reference| reference.parse())?,
    })
}

impl From<&Metadata> for v1::Metadata {
    fn from(metadata: &Metadata) -> Self {
        Self {
            name: metadata.name.clone(),
            description: metadata.description.clone(),
            owner: metadata.owner.clone(),
            tags: metadata.tags.clone(),
        }
    }
}

fn metadata(metadata: Option<v1::Metadata>) -> Result<Metadata> {
    let v1::Metadata { name, description, owner, tags } =
        metadata.ok_or_else(|| Error::internal("a resource has no metadata"))?;
    Ok(Metadata { name, description, owner, tags })
}

fn fields_to_wire(fields: &[Field]) -> Vec<v1::Field> {
    let to_wire = |field: &Field| v1::Field {
        name: field.name.clone(),
        r#type: field.data_type.to_string(),
        description: field.description.clone(),
        default: None,
    };
    fields.iter().map(to_wire).collect()
}

fn features_to_wire(definition: &FeatureView) -> Vec<v1::Field> {
    let mut features = fields_to_wire(&definition.features);
    for feature in &mut features {
        feature.default = definition.defaults.get(&feature.name).map(ToString::to_string);
    }
    features
}

fn default(field: &v1::Field) -> Option<(String, DefaultValue)> {
    field.default.clone().map(|default| (field.name.clone(), default.into()))
}

fn field(field: v1::Field) -> Result<Field> {
    let v1::Field { name, r#type, description, .. } = field;
    Ok(Field { name, data_type: r#type.parse()?, description })
}

/// Reads every item of a list, up to the first that is wrong.
fn all<T, U>(items: Vec<T>, read: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    items.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests;
