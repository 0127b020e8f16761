//! Runs that come again, come late, or are cut off.

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};
use hitherto_api::{
    KeyColumn, MaterializeMode, MaterializeRequest, Materialized, TimeRange, VerifyRequest,
};
use hitherto_core::Kind;
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;

use crate::repo::{Repo, Silent, apply, grant, lookup, materialize};

fn definitions(more: &str) -> String {
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: stay }}
spec: {{ keys: [{{ name: stay, type: string }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: labs }}
spec:
  entity: stay
  source: {{ parquet: labs, eventTime: event, knownTime: known {more} }}
  features: [{{ name: value, type: int64 }}]
  online: {{ history: 500us }}
"
    )
}

/// Writes facts (stay, event, known, value) into one file of the source.
fn write(repo: &Repo, file: &str, facts: &[(&str, i64, i64, i64)]) {
    let stays = facts.iter().map(|fact| Some(fact.0));
    let times = |time: fn(&(&str, i64, i64, i64)) -> i64| {
        Arc::new(TimestampMicrosecondArray::from_iter_values(facts.iter().map(time)))
    };
    repo.parquet(
        &format!("labs/{file}.parquet"),
        vec![
            ("stay", Arc::new(StringArray::from_iter(stays))),
            ("event", times(|fact| fact.1)),
            ("known", times(|fact| fact.2)),
            ("value", Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| fact.3)))),
        ],
    );
}

fn value(engine: &Engine, stay: &str, as_of: Option<i64>, now: i64) -> Result<i64, Status> {
    let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let found = lookup(engine, &["labs:value"], keys, as_of, now).unwrap();
    match (found.columns[0].status(0), &found.columns[0].values) {
        (Status::Present, Values::I64(values)) => Ok(values[0]),
        (status, _) => Err(status),
    }
}

async fn run(engine: &Engine, now: i64) -> Materialized {
    materialize(engine, MaterializeMode::Incremental, now).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_has_nothing_to_do_even_after_a_touch() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[("x", 10, 10, 1)]);
    let engine = repo.applied().await;
    let first = run(&engine, 100).await;
    assert_eq!((first.mode, first.facts, first.entities), (MaterializeMode::Full, 1, 1));
    let second = run(&engine, 101).await;
    assert!(second.is_up_to_date);
    write(&repo, "a", &[("x", 10, 10, 1)]);
    assert!(run(&engine, 102).await.is_up_to_date, "the same bytes written again are no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_arrives_late_is_picked_up_where_it_belongs() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "monday", &[("x", 100, 100, 1), ("x", 300, 300, 3)]);
    let engine = repo.applied().await;
    run(&engine, 400).await;
    write(&repo, "a_week_late", &[("x", 200, 350, 2)]);
    let late = run(&engine, 410).await;
    assert_eq!((late.mode, late.files, late.entities), (MaterializeMode::Incremental, 1, 1));
    assert_eq!(value(&engine, "x", None, 420), Ok(3), "older facts revert nothing");
    assert_eq!(value(&engine, "x", Some(299), 420), Ok(1), "not known at 299");
    write(&repo, "correction", &[("x", 300, 405, 33)]);
    run(&engine, 420).await;
    assert_eq!(value(&engine, "x", None, 420), Ok(33));
    assert_eq!(value(&engine, "x", Some(404), 420), Ok(3), "as it was before the correction");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_from_the_future_does_not_move_the_watermark() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[("x", 900, 900, 1), ("y", 800, 800, 1)]);
    let engine = repo.applied().await;
    assert_eq!(run(&engine, 100).await.watermark, Some(900), "nothing has happened yet");
    write(&repo, "b", &[("x", 70, 70, 2), ("x", 950, 950, 3), ("z", 60, 60, 1)]);
    assert_eq!(run(&engine, 100).await.watermark, Some(70));
    let full = materialize(&engine, MaterializeMode::Full, 850).await.remove(0);
    assert_eq!(full.watermark, Some(800));
    assert_eq!(value(&engine, "x", None, 940), Ok(1), "they wait all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_no_facts_has_no_watermark() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[]);
    let engine = repo.applied().await;
    assert_eq!(run(&engine, 100).await.watermark, None);
    assert_eq!(run(&engine, 110).await.watermark, None, "nothing is new");
    write(&repo, "b", &[("x", 70, 70, 2)]);
    assert_eq!(run(&engine, 120).await.watermark, Some(70));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_from_the_future_waits_and_the_one_before_it_answers() {
    for more in ["", ", delay: 0s"] {
        let yaml = definitions("")
            .replace(", knownTime: known ", more)
            .replace("  online: { history: 500us }\n", "");
        let repo = Repo::new(&yaml);
        write(&repo, "a", &[("x", 10, 10, 1)]);
        let engine = repo.applied().await;
        run(&engine, 50).await;
        write(&repo, "b", &[("x", 90, 90, 2)]);
        run(&engine, 60).await;
        assert_eq!(value(&engine, "x", None, 60), Ok(1), "no history is asked for, still right");
        assert_eq!(value(&engine, "x", None, 89), Ok(1));
        assert_eq!(value(&engine, "x", None, 90), Ok(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_exact_back_to_its_horizon_and_refused_before() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[("x", 1, 1, 1), ("x", 5, 5, 5), ("x", 900, 900, 9)]);
    let engine = repo.applied().await;
    run(&engine, 1_000).await;
    assert_eq!(
        value(&engine, "x", Some(500), 1_000),
        Ok(5),
        "the fact that answered at the horizon"
    );
    assert_eq!(value(&engine, "x", Some(899), 1_000), Ok(5));
    assert_eq!(value(&engine, "x", Some(900), 1_000), Ok(9));
    let keys = vec![KeyColumn { name: String::from("stay"), parts: vec![None] }];
    let error = lookup(&engine, &["labs:value"], keys, Some(499), 1_000).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("1970-01-01T00:00:00.0005Z"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_forgot_is_forgotten() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[("x", 10, 10, 1), ("y", 10, 10, 1)]);
    let engine = repo.applied().await;
    run(&engine, 100).await;
    write(&repo, "b", &[("z", 10, 10, 1)]);
    assert_eq!(run(&engine, 100).await.mode, MaterializeMode::Incremental, "a new file");

    // A file is written again without a fact, and then one goes.
    write(&repo, "a", &[("x", 10, 10, 1)]);
    let changed = run(&engine, 100).await;
    assert_eq!((changed.mode, changed.files, changed.generation), (MaterializeMode::Full, 2, 2));
    assert_eq!(value(&engine, "x", None, 100), Ok(1));
    assert_eq!(value(&engine, "y", None, 100), Err(Status::NotFound));
    std::fs::remove_file(repo.path().join("labs/b.parquet")).unwrap();
    let gone = run(&engine, 100).await;
    assert_eq!((gone.mode, gone.files, gone.generation), (MaterializeMode::Full, 1, 3));
    assert_eq!(value(&engine, "z", None, 100), Err(Status::NotFound));

    let full = materialize(&engine, MaterializeMode::Full, 100).await.remove(0);
    assert_eq!(full.generation, 4, "as often as it is asked for");
    assert_eq!(value(&engine, "x", None, 100), Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_over_many_rows_is_never_computed_from_new_files_alone() {
    let sql = ", sql: \"SELECT stay, event, known, SUM(value) OVER (PARTITION BY stay ORDER BY event) \
               AS value FROM source\"";
    let repo = Repo::new(&definitions(sql));
    write(&repo, "a", &[("x", 10, 10, 1)]);
    let engine = repo.applied().await;
    run(&engine, 100).await;
    write(&repo, "b", &[("x", 20, 20, 2)]);
    let second = run(&engine, 100).await;
    assert_eq!((second.mode, second.files), (MaterializeMode::Full, 2));
    assert_eq!(value(&engine, "x", None, 100), Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_with_a_subquery_is_computed_from_all_files_too() {
    let sql = ", sql: \"SELECT stay, event, known, value FROM source \
               WHERE value > (SELECT AVG(value) FROM source)\"";
    let repo = Repo::new(&definitions(sql));
    write(&repo, "a", &[("x", 10, 10, 1), ("y", 10, 10, 5)]);
    let engine = repo.applied().await;
    run(&engine, 100).await;
    assert_eq!(value(&engine, "y", None, 100), Ok(5));
    write(&repo, "b", &[("z", 20, 20, 90)]);
    let second = run(&engine, 100).await;
    assert_eq!((second.mode, second.files), (MaterializeMode::Full, 2));
    assert_eq!(value(&engine, "y", None, 100), Err(Status::NotFound), "below the new average");
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_without_time_or_key_answer_nothing_and_are_counted() {
    let repo = Repo::new(&definitions(""));
    repo.parquet(
        "labs/a.parquet",
        vec![
            ("stay", Arc::new(StringArray::from(vec![Some("x"), Some("y"), None]))),
            ("event", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(1)]))),
            ("known", Arc::new(TimestampMicrosecondArray::from(vec![None, Some(1), Some(1)]))),
            ("value", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ],
    );
    let engine = repo.applied().await;
    let done = run(&engine, 100).await;
    assert_eq!((done.facts, done.facts_without_time, done.facts_without_key), (3, 1, 1));
    assert_eq!(value(&engine, "x", None, 100), Err(Status::NotFound));

    // What nobody can say when it was known is seen where known time does not count.
    repo.write(
        "definitions.yaml",
        &definitions("").replace("  online", "  known: ignore\n  online"),
    );
    let view = engine.catalog().registry.view("labs").unwrap().clone();
    apply(&engine).await;
    assert_eq!(engine.catalog().registry.view("labs").unwrap().id, view.id, "the same rows");
    assert_eq!(value(&engine, "x", None, 100), Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_differs_by_more_than_declared_is_shown_to_nobody() {
    let max_change = "  online: { history: 500us, maxChange: { entities: 50%, nulls: 10%, range: \
                      100% } }";
    let yaml = definitions("").replace("  online: { history: 500us }", max_change);
    let repo = Repo::new(&yaml);
    write(&repo, "a", &[("x", 10, 10, 100), ("y", 10, 10, 200)]);
    let engine = repo.applied().await;
    run(&engine, 100).await;
    let full = async |force| {
        let mode = MaterializeMode::Full;
        let request = MaterializeRequest { mode, force, ..MaterializeRequest::default() };
        engine.materialize(grant(), &request, 100, &Silent).await.map(|mut done| done.remove(0))
    };

    // What an incremental run brings is allowed for: the range is [100, 250] now.
    write(&repo, "b", &[("x", 20, 20, 250)]);
    run(&engine, 100).await;
    write(&repo, "b", &[("x", 20, 20, 400)]);
    assert_eq!(full(false).await.unwrap().generation, 2, "250 + 100% of 150");

    write(&repo, "b", &[("x", 20, 20, 1_001)]);
    let error = full(false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let text = error.to_string();
    assert!(text.contains("value is in [200, 1001] instead of [200, 400]"), "{text}");
    assert!(text.contains("hitherto materialize labs --full --force"), "{text}");
    assert_eq!(value(&engine, "x", None, 100), Ok(400), "readers see the old one");
    assert!(full(false).await.is_err(), "a refusal consumes nothing");
    assert_eq!(full(true).await.unwrap().generation, 3);
    assert_eq!(value(&engine, "x", None, 100), Ok(1_001));
    assert_eq!(full(false).await.unwrap().generation, 4, "compared with what was forced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_restricted_in_time_brings_that_and_consumes_nothing() {
    let repo = Repo::new(&definitions(""));
    write(&repo, "a", &[("x", 10, 10, 1), ("x", 20, 20, 2), ("x", 30, 30, 3), ("y", 10, 10, 9)]);
    let engine = repo.applied().await;
    let within = async |from, to, mode| {
        let window = TimeRange::between(from, to);
        let request = MaterializeRequest { mode, window, ..MaterializeRequest::default() };
        engine.materialize(grant(), &request, 100, &Silent).await.map(|mut done| done.remove(0))
    };
    let first = within(Some(20), Some(29), MaterializeMode::Incremental).await.unwrap();
    assert_eq!((first.facts, first.entities), (1, 1), "both bounds are included");
    assert_eq!(value(&engine, "x", None, 100), Ok(2));
    assert_eq!(value(&engine, "y", None, 100), Err(Status::NotFound));
    let verified = engine.verify(grant(), &VerifyRequest::default(), 100).await.unwrap();
    let json = serde_json::to_string(&verified).unwrap();
    assert!(json.contains("a run with --from or --to left its copy incomplete"), "{json}");

    let second = within(None, Some(19), MaterializeMode::Incremental).await.unwrap();
    assert_eq!((second.mode, second.facts), (MaterializeMode::Incremental, 2));
    assert_eq!(value(&engine, "x", None, 100), Ok(2), "older facts revert nothing");
    assert_eq!(value(&engine, "y", None, 100), Ok(9));
    let rest = run(&engine, 100).await;
    assert_eq!((rest.mode, rest.files, rest.facts), (MaterializeMode::Incremental, 1, 4));
    assert_eq!(value(&engine, "x", None, 100), Ok(3));
    assert!(run(&engine, 100).await.is_up_to_date);
    assert_eq!(engine.catalog().published.of("labs").unwrap().generation.facts, 4);
    let verified = engine.verify(grant(), &VerifyRequest::default(), 100).await.unwrap();
    let json = serde_json::to_string(&verified).unwrap();
    assert!(!json.contains("incomplete"), "{json}");

    let full = within(Some(1), None, MaterializeMode::Full).await.unwrap_err();
    assert!(full.to_string().contains("a full build takes everything"), "{full}");
}
