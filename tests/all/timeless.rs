//! Attributes that have no time: they always were, every moment sees them, and nobody counts
//! how old they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use hitherto_api::{
    Ack, KeyColumn, MaterializeMode, MaterializeRequest, OptimizeMode, PushRequest, TimeRange,
    VerifyRequest, WhyRequest,
};
use hitherto_core::column::{Status, Values};
use hitherto_core::definition::Definitions;
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::{ALWAYS, Absence};
use hitherto_engine::{Access, Engine};

use crate::repo::{Repo, Silent, batch, grant, lookup, materialize, training_set};

/// `patient` never changes; `address` can, and says when a change was known.
const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: patient }
spec: { keys: [{ name: id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: patient }
spec:
  entity: patient
  source: { parquet: patients, timeless: true }
  features: [{ name: sex, type: string }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: address }
spec:
  entity: patient
  source: { parquet: addresses.parquet, timeless: true, knownTime: entered }
  features: [{ name: city, type: string }]
  online: { history: 1h }
";

/// When everything was materialized.
const NOW: i64 = 10_000_000_000;
/// Long before any of it was written down.
const LONG_AGO: i64 = -1_000_000_000_000_000;

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn times(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()))
}

fn patients(ids: &[i64], sexes: &[&str]) -> RecordBatch {
    batch(vec![("id", ints(ids)), ("sex", texts(sexes))])
}

async fn applied() -> (Repo, Engine) {
    let repo = Repo::new(YAML);
    repo.parquet(
        "patients/a.parquet",
        vec![("id", ints(&[1, 2])), ("sex", texts(&["Female", "Male"])), ("other", ints(&[0, 0]))],
    );
    repo.parquet(
        "addresses.parquet",
        vec![
            ("id", ints(&[1, 1])),
            ("city", texts(&["Leipzig", "Berlin"])),
            ("entered", times(&[NOW - 90, NOW - 50])),
        ],
    );
    let engine = repo.applied().await;
    (repo, engine)
}

async fn online() -> (Repo, Engine) {
    let (repo, engine) = applied().await;
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    (repo, engine)
}

fn keys(ids: &[i64]) -> Vec<KeyColumn> {
    let parts = ids.iter().map(|id| Some(OwnedPart::Int(*id))).collect();
    vec![KeyColumn { name: String::from("id"), parts }]
}

/// What is looked up as of a moment.
fn looked_up(engine: &Engine, feature: &str, id: i64, at: i64) -> (String, Status) {
    let found = lookup(engine, &[feature], keys(&[id]), Some(at), NOW).unwrap();
    let Values::Varlen { data, .. } = &found.columns[0].values else { panic!("no text") };
    (String::from_utf8(data.clone()).unwrap(), found.columns[0].status(0))
}

/// What a training row of that moment has.
async fn trained(engine: &Engine, feature: &str, id: i64, at: i64) -> String {
    let spine = batch(vec![("id", ints(&[id])), ("at", times(&[at]))]);
    let (rows, _) = training_set(engine, &[feature], spine, None).await.unwrap();
    let column = rows[0].column(2).as_any().downcast_ref::<StringArray>().unwrap().clone();
    column.iter().next().flatten().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_moment_sees_what_always_was_without_history() {
    let (_repo, engine) = online().await;
    for at in [LONG_AGO, 0, NOW] {
        assert_eq!(looked_up(&engine, "patient:sex", 2, at), ("Male".into(), Status::Present));
        assert_eq!(trained(&engine, "patient:sex", 2, at).await, "Male");
    }
    assert_eq!(looked_up(&engine, "patient:sex", 3, NOW).1, Status::NotFound);
    // Time goes on, and nothing is forgotten.
    engine.retain(NOW + 100_000_000_000).await.unwrap();
    assert_eq!(looked_up(&engine, "patient:sex", 1, LONG_AGO).0, "Female");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_from_when_it_was_known_and_not_before() {
    let (_repo, engine) = online().await;
    for (at, city) in
        [(NOW - 91, ""), (NOW - 90, "Leipzig"), (NOW - 51, "Leipzig"), (NOW, "Berlin")]
    {
        assert_eq!(looked_up(&engine, "address:city", 1, at).0, city, "{at}");
        assert_eq!(trained(&engine, "address:city", 1, at).await, city, "{at}");
    }
    // A join that ignores known time would have seen the last one at all times.
    let spine = batch(vec![("id", ints(&[1])), ("at", times(&[NOW - 60]))]);
    let (_, report) = training_set(&engine, &["address:*"], spine, None).await.unwrap();
    assert_eq!(report.leaky_rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_counts_how_old_it_is() {
    let (_repo, engine) = online().await;
    let spine = batch(vec![("id", ints(&[1, 9])), ("at", times(&[NOW, NOW]))]);
    let features = ["patient:*", "address:*"];
    let (_, report) = training_set(&engine, &features, spine, None).await.unwrap();
    assert!(report.views.iter().all(|view| view.present == 1 && view.age.is_none()), "{report:?}");
    lookup(&engine, &["patient:*"], keys(&[1]), None, NOW).unwrap();
    let counts = engine.view_counts(engine.catalog().registry.view("patient").unwrap());
    assert_eq!((counts.answered, counts.age_seconds, counts.ages.iter().sum()), (1, 0, 0_u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_agree_and_an_answer_is_explained() {
    let (_repo, engine) = online().await;
    let request = VerifyRequest { samples: 50, ..VerifyRequest::default() };
    let found = engine.verify(grant(), &request, NOW).await.unwrap();
    assert_eq!((found.differences(), found.stale().count()), (0, 0), "{found:?}");
    let request = WhyRequest { at: Some(0), ..WhyRequest::new("patient", keys(&[1])) };
    let why = engine.why(grant(), &request, NOW).await.unwrap();
    assert_eq!(
        (why.absence, why.candidates[0].event, why.candidates[0].known),
        (None, ALWAYS, ALWAYS)
    );
    let never_seen = WhyRequest { keys: keys(&[7]), ..request };
    let absence = engine.why(grant(), &never_seen, NOW).await.unwrap().absence;
    assert_eq!(absence, Some(Absence::NeverSeen));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_copies_and_builds_are_as_of_any_view() {
    let (repo, engine) = online().await;
    let facts = patients(&[3], &["Female"]);
    let view = String::from("patient");
    let request = PushRequest { view, facts, idempotency_key: String::new(), ack: Ack::Durable };
    assert_eq!(engine.push(grant(), &request, NOW).unwrap().known_from, None);
    let is_there = |engine: &Engine| {
        assert_eq!(looked_up(engine, "patient:sex", 3, LONG_AGO).0, "Female");
        assert_eq!(looked_up(engine, "patient:sex", 1, LONG_AGO).0, "Female");
    };
    is_there(&engine);
    assert_eq!(trained(&engine, "patient:sex", 3, 0).await, "Female");
    engine.retain(NOW + 100_000_000_000).await.unwrap();
    is_there(&engine);
    materialize(&engine, MaterializeMode::Full, NOW).await;
    is_there(&engine);
    let copy = engine.optimize(grant(), "patient", OptimizeMode::IfChanged, &Silent).await.unwrap();
    assert_eq!(copy.rows, 2);
    for id in [1, 3] {
        assert_eq!(trained(&engine, "patient:sex", id, LONG_AGO).await, "Female");
    }
    repo.parquet("patients/b.parquet", vec![("id", ints(&[4])), ("sex", texts(&["Male"]))]);
    let done = materialize(&engine, MaterializeMode::Incremental, NOW + 1).await;
    assert_eq!(done.iter().map(|done| done.facts).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(looked_up(&engine, "patient:sex", 4, LONG_AGO).0, "Male");
    is_there(&engine);
    // The store says so to whoever opens it.
    drop(engine);
    let engine = repo.open(Access::ReadOnly).unwrap();
    let applied: Definitions = engine.catalog().registry.definitions();
    assert!(applied.views.iter().all(|view| view.source.is_timeless()));
    is_there(&engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_recent_facts_has_what_has_no_time() {
    let (_repo, engine) = applied().await;
    let window = TimeRange::between(Some(NOW - 1), None);
    let request = MaterializeRequest { window, ..MaterializeRequest::default() };
    engine.materialize(grant(), &request, NOW, &Silent).await.unwrap();
    assert_eq!(looked_up(&engine, "patient:sex", 1, LONG_AGO).0, "Female");
}
