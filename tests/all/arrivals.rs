//! Facts that bring no known time: known from their arrival, on every path, whatever the
//! clock does.

use hitherto_api::{KeyColumn, MaterializeMode, VerifyRequest, WhyRequest, content_key};
use hitherto_core::Kind;
use hitherto_core::key::OwnedPart;
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_engine::{Access, Engine};

use crate::pushing::{VALUE, facts, labs, online_repo, push, times, trained, value};
use crate::repo::{self, Repo, apply, grant, materialize};

const DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// What is known of `x` at these moments, by training sets and by lookups alike.
async fn check(engine: &Engine, expected: &[(i64, Option<i64>)], now: i64, when: &str) {
    let spine: Vec<(&str, i64)> = expected.iter().map(|(at, _)| ("x", *at)).collect();
    let values: Vec<Option<i64>> = expected.iter().map(|(_, value)| *value).collect();
    assert_eq!(trained(engine, &spine, "labs:value").await, values, "training set {when}");
    for (at, expected) in expected {
        assert_eq!(value(engine, "x", Some(*at), now).ok(), *expected, "at {at} {when}");
    }
    let verified = engine.verify(grant(), &VerifyRequest::default(), now).await.unwrap();
    assert_eq!(verified.differences(), 0, "{when}: {verified:?}");
    assert_eq!(verified.stale().count(), 0, "{when}: {verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_push_is_in_no_row_before_its_arrival() {
    let definition = |features: &str| {
        labs("", features).replace("  features:", "  online: { history: 1h }\n  features:")
    };
    let repo = Repo::new(&definition(VALUE));
    repo.parquet("labs/a.parquet", facts(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    let pushed = push(&engine, "labs", repo::batch(facts(&[("x", 20, 2)])), "", 1_000).unwrap();
    assert_eq!(pushed.known_from, Some(1_000));
    let expected = [(15, Some(1)), (20, Some(1)), (999, Some(1)), (1_000, Some(2))];
    check(&engine, &expected, 1_100, "at once").await;
    materialize(&engine, MaterializeMode::Full, 1_200).await;
    check(&engine, &expected, 1_200, "after a full build").await;
    engine.rollback(grant(), "labs").await.unwrap();
    check(&engine, &expected, 1_200, "after going back").await;
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    check(&engine, &expected, 1_200, "in another process").await;
    repo.write(
        "definitions.yaml",
        &definition(&format!("{VALUE}, {{ name: unit, type: string }}")),
    );
    repo.parquet("labs/a.parquet", {
        let mut columns = facts(&[("x", 10, 1)]);
        columns.push(("unit", std::sync::Arc::new(arrow::array::StringArray::from(vec!["mg"]))));
        columns
    });
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 1_300).await;
    check(&engine, &expected, 1_300, "under another definition").await;
    drop(engine);
    let reader = repo.open(Access::ReadOnly).unwrap();
    check(&reader, &expected, 1_300, "for a reader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_waited_for_and_the_arrival_too() {
    let (_repo, engine) = online_repo(", delay: 100us").await;
    push(&engine, "labs", repo::batch(facts(&[("x", 950, 2)])), "", 1_000).unwrap();
    push(&engine, "labs", repo::batch(facts(&[("x", 960, 3)])), "", 2_000).unwrap();
    let expected = [(1_049, Some(1)), (1_050, Some(2)), (1_999, Some(2)), (2_000, Some(3))];
    let spine: Vec<_> = expected.iter().map(|(at, _)| ("x", *at)).collect();
    let values: Vec<_> = expected.iter().map(|(_, value)| *value).collect();
    assert_eq!(trained(&engine, &spine, "labs:value").await, values);
    assert_eq!(value(&engine, "x", None, 1_050), Ok(2));
    assert_eq!(value(&engine, "x", None, 2_000), Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_first_known_time_and_a_new_statement_has_its_own() {
    let (repo, engine) = online_repo("").await;
    let batch = || repo::batch(facts(&[("x", 20, 2)]));
    let key = content_key(&batch()).unwrap();
    assert_eq!(push(&engine, "labs", batch(), &key, 100).unwrap().known_from, Some(100));
    let again = push(&engine, "labs", batch(), &key, 200).unwrap();
    assert_eq!((again.is_repeated, again.known_from), (true, Some(100)));
    // Landed, and its bytes gone from the log.
    assert_eq!(trained(&engine, &[("x", 99), ("x", 100)], "labs:value").await, [Some(1), Some(2)]);
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    let again = push(&engine, "labs", batch(), &key, 300).unwrap();
    assert_eq!((again.is_repeated, again.known_from), (true, Some(100)), "after a restart");
    // A correction, and then the first value said again: known from then on.
    push(&engine, "labs", repo::batch(facts(&[("x", 20, 3)])), "", 400).unwrap();
    let anew = push(&engine, "labs", batch(), "", 500).unwrap();
    assert_eq!((anew.is_repeated, anew.known_from), (false, Some(500)));
    let spine = [("x", 100), ("x", 399), ("x", 400), ("x", 499), ("x", 500)];
    let values = [Some(2), Some(2), Some(3), Some(3), Some(2)];
    assert_eq!(trained(&engine, &spine, "labs:value").await, values);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_used_for_other_facts_is_refused() {
    let (repo, engine) = online_repo(", knownTime: known").await;
    let said = |known: i64, value: i64| {
        let mut columns = facts(&[("x", 20, value)]);
        columns.push(("known", times([known].into_iter())));
        repo::batch(columns)
    };
    push(&engine, "labs", said(21, 2), "night", 100).unwrap();
    assert!(push(&engine, "labs", said(21, 2), "night", 101).unwrap().is_repeated);
    let refused = |engine: &Engine, facts| {
        let error = push(engine, "labs", facts, "night", 102).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        assert!(error.to_string().contains("key of their own"), "{error}");
    };
    refused(&engine, said(21, 3));
    refused(&engine, said(22, 2));
    refused(&engine, repo::batch(facts(&[("x", 20, 2), ("y", 20, 2)])));
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    refused(&engine, said(21, 3));
    assert!(push(&engine, "labs", said(21, 2), "night", 103).unwrap().is_repeated);
    assert_eq!(value(&engine, "x", None, 110), Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_stamps_nothing_earlier() {
    let (repo, engine) = online_repo("").await;
    let at = |day: i64, value: i64| repo::batch(facts(&[("x", day * DAY, value)]));
    let first = push(&engine, "labs", at(9, 2), "", 10 * DAY).unwrap();
    assert_eq!((first.known_from, first.clock_off_micros), (Some(10 * DAY), 0));
    let back = push(&engine, "labs", at(9, 3), "", 4 * DAY).unwrap();
    assert_eq!((back.known_from, back.clock_off_micros), (Some(10 * DAY), -6 * DAY));
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    let back = push(&engine, "labs", at(9, 4), "", 4 * DAY + 1).unwrap();
    assert_eq!(back.known_from, Some(10 * DAY), "the floor outlives the process");
    let spine = [("x", 9 * DAY), ("x", 10 * DAY - 1), ("x", 10 * DAY)];
    assert_eq!(trained(&engine, &spine, "labs:value").await, [Some(1), Some(1), Some(4)]);
    assert_eq!(value(&engine, "x", None, 10 * DAY), Ok(4));
    assert_eq!(push(&engine, "labs", at(9, 5), "", 11 * DAY).unwrap().clock_off_micros, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_outlives_a_clock_that_is_set_ahead() {
    let history = labs("", VALUE).replace("  features:", "  online: { history: 1d }\n  features:");
    let repo = Repo::new(&history);
    repo.parquet("labs/a.parquet", facts(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 10 * DAY).await;
    let pushed = repo::batch(facts(&[("x", 10 * DAY, 2)]));
    let ahead = push(&engine, "labs", pushed, "", 16 * DAY).unwrap();
    assert_eq!(ahead.clock_off_micros, 0, "nothing was stamped before");
    assert_eq!(engine.retain(16 * DAY).await.unwrap(), 0, "six days ahead");
    materialize(&engine, MaterializeMode::Full, 16 * DAY + 1).await;
    assert_eq!(value(&engine, "x", Some(9 * DAY), 10 * DAY), Ok(1), "the horizon stays");
    assert_eq!(engine.retain(11 * DAY).await.unwrap(), 1, "put right");
    assert_eq!(value(&engine, "x", Some(10 * DAY), 11 * DAY), Ok(1));
    let far = push(&engine, "labs", repo::batch(facts(&[("x", 12 * DAY, 3)])), "", 30 * DAY);
    assert_eq!(far.unwrap().clock_off_micros, 14 * DAY, "it is told how far");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_shows_when_a_fact_was_pushed_whatever_it_claims() {
    let (repo, engine) = online_repo(", knownTime: known").await;
    let mut backdated = facts(&[("x", 20, 2)]);
    backdated.push(("known", times([21].into_iter())));
    push(&engine, "labs", repo::batch(backdated), "", 1_000).unwrap();
    let keys = vec![KeyColumn {
        name: String::from("stay"),
        parts: vec![Some(OwnedPart::Bytes(b"x".to_vec()))],
    }];
    let request = WhyRequest { at: Some(2_000), ..WhyRequest::new("labs", keys) };
    let explained = engine.why(grant(), &request, 2_000).await.unwrap();
    let shown: Vec<_> =
        explained.candidates.iter().map(|fact| (fact.event, fact.known, fact.arrived)).collect();
    assert_eq!(shown, [(20, 21, Some(1_000)), (10, 12, None)]);
    drop(engine);
    let reader = repo.open(Access::ReadOnly).unwrap();
    let explained = reader.why(grant(), &request, 2_000).await.unwrap();
    assert_eq!(explained.candidates[0].arrived, Some(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaks_because_known_times_are_ignored_is_said_to_leak() {
    for is_ignored in [false, true] {
        let ignore = if is_ignored { "  known: ignore\n" } else { "" };
        let definition = labs(", knownTime: known", VALUE);
        let repo = Repo::new(&definition.replace("  features:", &format!("{ignore}  features:")));
        let mut late = facts(&[("x", 10, 1)]);
        late.push(("known", times([100].into_iter())));
        repo.parquet("labs/a.parquet", late);
        let engine = repo.applied().await;
        let spine = repo::batch(vec![
            ("stay", std::sync::Arc::new(arrow::array::StringArray::from(vec!["x"])) as _),
            ("at", times([50].into_iter())),
        ]);
        let (_, report) = repo::training_set(&engine, &["labs:value"], spine, None).await.unwrap();
        assert_eq!((report.leaky_rows, report.views[0].leaks), (1, 1));
        let leaked: Vec<_> = report.leaked().map(|view| view.view.as_str()).collect();
        assert_eq!(leaked, if is_ignored { vec!["labs"] } else { vec![] });
        assert_eq!(report.views[0].present, u64::from(is_ignored));
    }
}
