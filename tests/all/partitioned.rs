//! Files whose paths name the day of their facts: what a question cannot concern is not
//! opened, and a path that is not true is refused.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use hitherto_core::Kind;
use hitherto_core::time::parse_timestamp;
use hitherto_engine::Engine;

use crate::repo::{Repo, batch, explained, grant};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: drawn, partitionedBy: day }
  features: [{ name: value, type: int64 }]
";

fn times(texts: &[&str]) -> ArrayRef {
    let times = texts.iter().map(|text| parse_timestamp(text).unwrap());
    Arc::new(TimestampMicrosecondArray::from_iter_values(times))
}

/// A file of facts about entity 1, valued 0, 1, ... in their order.
fn write(repo: &Repo, path: &str, drawn: &[&str]) {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1; drawn.len()]));
    let values = Arc::new(Int64Array::from_iter_values(0..drawn.len() as i64));
    repo.parquet(path, vec![("id", ids), ("drawn", times(drawn)), ("value", values)]);
}

fn lake() -> Repo {
    let repo = Repo::new(YAML);
    write(&repo, "labs/day=2026-01-04/a.parquet", &["2026-01-04T00:00:00Z"]);
    let fifth = ["2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z", "2026-01-05T23:59:59.999999Z"];
    write(&repo, "labs/2026/01/05/a.parquet", &fifth);
    write(&repo, "labs/20260106.parquet", &["2026-01-06T00:00:00Z"]);
    repo
}

async fn answers(engine: &Engine, at: &[&str]) -> (Vec<Option<i64>>, String) {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1; at.len()]));
    let spine: RecordBatch = batch(vec![("id", ids), ("at", times(at))]);
    let (batches, _, plan) = explained(engine, &["labs:value"], spine, None).await.unwrap();
    let values = batches.iter().flat_map(|batch| {
        batch.column_by_name("value").unwrap().as_primitive::<Int64Type>().iter()
    });
    (values.collect(), plan)
}

#[tokio::test]
async fn files_of_later_days_are_not_opened() {
    let repo = lake();
    let engine = repo.applied_in_memory().await;
    // Whoever opened it would see that it is none.
    fs::write(repo.path().join("labs/20260106.parquet"), "no Parquet").unwrap();
    let last = "2026-01-05T23:59:59.999999Z";
    let (values, plan) =
        answers(&engine, &["2026-01-03", "2026-01-04", "2026-01-05T08:30:00Z", last]).await;
    assert_eq!(values, [None, Some(0), Some(0), Some(2)]);
    assert!(plan.contains("FactFilesExec: files=2,"), "{plan}");
    let (values, plan) = answers(&engine, &["2026-01-03"]).await;
    assert_eq!(values, [None]);
    assert!(plan.contains("FactFilesExec: files=1,"), "one file, for its columns: {plan}");
}

#[tokio::test]
async fn a_path_that_is_not_true_is_refused() {
    for (path, expected) in [
        (
            "labs/2026-01-07.parquet",
            "the path of source file labs/2026-01-07.parquet names the day that begins at \
             2026-01-07T00:00:00Z, but it holds facts from 2026-01-06T23:00:00Z to \
             2026-01-07T01:00:00Z",
        ),
        (
            "labs/newest.parquet",
            "the path of source file labs/newest.parquet names no day; write it to one that does, \
             such as 2026-01-05/",
        ),
    ] {
        let repo = lake();
        let engine = repo.applied_in_memory().await;
        write(&repo, path, &["2026-01-06T23:00:00Z", "2026-01-07T01:00:00Z"]);
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let at = times(&["2026-01-09"]);
        let spine = batch(vec![("id", ids), ("at", at)]);
        let error = explained(&engine, &["labs:value"], spine, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
        // And before that, when somebody plans.
        repo.write("definitions.yaml", &YAML.replace("name: labs }", "name: other }"));
        let error = engine.plan(grant()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("source.partitionedBy"), "{error}");
    }
}
