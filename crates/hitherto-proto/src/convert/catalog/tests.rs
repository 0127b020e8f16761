use std::collections::BTreeMap;
use std::sync::Arc;

use hitherto_core::Kind;
use hitherto_core::aggregate::{Basis, CurrentTime, Function, Nulls, SumType, Window};
use hitherto_core::definition::{
    Aggregate, Aggregates, Entity, Feature, FeatureService, Field, MaxChange, Metadata,
    OnDemandFeature, OnDemandView, Origin, Period, Source,
};
use hitherto_core::types::DataType;
use prost::Message;

use super::*;

fn metadata_of(name: &str) -> Metadata {
    Metadata {
        name: name.into(),
        description: format!("what {name} is"),
        owner: "icu-team".into(),
        tags: BTreeMap::from([("phi".into(), "true".into())]),
    }
}

fn field_of(name: &str, data_type: &str) -> Field {
    let data_type = data_type.parse().unwrap();
    Field { name: name.into(), data_type, description: "in mmol/l".into() }
}

/// An aggregate of each function, with parameters that are not as without being written.
fn all_functions() -> Vec<Aggregate> {
    let decimal = "decimal128(10, 2)";
    let by = Some(Field { description: String::new(), ..field_of("price", "int16") });
    let functions = [
        (Function::Count, None, None),
        (Function::Sum { scale: 2, output: SumType::Float64 }, Some(decimal), None),
        (Function::Sum { scale: 0, output: SumType::Decimal }, Some("int8"), None),
        (Function::Mean { scale: 2 }, Some(decimal), None),
        (Function::Variance { scale: 0, of: Basis::Sample }, Some("float32"), None),
        (Function::Variance { scale: 0, of: Basis::Population }, Some("float32"), None),
        (Function::Stddev { scale: 0, of: Basis::Sample }, Some("float32"), None),
        (Function::Stddev { scale: 0, of: Basis::Population }, Some("float32"), None),
        (Function::Min, Some("string"), None),
        (Function::Max, Some("date32"), None),
        (Function::MinBy, Some("binary"), by.clone()),
        (Function::MaxBy, Some("bool"), by),
        (Function::First(Nulls::Keep), Some("string"), None),
        (Function::Last(Nulls::Skip), Some("string"), None),
        (Function::FirstN { n: 2, nulls: Nulls::Skip }, Some("uint8"), None),
        (Function::LastN { n: 3, nulls: Nulls::Keep }, Some("uint8"), None),
        (Function::LastNDistinct { n: 4 }, Some("uint8"), None),
        (Function::MinN { n: 5 }, Some("uint8"), None),
        (Function::MaxN { n: 6 }, Some("uint8"), None),
        (Function::CountDistinct { limit: 7 }, Some("string"), None),
        (Function::Mode { limit: 8 }, Some("string"), None),
        (Function::TopK { k: 9, limit: 10 }, Some("int64"), None),
        (Function::ApproxCountDistinct { precision: 11 }, Some("string"), None),
        (Function::ApproxQuantile { scale: 2, bits: 8, millionths: 950_000 }, Some(decimal), None),
        (Function::SecondsSinceFirst, None, None),
        (Function::SecondsSinceLast, None, None),
        (Function::Any, Some("bool"), None),
        (Function::All, Some("bool"), None),
    ];
    let aggregates = functions.into_iter().enumerate().map(|(index, (function, column, by))| {
        let excludes = index % 2 == 0;
        Aggregate {
            function,
            column: column.map(|column| field_of("amount", column)),
            by,
            window: Window {
                length: (index % 3 > 0).then_some(index as i64),
                offset: index as i64 % 4,
                current_time: if excludes { CurrentTime::Excluded } else { CurrentTime::Counts },
                ttl: None,
            },
            filter: (index % 5 > 0).then(|| format!("amount > {index}")),
        }
    });
    aggregates.collect()
}

fn on_demand() -> OnDemandView {
    OnDemandView {
        metadata: metadata_of("urgency"),
        entities: vec!["stay".into()],
        request: vec![field_of("asked_for", "float32")],
        inputs: vec!["lactate:lactate".parse().unwrap()],
        features: vec![OnDemandFeature {
            name: "ratio".into(),
            data_type: DataType::Float32,
            expr: "asked_for / lactate".into(),
            description: "how urgent".into(),
            default: Some(String::from("0.25").into()),
        }],
    }
}

/// A catalog in which no two values are the same and every option is set.
fn full() -> Catalog {
    let keys = vec![field_of("stay_id", "string")];
    let view = AppliedView {
        id: 7,
        version: 5,
        schema_version: 4,
        fingerprint: u64::MAX - 1,
        definition: FeatureView {
            metadata: metadata_of("lactate"),
            entity: Some("stay".into()),
            source: Source {
                partitioned_by: Some(Period::Day),
                partitions: vec![field_of("region", "binary")],
                origin: Origin::Parquet("data/labs.parquet".into()),
                sql: Some("SELECT * FROM source".into()),
                event_time: Some("collected".into()),
                known_time: Some("resulted".into()),
                delay_micros: 11,
                timezone: "Europe/Berlin".parse().ok(),
                deleted: Some("gone".into()),
                columns: [("lactate".into(), "LAC".into())].into(),
            },
            ttl_micros: Some(12),
            known: Known::Ignore,
            features: vec![
                Feature {
                    description: "in mmol/l".into(),
                    default: Some(String::from("0.5").into()),
                    ..Feature::new("lactate", DataType::Float64)
                },
                Feature::new("at", "timestamp(ns, UTC)".parse().unwrap()),
            ],
            aggregates: Some(Aggregates { id: vec!["specimen".into()], features: all_functions() }),
            online: Online {
                history_micros: Some(13),
                max_change: Some(MaxChange {
                    entities: "5%".parse().ok(),
                    nulls: None,
                    range: "0.25%".parse().ok(),
                }),
            },
        },
        keys: keys.clone(),
        applied_at: -14,
    };
    let published = PublishedView {
        view: view.clone(),
        generation: Generation {
            number: 15,
            horizon: -16,
            watermark: 17,
            facts: 18,
            entities: 19,
            materialized_at: 20,
            pushed: 21,
        },
        previous: Some(Generation {
            number: 22,
            horizon: 23,
            watermark: -24,
            facts: 25,
            entities: 26,
            materialized_at: 27,
            pushed: 28,
        }),
    };
    let registry = Registry {
        on_demand: vec![on_demand()],
        next_view_id: 8,
        entities: vec![Entity { metadata: metadata_of("stay"), keys }],
        views: vec![view],
        services: vec![FeatureService {
            metadata: metadata_of("deterioration_v1"),
            features: vec!["now=lactate[stay_id=Stay]:lactate".parse().unwrap()],
        }],
    };
    Catalog { version: 3, registry: registry.into(), published: [published].into_iter().collect() }
}

#[track_caller]
fn check_survives(catalog: &Catalog) {
    let bytes = v1::GetCatalogResponse::from(catalog).encode_to_vec();
    let wire = v1::GetCatalogResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(Catalog::try_from(wire).unwrap(), *catalog);
}

#[track_caller]
fn check_refused(break_it: impl FnOnce(&mut v1::GetCatalogResponse), reason: &str) {
    let mut wire = v1::GetCatalogResponse::from(&full());
    break_it(&mut wire);
    let error = Catalog::try_from(wire).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.chain().contains(reason), "{}", error.chain());
}

#[test]
fn a_full_catalog_survives_the_wire() {
    check_survives(&full());
}

#[test]
fn what_is_absent_stays_absent() {
    check_survives(&Catalog::default());
    let mut sparse = full();
    // What is published is of another definition, and nothing was before it.
    let mut earlier = sparse.published.of("lactate").unwrap().clone();
    earlier.previous = None;
    sparse.published = [earlier].into_iter().collect();
    let view = &mut Arc::make_mut(&mut sparse.registry).views[0];
    view.id = 6;
    view.definition.known = Known::Honor;
    view.definition.ttl_micros = None;
    view.definition.online = Online::default();
    view.definition.source.sql = None;
    view.definition.source.event_time = None;
    view.definition.source.known_time = None;
    check_survives(&sparse);
    sparse.published = Default::default();
    check_survives(&sparse);
}

#[test]
fn a_malformed_catalog_is_an_error() {
    check_refused(|wire| wire.views[0].metadata = None, "no metadata");
    check_refused(|wire| wire.views[0].source = None, "no source");
    check_refused(|wire| wire.views[0].schema_version = 1 << 16, "schema version");
    check_refused(|wire| wire.views[0].features[0].r#type = "vector".into(), "vector");
    check_refused(|wire| wire.services[0].features[0] = "lactate".into(), "lactate");
}
