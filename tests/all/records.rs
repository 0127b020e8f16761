//! What belongs to a training set: the report, the manifest, and building the
//! same rows again.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use hitherto_api::{FeatureNames, Manifest, MaterializeMode, Selection, Spine, TrainingSetRequest};
use hitherto_core::Kind;
use hitherto_engine::{Access, Config, Engine, Finished};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::repo::{Repo, apply, batch, grant, materialize, training_set};

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
  source: { parquet: labs, eventTime: event, knownTime: known }
  ttl: 10us
  features: [{ name: a, type: int64 }, { name: b, type: int64 }]
";

/// Stay, event, known, a, b.
type Fact = (i64, i64, i64, Option<i64>, Option<i64>);

const FACTS: [Fact; 6] = [
    (1, 10, 10, Some(1), None),
    (1, 20, 26, Some(2), Some(20)),
    (1, 30, 30, None, None),
    (2, 5, 5, Some(4), Some(40)),
    (3, 5, 50, Some(5), Some(50)),
    (3, 40, 60, Some(6), Some(60)),
];

fn facts(facts: &[Fact]) -> RecordBatch {
    let ints = |of: fn(&Fact) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(facts.iter().map(of)))
    };
    let times = |of: fn(&Fact) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(facts.iter().map(of)))
    };
    batch(vec![
        ("stay", ints(|fact| Some(fact.0))),
        ("event", times(|fact| fact.1)),
        ("known", times(|fact| fact.2)),
        ("a", ints(|fact| fact.3)),
        ("b", ints(|fact| fact.4)),
    ])
}

fn write(repo: &Repo, name: &str, rows: &RecordBatch, compression: Compression) {
    let path = repo.path().join("labs").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    write(&repo, "one.parquet", &facts(&FACTS[..3]), Compression::UNCOMPRESSED);
    write(&repo, "two.parquet", &facts(&FACTS[3..]), Compression::UNCOMPRESSED);
    repo
}

/// Stay and time.
const SPINE: [(Option<i64>, i64); 8] = [
    (Some(1), 25),
    (Some(1), 20),
    (Some(1), 31),
    (Some(2), 15),
    (Some(2), 16),
    (Some(3), 45),
    (Some(4), 45),
    (None, 45),
];

fn spine(rows: &[(Option<i64>, i64)]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1));
    batch(vec![
        ("stay", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))) as ArrayRef),
        ("at", Arc::new(times)),
    ])
}

fn request() -> TrainingSetRequest {
    TrainingSetRequest {
        selection: Selection::features(["labs:*"]).unwrap(),
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Short,
    }
}

async fn finish(mut set: hitherto_engine::TrainingSet) -> Finished {
    while let Some(batch) = set.next().await {
        batch.unwrap();
    }
    set.finish()
}

async fn build(engine: &Engine, batches: Vec<RecordBatch>) -> Finished {
    let schema = batches[0].schema();
    finish(engine.training_set(grant(), &request(), (batches, schema), 100).await.unwrap()).await
}

async fn rebuild(engine: &Engine, manifest: &Manifest) -> Manifest {
    let spine = spine(&SPINE);
    let schema = spine.schema();
    let spine = Some(Spine::Rows { batches: vec![spine], schema });
    let set = engine.rebuild(grant(), manifest, spine, 100).await.unwrap();
    finish(set).await.manifest().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_says_how_old_how_null_and_how_leaky() {
    let repo = repo();
    let report = build(&repo.applied().await, vec![spine(&SPINE)]).await.report;
    let view = &report.views[0];
    assert_eq!((report.rows, report.leaky_rows, view.leaks, view.facts), (8, 3, 3, 6));
    // (1, 20) is 10 old and inside the ttl, (1, 31) 1 old, (2, 15) 10 old.
    assert_eq!(view.present, 3);
    let age = view.age.unwrap();
    assert_eq!((age.p50_micros, age.p95_micros, age.max_micros), (10, 10, 10));
    let absent: Vec<_> =
        view.absent.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect();
    // (1, 25) and (2, 16) expired; (3, 45) has facts that nobody knows yet.
    let expected =
        [("deleted", 0), ("expired", 2), ("never_seen", 1), ("not_yet_known", 1), ("null_key", 1)];
    assert_eq!(absent, expected);
    let nulls: Vec<_> =
        view.nulls.iter().map(|nulls| (nulls.feature.as_str(), nulls.rows)).collect();
    assert_eq!(nulls, [("a", 6), ("b", 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_does_not_depend_on_the_other_rows() {
    let repo = repo();
    let engine = repo.applied().await;
    let whole = build(&engine, vec![spine(&SPINE)]).await.report;
    let mut counts = std::collections::BTreeMap::new();
    for row in SPINE {
        let (_, report) = training_set(&engine, &["labs:*"], spine(&[row]), None).await.unwrap();
        for (reason, rows) in &report.views[0].absent {
            *counts.entry(reason.clone()).or_insert(0) += rows;
        }
    }
    assert_eq!(counts, whole.views[0].absent, "one by one and together");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_hash_depends_on_nothing_but_the_content() {
    let first = repo();
    let expected = build(&first.applied().await, vec![spine(&SPINE)]).await.manifest().unwrap();

    // Other files in another order, compression and thread count; another cut
    // of the spine; a store that has consumed the files.
    let other = Repo::new(YAML);
    let mut shuffled = FACTS;
    shuffled.reverse();
    let zstd = Compression::ZSTD(ZstdLevel::default());
    write(&other, "z.parquet", &facts(&shuffled[..1]), zstd);
    write(&other, "a/b.parquet", &facts(&shuffled[1..]), Compression::SNAPPY);
    for threads in [1, 8] {
        let config = Config { threads, ..Config::default() };
        let engine = Engine::open(other.path(), &config, Access::ReadWrite).unwrap();
        apply(&engine).await;
        materialize(&engine, MaterializeMode::Incremental, 100).await;
        let whole = spine(&SPINE);
        let pieces = vec![whole.slice(0, 3), whole.slice(3, 1), whole.slice(4, 4)];
        let found = build(&engine, pieces).await.manifest().unwrap();
        assert_eq!(found.content, expected.content);
        assert_eq!(found.spine, expected.spine);
        assert_eq!(found.views[0].definition, expected.views[0].definition);
        assert_ne!(found.views[0].files, expected.views[0].files);
    }
    let mut fewer = SPINE.to_vec();
    fewer.pop();
    let found = build(&first.open(Access::ReadOnly).unwrap(), vec![spine(&fewer)]).await;
    assert_ne!(found.manifest().unwrap().content.hash, expected.content.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_built_again_and_what_changed_is_named() {
    let repo = repo();
    let engine = repo.applied().await;
    let manifest = build(&engine, vec![spine(&SPINE)]).await.manifest().unwrap();
    let json = serde_json::to_string(&manifest).unwrap();
    let manifest = Manifest::from_json(&json).unwrap();
    let same = rebuild(&engine, &manifest).await;
    assert!(same.has_rows_of(&manifest));
    assert_eq!(manifest.differences(&same), Vec::<String>::new());
    assert_eq!(same, Manifest { request: same.request.clone(), ..manifest.clone() });

    // A file that came later is not one of the manifest's.
    write(&repo, "three.parquet", &facts(&[(1, 24, 24, Some(9), None)]), Compression::SNAPPY);
    assert!(rebuild(&engine, &manifest).await.has_rows_of(&manifest));

    // The same facts in other bytes: named, and no other rows.
    let two = repo.path().join("labs/two.parquet");
    let kept = std::fs::read(&two).unwrap();
    write(&repo, "two.parquet", &facts(&FACTS[3..]), Compression::SNAPPY);
    let rewritten = rebuild(&engine, &manifest).await;
    assert!(rewritten.has_rows_of(&manifest));
    let differences = manifest.differences(&rewritten);
    assert_eq!(differences.len(), 1);
    assert!(differences[0].starts_with("source file labs/two.parquet of feature view labs: "));

    // Other facts: named, and other rows.
    write(&repo, "two.parquet", &facts(&[(2, 6, 6, Some(4), Some(40))]), Compression::SNAPPY);
    let changed = rebuild(&engine, &manifest).await;
    assert!(!changed.has_rows_of(&manifest));
    assert_eq!(manifest.differences(&changed).len(), 2);

    std::fs::remove_file(&two).unwrap();
    let missing = manifest.differences(&rebuild(&engine, &manifest).await);
    assert!(missing[0].ends_with("then, missing now"), "{missing:?}");
    std::fs::write(&two, kept).unwrap();

    repo.write("definitions.yaml", &YAML.replace("10us", "11us"));
    apply(&engine).await;
    let redefined = manifest.differences(&rebuild(&engine, &manifest).await);
    assert!(redefined[0].starts_with("definition of feature view labs: "), "{redefined:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_manifest_is_refused() {
    let repo = repo();
    let manifest = build(&repo.applied().await, vec![spine(&SPINE)]).await.manifest().unwrap();
    let newer = serde_json::to_string(&Manifest { format: 2, ..manifest }).unwrap();
    for (json, words) in
        [("{}", "not the manifest"), ("[", "not the manifest"), (&newer, "has format 2")]
    {
        let error = Manifest::from_json(json).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cutoff_that_is_still_to_come_is_refused() {
    let repo = repo();
    let engine = repo.applied().await;
    let request = TrainingSetRequest { known_by: Some(101), ..request() };
    let spine = spine(&SPINE);
    let begun = engine.training_set(grant(), &request, spine.clone(), 100).await;
    let error = begun.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("is later than now"), "{error}");
    assert!(engine.training_set(grant(), &request, spine, 101).await.is_ok());
}
