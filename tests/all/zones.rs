//! Times without a zone: said to be read as UTC, or read as the local times that they are
//! declared to be, on every path alike.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch};
use arrow::array::{TimestampMicrosecondArray, TimestampNanosecondArray};
use arrow::datatypes::Int64Type;
use hitherto_api::{
    Ack, KeyColumn, MaterializeMode, OptimizeMode, PushRequest, Selection, Spine,
    TrainingSetReport, TrainingSetRequest, WhyRequest,
};
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::zone::Zone;
use hitherto_engine::Engine;

use crate::repo::{Repo, Silent, apply, batch, grant, lookup, materialize};

const HOUR: i64 = 3_600_000_000;

/// Views of the same facts: as local times, through SQL, and as the moments that they were.
const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: local }
spec:
  entity: stay
  source: { parquet: local, eventTime: drawn, knownTime: released, timezone: Europe/Berlin }
  ttl: 300d
  features: [{ name: value, type: int64 }]
  online: { history: 3y }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: query }
spec:
  entity: stay
  source:
    parquet: local
    sql: SELECT * FROM source WHERE value >= 0
    eventTime: drawn
    knownTime: released
    timezone: Europe/Berlin
  ttl: 300d
  features: [{ name: value, type: int64 }]
  online: { history: 3y }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: told }
spec:
  entity: stay
  source: { parquet: told, eventTime: drawn, knownTime: released }
  ttl: 300d
  features: [{ name: value, type: int64 }]
  online: { history: 3y }
";

const VIEWS: [&str; 3] = ["local", "query", "told"];

fn at(text: &str) -> i64 {
    parse_timestamp(text).unwrap()
}

/// What clocks in Berlin showed in 2026.
fn shown(utc: i64) -> i64 {
    let is_summer = at("2026-03-29T01:00:00Z") <= utc && utc < at("2026-10-25T01:00:00Z");
    utc + if is_summer { 2 * HOUR } else { HOUR }
}

/// When facts count whose clock showed this: the later of two readings.
fn later(local: i64) -> i64 {
    let never = at("2026-03-29T02:00:00Z")..at("2026-03-29T03:00:00Z");
    match [local - HOUR, local - 2 * HOUR].into_iter().find(|utc| shown(*utc) == local) {
        Some(utc) => utc,
        None => {
            assert!(never.contains(&local), "{}", format_timestamp(local));
            local - HOUR
        }
    }
}

/// When questions count: the earlier of two readings.
fn earlier(local: i64) -> i64 {
    let found = [local - 2 * HOUR, local - HOUR].into_iter().find(|utc| shown(*utc) == local);
    found.unwrap_or(local - 2 * HOUR)
}

/// Local times: all of the year, and every ten minutes about both nights.
fn locals() -> Vec<i64> {
    let year = (0..700).map(|number| at("2026-01-02") + number * (12 * HOUR + 7_654_321));
    let nights = ["2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"].map(at);
    let nights = nights.into_iter().flat_map(|first| (0..48).map(move |n| first + n * HOUR / 6));
    year.chain(nights).collect()
}

fn naive(times: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times))
}

fn zoned(times: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
}

fn numbers(numbers: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(numbers))
}

/// Three entities; what is drawn is released 40 minutes later, by the same clock.
fn facts(drawn: ArrayRef, released: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let rows = drawn.len() as i64;
    vec![
        ("id", numbers((0..rows).map(|row| row % 3))),
        ("drawn", drawn),
        ("released", released),
        ("value", numbers(0..rows)),
    ]
}

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    let (drawn, released) = (locals(), locals().into_iter().map(|local| local + 2 * HOUR / 3));
    let released: Vec<i64> = released.collect();
    for (number, part) in [0..350, 350..700, 700..drawn.len()].into_iter().enumerate() {
        let (drawn, released) = (&drawn[part.clone()], &released[part]);
        let one = facts(naive(drawn.iter().copied()), naive(released.iter().copied()));
        repo.parquet(&format!("local/{number}.parquet"), one);
        let moments = |times: &[i64]| zoned(times.iter().copied().map(later));
        repo.parquet(&format!("told/{number}.parquet"), facts(moments(drawn), moments(released)));
    }
    repo
}

fn request(features: &[&str], timezone: Option<&str>) -> TrainingSetRequest {
    TrainingSetRequest {
        selection: Selection::features(features).unwrap(),
        timestamp: String::from("at"),
        timezone: timezone.map(|zone| Zone::named(zone).unwrap()),
        known_by: None,
        known: None,
        names: Default::default(),
    }
}

fn spine(times: ArrayRef) -> RecordBatch {
    let rows = times.len() as i64;
    batch(vec![("id", numbers((0..rows).map(|row| row % 3))), ("at", times)])
}

async fn ask(
    engine: &Engine,
    view: &str,
    spine: RecordBatch,
    timezone: Option<&str>,
) -> (Vec<Option<i64>>, TrainingSetReport) {
    let spine = Spine::Rows { schema: spine.schema(), batches: vec![spine] };
    read(engine, view, spine, timezone).await
}

async fn read(
    engine: &Engine,
    view: &str,
    spine: Spine,
    timezone: Option<&str>,
) -> (Vec<Option<i64>>, TrainingSetReport) {
    let request = request(&[&format!("{view}:value")], timezone);
    let mut rows = engine.training_set(grant(), &request, spine, i64::MAX).await.unwrap();
    let mut values = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch.unwrap();
        values.extend(batch.column_by_name("value").unwrap().as_primitive::<Int64Type>().iter());
    }
    (values, rows.finish().report)
}

/// Moments just before, at and after whatever changes an answer.
fn questions() -> Vec<i64> {
    let seen = locals()
        .into_iter()
        .map(later)
        .chain(locals().into_iter().map(|local| later(local + 2 * HOUR / 3)));
    seen.flat_map(|at| [at - 1, at, at + 1]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn local_times_are_the_moments_that_they_were_on_every_path() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, at("2027-06-01")).await;
    let expected = ask(&engine, "told", spine(zoned(questions())), None).await;
    assert!(expected.1.views[0].present > 3_000, "{:?}", expected.1);
    for view in ["local", "query"] {
        for is_optimized in [false, true] {
            if is_optimized {
                engine.optimize(grant(), view, OptimizeMode::IfChanged, &Silent).await.unwrap();
            }
            let found = ask(&engine, view, spine(zoned(questions())), None).await;
            assert_eq!(found.0, expected.0, "{view}, optimized: {is_optimized}");
            assert_eq!(found.1.views[0].leaks, expected.1.views[0].leaks, "{view}");
            assert_eq!(found.1.warnings, [""; 0]);
            // A narrow spine, for which most of a file is pruned.
            let few: Vec<i64> = questions().into_iter().skip(2_100).take(9).collect();
            let found = ask(&engine, view, spine(zoned(few.iter().copied())), None).await;
            assert_eq!(found.0, expected.0[2_100..2_109], "{view}, few");
        }
    }
    let verified = engine.verify(grant(), &Default::default(), at("2027-06-01")).await.unwrap();
    assert_eq!((verified.differences(), verified.stale().count()), (0, 0), "{verified:?}");
    for asked in questions().into_iter().step_by(97) {
        let found = VIEWS.map(|view| {
            let keys = vec![KeyColumn { name: "id".into(), parts: vec![Some(OwnedPart::Int(1))] }];
            let found = lookup(&engine, &[&format!("{view}:value")], keys, Some(asked), i64::MAX);
            let found = found.unwrap();
            let Values::I64(values) = &found.columns[0].values else { panic!("{found:?}") };
            (values.clone(), found.columns[0].status(0), found.times[0].times.clone())
        });
        assert_eq!(found[0], found[2], "{}", format_timestamp(asked));
        assert_eq!(found[1], found[2], "{}", format_timestamp(asked));
        let mut shown = Vec::new();
        for view in VIEWS {
            let keys = vec![KeyColumn { name: "id".into(), parts: vec![Some(OwnedPart::Int(1))] }];
            let why = WhyRequest { at: Some(asked), ..WhyRequest::new(view, keys) };
            let why = engine.why(grant(), &why, i64::MAX).await.unwrap();
            shown.push(why.candidates.iter().map(|one| (one.event, one.known)).collect::<Vec<_>>());
        }
        assert_eq!((&shown[0], &shown[1]), (&shown[2], &shown[2]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_spine_asks_at_the_moments_that_it_means_in_every_form() {
    let repo = repo();
    let engine = repo.applied().await;
    let asked = locals();
    let expected =
        ask(&engine, "told", spine(zoned(asked.iter().copied().map(earlier))), None).await.0;
    let micros = spine(naive(asked.iter().copied()));
    repo.parquet(
        "spine.parquet",
        vec![("id", micros.column(0).clone()), ("at", micros.column(1).clone())],
    );
    for view in VIEWS {
        let (found, report) = ask(&engine, view, micros.clone(), Some("Europe/Berlin")).await;
        assert_eq!((found, report.warnings), (expected.clone(), Vec::new()), "{view}");
        let file = Spine::File(repo.path().join("spine.parquet"));
        let (found, _) = read(&engine, view, file, Some("Europe/Berlin")).await;
        assert_eq!(found, expected, "{view}, of a file");
    }
    // What has a zone is not moved, and digits below a microsecond ask earlier.
    let moments = spine(zoned(asked.iter().copied().map(earlier)));
    assert_eq!(ask(&engine, "local", moments, Some("Asia/Tokyo")).await.0, expected);
    let nanos = asked.iter().map(|local| local * 1_000 + 999);
    let nanos = spine(Arc::new(TimestampNanosecondArray::from_iter_values(nanos)));
    assert_eq!(ask(&engine, "local", nanos, Some("Europe/Berlin")).await.0, expected);
    // A date is its midnight there.
    let midnights = ["2026-07-01T22:00:00Z", "2026-12-01T23:00:00Z"].map(at);
    let days = midnights.map(|midnight| ((midnight + 2 * HOUR) / (24 * HOUR)) as i32);
    let by_day = spine(Arc::new(Date32Array::from(days.to_vec())));
    let expected = ask(&engine, "told", spine(zoned(midnights)), None).await.0;
    assert_eq!(ask(&engine, "told", by_day, Some("Europe/Berlin")).await.0, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_local_times_are_read_like_those_of_the_source() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, at("2026-12-31")).await;
    let local = at("2026-12-30T12:00:00Z");
    for (view, time) in [("local", naive([local])), ("told", zoned([later(local)]))] {
        let facts = batch(facts(Arc::clone(&time), time));
        let (view, idempotency_key) = (view.to_owned(), String::new());
        let request = PushRequest { view, facts, idempotency_key, ack: Ack::Durable };
        engine.push(grant(), &request, at("2026-12-31")).unwrap();
    }
    let moments = [later(local) - 1, later(local)];
    let keyed = batch(vec![("id", numbers([0, 0])), ("at", zoned(moments))]);
    let expected = ask(&engine, "told", keyed.clone(), None).await.0;
    assert_eq!(expected[1], Some(0), "what was pushed");
    assert_ne!(expected[0], Some(0));
    assert_eq!(ask(&engine, "local", keyed, None).await.0, expected);
    let verified = engine.verify(grant(), &Default::default(), at("2026-12-31")).await.unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_nobody_says_anything_of_are_told_everywhere() {
    let repo = repo();
    repo.write("definitions.yaml", &YAML.replace(", timezone: Europe/Berlin", ""));
    let engine = repo.applied().await;
    let told = "event and known times of feature view \"local\" have no zone and are read as UTC; \
                declare source.timezone, such as Europe/Berlin, or UTC if that is what they are";
    assert_eq!(engine.plan(grant()).await.unwrap().warnings, [told]);
    let runs = materialize(&engine, MaterializeMode::Full, at("2027-06-01")).await;
    let warnings: Vec<_> = runs.iter().flat_map(|run| &run.warnings).collect();
    assert_eq!(warnings, [told]);
    let of_spine = "times of the spine's column \"at\" have no zone and are read as UTC; name \
                    theirs with --timezone (in Python timezone=), such as Europe/Berlin, or UTC \
                    if that is what they are";
    let rows = spine(naive(locals()));
    let request = request(&["local:value", "one=local:*", "told[id=id]:value"], None);
    let request = TrainingSetRequest { names: hitherto_api::FeatureNames::Full, ..request };
    let mut rows = engine.training_set(grant(), &request, rows, i64::MAX).await.unwrap();
    while let Some(batch) = rows.next().await {
        batch.unwrap();
    }
    let finished = rows.finish();
    assert_eq!(finished.report.warnings, [of_spine, told]);
    assert_eq!(finished.manifest().unwrap().warnings, [of_spine, told]);
    // UTC is a zone to be declared like any other, and then nothing is to be told.
    repo.write("definitions.yaml", &YAML.replace("Europe/Berlin", "UTC"));
    let plan = engine.plan(grant()).await.unwrap();
    assert_eq!((plan.warnings.len(), plan.changes.len()), (0, 2), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_zone_makes_the_online_copy_stale() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, at("2027-06-01")).await;
    engine.optimize(grant(), "local", OptimizeMode::IfChanged, &Silent).await.unwrap();
    let asked = || spine(zoned(questions()));
    let before = ask(&engine, "local", asked(), None).await.0;
    repo.write("definitions.yaml", &YAML.replace("Europe/Berlin", "America/New_York"));
    let plan = engine.plan(grant()).await.unwrap().to_string();
    let words = "source.timezone: Europe/Berlin -> America/New_York";
    assert!(plan.contains(words) && plan.contains("materialized"), "{plan}");
    apply(&engine).await;
    let runs = materialize(&engine, MaterializeMode::Incremental, at("2027-06-01")).await;
    let built: Vec<_> = runs.iter().map(|run| (run.view.as_str(), run.is_up_to_date)).collect();
    assert_eq!(built, [("local", false), ("query", false), ("told", true)]);
    assert_ne!(ask(&engine, "local", asked(), None).await.0, before);
    let verified = engine.verify(grant(), &Default::default(), at("2027-06-01")).await.unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_local_days_is_one_of_local_times() {
    let day = |zone: &str| {
        let yaml = YAML.replace("parquet: local,", "parquet: days, partitionedBy: day,");
        yaml.replace("Europe/Berlin", zone)
    };
    let repo = repo();
    repo.write("definitions.yaml", &day("Europe/Berlin"));
    // The day began at 22:00 of the day before in UTC.
    let times = ["2026-07-05T00:10:00Z", "2026-07-05T23:50:00Z"].map(at);
    repo.parquet("days/2026-07-05/a.parquet", facts(naive(times), naive(times)));
    let later = ["2026-07-06T00:10:00Z"].map(at);
    repo.parquet("days/2026-07-06/a.parquet", facts(naive(later), naive(later)));
    let engine = repo.applied().await;
    let asked = ["2026-07-04T22:09:59Z", "2026-07-04T22:10:00Z", "2026-07-05T22:10:00Z"].map(at);
    let keyed = batch(vec![("id", numbers([0; 3])), ("at", zoned(asked))]);
    let found = ask(&engine, "local", keyed, None).await.0;
    assert_eq!(found, [None, Some(0), Some(0)]);
}
