//! Tests of definitions, through [`load`] and [`diff`](super::diff::diff) only.

mod differences;
mod refusals;

use super::{Definitions, FeatureView, Known, Loaded, Origin, Place, ResourceKind, load, schema};
use crate::column::Values;
use crate::error::Kind;
use crate::time::MICROS_PER_SECOND;
use crate::types::DataType;

/// A repository in one file that has everything; tests change parts of it.
const REPOSITORY: &str = r#"# a repository
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay, description: one hospital stay }
spec:
  keys: [{ name: stay_id, type: string }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: lactate, owner: icu, tags: { phi: "true" } }
spec:
  entity: stay
  source:
    parquet: data/labs.parquet
    sql: >
      SELECT * FROM source
    eventTime: collected
    knownTime: released
  ttl: 24h
  features:
    - { name: value, type: float64, description: mmol/l }
    - { name: unit, type: string }
  online: { history: 7d }
---
# only comments here
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: risk }
spec:
  features: ["lactate:unit", "lactate:value"]
"#;

/// The repository with one part of it written otherwise.
fn with(from: &str, to: &str) -> String {
    assert_eq!(REPOSITORY.matches(from).count(), 1, "{from:?} is in the repository once");
    REPOSITORY.replace(from, to)
}

fn load_one(text: &str) -> crate::Result<Loaded> {
    load(&[(String::from("repo.yaml"), text.to_owned())])
}

fn definitions(text: &str) -> Definitions {
    load_one(text).unwrap().definitions
}

fn view(text: &str) -> FeatureView {
    definitions(text).view("lactate").unwrap().clone()
}

/// Loading refuses `text` with exactly these lines, each of which says what to do next.
fn check(text: &str, expected: &[&str]) {
    assert!(expected.iter().all(|line| line.contains("; ")), "{expected:?}");
    let error = load_one(text).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let expected: Vec<String> = expected.iter().map(|line| format!("repo.yaml:{line}")).collect();
    assert_eq!(error.to_string(), expected.join("\n"));
}

fn features(definitions: &Definitions, service: &str) -> String {
    let features = &definitions.service(service).unwrap().features;
    features.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_that_is_written_is_read() {
    let definitions = definitions(REPOSITORY);
    let entity = definitions.entity("stay").unwrap();
    assert_eq!(entity.metadata.description, "one hospital stay");
    assert_eq!(entity.keys[0].data_type, DataType::String);

    let view = definitions.view("lactate").unwrap();
    assert_eq!((view.entity.as_deref(), view.metadata.owner.as_str()), (Some("stay"), "icu"));
    assert_eq!(view.metadata.tags["phi"], "true");
    assert_eq!(view.source.origin, Origin::Parquet("data/labs.parquet".into()));
    assert_eq!(view.source.sql.as_deref(), Some("SELECT * FROM source"));
    assert_eq!(view.source.event_time.as_deref(), Some("collected"));
    assert_eq!(view.source.known_time.as_deref(), Some("released"));
    assert_eq!(view.source.delay_micros, 0);
    assert_eq!(view.ttl_micros, Some(86_400 * MICROS_PER_SECOND));
    assert_eq!(view.online.history_micros, Some(7 * 86_400 * MICROS_PER_SECOND));
    assert_eq!(view.known, Known::Honor);
    let names: Vec<_> = view.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["value", "unit"]);
    assert_eq!(view.features[0].description, "mmol/l");

    assert_eq!(features(&definitions, "risk"), "lactate:unit lactate:value");
}

#[test]
fn optional_fields_can_be_left_out_or_empty() {
    let bare = view(&with("  online: { history: 7d }\n", "").replace("  ttl: 24h\n", "  ttl:\n"));
    assert_eq!((bare.ttl_micros, bare.online.history_micros), (None, None));
    let delayed = view(&with("knownTime: released", "delay: 1h30m"));
    assert_eq!(delayed.source.known_time, None);
    assert_eq!(delayed.source.delay_micros, 5_400 * MICROS_PER_SECOND);
    assert_eq!(view(&with("knownTime: released", "delay: 0s")).source.delay_micros, 0);
    assert_eq!(view(&with("ttl: 24h", "known: ignore")).known, Known::Ignore);
    assert_eq!(view(&with("phi: \"true\"", "phi: true")).metadata.tags["phi"], "true");
}

#[test]
fn defaults_are_read_as_values_of_their_feature() {
    let text = with("type: float64", "type: float64, default: 0")
        .replace("name: unit, type: string", "name: unit, type: string, default: \"\"");
    let view = view(&text);
    let value = |index: usize| view.features[index].default_values();
    assert_eq!(value(0), Some(Values::F64(vec![0.0])));
    assert_eq!(value(1), Some(Values::Varlen { ends: vec![0], data: Vec::new() }));
}

#[test]
fn a_wildcard_expands_in_declared_order() {
    let text = with(r#"["lactate:unit", "lactate:value"]"#, r#"["lactate:*"]"#);
    assert_eq!(features(&definitions(&text), "risk"), "lactate:value lactate:unit");
}

#[test]
fn a_service_spans_views_of_different_entities_in_other_files() {
    let more = REPOSITORY
        .replace("stay", "bed")
        .replace("lactate", "noise")
        .replace("risk", "both")
        .replace(r#""noise:unit""#, r#""lactate:value""#);
    let files = [("b.yaml", more.as_str()), ("a.yaml", REPOSITORY)]
        .map(|(file, text)| (String::from(file), text.to_owned()));
    let forwards = load(&files).unwrap();
    let [b, a] = files;
    let backwards = load(&[a, b]).unwrap();
    assert_eq!(forwards, backwards, "the order of files changes nothing");
    assert_eq!(features(&forwards.definitions, "both"), "lactate:value noise:value");
    let names: Vec<_> =
        forwards.definitions.entities.iter().map(|entity| &entity.metadata.name).collect();
    assert_eq!(names, ["bed", "stay"], "sorted by name");
}

#[test]
fn places_are_those_of_the_whole_file() {
    let places = load_one(REPOSITORY).unwrap().places;
    let place = |line, column| Place { file: String::from("repo.yaml"), line, column };
    for (field, line, column) in [
        ("", 10, 19),
        ("entity", 12, 11),
        ("source", 14, 14),
        ("source.sql", 16, 7),
        ("source.eventTime", 17, 16),
        ("features.unit", 22, 15),
        ("online.history", 23, 22),
    ] {
        assert_eq!(places.of_view("lactate", field), Some(&place(line, column)), "{field}");
    }
    assert_eq!(places.of_view("lactate", "features.lost"), Some(&place(21, 5)), "its list");
    assert_eq!(places.of_view("lactate", "source.delay"), Some(&place(14, 14)), "its source");
    assert_eq!(places.of_view("lactate", "known"), Some(&place(10, 19)), "its view");
    assert_eq!(places.of_view("lost", "known"), None);
    let of_service = places.of(ResourceKind::FeatureService, "risk", "features.lactate:value");
    assert_eq!(of_service, Some(&place(31, 30)));
    assert_eq!(places.of(ResourceKind::Entity, "stay", "keys.stay_id"), Some(&place(6, 18)));
    assert_eq!(place(12, 5).to_string(), "repo.yaml:12:5");
}

#[test]
fn line_ends_marks_and_directives_change_nothing() {
    let plain = load_one(REPOSITORY).unwrap();
    assert_eq!(load_one(&REPOSITORY.replace('\n', "\r\n")).unwrap(), plain);
    assert_eq!(load_one(&format!("\u{feff}{REPOSITORY}...\n# the end\n")).unwrap(), plain);
    let directive = format!("%YAML 1.2\n---\n{REPOSITORY}");
    assert_eq!(load_one(&directive).unwrap().definitions, plain.definitions);
}

#[test]
fn json_is_read_too() {
    let text = r#"{"apiVersion": "hitherto/v1", "kind": "Entity", "metadata": {"name": "stay"},
                   "spec": {"keys": [{"name": "stay_id", "type": "int64"}]}}"#;
    assert_eq!(definitions(text).entities[0].keys[0].data_type, DataType::Int64);
}

#[test]
fn stored_definitions_come_back_equal() {
    let definitions = definitions(REPOSITORY);
    let json = serde_json::to_string(&definitions).unwrap();
    assert_eq!(serde_json::from_str::<Definitions>(&json).unwrap(), definitions);
}

#[test]
fn the_schema_has_the_fields_of_the_written_form_and_no_others() {
    let schema = schema::json_schema();
    let kinds: Vec<_> = schema["oneOf"].as_array().unwrap().iter().collect();
    let names: Vec<_> = kinds.iter().map(|kind| &kind["properties"]["kind"]["const"]).collect();
    assert_eq!(names, ["Entity", "FeatureView", "OnDemandView", "FeatureService"]);

    let defs = &schema["$defs"];
    let source = &defs["Source"];
    let fields: Vec<_> = source["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "columns",
            "delay",
            "deleted",
            "eventTime",
            "id",
            "knownTime",
            "parquet",
            "partitionedBy",
            "partitions",
            "sql",
            "timeless",
            "timezone"
        ]
    );
    assert_eq!(source["required"], serde_json::json!(["parquet"]));
    let either = serde_json::json!([{ "required": ["eventTime"] }, { "required": ["timeless"] }]);
    assert_eq!(source["oneOf"], either);
    let either = serde_json::json!([{ "required": ["features"] }, { "required": ["aggregates"] }]);
    assert_eq!(defs["FeatureViewSpec"]["oneOf"], either);
    assert_eq!(defs["Aggregate"]["required"], serde_json::json!(["function", "windows"]));
    for name in [
        "Metadata",
        "EntitySpec",
        "Field",
        "Feature",
        "FeatureViewSpec",
        "Aggregate",
        "OnDemandViewSpec",
        "OnDemandFeature",
        "Source",
        "Online",
    ] {
        assert_eq!(defs[name]["additionalProperties"], false, "{name}");
    }
    let reference = &kinds[1]["properties"]["spec"]["$ref"];
    assert_eq!(reference, "#/$defs/FeatureViewSpec");
    assert!(!schema.to_string().contains("Spanned"), "places are not part of the form");
}
