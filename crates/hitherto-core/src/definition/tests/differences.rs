//! What a change is called and what it means for stored rows.

use super::{REPOSITORY, definitions, with};
use crate::definition::diff::{Effect, Plan, definition_hash, diff, stored_fingerprint};
use crate::definition::{Definitions, FeatureView};

/// The plan from the repository to `text`.
fn plan(text: &str) -> String {
    Plan(&diff(&definitions(REPOSITORY), &definitions(text))).to_string()
}

/// Changing the view as written shows this one field, with this effect, and
/// moves the hashes to match.
fn check(from: &str, to: &str, field: &str, effect: Effect) {
    let (old, new) = (definitions(REPOSITORY), definitions(&with(from, to)));
    let changes = diff(&old, &new);
    let change = changes.iter().find(|change| change.name == "lactate").expect("the view changes");
    let fields: Vec<_> = change
        .fields
        .iter()
        .map(|change| format!("{}: {} -> {}", change.path, change.old, change.new))
        .collect();
    assert_eq!((fields.join("\n").as_str(), change.effect), (field, effect));

    let hashes = |definitions: &Definitions| {
        let view = definitions.view("lactate").unwrap();
        (stored_fingerprint(definitions, view), definition_hash(definitions, view))
    };
    let (old, new) = (hashes(&old), hashes(&new));
    assert_eq!(old.0 != new.0, effect == Effect::Rematerialize, "stored fingerprint");
    assert_eq!(old.1 != new.1, effect >= Effect::Serving, "definition hash");
}

macro_rules! changes {
    ($($situation:ident: $from:expr => $to:expr, $field:expr, $effect:ident;)*) => {
        $(#[test] fn $situation() { check($from, $to, $field, Effect::$effect) })*
    };
}

changes! {
    an_owner: "owner: icu" => "owner: lab", "owner: icu -> lab", None;
    a_tag: "phi: \"true\"" => "pii: \"true\"", "tags.pii:  -> true\ntags.phi: true -> ", None;
    an_empty_tag: "phi: \"true\"" => "phi: \"true\", new: \"\"", "tags.new:  -> ", None;
    a_view_description: "owner: icu" => "owner: icu, description: d", "description:  -> d", None;
    a_feature_description: "mmol/l" => "mg/dl",
        "features.value.description: mmol/l -> mg/dl", None;
    a_ttl: "24h" => "48h", "ttl: 1d -> 2d", Serving;
    a_ttl_that_goes: "  ttl: 24h\n" => "", "ttl: 1d -> ", Serving;
    a_default: "name: unit, type: string" => "name: unit, type: string, default: mg",
        "features.unit.default:  -> mg", Serving;
    known_time_ignored: "ttl: 24h" => "ttl: 24h\n  known: ignore", "known: honor -> ignore", Serving;
    a_file: "labs.parquet" => "labs/", "source.parquet: data/labs.parquet -> data/labs/", Rematerialize;
    a_partition: "sql: >\n      SELECT * FROM source\n" => "partitionedBy: day\n",
        "source.partitionedBy:  -> day\nsource.sql: SELECT * FROM source -> ", Rematerialize;
    a_partition_column: "sql: >\n" => "partitions: [{ name: region, type: string }]\n    sql: >\n",
        "source.partitions:  -> region: string", Rematerialize;
    a_partition_column_in_capitals: "sql: >\n" => "partitions: [{ name: Region, type: string }]\n    sql: >\n",
        "source.partitions:  -> Region: string", Rematerialize;
    a_query: "SELECT * FROM source" => "SELECT 1 FROM source",
        "source.sql: SELECT * FROM source -> SELECT 1 FROM source", Rematerialize;
    an_event_time: "collected" => "drawn", "source.eventTime: collected -> drawn", Rematerialize;
    a_known_time: "released" => "seen", "source.knownTime: released -> seen", Rematerialize;
    a_delay: "knownTime: released" => "delay: 1h",
        "source.knownTime: released -> \nsource.delay: 0s -> 1h", Rematerialize;
    a_timezone: "knownTime: released" => "knownTime: released\n    timezone: europe/berlin",
        "source.timezone:  -> Europe/Berlin", Rematerialize;
    a_deleted_column: "knownTime: released" => "knownTime: released\n    deleted: gone",
        "source.deleted:  -> gone", Rematerialize;
    a_renamed_column: "knownTime: released" => "knownTime: released\n    columns: { value: LAC }",
        "source.columns.value:  -> LAC", Rematerialize;
    an_entity_that_goes: "  entity: stay\n" => "",
        "entity: stay -> \nentity.keys: stay_id: string -> ", Rematerialize;
    a_history: "7d" => "8d", "online.history: 7d -> 8d", Rematerialize;
    a_feature_type: "unit, type: string" => "unit, type: binary",
        "features.unit: string -> binary", Rematerialize;
    a_feature_that_comes: "  online:" => "    - { name: method, type: string }\n  online:",
        "features.method:  -> string", Rematerialize;
    features_in_another_order:
        "- { name: value, type: float64, description: mmol/l }\n    - { name: unit, type: string }" =>
        "- { name: unit, type: string }\n    - { name: value, type: float64, description: mmol/l }",
        "features: value, unit -> unit, value", Rematerialize;
    a_key_type_of_its_entity: "stay_id, type: string" => "stay_id, type: int64",
        "entity.keys: stay_id: string -> stay_id: int64", Rematerialize;
}

#[test]
fn nothing() {
    assert_eq!(diff(&definitions(REPOSITORY), &definitions(REPOSITORY)), []);
    assert_eq!(plan(REPOSITORY), "nothing to change");
    let reworded = with("24h", "1d").replace("phi: \"true\"", "phi: true");
    assert_eq!(plan(&reworded), "nothing to change", "another spelling of the same");
}

#[test]
fn an_entity_with_its_views() {
    let expected = r#"~ entity "stay" (its views are built again)
    keys: stay_id: string -> stay_id: int64
~ feature view "lactate" (new version, to be materialized again)
    entity.keys: stay_id: string -> stay_id: int64
0 to create, 2 to update, 0 to delete"#;
    assert_eq!(plan(&with("stay_id, type: string", "stay_id, type: int64")), expected);
}

#[test]
fn a_service_that_gains_one_and_loses_one() {
    let expected = r#"~ feature view "lactate" (new version, to be materialized again)
    features.amount: (none) -> float64
    features.amount.description: (none) -> mmol/l
    features.value: float64 -> (none)
    features.value.description: mmol/l -> (none)
~ feature service "risk" (answers change, stored rows stay)
    features.lactate:amount: (none) -> listed
    features.lactate:value: listed -> (none)
0 to create, 2 to update, 0 to delete"#;
    assert_eq!(plan(&REPOSITORY.replace("value", "amount")), expected);
}

#[test]
fn a_view_that_is_renamed_is_one_gone_and_one_new() {
    let expected = r#"- feature view "lactate" (stored rows are dropped)
+ feature view "lactic" (to be materialized)
~ feature service "risk" (answers change, stored rows stay)
    features.lactic:unit: (none) -> listed
    features.lactic:value: (none) -> listed
    features.lactate:unit: listed -> (none)
    features.lactate:value: listed -> (none)
1 to create, 1 to update, 1 to delete"#;
    assert_eq!(plan(&REPOSITORY.replace("lactate", "lactic")), expected);
}

#[test]
fn everything_comes_and_everything_goes() {
    let (nothing, all) = (Definitions::default(), definitions(REPOSITORY));
    let expected = r#"+ entity "stay"
+ feature view "lactate" (to be materialized)
+ feature service "risk"
3 to create, 0 to update, 0 to delete"#;
    assert_eq!(Plan(&diff(&nothing, &all)).to_string(), expected);
    let expected = r#"- entity "stay"
- feature view "lactate" (stored rows are dropped)
- feature service "risk"
0 to create, 0 to update, 3 to delete"#;
    assert_eq!(Plan(&diff(&all, &nothing)).to_string(), expected);
}

#[test]
fn a_change_as_json() {
    let changes = diff(&definitions(REPOSITORY), &definitions(&with("24h", "48h")));
    let expected = serde_json::json!([{
        "action": "update", "kind": "FeatureView", "name": "lactate", "effect": "serving",
        "fields": [{ "path": "ttl", "old": "1d", "new": "2d" }],
    }]);
    assert_eq!(serde_json::to_value(changes).unwrap(), expected);
}

/// Stored in catalogs and manifests: if this fails, every view of every user
/// would be built again.
#[test]
fn hashes_are_those_of_every_release() {
    let definitions = definitions(REPOSITORY);
    let view = definitions.view("lactate").unwrap();
    assert_eq!(stored_fingerprint(&definitions, view), 13_413_037_384_585_715_645);
    assert_eq!(definition_hash(&definitions, view), 1_806_042_460_623_342_448);
}

/// The same of a view in which every field of the first releases is written.
#[test]
fn hashes_of_a_view_that_says_everything_are_those_of_every_release() {
    let text = with("    sql: >\n      SELECT * FROM source\n", "    partitionedBy: day\n")
        .replace("knownTime: released\n", "delay: 1h\n    deleted: gone\n")
        .replace("deleted: gone\n", "deleted: gone\n    columns: { value: LAC, stay_id: hadm }\n")
        .replace(
            "    eventTime:",
            "    partitions: [{ name: region, type: string }]\n    eventTime:",
        )
        .replace("unit, type: string", "unit, type: string, default: mg")
        .replace("mmol/l }", "mmol/l, default: 0.5 }")
        .replace("ttl: 24h", "ttl: 24h\n  known: ignore");
    let definitions = definitions(&text);
    let view = definitions.view("lactate").unwrap();
    assert_eq!(stored_fingerprint(&definitions, view), 1_232_050_910_456_886_118);
    assert_eq!(definition_hash(&definitions, view), 5_441_801_405_956_697_921);
}

/// Stored in catalogs: what an earlier release wrote is read, and it reads what is written.
#[test]
fn a_stored_view_has_its_defaults_beside_its_features() {
    let text = with("unit, type: string", "unit, type: string, default: mg");
    let definitions = definitions(&text);
    let stored = r#"{"metadata":{"name":"lactate","description":"","owner":"icu","tags":{"phi":"true"}},"entity":"stay","source":{"parquet":"data/labs.parquet","sql":"SELECT * FROM source","event_time":"collected","known_time":"released","delay_micros":0},"ttl_micros":86400000000,"known":"honor","features":[{"name":"value","type":"float64","description":"mmol/l"},{"name":"unit","type":"string","description":""}],"defaults":{"unit":"mg"},"online":{"history_micros":604800000000}}"#;
    let view = definitions.view("lactate").unwrap();
    assert_eq!(serde_json::to_string(view).unwrap(), stored);
    assert_eq!(serde_json::from_str::<FeatureView>(stored).unwrap(), *view);
}
