//! The published JSON Schema of the written form, for editors.
//!
//! Derived from [`form`](super::form), so that what an editor accepts and what
//! [`load`](super::load) reads cannot drift apart in their fields. It says less
//! than `load` does: references, uniqueness and column types are not in it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::form::{EntityForm, FeatureServiceForm, MetadataForm};
use super::on_demand::OnDemandViewForm;
use super::view::FeatureViewForm;
use super::{API_VERSION, ResourceKind};

/// What [`name::check`](crate::name::check) accepts.
pub(super) const NAME_PATTERN: &str = "^[a-z][a-z0-9_]{0,127}$";
/// What [`time::parse_duration`](crate::time::parse_duration) accepts.
pub(super) const DURATION_PATTERN: &str = "^([0-9]+(y|w|d|h|m|s|ms|us))+$";
/// What [`Share`](super::Share) reads.
pub(super) const SHARE_PATTERN: &str = r"^[0-9]+(\.[0-9]{1,2})?%$";
/// How [`Known`](super::Known) is written.
pub(super) const KNOWN: [&str; 2] = ["honor", "ignore"];

const _: () = assert!(crate::limits::NAME_BYTES_MAX == 128, "the pattern of names says so");

/// The JSON Schema (draft 2020-12) of one document: exactly one of the kinds.
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = ResourceKind::ALL.map(|kind| match kind {
        ResourceKind::Entity => document::<EntityForm>(&mut generator, kind),
        ResourceKind::FeatureView => document::<FeatureViewForm>(&mut generator, kind),
        ResourceKind::OnDemandView => document::<OnDemandViewForm>(&mut generator, kind),
        ResourceKind::FeatureService => document::<FeatureServiceForm>(&mut generator, kind),
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hitherto definition",
        "oneOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}

fn document<Spec: JsonSchema>(generator: &mut SchemaGenerator, kind: ResourceKind) -> Value {
    json!({
        "title": kind.as_str(),
        "type": "object",
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": kind.as_str() },
            "metadata": generator.subschema_for::<MetadataForm>(),
            "spec": generator.subschema_for::<Spec>(),
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

/// Whether a part of the written form has a field of that name.
pub(super) fn has_field<Form: JsonSchema>(name: &str) -> bool {
    let schema = SchemaGenerator::default().into_root_schema_for::<Form>();
    schema.get("properties").is_some_and(|fields| fields.get(name).is_some())
}
