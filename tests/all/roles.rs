//! One source in many roles: columns of other names, one view under two names,
//! a view without keys, and views whose entity is part of the spine's keys.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use hitherto_api::why::Online;
use hitherto_api::{
    FeatureNames, KeyColumn, LookupRequest, MaterializeMode, Selection, TrainingSetRequest,
    VerifyRequest, WhyRequest,
};
use hitherto_core::Kind;
use hitherto_core::column::{Column, Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_engine::{Access, Engine};

use crate::repo::{Repo, batch, grant, lookup, materialize, training_set};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: airport }
spec: { keys: [{ name: airport_id, type: string }] }
---
apiVersion: hitherto/v1
kind: Entity
metadata: { name: route }
spec: { keys: [{ name: from_id, type: string }, { name: to_id, type: string }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: weather }
spec:
  entity: airport
  source:
    parquet: weather.parquet
    eventTime: At
    columns: { airport_id: IATA, temperature: Temp C }
  features: [{ name: temperature, type: float64 }]
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: demand }
spec:
  entity: route
  source: { parquet: demand.parquet, eventTime: at }
  features: [{ name: seats, type: int64 }]
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: fuel }
spec:
  source: { parquet: fuel.parquet, eventTime: at }
  features: [{ name: price, type: float64 }]
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: flight }
spec:
  features:
    - home=weather[airport_id=home]:*
    - away=weather[airport_id=away]:temperature
    - demand[from_id=home][to_id=away]:*
    - fuel:*
";

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn micros(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    let weather = vec![
        ("IATA", text(&["ZRH", "OSL", "ZRH"])),
        ("At", micros(&[10, 10, 20])),
        ("Temp C", floats(&[1.0, 2.0, 3.0])),
    ];
    repo.parquet("weather.parquet", weather);
    let demand = vec![
        ("from_id", text(&["ZRH", "OSL"])),
        ("to_id", text(&["OSL", "ZRH"])),
        ("at", micros(&[10, 15])),
        ("seats", Arc::new(Int64Array::from(vec![100, 200]))),
    ];
    repo.parquet("demand.parquet", demand);
    repo.parquet("fuel.parquet", vec![("at", micros(&[5, 18])), ("price", floats(&[0.5, 0.7]))]);
    repo
}

fn spine() -> RecordBatch {
    batch(vec![
        ("home", text(&["ZRH", "OSL", "ZRH", "BER"])),
        ("away", text(&["OSL", "ZRH", "ZRH", "OSL"])),
        ("at", micros(&[12, 25, 3, 12])),
    ])
}

fn numbers(rows: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    rows[name].as_primitive::<Float64Type>().iter().collect()
}

async fn flights(engine: &Engine) -> RecordBatch {
    let request = TrainingSetRequest {
        selection: Selection::Service(String::from("flight")),
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    let mut set = engine.training_set(grant(), &request, spine(), 0).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = set.next().await {
        batches.push(batch.unwrap());
    }
    let rows = concat_batches(&set.schema(), &batches).unwrap();
    let views = set.finish().report.views.into_iter();
    assert_eq!(views.map(|view| view.view).collect::<Vec<_>>(), ["home", "away", "demand", "fuel"]);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn one_view_is_joined_twice_beside_a_composite_and_a_keyless_one() {
    let repo = repo();
    let rows = flights(&repo.applied().await).await;
    let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let features = ["home:temperature", "away:temperature", "demand:seats", "fuel:price"];
    assert_eq!(names[3..], features);
    assert_eq!(numbers(&rows, features[0]), [Some(1.0), Some(2.0), None, None]);
    assert_eq!(numbers(&rows, features[1]), [Some(2.0), Some(3.0), None, Some(2.0)]);
    let seats: Vec<_> = rows["demand:seats"].as_primitive::<Int64Type>().iter().collect();
    assert_eq!(seats, [Some(100), Some(200), None, None]);
    assert_eq!(numbers(&rows, features[3]), [Some(0.5), Some(0.7), None, Some(0.5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_answer_the_same_under_the_same_names() {
    let repo = repo();
    for engine in [repo.applied().await, repo.applied_in_memory().await] {
        materialize(&engine, MaterializeMode::Full, 30).await;
        let rows = flights(&engine).await;
        let parts = |name: &str, row: usize| KeyColumn {
            name: name.to_owned(),
            parts: vec![Some(OwnedPart::Bytes(
                rows[name].as_string::<i32>().value(row).as_bytes().to_vec(),
            ))],
        };
        for (row, at) in [12, 25, 3, 12].into_iter().enumerate() {
            let request = LookupRequest {
                selection: Selection::Service(String::from("flight")),
                keys: vec![parts("home", row), parts("away", row)],
                request: Vec::new(),
                as_of: Some(at),
                with_times: true,
            };
            let found = engine.lookup(grant(), &request, 30).unwrap();
            for column in &found.columns {
                assert_eq!(number(column), value(&rows, &column.name, row), "{}", column.name);
            }
            let views: Vec<_> = found.times.iter().map(|times| times.view.as_str()).collect();
            assert_eq!(views, ["home", "away", "demand", "fuel"]);
        }
    }
}

fn number(column: &Column) -> Option<f64> {
    let is_present = column.status(0) == Status::Present;
    is_present.then(|| match &column.values {
        Values::F64(values) => values[0],
        Values::I64(values) => values[0] as f64,
        other => panic!("unexpected values {other:?}"),
    })
}

fn value(rows: &RecordBatch, name: &str, row: usize) -> Option<f64> {
    let column = arrow::compute::cast(&rows[name], &arrow::datatypes::DataType::Float64).unwrap();
    let column = column.as_primitive::<Float64Type>();
    (!arrow::array::Array::is_null(column, row)).then(|| column.value(row))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_without_keys_is_looked_up_without_keys() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 30).await;
    let found = lookup(&engine, &["fuel:price"], Vec::new(), None, 30).unwrap();
    assert_eq!((found.rows, number(&found.columns[0])), (1, Some(0.7)));
    let before = lookup(&engine, &["fuel:price"], Vec::new(), Some(17), 30).unwrap();
    assert_eq!(number(&before.columns[0]), Some(0.5));
    let key = KeyColumn { name: String::from("home"), parts: vec![None] };
    let error = lookup(&engine, &["fuel:price"], vec![key], None, 30).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("\"home\" is not a join key"), "{error}");

    // A spine needs nothing but its times.
    let spine = batch(vec![("at", micros(&[4, 5, 18]))]);
    let (batches, _) = training_set(&engine, &["fuel:*"], spine, None).await.unwrap();
    assert_eq!(numbers(&batches[0], "price"), [None, Some(0.5), Some(0.7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_why_know_renamed_columns_and_views_without_keys() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 30).await;
    let verified = engine.verify(grant(), &VerifyRequest::default(), 30).await.unwrap();
    assert_eq!((verified.differences(), verified.views.len()), (0, 3));
    assert!(verified.values() >= 7, "{verified:?}");

    let why = |view: &str, keys| WhyRequest { at: Some(18), ..WhyRequest::new(view, keys) };
    let found = engine.why(grant(), &why("fuel", Vec::new()), 30).await.unwrap();
    assert_eq!(found.candidates[found.answer().unwrap()].event, 18);
    let zurich = vec![Some(OwnedPart::Bytes(b"ZRH".to_vec()))];
    let key = KeyColumn { name: String::from("airport_id"), parts: zurich };
    let found = engine.why(grant(), &why("weather", vec![key]), 30).await.unwrap();
    assert_eq!(found.candidates.len(), 2);
    assert_eq!(found.candidates[found.answer().unwrap()].event, 10);
    assert!(matches!(found.online, Online::Answers(answer) if answer.agrees));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_do_not_fit_are_told_why() {
    let repo = repo();
    let engine = repo.applied().await;
    for (features, words) in [
        (vec!["weather[airport=home]:*"], "\"airport\" in \"weather[airport=home]\" is not a join"),
        (vec!["weather[airport_id=home]:*", "weather:*"], "have one name in the answer"),
        (vec!["fuel=weather[airport_id=home]:*", "fuel:*"], "have one name in the answer"),
        (vec!["home=weather[airport_id=home]:*", "away=weather[airport_id=away]:*"], "two columns"),
        (
            vec!["weather:*"],
            "has no column \"airport_id\", the join key of feature view \"weather\"",
        ),
        (
            vec!["x=weather[airport_id=hme]:*"],
            "has no column \"hme\", the join key of feature view",
        ),
        (vec!["weather[airport_id=home:*"], "is no feature reference"),
    ] {
        let error = training_set(&engine, &features, spine(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_column_that_is_not_there_is_named_where_it_is_written() {
    let repo = repo();
    repo.write("definitions.yaml", &YAML.replace("Temp C", "Temp F"));
    let engine = repo.open(Access::ReadWrite).unwrap();
    let error = engine.plan(grant()).await.unwrap_err().to_string();
    assert!(error.starts_with("definitions.yaml:20:"), "{error}");
    assert!(
        error.contains("the source has no column \"Temp F\"; did you mean \"Temp C\"?"),
        "{error}"
    );
}
