//! What a view is, in one number.
//!
//! Two hashes that say about a view what [`diff`](super::diff) says about a
//! change: [`stored_fingerprint`] moves exactly when an update's effect is
//! [`Effect::Rematerialize`](super::diff::Effect), [`definition_hash`] also when
//! it is `Serving`; a test holds them to that. Both outlive the process (in the
//! catalog, in manifests), so the canonical JSON that they hash is a format: a
//! golden test pins it, and a change of it makes every view be built again.

use std::collections::BTreeMap;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::diff::keys;
use super::{DefaultValue, Definitions, FeatureView, Field, Known, Source};
use crate::types::DataType;

/// A hash over exactly what decides the bytes stored for a view: join keys,
/// source, features, online history. Two views of one fingerprint can share
/// rows; a ttl, an owner or a name does not count.
pub fn stored_fingerprint(definitions: &Definitions, view: &FeatureView) -> u64 {
    hash(&Stored::new(definitions, view))
}

/// A hash over everything that can change a view's answers: what
/// [`stored_fingerprint`] covers, and what is applied when rows are read.
pub fn definition_hash(definitions: &Definitions, view: &FeatureView) -> u64 {
    hash(&Answering {
        stored: Stored::new(definitions, view),
        entity: view.entity.as_deref(),
        ttl_micros: view.ttl_micros,
        known: view.known,
        defaults: &view.defaults,
    })
}

/// What decides stored bytes. Fields are hashed in this order.
#[derive(Serialize)]
struct Stored<'a> {
    keys: Vec<(&'a str, &'a DataType)>,
    source: &'a Source,
    features: Vec<(&'a str, &'a DataType)>,
    history_micros: Option<i64>,
}

/// What decides answers. Fields are hashed in this order.
#[derive(Serialize)]
struct Answering<'a> {
    stored: Stored<'a>,
    entity: Option<&'a str>,
    ttl_micros: Option<i64>,
    known: Known,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    defaults: &'a BTreeMap<String, DefaultValue>,
}

impl<'a> Stored<'a> {
    fn new(definitions: &'a Definitions, view: &'a FeatureView) -> Self {
        let columns = |fields: &'a [Field]| {
            fields.iter().map(|field| (field.name.as_str(), &field.data_type)).collect()
        };
        Self {
            keys: columns(keys(definitions, view)),
            source: &view.source,
            features: columns(&view.features),
            history_micros: view.online.history_micros,
        }
    }
}

fn hash(canonical: &impl Serialize) -> u64 {
    let json = serde_json::to_vec(canonical).expect("text and numbers are JSON");
    xxh3_64(&json)
}
