//! Facts that take values away: a boolean column of the source marks them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use hitherto_api::why::Online;
use hitherto_api::{KeyColumn, MaterializeMode, VerifyRequest, WhyRequest};
use hitherto_core::Kind;
use hitherto_core::column::Status;
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::Absence;
use hitherto_core::why::Verdict;
use hitherto_engine::Access;

use crate::repo::{Repo, batch, grant, lookup, materialize, training_set};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: dose }
spec:
  entity: stay
  source: { parquet: dose, eventTime: event, knownTime: known, deleted: stopped }
  ttl: 100us
  features: [{ name: mg, type: int64 }, { name: drug, type: string }]
  online: { history: 1h }
";

/// A dose at 10, stopped at 20 (known at 25), given again at 30 and stopped in
/// the same moment by a fact that comes first in the file.
fn repo() -> Repo {
    let repo = Repo::new(YAML);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stay", Arc::new(Int64Array::from(vec![1, 1, 1, 1, 1]))),
        ("event", Arc::new(TimestampMicrosecondArray::from(vec![10, 20, 30, 40, 40]))),
        ("known", Arc::new(TimestampMicrosecondArray::from(vec![10, 25, 30, 40, 40]))),
        (
            "stopped",
            Arc::new(BooleanArray::from(vec![None, Some(true), Some(false), Some(true), None])),
        ),
        ("mg", Arc::new(Int64Array::from(vec![Some(5), Some(6), Some(7), None, Some(i64::MAX)]))),
        ("drug", Arc::new(StringArray::from(vec!["a", "gone", "b", "c", "d"]))),
    ];
    repo.parquet("dose/one.parquet", columns);
    repo
}

/// Times, values, and why there is none.
const EXPECTED: [(i64, Option<i64>, Status, &str); 9] = [
    (9, None, Status::NotFound, "never_seen"),
    (10, Some(5), Status::Present, ""),
    (24, Some(5), Status::Present, ""),
    (25, None, Status::NotFound, "deleted"),
    (29, None, Status::NotFound, "deleted"),
    (30, Some(7), Status::Present, ""),
    (39, Some(7), Status::Present, ""),
    // Of a value and a deletion with equal times the deletion is the greater.
    (40, None, Status::NotFound, "deleted"),
    // An old deletion is no expired value.
    (141, None, Status::NotFound, "deleted"),
];

#[tokio::test(flavor = "multi_thread")]
async fn from_its_known_time_on_a_deletion_takes_the_values_away() {
    let repo = repo();
    for engine in [repo.applied().await, repo.applied_in_memory().await] {
        materialize(&engine, MaterializeMode::Incremental, 1_000).await;
        for (at, expected, status, reason) in EXPECTED {
            let part = Some(OwnedPart::Int(1));
            let keys = vec![KeyColumn { name: String::from("stay"), parts: vec![part] }];
            let found = lookup(&engine, &["dose:*"], keys, Some(at), 1_000).unwrap();
            assert_eq!(found.columns[0].status(0), status, "at {at}");
            assert_eq!(found.columns[1].status(0), status, "at {at}");

            let spine = batch(vec![
                ("stay", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
                ("at", Arc::new(TimestampMicrosecondArray::from(vec![at]))),
            ]);
            let (rows, report) = training_set(&engine, &["dose:*"], spine, None).await.unwrap();
            let mg = rows[0]["mg"].as_primitive::<Int64Type>().iter().next().unwrap();
            assert_eq!(mg, expected, "at {at}");
            if !reason.is_empty() {
                assert_eq!(report.views[0].absent[reason], 1, "at {at}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_names_the_deletion_and_verify_finds_no_difference() {
    let repo = repo();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 1_000).await;
    let keys = vec![KeyColumn { name: String::from("stay"), parts: vec![Some(OwnedPart::Int(1))] }];
    let request = WhyRequest { at: Some(29), ..WhyRequest::new("dose", keys) };
    let found = engine.why(grant(), &request, 1_000).await.unwrap();
    assert_eq!((found.absence, found.answer()), (Some(Absence::Deleted), None));
    let verdicts: Vec<_> =
        found.candidates.iter().map(|fact| (fact.event, fact.is_deletion, fact.verdict)).collect();
    assert_eq!(
        verdicts[verdicts.len() - 2..],
        [(20, true, Verdict::Deleted), (10, false, Verdict::Superseded),]
    );
    assert!(matches!(found.online, Online::Answers(answer) if answer.agrees));
    let verified = engine.verify(grant(), &VerifyRequest::default(), 1_000).await.unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
    assert!(verified.values() >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_must_be_there_and_boolean() {
    let repo = repo();
    for (column, words) in [("drug", "a bool is needed"), ("gone", "has no column \"gone\"")] {
        repo.write("definitions.yaml", &YAML.replace("stopped", column));
        let engine = repo.open(Access::ReadWrite).unwrap();
        let error = engine.plan(grant()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
    }
}
