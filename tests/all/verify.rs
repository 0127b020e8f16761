//! Verification: no difference where there is none, every difference where
//! there is one, and neither where the facts are no longer there.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
use hitherto_api::verify::{Comparison, Outcome};
use hitherto_api::{MaterializeMode, Verification, VerifyRequest};
use hitherto_core::Kind;
use hitherto_core::key::{OwnedPart, encode_part};
use hitherto_core::limits::VERIFY_SAMPLES_MAX;
use hitherto_core::rule::Times;
use hitherto_core::types::DataType;
use hitherto_engine::{Config, Engine};
use hitherto_online::memory::MemoryStore;
use hitherto_online::{Beneath, GenerationId, RowStore};

use crate::repo::{Repo, apply, grant, materialize};

/// Amid the facts, so that some are known only later.
const NOW: i64 = 700;

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: string }, { name: bed, type: int32 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: drawn, knownTime: released }
  ttl: 60us
  features: [{ name: level, type: float64 }, { name: note, type: string }]
  online: { history: 500us }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: latest }
spec:
  entity: stay
  source: { parquet: labs, eventTime: drawn, delay: 7us }
  features: [{ name: note, type: string }]
";

/// Writes facts `from..to` into one file: 20 stays, late results, ties, nulls,
/// NaN and both zeros. `shift` makes the same facts with other levels.
fn write(repo: &Repo, file: &str, facts: std::ops::Range<i64>, shift: f64) {
    let number = facts.clone().map(|fact| fact * 7 % 1_000);
    let drawn: Vec<i64> = number.map(|number| number / 2 * 2).collect();
    let level = |fact: i64| match fact % 9 {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(-0.0),
        3 => Some(0.0),
        other => Some(other as f64 + shift),
    };
    let stays = facts.clone().map(|fact| format!("stay {}", fact % 20));
    let notes = facts.clone().map(|fact| (fact % 5 > 0).then(|| format!("note {fact}")));
    let released = drawn.iter().zip(facts.clone()).map(|(drawn, fact)| drawn + fact % 90);
    let beds = facts.clone().map(|fact| (fact % 20 - 10) as i32);
    repo.parquet(
        &format!("labs/{file}.parquet"),
        vec![
            ("stay", Arc::new(StringArray::from_iter_values(stays))),
            ("bed", Arc::new(Int32Array::from_iter_values(beds))),
            ("released", Arc::new(TimestampMicrosecondArray::from_iter_values(released))),
            ("drawn", Arc::new(TimestampMicrosecondArray::from(drawn))),
            ("level", Arc::new(Float64Array::from_iter(facts.map(level)))),
            ("note", Arc::new(StringArray::from_iter(notes))),
        ],
    );
}

async fn verify(engine: &Engine, seed: u64) -> Verification {
    let request = VerifyRequest { seed, ..VerifyRequest::default() };
    engine.verify(grant(), &request, NOW + 100).await.unwrap()
}

fn compared<'v>(found: &'v Verification, view: &str) -> &'v Comparison {
    let found = found.views.iter().find(|found| found.view == view).unwrap();
    let Outcome::Compared(comparison) = &found.outcome else { panic!("{found:?}") };
    comparison
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sides_of_the_same_facts_have_no_difference() {
    let repo = Repo::new(YAML);
    write(&repo, "a", 0..800, 0.0);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, NOW - 50).await;
    write(&repo, "b", 800..1_500, 0.0);
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    // It is in no online copy, and so is no difference.
    write(&repo, "c", 1_500..1_900, 0.0);
    for seed in 0..5 {
        let found = verify(&engine, seed).await;
        assert_eq!((found.differences(), found.stale().count()), (0, 0), "{found:#?}");
        let labs = compared(&found, "labs");
        assert_eq!((labs.pairs, labs.values, labs.horizon), (1_008, 2_016, NOW - 550));
        assert!((100..1_000).contains(&labs.pairs_with_value), "{labs:?}");
        assert_eq!(verify(&engine, seed).await, found, "the seed decides");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_row_online_is_found_and_shown() {
    let repo = Repo::new(YAML);
    write(&repo, "a", 0..200, 0.0);
    let store = Arc::new(MemoryStore::default());
    let engine = Engine::with_store(repo.path(), Arc::clone(&store), &Config::default()).unwrap();
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, 2_000).await;
    let request = VerifyRequest { views: vec![String::from("latest")], ..Default::default() };
    let before = engine.verify(grant(), &request, 2_000).await.unwrap();
    assert_eq!(before.differences(), 0);

    // The row of one stay, with another note than its fact has.
    let catalog = engine.catalog();
    let view = catalog.registry.view("latest").unwrap();
    let number = catalog.online(view.id).unwrap().generation.number;
    let mut key = Vec::new();
    for (part, field) in
        [OwnedPart::Bytes(b"stay 3".to_vec()), OwnedPart::Int(-7)].iter().zip(&view.keys)
    {
        encode_part(&mut key, &field.data_type, part.borrow()).unwrap();
    }
    assert_eq!(view.keys[1].data_type, DataType::Int32);
    let mut row = Vec::new();
    let schema = view.row_schema();
    let mut writer = schema.write(&mut row, Times { event: 999, known: 1_006 }, 0);
    writer.set_varlen(0, b"forged").unwrap();
    let load = store.load(GenerationId { view: view.id, number }, Beneath::Nothing).unwrap();
    let mut part = load.part().unwrap();
    part.put_latest(&key, &row).unwrap();
    part.finish().unwrap();
    load.finish().unwrap();

    let after = engine.verify(grant(), &request, 2_000).await.unwrap();
    let latest = compared(&after, "latest");
    assert!(latest.differences > 0 && latest.differences < latest.values, "{latest:?}");
    assert!(latest.first.len() <= 10);
    for difference in &latest.first {
        assert_eq!(difference.entity, "stay=stay 3, bed=-7");
        assert_eq!(difference.feature, "latest:note");
        assert_eq!(difference.online.as_deref(), Some("forged"));
        assert_ne!(difference.offline, difference.online);
        assert!(difference.at >= latest.horizon);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_swapped_behind_the_back_of_its_size_and_time_is_found() {
    let repo = Repo::new(YAML);
    write(&repo, "a", 0..500, 0.0);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    let path = repo.path().join("labs/a.parquet");
    let before = fs::metadata(&path).unwrap();
    write(&repo, "a", 0..500, 16.0);
    let same_size = fs::metadata(&path).unwrap().len() == before.len();
    assert!(same_size, "the swapped file must have the size of the first");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();

    let found = verify(&engine, 1).await;
    assert_eq!(compared(&found, "latest").differences, 0, "its notes are the same");
    let labs = compared(&found, "labs");
    assert!(labs.differences > 10 && labs.first.len() == 10, "{labs:?}");
    assert!(labs.first.iter().all(|difference| difference.feature == "labs:level"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_named_and_no_success() {
    let repo = Repo::new(YAML);
    write(&repo, "a", 0..100, 0.0);
    write(&repo, "b", 100..200, 0.0);
    let engine = repo.applied().await;
    let skipped = verify(&engine, 0).await;
    assert!(skipped.views.iter().all(|view| view.outcome == Outcome::Skipped));
    materialize(&engine, MaterializeMode::Full, NOW).await;

    let reason = |found: &Verification| found.stale().next().map(|(_, reason)| reason.to_owned());
    write(&repo, "a", 0..101, 0.0);
    let changed = verify(&engine, 0).await;
    assert_eq!(reason(&changed).as_deref(), Some("labs/a.parquet has changed"));
    assert_eq!((changed.stale().count(), changed.values()), (2, 0));
    fs::remove_file(repo.path().join(Path::new("labs/a.parquet"))).unwrap();
    assert_eq!(reason(&verify(&engine, 0).await).as_deref(), Some("labs/a.parquet is gone"));
    fs::remove_file(repo.path().join("labs/b.parquet")).unwrap();
    assert_eq!(reason(&verify(&engine, 0).await).as_deref(), Some("labs/a.parquet is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_told_what_is_wrong() {
    let repo = Repo::new(YAML);
    write(&repo, "a", 0..10, 0.0);
    let engine = repo.applied().await;
    let many = VerifyRequest { samples: VERIFY_SAMPLES_MAX + 1, ..VerifyRequest::default() };
    assert_eq!(engine.verify(grant(), &many, NOW).await.unwrap_err().kind(), Kind::Invalid);
    let unknown = VerifyRequest { views: vec![String::from("lab")], ..VerifyRequest::default() };
    let error = engine.verify(grant(), &unknown, NOW).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("did you mean \"labs\"?"), "{error}");
}
