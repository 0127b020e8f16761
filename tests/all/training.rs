//! Spines of every kind, and what they are told when they do not fit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_core::Kind;

use crate::repo::{Repo, batch, grant, training_set};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: a }
spec:
  entity: stay
  source: { parquet: a.parquet, eventTime: event }
  features: [{ name: value, type: int64 }, { name: other, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: b }
spec:
  entity: stay
  source: { parquet: a.parquet, eventTime: event, delay: 5us }
  features: [{ name: value, type: int64 }]
";

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    repo.parquet(
        "a.parquet",
        vec![
            ("stay", Arc::new(Int64Array::from(vec![1, 1, 2]))),
            ("event", Arc::new(TimestampMicrosecondArray::from(vec![10, 20, 15]))),
            ("value", Arc::new(Int64Array::from(vec![Some(100), None, Some(200)]))),
            ("other", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ],
    );
    repo
}

fn spine(times: ArrayRef) -> RecordBatch {
    let stays = Int64Array::from_iter_values((0..times.len()).map(|_| 1));
    batch(vec![("stay", Arc::new(stays)), ("at", times)])
}

async fn values(features: &[&str], spine: RecordBatch) -> Vec<Vec<Option<i64>>> {
    let repo = repo();
    let engine = repo.applied().await;
    let columns = spine.num_columns();
    let (batches, _) = training_set(&engine, features, spine, None).await.unwrap();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    let column = |index: usize| all.column(index).as_primitive::<Int64Type>().iter().collect();
    (columns..all.num_columns()).map(column).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_order_changes_columns_and_nothing_else() {
    let at = || spine(Arc::new(TimestampMicrosecondArray::from(vec![12, 30])));
    let one = values(&["a:value", "a:other"], at()).await;
    let other = values(&["a:other", "a:value"], at()).await;
    assert_eq!(one, [vec![Some(100), None], vec![Some(1), Some(2)]]);
    assert_eq!(other, [one[1].clone(), one[0].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn delay_is_known_time_for_a_source_that_has_none() {
    let at = spine(Arc::new(TimestampMicrosecondArray::from(vec![14, 15])));
    assert_eq!(values(&["b:value"], at).await, [vec![None, Some(100)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn spine_times_of_any_unit_and_zone_mean_the_same_moment() {
    let zoned = TimestampMicrosecondArray::from(vec![12]).with_timezone("America/New_York");
    assert_eq!(values(&["a:value"], spine(Arc::new(zoned))).await, [vec![Some(100)]]);
    let seconds = TimestampSecondArray::from(vec![1]);
    assert_eq!(values(&["a:other"], spine(Arc::new(seconds))).await, [vec![Some(2)]]);
    let dates = Date32Array::from(vec![0, 1]);
    assert_eq!(values(&["a:other"], spine(Arc::new(dates))).await, [vec![None, Some(2)]]);
    // Digits below a microsecond are cut off: the question is asked earlier.
    let nanos = TimestampNanosecondArray::from(vec![9_999, 10_000, 10_999]);
    let expected = [vec![None, Some(100), Some(100)]];
    assert_eq!(values(&["a:value"], spine(Arc::new(nanos))).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_that_does_not_fit_is_told_why() {
    let repo = repo();
    let engine = repo.applied().await;
    let times = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None])) };
    let stays = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 1])) };
    let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["1", "2"])) };
    let whole = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![1, 2])) };
    for (columns, features, words) in [
        (vec![("at", whole())], vec!["a:value"], "has no column \"stay\""),
        (vec![("stay", stays())], vec!["a:value"], "has no column \"at\""),
        (vec![("stay", text()), ("at", whole())], vec!["a:value"], "has type string; the join key"),
        (
            vec![("stay", stays()), ("at", stays())],
            vec!["a:value"],
            "a timestamp or date is needed",
        ),
        (vec![("stay", stays()), ("at", times())], vec!["a:value"], "or give it its time"),
        (
            vec![("stay", stays()), ("at", whole())],
            vec!["a:value", "b:value"],
            "two columns named \"value\"",
        ),
        (
            vec![("stay", stays()), ("at", whole()), ("value", stays())],
            vec!["a:value"],
            "two columns named \"value\"",
        ),
        (vec![("stay", stays()), ("at", whole())], vec!["a:value", "a:*"], "is asked for twice"),
    ] {
        let error = training_set(&engine, &features, batch(columns), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
    }
    let unknown = training_set(&engine, &["c:value"], spine(whole()), None).await.unwrap_err();
    assert_eq!(unknown.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_spine_gives_an_empty_training_set() {
    let repo = repo();
    let engine = repo.applied().await;
    let empty = spine(Arc::new(TimestampMicrosecondArray::from(Vec::<i64>::new())));
    let (batches, report) = training_set(&engine, &["a:value"], empty, None).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    assert_eq!(report.rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_memory_is_an_error_that_says_so() {
    let repo = repo();
    repo.write("hitherto.yaml", "memory: 64KiB");
    let config = hitherto_engine::Config::read(repo.path()).unwrap();
    let engine =
        hitherto_engine::Engine::open(repo.path(), &config, hitherto_engine::Access::ReadWrite);
    let engine = engine.unwrap();
    crate::repo::apply(&engine).await;
    let times = Arc::new(TimestampMicrosecondArray::from_iter_values(0..100_000));
    let error = training_set(&engine, &["a:value"], spine(times), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_names_the_join_and_counts_what_it_did() {
    let repo = repo();
    let engine = repo.applied().await;
    let request = hitherto_api::TrainingSetRequest {
        selection: hitherto_api::Selection::features(["a:value"]).unwrap(),
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: Default::default(),
    };
    let spine = spine(Arc::new(TimestampMicrosecondArray::from(vec![12, 30])));
    let mut running = engine.training_set(grant(), &request, spine, 0).await.unwrap();
    while let Some(batch) = running.next().await {
        batch.unwrap();
    }
    let plan = running.explain();
    assert!(plan.contains("PointInTimeJoinExec: at=at, views=[a], features=1"), "{plan}");
    assert!(plan.contains("output_rows=2") && plan.contains("facts="), "{plan}");
}
