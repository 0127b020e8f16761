//! Broken repositories and what their owners are told: one clear error for
//! each problem, with file and line, and nothing applied. The shapes of YAML
//! itself are tested in `hitherto-core`; here a source is at hand.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use hitherto_api::MaterializeMode;
use hitherto_core::Kind;
use hitherto_core::definition::diff::{Action, Effect};
use hitherto_engine::Access;

use crate::repo::{Repo, apply, grant, materialize};

const GOOD: &str = "apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay_id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs.parquet, eventTime: drawn, knownTime: released }
  ttl: 24h
  features: [{ name: lactate, type: float64 }]
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: model }
spec: { features: ['labs:lactate'] }
";

fn repo(yaml: &str) -> Repo {
    let repo = Repo::new(yaml);
    let times = || Arc::new(TimestampMicrosecondArray::from(vec![1, 2]));
    repo.parquet(
        "labs.parquet",
        vec![
            ("stay_id", Arc::new(Int64Array::from(vec![1, 2]))),
            ("drawn", times()),
            ("released", times()),
            ("lactate", Arc::new(Float64Array::from(vec![1.5, 2.5]))),
            ("note", Arc::new(StringArray::from(vec!["a", "b"]))),
        ],
    );
    repo
}

/// Changes the good repository and expects this message, whole, and nothing applied.
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from:?} is in the good repository");
    let repo = repo(&GOOD.replacen(from, to, 1));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = repo.open(Access::ReadWrite).unwrap();
        let error = engine.plan(grant()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.to_string(), expected);
        assert_eq!(engine.catalog().version, 0);
    });
}

#[test]
fn missing_column_is_named_with_its_line_and_a_suggestion() {
    check(
        "features: [{ name: lactate, type: float64 }]",
        "features: [{ name: lactate, type: float64 }, { name: nota, type: string }]",
        "definitions.yaml:13:56: feature view \"labs\": the source has no column \"nota\"; did you \
         mean \"note\"?",
    );
}

#[test]
fn missing_source_column_is_reported_once_the_yaml_is_right() {
    check(
        "eventTime: drawn",
        "eventTime: drawm",
        "definitions.yaml:11:47: feature view \"labs\": the source has no column \"drawm\"; did \
         you mean \"drawn\"?",
    );
}

#[test]
fn declared_type_that_differs_from_the_file_is_refused_not_cast() {
    check(
        "type: float64",
        "type: float32",
        "definitions.yaml:13:22: feature view \"labs\": column \"lactate\" has type float64 where \
         float32 is declared; declare float64, or take CAST(lactate AS REAL) AS lactate in \
         source.sql",
    );
}

#[test]
fn join_key_of_another_type_is_refused() {
    check(
        "name: stay_id, type: int64",
        "name: stay_id, type: string",
        "definitions.yaml:10:11: feature view \"labs\": column \"stay_id\" has type int64 where \
         string is declared; declare int64, or take CAST(stay_id AS VARCHAR) AS stay_id in \
         source.sql",
    );
}

#[test]
fn time_column_that_is_no_time_is_refused() {
    check(
        "knownTime: released",
        "knownTime: note",
        "definitions.yaml:11:65: feature view \"labs\": column \"note\" has type string, \
         where a timestamp or date is needed; name another, or cast it in source.sql",
    );
}

#[test]
fn source_that_is_not_there_names_where_it_was_looked_for() {
    let repo = repo(&GOOD.replace("labs.parquet", "lab.parquet"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = repo.open(Access::ReadWrite).unwrap();
        let error = engine.plan(grant()).await.unwrap_err().to_string();
        let looked = repo.path().join("lab.parquet");
        assert!(error.starts_with("definitions.yaml:11:22: feature view \"labs\": "), "{error}");
        assert!(error.contains(&looked.display().to_string()), "{error}");
    });
}

#[test]
fn source_sql_may_read_and_nothing_else() {
    for sql in ["COPY source TO 'stolen.parquet'", "CREATE TABLE t AS SELECT 1", "SET a = 1"] {
        let with = format!("parquet: labs.parquet, sql: \"{sql}\"");
        let repo = repo(&GOOD.replace("parquet: labs.parquet", &with));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let engine = repo.open(Access::ReadWrite).unwrap();
            assert_eq!(engine.plan(grant()).await.unwrap_err().kind(), Kind::Invalid, "{sql}");
        });
        assert!(!repo.path().join("stolen.parquet").exists());
    }
}

#[test]
fn truncated_parquet_is_corrupt_and_named() {
    let repo = repo(GOOD);
    let path = repo.path().join("labs.parquet");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = repo.open(Access::ReadWrite).unwrap();
        let error = engine.plan(grant()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("labs.parquet"), "{error}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_twice_changes_nothing_and_a_ttl_keeps_the_online_copy() {
    let repo = repo(GOOD);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 10).await;
    assert!(engine.plan(grant()).await.unwrap().is_empty());

    repo.write("definitions.yaml", &GOOD.replace("ttl: 24h", "ttl: 12h"));
    let plan = engine.plan(grant()).await.unwrap();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!((plan.changes[0].action, plan.changes[0].effect), (Action::Update, Effect::Serving));
    apply(&engine).await;
    let view = engine.catalog().registry.view("labs").unwrap().clone();
    assert_eq!((view.id, view.version, view.schema_version), (1, 2, 1));
    assert!(engine.catalog().online(view.id).is_some(), "the rows are still right");

    repo.write("definitions.yaml", &GOOD.replace("eventTime: drawn", "eventTime: released"));
    apply(&engine).await;
    let view = engine.catalog().registry.view("labs").unwrap().clone();
    assert_eq!((view.id, view.version), (2, 3));
    assert!(engine.catalog().online(view.id).is_none(), "old rows are never reinterpreted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_before_another_change_is_a_conflict() {
    let repo = repo(GOOD);
    let engine = repo.open(Access::ReadWrite).unwrap();
    let plan = engine.plan(grant()).await.unwrap();
    engine.apply(grant(), &plan, 0).await.unwrap();
    assert_eq!(engine.apply(grant(), &plan, 0).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_above_repositories_names_them() {
    let above = Repo::new(GOOD);
    std::fs::rename(above.path().join("definitions.yaml"), above.path().join("kept.txt")).unwrap();
    for below in ["icu/hitherto.yaml", "lab/more/hitherto.yaml"] {
        above.write(below, "memory: 512MiB\n");
    }
    let engine = above.open(Access::ReadWrite).unwrap();
    let error = engine.plan(grant()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let told = error.to_string();
    let words = "is no repository, but has some below it: icu, lab/more; name one of them with";
    assert!(told.contains(words), "{told}");
    above.write("hitherto.yaml", "memory: 512MiB\n");
    let told = engine.plan(grant()).await.unwrap_err().to_string();
    assert!(told.contains("is a repository with others below it: icu, lab/more; move"), "{told}");
}
