//! What stands where a feature has no value: the same online and offline, and the
//! status still says why.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float32Array, Int8Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt16Array,
};
use arrow::compute::concat_batches;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{KeyColumn, MaterializeMode, VerifyRequest};
use hitherto_core::column::Status;
use hitherto_core::definition::diff::Effect;
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;

use crate::repo::{Repo, apply, batch, grant, lookup, materialize, training_set};

const YAML: &str = r#"
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: dose }
spec:
  entity: stay
  source: { parquet: dose, eventTime: event }
  ttl: 100us
  features:
    - { name: given, type: bool, default: true }
    - { name: steps, type: int8, default: -3 }
    - { name: count, type: uint16, default: 7 }
    - { name: mg, type: float32, default: 0.5 }
    - { name: price, type: "decimal128(9, 2)", default: "1.5" }
    - { name: drug, type: string, default: none given }
    - { name: plain, type: int64 }
  online: { history: 1h }
"#;

/// Of stay 1 a dose at 10 and one without values at 20; none of any other.
fn repo() -> Repo {
    let repo = Repo::new(YAML);
    let prices = Decimal128Array::from(vec![Some(999), None]).with_precision_and_scale(9, 2);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stay", Arc::new(Int64Array::from(vec![1, 1]))),
        ("event", Arc::new(TimestampMicrosecondArray::from(vec![10, 20]))),
        ("given", Arc::new(BooleanArray::from(vec![Some(false), None]))),
        ("steps", Arc::new(Int8Array::from(vec![Some(5), None]))),
        ("count", Arc::new(UInt16Array::from(vec![Some(6), None]))),
        ("mg", Arc::new(Float32Array::from(vec![Some(1.25), None]))),
        ("price", Arc::new(prices.unwrap())),
        ("drug", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("plain", Arc::new(Int64Array::from(vec![Some(8), None]))),
    ];
    repo.parquet("dose/one.parquet", columns);
    repo
}

/// Entity, moment, status, and which row of [`expected`] answers.
const QUESTIONS: [(i64, i64, Status, usize); 5] = [
    (1, 9, Status::NotFound, 1),
    (1, 10, Status::Present, 0),
    (1, 20, Status::Null, 1),
    (1, 121, Status::Expired, 1),
    (2, 50, Status::NotFound, 1),
];

/// The first fact, and nothing but defaults.
fn expected() -> RecordBatch {
    let prices = Decimal128Array::from(vec![999, 150]).with_precision_and_scale(9, 2);
    batch(vec![
        ("dose:given", Arc::new(BooleanArray::from(vec![false, true]))),
        ("dose:steps", Arc::new(Int8Array::from(vec![5, -3]))),
        ("dose:count", Arc::new(UInt16Array::from(vec![6, 7]))),
        ("dose:mg", Arc::new(Float32Array::from(vec![1.25, 0.5]))),
        ("dose:price", Arc::new(prices.unwrap())),
        ("dose:drug", Arc::new(StringArray::from(vec!["a", "none given"]))),
        ("dose:plain", Arc::new(Int64Array::from(vec![Some(8), None]))),
    ])
}

fn keys(stays: &[i64]) -> Vec<KeyColumn> {
    let parts = stays.iter().map(|stay| Some(OwnedPart::Int(*stay))).collect();
    vec![KeyColumn { name: String::from("stay"), parts }]
}

async fn check(engine: &Engine) {
    let expected = expected();
    for (stay, at, status, row) in QUESTIONS {
        let found = lookup(engine, &["dose:*"], keys(&[stay]), Some(at), 1_000).unwrap();
        let statuses: Vec<_> = found.columns.iter().map(|column| column.status(0)).collect();
        assert_eq!(statuses, [status; 7], "of {stay} at {at}");
        assert_eq!(to_record_batch(&found).unwrap(), expected.slice(row, 1), "of {stay} at {at}");
    }
    let spine = batch(vec![
        ("stay", Arc::new(Int64Array::from_iter_values(QUESTIONS.map(|question| question.0)))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(QUESTIONS.map(|asked| asked.1))),
        ),
    ]);
    let (batches, report) = training_set(engine, &["dose:*"], spine, None).await.unwrap();
    let found = concat_batches(&batches[0].schema(), &batches).unwrap();
    for (question, (stay, at, _, row)) in QUESTIONS.iter().enumerate() {
        for (feature, column) in expected.columns().iter().enumerate() {
            let found = found.column(feature + 2).slice(question, 1);
            assert_eq!(&found, &column.slice(*row, 1), "feature {feature} of {stay} at {at}");
        }
    }
    // The report counts what the facts had.
    let nulls: Vec<u64> = report.views[0].nulls.iter().map(|of| of.rows).collect();
    assert_eq!(nulls, [4; 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_stands_wherever_there_is_no_value_online_and_offline() {
    let repo = repo();
    for engine in [repo.applied().await, repo.applied_in_memory().await] {
        materialize(&engine, MaterializeMode::Incremental, 1_000).await;
        check(&engine).await;
        let many: Vec<i64> = (0..300).map(|stay| stay % 3).collect();
        let found = lookup(&engine, &["dose:drug"], keys(&many), Some(10), 1_000).unwrap();
        for (row, stay) in many.iter().enumerate() {
            let drug = if *stay == 1 { "a" } else { "none given" };
            assert_eq!(found.columns[0].varlen(row), drug.as_bytes());
        }
        let verified = engine.verify(grant(), &VerifyRequest::default(), 1_000).await.unwrap();
        assert_eq!(verified.differences(), 0, "{verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_default_counts_at_once_and_leaves_stored_rows() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 1_000).await;
    let before = engine.catalog().published.of("dose").unwrap().clone();
    let other = YAML.replace("default: none given", "default: \"unknown\"");
    repo.write("definitions.yaml", &other.replace("type: bool, default: true", "type: bool"));
    let plan = engine.plan(grant()).await.unwrap();
    assert_eq!(plan.changes[0].effect, Effect::Serving, "{:?}", plan.changes);
    apply(&engine).await;
    let after = engine.catalog().published.of("dose").unwrap().clone();
    assert_eq!((after.view.id, after.generation), (before.view.id, before.generation));
    let found = lookup(&engine, &["dose:drug", "dose:given"], keys(&[2]), None, 1_000).unwrap();
    assert_eq!(found.columns[0].varlen(0), b"unknown");
    assert!(!found.columns[1].has_value(0), "null again");
}
