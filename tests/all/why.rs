//! Why a value is the answer: reasons out of the source, beside what the online
//! store says.

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};
use hitherto_api::why::Online;
use hitherto_api::{Explanation, KeyColumn, MaterializeMode, WhyRequest};
use hitherto_core::Kind;
use hitherto_core::column::{Status, Values};
use hitherto_core::definition::Known;
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::WHY_CANDIDATES_DEFAULT;
use hitherto_core::row::{FLAG_DELETION, RowSchema};
use hitherto_core::rule::{self, Absence, Moment, NEVER, Times};
use hitherto_core::why::{Inquiry, Verdict};
use hitherto_engine::Engine;
use proptest::prelude::*;

use crate::repo::{Repo, grant, materialize};

/// Long after every fact.
const NOW: i64 = 1_000;

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: string }, { name: bed, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: drawn, knownTime: released }
  ttl: 60us
  features: [{ name: value, type: int64 }]
  online: { history: 990us }
";

/// Stay, drawn, released, value.
type Fact = (&'static str, i64, Option<i64>, i64);

/// Writes facts, all in bed 7, into one file.
fn write(repo: &Repo, file: &str, facts: &[Fact]) {
    let times = |time: fn(&Fact) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(facts.iter().map(time)))
    };
    repo.parquet(
        &format!("labs/{file}.parquet"),
        vec![
            ("stay", Arc::new(StringArray::from_iter_values(facts.iter().map(|fact| fact.0)))),
            ("bed", Arc::new(Int64Array::from_iter_values(facts.iter().map(|_| 7)))),
            ("drawn", times(|fact| Some(fact.1))),
            ("released", times(|fact| fact.2)),
            ("value", Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| fact.3)))),
        ],
    );
}

fn keys(stay: &str, bed: Option<i64>) -> Vec<KeyColumn> {
    let column = |name: &str, part| KeyColumn { name: name.to_owned(), parts: vec![part] };
    // Not in declared order: a request's order means nothing.
    vec![
        column("bed", bed.map(OwnedPart::Int)),
        column("stay", Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))),
    ]
}

fn request(at: i64) -> WhyRequest {
    WhyRequest { at: Some(at), ..WhyRequest::new("labs", keys("x", Some(7))) }
}

/// Two files; a draw at 100 that is released at 126, and an older one.
async fn engine(repo: &Repo) -> Engine {
    write(repo, "a", &[("x", 20, Some(25), 1), ("x", 50, Some(55), 2), ("y", 90, Some(90), 9)]);
    write(repo, "b", &[("x", 100, Some(126), 3), ("x", 140, Some(141), 4), ("x", 99, None, 8)]);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    engine
}

/// Value, verdict and by how much it missed, newest first.
fn shown(explanation: &Explanation) -> Vec<(i64, Verdict, i64)> {
    let Values::I64(values) = &explanation.columns[0].values else { panic!("int64 is i64") };
    let facts = values.iter().zip(&explanation.candidates);
    facts.map(|(value, fact)| (*value, fact.verdict, fact.missed_by_micros)).collect()
}

fn online_agrees(explanation: &Explanation) -> bool {
    matches!(&explanation.online, Online::Answers(answer) if answer.agrees)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_result_is_named_beside_the_one_that_answers() {
    let repo = Repo::new(YAML);
    let engine = engine(&repo).await;
    let found = engine.why(grant(), &request(110), NOW).await.unwrap();
    let expected = [
        (4, Verdict::NotYetHappened, 30),
        (3, Verdict::NotYetKnown, 16),
        // Drawn at 99 and never released.
        (8, Verdict::NotYetKnown, 0),
        (2, Verdict::Answers, 0),
        (1, Verdict::Superseded, 0),
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!((found.absence, found.answer()), (None, Some(3)));
    assert_eq!(found.columns[0].name, "labs:value");
    assert_eq!((found.candidates[2].known, found.facts_without_time), (NEVER, 0));
    assert!(online_agrees(&found), "{:?}", found.online);

    let cut = WhyRequest { known_by: Some(54), ..request(110) };
    let cut = engine.why(grant(), &cut, NOW).await.unwrap();
    assert_eq!(cut.absence, Some(Absence::Expired));
    assert_eq!(shown(&cut)[3..], [(2, Verdict::AfterCutoff, 1), (1, Verdict::Expired, 30)]);
    assert_eq!(cut.online, Online::NotAsked);

    let ignoring = WhyRequest { known: Some(Known::Ignore), ..request(110) };
    let ignoring = engine.why(grant(), &ignoring, NOW).await.unwrap();
    assert_eq!(shown(&ignoring)[1], (3, Verdict::Answers, 0));
    assert_eq!(ignoring.online, Online::NotAsked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_fact_says_by_how_much_and_online_agrees() {
    let repo = Repo::new(YAML);
    let engine = engine(&repo).await;
    let found = engine.why(grant(), &WhyRequest { at: None, ..request(0) }, NOW).await.unwrap();
    assert_eq!((found.at, found.absence), (NOW, Some(Absence::Expired)));
    assert_eq!(shown(&found)[0], (4, Verdict::Expired, 800));
    assert!(online_agrees(&found), "{:?}", found.online);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_online_store_is_asked_only_what_it_can_answer() {
    let repo = Repo::new(YAML);
    write(&repo, "a", &[("x", 20, Some(25), 1)]);
    let engine = repo.applied().await;
    assert_eq!(engine.why(grant(), &request(30), NOW).await.unwrap().online, Online::Nothing);
    materialize(&engine, MaterializeMode::Full, NOW).await;
    let early = engine.why(grant(), &request(9), NOW).await.unwrap();
    assert_eq!(early.online, Online::BeforeHorizon { horizon: 10 });

    write(&repo, "b", &[("x", 22, Some(26), 2)]);
    let behind = engine.why(grant(), &request(30), NOW).await.unwrap();
    assert_eq!(shown(&behind)[0], (2, Verdict::Answers, 0));
    let Online::Answers(answer) = &behind.online else { panic!("{:?}", behind.online) };
    assert_eq!((answer.event, answer.agrees), (Some(20), false), "a file is not materialized");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_without_facts_has_reasons_too() {
    let repo = Repo::new(YAML);
    let engine = engine(&repo).await;
    for (keys, absence) in [
        (keys("nobody", Some(7)), Absence::NeverSeen),
        (keys("x", Some(8)), Absence::NeverSeen),
        (keys("x", None), Absence::NullKey),
    ] {
        let found = engine.why(grant(), &WhyRequest { keys, ..request(110) }, NOW).await.unwrap();
        assert_eq!((found.absence, found.candidates.len()), (Some(absence), 0));
        assert!(online_agrees(&found), "{:?}", found.online);
        let Online::Answers(answer) = &found.online else { panic!("{:?}", found.online) };
        assert_eq!(answer.columns[0].status(0), Status::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_asked_is_told_what_is_wrong() {
    let repo = Repo::new(YAML);
    let engine = engine(&repo).await;
    let mut two = keys("x", Some(7));
    two.iter_mut().for_each(|key| key.parts.push(None));
    for (keys, words) in [
        (two, "name 2 entities"),
        (keys("x", Some(7))[1..].to_vec(), "join key \"bed\" (int64) is missing"),
    ] {
        let error =
            engine.why(grant(), &WhyRequest { keys, ..request(110) }, NOW).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
    }
    let unknown = WhyRequest { view: String::from("lab"), ..request(110) };
    let error = engine.why(grant(), &unknown, NOW).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("did you mean \"labs\"?"), "{error}");
}

proptest! {
    /// In any order, with ties, deletions, cutoffs and a ttl.
    #[test]
    fn the_reasons_end_in_the_rules_own_answer(
        facts in prop::collection::vec((0..40_i64, -5..15_i64, 0..5_u8), 0..60),
        at in -2..60_i64,
        known_by in prop::option::weighted(0.4, 0..40_i64),
        ignores in any::<bool>(),
        ttl in prop::option::of(1..20_i64),
    ) {
        let schema = RowSchema::new(&[], 1);
        let facts: Vec<(Times, Vec<u8>)> = facts.iter().map(|(event, lag, label)| {
            let times = Times { event: *event, known: event + lag };
            let mut row = Vec::new();
            schema.write(&mut row, times, if *label == 0 { FLAG_DELETION } else { 0 });
            row.push(*label);
            (times, row)
        }).collect();
        let known = if ignores { Known::Ignore } else { Known::Honor };
        let moment = Moment { at, known_by: known_by.unwrap_or(i64::MAX), known };

        let mut inquiry = Inquiry::new(moment, ttl, WHY_CANDIDATES_DEFAULT);
        facts.iter().for_each(|(times, row)| inquiry.show(*times, row, None));
        let found = inquiry.finish();

        let mut newest_first = facts.clone();
        newest_first.sort_by(|a, b| rule::rank((b.0, &b.1), (a.0, &a.1)));
        let newest_first = newest_first.iter().map(|(times, row)| (*times, row.as_slice()));
        let expected = rule::answer(newest_first, moment, ttl);
        let answer = found.answer.map(|index| found.candidates[index].row.as_slice());
        prop_assert_eq!(answer, expected);
        let counts = found.counts;
        let counted = counts.seen + counts.not_yet_known + counts.after_cutoff
            + counts.not_yet_happened;
        prop_assert_eq!(counted as usize, facts.len());
    }
}
