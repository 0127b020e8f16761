//! Damaged stores and full disks: the right error, never a wrong value, and what was
//! acknowledged is there afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use hitherto_api::{
    Ack, KeyColumn, MaterializeMode, MaterializeRequest, OptimizeMode, PushRequest,
};
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::{Kind, Result};
use hitherto_engine::{Access, BackupFiles, Config, Engine};
use tokio::runtime::Runtime;

use crate::repo::{self, Repo, Silent, apply, grant, lookup, materialize};
use crate::small_disk::{SmallDisk, on_small_disk};

const NOW: i64 = 1 << 40;
const STAYS: i64 = 400;

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: event }
  features: [{ name: value, type: int64 }, { name: note, type: string }]
";

/// A note that does not compress, and says of whom it is.
fn note(stay: i64, event: i64) -> String {
    let mut mixed = (stay as u64) << 32 | event as u64;
    let mut words = (0..12).map(|_| {
        mixed = mixed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        format!("{mixed:016x}")
    });
    words.by_ref().collect()
}

fn facts(stays: impl Iterator<Item = i64> + Clone, event: i64) -> RecordBatch {
    let notes = stays.clone().map(|stay| note(stay, event));
    let times = stays.clone().map(|_| event);
    let values = stays.clone().map(|stay| stay * 1_000 + event);
    repo::batch(vec![
        ("stay", Arc::new(Int64Array::from_iter_values(stays)) as ArrayRef),
        ("event", Arc::new(TimestampMicrosecondArray::from_iter_values(times))),
        ("value", Arc::new(Int64Array::from_iter_values(values))),
        ("note", Arc::new(StringArray::from_iter_values(notes))),
    ])
}

fn push(engine: &Engine, stays: impl Iterator<Item = i64> + Clone, event: i64) -> Result<()> {
    let request = PushRequest {
        view: String::from("labs"),
        facts: facts(stays, event),
        idempotency_key: String::new(),
        ack: Ack::Durable,
    };
    engine.push(grant(), &request, NOW).map(drop)
}

/// A stay's value.
fn value(engine: &Engine, stay: i64) -> Result<Option<i64>> {
    let parts = vec![Some(OwnedPart::Int(stay))];
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let found = lookup(engine, &["labs:value", "labs:note"], keys, None, NOW)?;
    let Values::I64(values) = &found.columns[0].values else { panic!("{found:?}") };
    Ok(values.first().copied().filter(|value| *value != 0))
}

/// Every stay has one fact, of event 1.
async fn repository(root: &Path) {
    fs::create_dir_all(root.join("labs")).unwrap();
    fs::write(root.join("definitions.yaml"), YAML).unwrap();
    repo::write_parquet(&root.join("labs/first.parquet"), &facts(0..STAYS, 1));
    let engine = open(root).unwrap();
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
}

fn open(root: &Path) -> Result<Engine> {
    Engine::open(root, &Config::default(), Access::ReadWrite)
}

/// The store's largest file with this extension.
fn largest(root: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(root.join(".hitherto/online/rocksdb")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_a_stored_file_is_named_and_never_another_value() {
    let repo = Repo::new(YAML);
    repository(repo.path()).await;
    let path = largest(repo.path(), "sst");
    let sound = fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let (mut corrupt, mut right) = (0, 0);
    for place in (0..sound.len()).step_by(sound.len() / 24) {
        let mut flipped = sound.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(&path, &flipped).unwrap();
        let engine = match open(repo.path()) {
            Ok(engine) => engine,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
                corrupt += 1;
                continue;
            }
        };
        for stay in 0..STAYS {
            match value(&engine, stay) {
                Ok(found) => {
                    assert_eq!(found, Some(stay * 1_000 + 1), "byte {place}");
                    right += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
                    assert!(error.chain().contains(&name), "{} lacks {name}", error.chain());
                    corrupt += 1;
                }
            }
        }
    }
    assert!(corrupt > 20 && right > 20, "{corrupt} corrupt, {right} right");
    fs::write(&path, &sound).unwrap();
    assert_eq!(value(&open(repo.path()).unwrap(), 3).unwrap(), Some(3_001), "restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_that_is_damaged_is_refused_and_a_torn_end_is_not() {
    let repo = Repo::new(YAML);
    repository(repo.path()).await;
    let engine = open(repo.path()).unwrap();
    for event in 2..41 {
        push(&engine, 0..4, event).unwrap();
    }
    let counted = repo.path().join(".hitherto/online/acknowledged");
    let before = fs::read(&counted).unwrap();
    push(&engine, 0..4, 41).unwrap();
    drop(engine);
    let path = largest(repo.path(), "log");
    let sound = fs::read(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let error = open(repo.path()).err().expect("what follows the damage would be forgotten");
    assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
    // As after a loss of power: the last record is not whole, and nobody was told of it.
    fs::write(&path, &sound[..sound.len() - 7]).unwrap();
    fs::write(&counted, before).unwrap();
    let engine = open(repo.path()).unwrap();
    let found = value(&engine, 0).unwrap().unwrap();
    assert!((40..=41).contains(&found), "{found}");
}

#[test]
fn a_full_disk_is_told_at_once_reads_go_on_and_work_resumes() {
    on_small_disk("damage::a_full_disk_is_told_at_once_reads_go_on_and_work_resumes", |disk| {
        Runtime::new().unwrap().block_on(fill_and_clear(disk))
    });
}

async fn fill_and_clear(disk: &SmallDisk) {
    let root = disk.path().join("repository");
    repository(&root).await;
    let engine = open(&root).unwrap();
    // A source file that is there when the disk is full, of one more stay.
    repo::write_parquet(&root.join("more.parquet"), &facts(STAYS..STAYS + 1, 1));
    let mut acknowledged = 1;
    for event in 2..20 {
        push(&engine, 0..STAYS, event).unwrap();
        acknowledged = event;
    }
    let refused = |error: hitherto_core::Error, begun: Instant, what: &str| {
        assert_eq!(error.kind(), Kind::Unavailable, "{what}: {}", error.chain());
        assert!(begun.elapsed() < Duration::from_secs(1), "{what} took {:?}", begun.elapsed());
    };
    for room in [256 << 10, 0] {
        disk.fill(room);
        let event = acknowledged + 1;
        let begun = Instant::now();
        refused(push(&engine, 0..STAYS, event).unwrap_err(), begun, "a push");
        let begun = Instant::now();
        let request =
            MaterializeRequest { mode: MaterializeMode::Full, ..MaterializeRequest::default() };
        let full = engine.materialize(grant(), &request, NOW, &Silent).await;
        refused(full.unwrap_err(), begun, "a build");
        if room == 0 {
            let begun = Instant::now();
            let backup =
                engine.backup(grant(), &disk.path().join("backup"), BackupFiles::Linked, NOW);
            refused(backup.unwrap_err(), begun, "a backup");
            assert!(!disk.path().join("backup").exists());
            let begun = Instant::now();
            let optimized =
                engine.optimize(grant(), "labs", OptimizeMode::IfChanged, &Silent).await;
            refused(optimized.unwrap_err(), begun, "a copy of the source");
            let begun = Instant::now();
            fs::rename(root.join("more.parquet"), root.join("labs/more.parquet")).unwrap();
            let request = MaterializeRequest::default();
            let more = engine.materialize(grant(), &request, NOW, &Silent).await;
            refused(more.unwrap_err(), begun, "an incremental run");
            assert_eq!(value(&engine, STAYS).unwrap(), None);
        }
        for stay in (0..STAYS).step_by(40) {
            let found = value(&engine, stay).unwrap().unwrap();
            assert!(found >= stay * 1_000 + acknowledged, "{found} after {acknowledged}");
        }
        disk.clear();
        acknowledged = event + 1;
        push(&engine, 0..STAYS, acknowledged).unwrap();
        materialize(&engine, MaterializeMode::Full, NOW).await;
        assert_eq!(value(&engine, 7).unwrap(), Some(7_000 + acknowledged));
    }
    assert_eq!(value(&engine, STAYS).unwrap(), Some(STAYS * 1_000 + 1));
    engine.backup(grant(), &disk.path().join("backup"), BackupFiles::Linked, NOW).unwrap();
    engine.optimize(grant(), "labs", OptimizeMode::IfChanged, &Silent).await.unwrap();
    drop(engine);
    let engine = open(&root).unwrap();
    for stay in 0..STAYS {
        assert_eq!(value(&engine, stay).unwrap(), Some(stay * 1_000 + acknowledged));
    }
    drop(engine);
}
