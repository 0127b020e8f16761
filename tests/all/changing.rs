//! Definitions that change while lookups go on.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use hitherto_api::why::Online;
use hitherto_api::{KeyColumn, Lookup, MaterializeMode, VerifyRequest, WhyRequest};
use hitherto_core::key::OwnedPart;
use hitherto_core::{Kind, Result};
use hitherto_engine::{Access, BackupFiles, Config, Engine};

use crate::pushing::{VALUE, facts, labs, push, trained, value};
use crate::repo::{self, Repo, apply, grant, lookup, materialize};

const UNIT: &str = "{ name: unit, type: string }";

fn stay() -> Vec<KeyColumn> {
    let parts = vec![Some(OwnedPart::Bytes(b"x".to_vec()))];
    vec![KeyColumn { name: String::from("stay"), parts }]
}

fn found(engine: &Engine, features: &[&str]) -> Result<Lookup> {
    lookup(engine, features, stay(), None, 1_000)
}

/// A view of two columns, of which its definition knows one, built and then redefined to
/// have both.
async fn redefined() -> (Repo, Engine) {
    let service = "
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: model }
spec: { features: [\"labs:*\"] }
";
    let repo = Repo::new(&(labs("", VALUE) + service));
    let mut columns = facts(&[("x", 10, 1)]);
    columns.push(("unit", Arc::new(StringArray::from(vec!["mg"])) as ArrayRef));
    repo.parquet("labs/a.parquet", columns);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    push(&engine, "labs", repo::batch(facts(&[("x", 20, 2)])), "night", 60).unwrap();
    repo.write("definitions.yaml", &(labs("", &format!("{VALUE}, {UNIT}")) + service));
    apply(&engine).await;
    (repo, engine)
}

fn check_is_served_as_before(engine: &Engine) {
    assert_eq!(value(engine, "x", None, 1_000), Ok(2));
    let service = hitherto_api::Selection::Service(String::from("model"));
    let request = hitherto_api::LookupRequest {
        selection: service,
        keys: stay(),
        request: Vec::new(),
        as_of: None,
        with_times: false,
    };
    let answer = engine.lookup(grant(), &request, 1_000).unwrap();
    let names: Vec<_> = answer.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["labs:value"], "the service has what its views have");
    let error = found(engine, &["labs:value", "labs:unit"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("hitherto materialize labs"), "{error}");
    let error = found(engine, &["labs:nothing"]).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_view_is_served_as_it_was_until_it_is_built() {
    let (repo, engine) = redefined().await;
    check_is_served_as_before(&engine);
    // Training sets mean the new definition.
    assert_eq!(trained(&engine, &[("x", 59), ("x", 60)], "labs:value").await, [Some(1), Some(2)]);
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    check_is_served_as_before(&engine);
    let error = push(&engine, "labs", repo::batch(facts(&[("x", 30, 3)])), "", 70).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("hitherto materialize labs"), "{error}");
    let verified = engine.verify(grant(), &VerifyRequest::default(), 70).await.unwrap();
    assert_eq!(verified.stale().map(|(view, _)| view).collect::<Vec<_>>(), ["labs"]);
    let why = WhyRequest::new("labs", stay());
    assert_eq!(engine.why(grant(), &why, 70).await.unwrap().online, Online::EarlierDefinition);

    materialize(&engine, MaterializeMode::Incremental, 80).await;
    let answer = found(&engine, &["labs:value", "labs:unit"]).unwrap();
    assert_eq!(answer.columns.len(), 2);
    assert_eq!(value(&engine, "x", None, 1_000), Ok(2));
    assert_eq!(
        engine.verify(grant(), &VerifyRequest::default(), 80).await.unwrap().differences(),
        0
    );
    // A retry of what was pushed to the old definition is still known by its name: its
    // facts are others now, and refused instead of dropped.
    let mut columns = facts(&[("x", 20, 2)]);
    columns.push(("unit", Arc::new(StringArray::from(vec!["mg"])) as ArrayRef));
    let error = push(&engine, "labs", repo::batch(columns), "night", 90).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_taken_back_has_its_copy_again() {
    let (repo, engine) = redefined().await;
    let before = engine.catalog();
    let before = before.published.of("labs").unwrap();
    let id = before.view.id;
    assert!(engine.catalog().online(id).is_none(), "another definition is applied");
    repo.write("definitions.yaml", &labs("", VALUE));
    apply(&engine).await;
    let catalog = engine.catalog();
    let view = catalog.registry.view("labs").unwrap();
    assert_eq!((view.id, view.version), (id, 3));
    let online = catalog.online(id).unwrap();
    assert_eq!((&online.view, &online.generation), (view, &before.generation));
    assert_eq!(value(&engine, "x", None, 1_000), Ok(2));
    push(&engine, "labs", repo::batch(facts(&[("x", 30, 3)])), "", 70).unwrap();
    assert_eq!(value(&engine, "x", None, 1_000), Ok(3));
    assert_eq!(trained(&engine, &[("x", 60), ("x", 70)], "labs:value").await, [Some(2), Some(3)]);
    assert_eq!(
        engine.verify(grant(), &VerifyRequest::default(), 80).await.unwrap().differences(),
        0
    );

    // There and back again, with what was pushed in between.
    let both = labs("", &format!("{VALUE}, {UNIT}"));
    repo.write("definitions.yaml", &both);
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 90).await;
    let mut columns = facts(&[("x", 40, 4)]);
    columns.push(("unit", Arc::new(StringArray::from(vec!["g"])) as ArrayRef));
    push(&engine, "labs", repo::batch(columns), "", 100).unwrap();
    repo.write("definitions.yaml", &labs("", VALUE));
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 110).await;
    assert_eq!(value(&engine, "x", None, 1_000), Ok(4));
    let spine = [("x", 69), ("x", 70), ("x", 100)];
    assert_eq!(trained(&engine, &spine, "labs:value").await, [Some(2), Some(3), Some(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_a_view_that_is_deleted_come_back_with_it() {
    let repo = Repo::new(&labs("", VALUE));
    repo.parquet("labs/a.parquet", facts(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    push(&engine, "labs", repo::batch(facts(&[("x", 20, 2)])), "", 60).unwrap();
    let entity = labs("", VALUE).split("---").next().unwrap().to_owned();
    repo.write("definitions.yaml", &entity);
    apply(&engine).await;
    repo.write("definitions.yaml", &labs("", VALUE));
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 70).await;
    assert_eq!(value(&engine, "x", None, 1_000), Ok(2));
}

const DOSE: &str = "{ name: dose, type: int64 }";

/// Facts with a dose, which is ten times the value.
fn dosed(rows: &[(&str, i64, i64)]) -> Vec<(&'static str, ArrayRef)> {
    let doses = Int64Array::from_iter_values(rows.iter().map(|row| 10 * row.2));
    let mut columns = facts(rows);
    columns.push(("dose", Arc::new(doses)));
    columns
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_an_earlier_life_are_not_taken_for_those_of_this_one() {
    let repo = Repo::new(&labs("", VALUE));
    repo.parquet("labs/a.parquet", dosed(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    push(&engine, "labs", repo::batch(facts(&[("x", 20, 2)])), "", 60).unwrap();
    assert_eq!(trained(&engine, &[("x", 100)], "labs:value").await, [Some(2)]);
    let entity = labs("", VALUE).split("---").next().unwrap().to_owned();
    repo.write("definitions.yaml", &entity);
    apply(&engine).await;
    // Another view of that name, with as many batches.
    repo.write("definitions.yaml", &labs("", &format!("{VALUE}, {DOSE}")));
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 70).await;
    push(&engine, "labs", repo::batch(dosed(&[("x", 30, 3)])), "", 80).unwrap();
    assert_eq!(trained(&engine, &[("x", 100)], "labs:dose").await, [Some(30)]);
    // Which comes to have the first one's definition.
    repo.write("definitions.yaml", &labs("", VALUE));
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 90).await;
    assert_eq!(trained(&engine, &[("x", 100)], "labs:value").await, [Some(3)]);
    assert_eq!(value(&engine, "x", None, 1_000), Ok(3));
    assert_eq!(
        engine.verify(grant(), &VerifyRequest::default(), 100).await.unwrap().differences(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_facts_of_the_definition_before() {
    let both = labs("", &format!("{VALUE}, {DOSE}"));
    let repo = Repo::new(&both);
    repo.parquet("labs/a.parquet", dosed(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    push(&engine, "labs", repo::batch(dosed(&[("x", 20, 2)])), "", 60).unwrap();
    assert_eq!(trained(&engine, &[("x", 100)], "labs:dose").await, [Some(20)]);
    repo.write("definitions.yaml", &labs("", VALUE));
    apply(&engine).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    engine.backup(grant(), &backup, BackupFiles::Linked, 70).unwrap();
    drop(engine);
    std::fs::remove_dir_all(repo.path().join(".hitherto")).unwrap();
    hitherto_engine::backup::restore(grant(), &backup, repo.path(), &Config::default()).unwrap();
    let engine = repo.open(Access::ReadWrite).unwrap();
    repo.write("definitions.yaml", &both);
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 80).await;
    assert_eq!(trained(&engine, &[("x", 100)], "labs:dose").await, [Some(20)]);
    assert_eq!(
        engine.verify(grant(), &VerifyRequest::default(), 90).await.unwrap().differences(),
        0
    );
}
