//! Requests of every kind, right and wrong.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Int32Array, Int64Array, TimestampMicrosecondArray};
use hitherto_api::{KeyColumn, LookupRequest, MaterializeMode, Selection};
use hitherto_core::Kind;
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::LOOKUP_ENTITIES_MAX;
use hitherto_engine::Engine;

use crate::repo::{Repo, grant, lookup, materialize};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: user }
spec: { keys: [{ name: user_id, type: int32 }] }
---
apiVersion: hitherto/v1
kind: Entity
metadata: { name: visit }
spec: { keys: [{ name: item_id, type: int64 }, { name: user_id, type: int32 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: users }
spec:
  entity: user
  source: { parquet: facts.parquet, eventTime: event }
  ttl: 10us
  features: [{ name: age, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: visits }
spec:
  entity: visit
  source: { parquet: facts.parquet, eventTime: event }
  features: [{ name: count, type: int64 }]
";

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    repo.parquet(
        "facts.parquet",
        vec![
            ("user_id", Arc::new(Int32Array::from(vec![1, 2, 3]))),
            ("item_id", Arc::new(Int64Array::from(vec![10, 20, 30]))),
            ("event", Arc::new(TimestampMicrosecondArray::from(vec![100, 50, 100]))),
            ("age", Arc::new(Int64Array::from(vec![Some(41), Some(42), None]))),
            ("count", Arc::new(Int64Array::from(vec![7, 8, 9]))),
        ],
    );
    repo
}

fn ints(name: &str, values: &[Option<i64>]) -> KeyColumn {
    let parts = values.iter().map(|value| value.map(OwnedPart::Int)).collect();
    KeyColumn { name: name.to_owned(), parts }
}

fn request(feature: &str, keys: Vec<KeyColumn>) -> LookupRequest {
    let selection = Selection::features([feature]).unwrap();
    LookupRequest { selection, keys, request: Vec::new(), as_of: None, with_times: false }
}

async fn engine(repo: &Repo) -> Engine {
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 100).await;
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn many_entities_are_answered_as_few_are() {
    const TIMES: usize = 300;
    let repo = repo();
    let engine = engine(&repo).await;
    let ask = |times: usize| LookupRequest {
        selection: Selection::features(["users:age", "visits:count"]).unwrap(),
        keys: vec![
            ints("user_id", &[Some(1), Some(2), Some(3), Some(4), None].repeat(times)),
            ints("item_id", &[Some(10), Some(20), Some(30), Some(40), Some(50)].repeat(times)),
        ],
        request: Vec::new(),
        as_of: None,
        with_times: true,
    };
    let few = engine.lookup(grant(), &ask(1), 100).unwrap();
    let many = [
        engine.lookup(grant(), &ask(TIMES), 100).unwrap(),
        engine
            .lookup_in_memory(grant(), &ask(TIMES), 100, usize::MAX)
            .unwrap()
            .expect("all rows have just been read"),
    ];
    for found in many {
        assert_eq!(found.rows, few.rows * TIMES);
        for (column, of_few) in found.columns.iter().zip(&few.columns) {
            let is_same = |row: &usize| column.is_same(*row, of_few, row % few.rows);
            assert_eq!((0..found.rows).find(|row| !is_same(row)), None, "{}", column.name);
        }
        for (times, of_few) in found.times.iter().zip(&few.times) {
            assert_eq!(times.times, of_few.times.repeat(TIMES), "{}", times.view);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unknown_entity_never_fails_its_neighbours() {
    let repo = repo();
    let engine = engine(&repo).await;
    // Known, expired, null value, unknown, null key, beyond the key's type.
    let users = [Some(1), Some(2), Some(3), Some(4), None, Some(i64::MAX)];
    let found = lookup(&engine, &["users:age"], vec![ints("user_id", &users)], None, 100).unwrap();
    let statuses: Vec<Status> = (0..6).map(|row| found.columns[0].status(row)).collect();
    let expected = [
        Status::Present,
        Status::Expired,
        Status::Null,
        Status::NotFound,
        Status::NotFound,
        Status::NotFound,
    ];
    assert_eq!(statuses, expected);
    assert_eq!(found.columns[0].values, Values::I64(vec![41, 0, 0, 0, 0, 0]));
    let times = &found.times[0].times;
    assert_eq!(times[0].map(|times| (times.event, times.known)), Some((100, 100)));
    let expired = times[1].expect("what has expired says when it was");
    assert!(expired.event < 100 - 10, "{expired:?}");
    assert_eq!(times[3], None);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_several_entities_are_answered_in_request_order() {
    let repo = repo();
    let engine = engine(&repo).await;
    let keys = vec![ints("user_id", &[Some(1)]), ints("item_id", &[Some(10)])];
    let found = lookup(&engine, &["visits:count", "users:age"], keys, None, 100).unwrap();
    let names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["visits:count", "users:age"]);
    assert_eq!(found.columns[0].values, Values::I64(vec![7]));
    assert_eq!(found.columns[1].values, Values::I64(vec![41]));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_told_what_is_wrong() {
    let repo = repo();
    let engine = engine(&repo).await;
    let one = || ints("user_id", &[Some(1)]);
    let text = KeyColumn {
        name: String::from("user_id"),
        parts: vec![Some(OwnedPart::Bytes(b"1".to_vec()))],
    };
    let many = ints("user_id", &vec![Some(1); LOOKUP_ENTITIES_MAX + 1]);
    for (features, keys, words) in [
        (["users:age"], vec![], "join key \"user_id\" (int32) is missing"),
        (["users:age"], vec![one(), one()], "is given twice"),
        (["users:age"], vec![ints("user_di", &[Some(1)])], "did you mean \"user_id\"?"),
        (["users:age"], vec![text], "has type int32, found text"),
        (["users:age"], vec![many], "are too many for one lookup"),
        (["visits:*"], vec![one(), ints("item_id", &[])], "has 1 values where \"item_id\" has 0"),
    ] {
        let error = lookup(&engine, &features, keys, None, 100).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
    }
    let error = lookup(&engine, &["users:aeg"], vec![one()], None, 100).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("did you mean") || error.to_string().contains("there is"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_not_online_is_an_error_not_a_null() {
    let repo = repo();
    let engine = repo.applied().await;
    let keys = vec![ints("user_id", &[Some(1)])];
    let error = lookup(&engine, &["users:age"], keys, None, 100).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("hitherto materialize users"), "{error}");
}

#[tokio::test]
async fn a_lookup_that_nobody_waits_for_ends() {
    let repo = repo();
    let engine = engine(&repo).await;
    let request = request("users:age", vec![ints("user_id", &[Some(1)])]);
    let is_over = AtomicBool::new(true);
    assert_eq!(
        engine.lookup_until(grant(), &request, 105, &is_over).unwrap_err().kind(),
        Kind::Unavailable
    );
    assert_eq!(
        engine.lookup_until(grant(), &request, 105, &AtomicBool::new(false)).unwrap().rows,
        1
    );
}

#[tokio::test]
async fn what_lookups_found_is_counted_for_each_view() {
    let repo = repo();
    let engine = engine(&repo).await;
    let users = ints("user_id", &[Some(1), Some(2), Some(3), Some(4), None]);
    // At 5 s, 1 and 3 are far beyond the ttl of 10 us, at 105 us only 2 is.
    for now in [105, 5_000_000] {
        let request = request("users:age", vec![users.clone()]);
        engine.lookup(grant(), &request, now).unwrap();
    }
    let counts = |name: &str| engine.view_counts(engine.catalog().registry.view(name).unwrap());
    let counted = counts("users");
    let found = (counted.answered, counted.expired, counted.not_found, counted.null_values);
    assert_eq!(found, (2, 4, 4, 1));
    assert_eq!((counted.ages[0], counted.age_seconds), (2, 0));
    assert_eq!(counts("visits"), Default::default());

    let keys = vec![users, ints("item_id", &[Some(10), Some(20), Some(1), None, None])];
    let request = request("visits:count", keys);
    engine.lookup(grant(), &request, 3_600_000_050).unwrap();
    let counted = counts("visits");
    assert_eq!((counted.answered, counted.not_found), (2, 3));
    // One is 3,600 s old to the microsecond, and one 50 us less.
    assert_eq!(counted.ages[5], 2, "{counted:?}");
    assert_eq!(counted.age_seconds, 3_600 + 3_599);
    let plan = engine.describe_lookup(grant(), &request.selection).unwrap();
    assert_eq!(plan, "visits: 1 of 1 features by (item_id, user_id), generation 1");
}
