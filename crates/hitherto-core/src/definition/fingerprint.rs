//! What a view is, in one number.
//!
//! Two hashes that say about a view what [`diff`](super::diff) says about a
//! change: [`stored_fingerprint`] moves exactly when an update's effect is
//! [`Effect::Rematerialize`], [`definition_hash`] also when it is `Serving`; a
//! test holds them to that. Both outlive the process (in the catalog, in
//! manifests), so the canonical JSON that they hash is a format: golden tests
//! pin it, and a change of it makes every view be built again.
//!
//! The fields of the first releases have their places in that JSON for ever.
//! Every other field is hashed as it is described, its path and its value, if
//! it has one: views that do not use it keep their numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::describe::{Aspect, Effect, keys};
use super::feature::defaults;
use super::{DefaultValue, Definitions, FeatureView, Field, Known, Origin, Period, Source};
use crate::types::DataType;

/// A hash over exactly what decides the bytes stored for a view: join keys,
/// source, features, online history, and of events the ttl. Two views of one
/// fingerprint can share rows; any other ttl, an owner or a name does not count.
pub fn stored_fingerprint(definitions: &Definitions, view: &FeatureView) -> u64 {
    let keys = keys(definitions, view);
    hash(&Stored::new(view, keys, &view.describe(keys)))
}

/// A hash over everything that can change a view's answers: what
/// [`stored_fingerprint`] covers, and what is applied when rows are read.
pub fn definition_hash(definitions: &Definitions, view: &FeatureView) -> u64 {
    let keys = keys(definitions, view);
    let aspects = view.describe(keys);
    hash(&Answering {
        stored: Stored::new(view, keys, &aspects),
        entity: view.entity.as_deref(),
        ttl_micros: view.ttl_micros,
        known: view.known,
        defaults: defaults(&view.features),
        others: others(&aspects, Effect::Serving),
    })
}

/// What decides stored bytes. Fields are hashed in this order.
#[derive(Serialize)]
struct Stored<'a> {
    keys: Vec<(&'a str, &'a DataType)>,
    source: FirstSource<'a>,
    features: Vec<(&'a str, &'a DataType)>,
    history_micros: Option<i64>,
    /// Where it decides which events are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_micros: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<(&'a str, &'a str)>,
}

/// The fields of a source that have their places. Fields are hashed in this order.
#[derive(Serialize)]
struct FirstSource<'a> {
    parquet: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitioned_by: Option<Period>,
    #[serde(skip_serializing_if = "<[Field]>::is_empty")]
    partitions: &'a [Field],
    sql: Option<&'a str>,
    event_time: &'a str,
    known_time: Option<&'a str>,
    delay_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    columns: &'a BTreeMap<String, String>,
}

/// What decides answers. Fields are hashed in this order.
#[derive(Serialize)]
struct Answering<'a> {
    stored: Stored<'a>,
    entity: Option<&'a str>,
    ttl_micros: Option<i64>,
    known: Known,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    defaults: BTreeMap<&'a str, &'a DefaultValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<(&'a str, &'a str)>,
}

/// Paths of the fields that have their places; a star is any name.
const FIRST: [&str; 18] = [
    "entity",
    "entity.keys",
    "source.parquet",
    "source.partitionedBy",
    "source.partitions",
    "source.sql",
    "source.eventTime",
    "source.timeless",
    "source.knownTime",
    "source.delay",
    "source.deleted",
    "source.columns.*",
    "ttl",
    "known",
    "features",
    "features.*",
    "features.*.default",
    "online.history",
];

impl<'a> Stored<'a> {
    fn new(view: &'a FeatureView, keys: &'a [Field], aspects: &'a [Aspect]) -> Self {
        let keys = keys.iter().map(|key| (key.name.as_str(), &key.data_type));
        let features = view.features.iter();
        let features = features.map(|feature| (feature.name.as_str(), &feature.data_type));
        Self {
            keys: keys.collect(),
            source: FirstSource::new(&view.source),
            features: features.collect(),
            history_micros: view.online.history_micros,
            ttl_micros: view.ttl_micros.filter(|_| view.aggregates.is_some()),
            others: others(aspects, Effect::Rematerialize),
        }
    }
}

impl<'a> FirstSource<'a> {
    fn new(source: &'a Source) -> Self {
        let Origin::Parquet(parquet) = &source.origin;
        Self {
            parquet,
            partitioned_by: source.partitioned_by,
            partitions: &source.partitions,
            sql: source.sql.as_deref(),
            event_time: source.event_time.as_deref().unwrap_or_default(),
            known_time: source.known_time.as_deref(),
            delay_micros: source.delay_micros,
            deleted: source.deleted.as_deref(),
            columns: &source.columns,
        }
    }
}

/// Path and value of what has this effect, has a value, and has no place of its own.
fn others(aspects: &[Aspect], effect: Effect) -> Vec<(&str, &str)> {
    let counts = |aspect: &&Aspect| {
        aspect.effect == effect && !aspect.value.is_empty() && !is_first(&aspect.path)
    };
    let others = aspects.iter().filter(counts);
    others.map(|aspect| (aspect.path.as_str(), aspect.value.as_str())).collect()
}

fn is_first(path: &str) -> bool {
    let path: Vec<&str> = path.split('.').collect();
    FIRST.iter().any(|first| {
        let first: Vec<&str> = first.split('.').collect();
        first.len() == path.len()
            && first.iter().zip(&path).all(|(first, name)| *first == "*" || first == name)
    })
}

fn hash(canonical: &impl Serialize) -> u64 {
    let json = serde_json::to_vec(canonical).expect("text and numbers are JSON");
    xxh3_64(&json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::describe::aspect;

    #[test]
    fn a_field_of_a_later_release_counts_where_it_has_a_value() {
        let aspects = [
            aspect("features.hr", "int16", Effect::Rematerialize),
            aspect("features.hr.window", "1h", Effect::Rematerialize),
            aspect("features.hr.rounding", "down", Effect::Serving),
            aspect("features.hr.unit", "bpm", Effect::None),
            aspect("source.stream", "", Effect::Rematerialize),
        ];
        assert_eq!(others(&aspects, Effect::Rematerialize), [("features.hr.window", "1h")]);
        assert_eq!(others(&aspects, Effect::Serving), [("features.hr.rounding", "down")]);
    }
}
