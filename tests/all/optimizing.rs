//! Copies of sources: the same answers bit for bit, or not read at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use hitherto_api::{
    FeatureNames, OptimizeMode, OptimizeReport, Selection, Spine, TrainingSetRequest,
};
use hitherto_core::{Kind, Result};
use hitherto_engine::{Engine, Finished};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::icu;
use crate::oracle::Fact;
use crate::parity;
use crate::repo::{self, Repo, Silent, apply, batch, grant};
use crate::world::{World, worlds};

/// Views of every kind over one folder of facts: keys that are text and composite,
/// deletions, known times, a ttl, SQL that filters, SQL that looks at several rows,
/// and a view without an entity.
const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: ward, type: string }, { name: bed, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: whole }
spec:
  entity: stay
  source: { parquet: facts, eventTime: event, knownTime: known, deleted: gone }
  ttl: 40us
  features: [{ name: number, type: int64 }, { name: text, type: string }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: filtered }
spec:
  entity: stay
  source:
    parquet: facts
    sql: SELECT ward, bed, event, number * 2 AS twice FROM source WHERE number % 3 <> 0
    eventTime: event
  features: [{ name: twice, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: summed }
spec:
  entity: stay
  source:
    parquet: facts
    sql: SELECT ward, bed, event, SUM(number) AS total FROM source GROUP BY ward, bed, event
    eventTime: event
  features: [{ name: total, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: everywhere }
spec:
  source: { parquet: facts, eventTime: event, knownTime: known }
  features: [{ name: number, type: int64 }]
";

const VIEWS: [&str; 4] = ["whole", "filtered", "summed", "everywhere"];

/// Facts that look like chance: ties, late ones, deletions, nulls everywhere.
fn facts(rows: i64, seed: i64) -> Vec<(&'static str, ArrayRef)> {
    let draw = |row: i64, of: i64, salt: i64| {
        let mixed = (row + 1) * 6_364_136_223 + (seed + 1) * 1_442_695 + salt * 40_503;
        (mixed ^ (mixed >> 13)).rem_euclid(7_919).rem_euclid(of)
    };
    let some = |row: i64, salt: i64| draw(row, 19, salt) != 0;
    let wards = ["", "a", "ab", "north\0", "ä"];
    let event = |row: i64| draw(row, 60, 1);
    vec![
        (
            "ward",
            Arc::new(StringArray::from_iter(
                (0..rows).map(|row| some(row, 2).then(|| wards[draw(row, 5, 3) as usize])),
            )),
        ),
        (
            "bed",
            Arc::new(Int64Array::from_iter(
                (0..rows).map(|row| some(row, 4).then(|| draw(row, 3, 5) - 1)),
            )),
        ),
        (
            "event",
            Arc::new(TimestampMicrosecondArray::from_iter(
                (0..rows).map(|row| some(row, 6).then(|| event(row))),
            )),
        ),
        (
            "known",
            Arc::new(TimestampMicrosecondArray::from_iter(
                (0..rows).map(|row| some(row, 7).then(|| event(row) + draw(row, 15, 8))),
            )),
        ),
        (
            "gone",
            Arc::new(BooleanArray::from_iter(
                (0..rows).map(|row| some(row, 9).then(|| draw(row, 9, 10) == 0)),
            )),
        ),
        (
            "number",
            Arc::new(Int64Array::from_iter((0..rows).map(|row| some(row, 11).then_some(row)))),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter(
                (0..rows).map(|row| some(row, 12).then(|| format!("text {}", draw(row, 50, 13)))),
            )),
        ),
    ]
}

fn spine() -> RecordBatch {
    let rows = 0..400_i64;
    let wards = ["", "a", "ab", "north\0", "ä", "nowhere"];
    batch(vec![
        (
            "ward",
            Arc::new(StringArray::from_iter(
                rows.clone().map(|row| (row % 31 != 0).then(|| wards[(row % 6) as usize])),
            )) as ArrayRef,
        ),
        ("bed", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row / 6 % 3 - 1)))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(rows.map(|row| row * 7 % 90 - 2))),
        ),
    ])
}

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    repo.parquet("facts/0.parquet", facts(700, 0));
    repo.parquet("facts/1.parquet", facts(300, 1));
    repo
}

async fn optimize(engine: &Engine, view: &str, mode: OptimizeMode) -> OptimizeReport {
    engine.optimize(grant(), view, mode, &Silent).await.unwrap()
}

async fn optimize_all(engine: &Engine) {
    for view in VIEWS {
        let report = optimize(engine, view, OptimizeMode::IfChanged).await;
        assert!(!report.is_up_to_date, "{report:?}");
    }
}

/// A training set and whether its plan read a copy.
struct Built {
    rows: Vec<RecordBatch>,
    finished: Finished,
}

async fn build(engine: &Engine, features: &[&str], spine: RecordBatch) -> Result<Built> {
    let request = TrainingSetRequest {
        selection: Selection::features(features)?,
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    let mut running = engine.training_set(grant(), &request, spine, i64::MAX).await?;
    let mut rows = Vec::new();
    while let Some(batch) = running.next().await {
        rows.push(batch?);
    }
    Ok(Built { rows, finished: running.finish() })
}

const ALL: [&str; 4] = ["whole:*", "filtered:*", "summed:*", "everywhere:*"];

#[track_caller]
fn assert_same(found: &Built, expected: &Built) {
    assert_eq!(found.rows, expected.rows);
    let (found, expected) = (&found.finished, &expected.finished);
    assert_eq!(found.manifest().unwrap(), expected.manifest().unwrap());
    let judged = |finished: &Finished| {
        let views = finished.report.views.iter().map(|view| {
            format!(
                "{} {} {:?} {:?} {:?} {}",
                view.view, view.present, view.absent, view.age, view.nulls, view.leaks
            )
        });
        views.collect::<Vec<_>>()
    };
    assert_eq!(judged(found), judged(expected));
}

/// The files of a view's copy.
fn copy_files(repo: &Repo, view: &str) -> Vec<PathBuf> {
    let folder = repo.path().join(".hitherto/optimized").join(view);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| fs::read_dir(entry.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn parquet_file(repo: &Repo, view: &str) -> PathBuf {
    let is_parquet = |path: &PathBuf| path.extension().is_some_and(|name| name == "parquet");
    copy_files(repo, view).into_iter().find(is_parquet).unwrap()
}

/// Makes a copy unreadable: whoever reads it fails.
fn spoil(path: &Path) {
    fs::write(path, "nothing").unwrap();
}

fn spoil_all(repo: &Repo) {
    VIEWS.iter().for_each(|view| spoil(&parquet_file(repo, view)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_set_is_the_same_with_and_without_copies() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let expected = build(&engine, &ALL, spine()).await.unwrap();
    optimize_all(&engine).await;
    let found = build(&engine, &ALL, spine()).await.unwrap();
    assert_same(&found, &expected);
    assert!(expected.rows.iter().any(|rows| rows.column(3).null_count() < rows.num_rows()));
    // It was the copies that answered.
    spoil_all(&repo);
    for view in VIEWS {
        let error = build(&engine, &[&format!("{view}:*")], spine()).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Corrupt, "{view}: {error}");
        assert!(error.chain().contains(&format!("optimized/{view}/1/000000.parquet")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_stay_untouched_and_a_second_run_has_nothing_to_do() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let before = fs::read(repo.path().join("facts/0.parquet")).unwrap();
    let report = optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    assert_eq!((report.rows, report.source_files, report.files), (1_000, 2, 1));
    let files = copy_files(&repo, "whole");
    assert_eq!(fs::read(repo.path().join("facts/0.parquet")).unwrap(), before);
    let again = optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    assert_eq!(again, OptimizeReport { is_up_to_date: true, ..report });
    assert_eq!(copy_files(&repo, "whole"), files);
    let anew = optimize(&engine, "whole", OptimizeMode::Full).await;
    assert!(!anew.is_up_to_date);
    assert_eq!(copy_files(&repo, "whole").len(), files.len(), "the old copy is gone");
    assert!(engine.optimize(grant(), "who", OptimizeMode::Full, &Silent).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_came_later_is_read_beside_the_copy() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    optimize_all(&engine).await;
    repo.parquet("facts/2.parquet", facts(500, 2));
    let found = build(&engine, &ALL, spine()).await.unwrap();
    let plain = repo.applied_in_memory().await;
    fs::rename(repo.path().join(".hitherto"), repo.path().join(".away")).unwrap();
    let expected = build(&plain, &ALL, spine()).await.unwrap();
    assert_same(&found, &expected);
    fs::rename(repo.path().join(".away"), repo.path().join(".hitherto")).unwrap();
    // SQL over several rows needs them all: that copy is not looked at.
    spoil_all(&repo);
    build(&engine, &["summed:*"], spine()).await.unwrap();
    for view in ["whole:*", "filtered:*", "everywhere:*"] {
        assert_eq!(build(&engine, &[view], spine()).await.err().unwrap().kind(), Kind::Corrupt);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_source_that_changed_or_lost_a_file_is_not_read() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    optimize_all(&engine).await;
    spoil_all(&repo);
    repo.parquet("facts/1.parquet", facts(301, 3));
    let changed = build(&engine, &ALL, spine()).await.unwrap();
    fs::remove_file(repo.path().join("facts/1.parquet")).unwrap();
    let lost = build(&engine, &ALL, spine()).await.unwrap();
    assert_ne!(changed.rows, lost.rows);
    // A new copy is of the source as it is.
    optimize_all(&engine).await;
    assert_same(&build(&engine, &ALL, spine()).await.unwrap(), &lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_only_touched_is_the_same_file() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    optimize_all(&engine).await;
    let path = repo.path().join("facts/1.parquet");
    let content = fs::read(&path).unwrap();
    fs::write(&path, content).unwrap();
    assert!(optimize(&engine, "whole", OptimizeMode::IfChanged).await.is_up_to_date);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_leaves_its_old_copy_alone() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    optimize_all(&engine).await;
    spoil_all(&repo);
    repo.write("definitions.yaml", &YAML.replace("number * 2", "number * 3"));
    apply(&engine).await;
    build(&engine, &["filtered:*"], spine()).await.unwrap();
    assert!(build(&engine, &["whole:*"], spine()).await.is_err(), "that one did not change");
    // What is applied when rows are read does not change facts.
    let ttl = YAML.replace("number * 2", "number * 3").replace("ttl: 40us", "ttl: 41us");
    repo.write("definitions.yaml", &ttl);
    apply(&engine).await;
    assert!(build(&engine, &["whole:*"], spine()).await.is_err(), "facts did not change");
    assert!(!optimize(&engine, "filtered", OptimizeMode::IfChanged).await.is_up_to_date);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_behind_is_no_copy_and_goes_with_the_next() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let expected = build(&engine, &["whole:*"], spine()).await.unwrap();
    repo.write(".hitherto/optimized/whole/writing/000000.parquet", "half a file");
    assert_same(&build(&engine, &["whole:*"], spine()).await.unwrap(), &expected);
    optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    assert!(!repo.path().join(".hitherto/optimized/whole/writing").exists());
    repo.write(".hitherto/optimized/whole/writing/000007.parquet", "half a file");
    assert!(optimize(&engine, "whole", OptimizeMode::IfChanged).await.is_up_to_date);
    assert!(!repo.path().join(".hitherto/optimized/whole/writing").exists());
    assert_same(&build(&engine, &["whole:*"], spine()).await.unwrap(), &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_named_and_never_gives_another_value() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let expected = build(&engine, &["whole:*"], spine()).await.unwrap();
    optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    let path = parquet_file(&repo, "whole");
    let sound = fs::read(&path).unwrap();
    let check = async |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        match build(&engine, &["whole:*"], spine()).await {
            Ok(found) => assert_eq!(found.rows, expected.rows, "{what}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{what}: {}", error.chain());
                assert!(error.chain().contains("000000.parquet"), "{what}: {}", error.chain());
            }
        }
    };
    for length in [0, 4, sound.len() / 2, sound.len() - 1] {
        check(&sound[..length], &format!("cut off at {length}")).await;
    }
    let record = fs::read_to_string(path.with_file_name("copy.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let pages_end = record["files"][0]["pages_end"].as_u64().unwrap() as usize;
    for place in (pages_end..sound.len()).step_by(37) {
        let mut flipped = sound.clone();
        flipped[place] ^= 1 << (place % 8);
        check(&flipped, &format!("byte {place} of {}", sound.len())).await;
        assert!(build(&engine, &["whole:*"], spine()).await.is_err(), "byte {place}");
    }
    // A copy that is gone is damaged as well, and can be written anew.
    fs::remove_file(&path).unwrap();
    let error = build(&engine, &["whole:*"], spine()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(engine.optimize(grant(), "whole", OptimizeMode::IfChanged, &Silent).await.is_err());
    optimize(&engine, "whole", OptimizeMode::Full).await;
    assert_same(&build(&engine, &["whole:*"], spine()).await.unwrap(), &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_newer_format_is_refused_and_stays() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    let path = repo.path().join(".hitherto/optimized/whole/1/copy.json");
    let written = fs::read_to_string(&path).unwrap();
    let newer = written.replace("\"format\": 2", "\"format\": 3");
    assert_ne!(newer, written);
    fs::write(&path, &newer).unwrap();
    let error = build(&engine, &["whole:*"], spine()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("format 3"), "{error}");
    for mode in [OptimizeMode::IfChanged, OptimizeMode::Full] {
        let error = engine.optimize(grant(), "whole", mode, &Silent).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    fs::write(&path, "{").unwrap();
    assert_eq!(build(&engine, &["whole:*"], spine()).await.err().unwrap().kind(), Kind::Corrupt);
    optimize(&engine, "whole", OptimizeMode::Full).await;
    build(&engine, &["whole:*"], spine()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_reads_a_copy_only_of_its_own_files() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let first = build(&engine, &["whole:*"], spine()).await.unwrap().finished.manifest().unwrap();
    repo.parquet("facts/2.parquet", facts(500, 2));
    optimize(&engine, "whole", OptimizeMode::IfChanged).await;
    let (spine, schema) = (spine(), spine().schema());
    let spine = Some(Spine::Rows { batches: vec![spine], schema });
    let mut set = engine.rebuild(grant(), &first, spine, i64::MAX).await.unwrap();
    while let Some(batch) = set.next().await {
        batch.unwrap();
    }
    assert_eq!(set.finish().manifest().unwrap(), first);
}

fn write_world(repo: &Repo, name: &str, facts: &[Fact]) {
    repo.parquet(&format!("facts/{name}.parquet"), parity::columns(facts));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Some facts are in the copy and some come after it.
    #[test]
    fn a_world_answers_the_same_from_a_copy(world in worlds(), copied in 0..60_usize) {
        Runtime::new().unwrap().block_on(async {
            let repo = Repo::new(&parity::definitions(world.ttl));
            let copied = copied.min(world.facts.len());
            write_world(&repo, "0", &world.facts[..copied]);
            let engine = repo.applied_in_memory().await;
            optimize(&engine, "facts", OptimizeMode::IfChanged).await;
            check_world(&engine, &world, &world.facts[..copied]).await;
            write_world(&repo, "1", &world.facts[copied..]);
            check_world(&engine, &world, &world.facts).await;
        });
    }
}

async fn check_world(engine: &Engine, world: &World, facts: &[Fact]) {
    let world = World { facts: facts.to_vec(), ..world.clone() };
    for known_by in [None, world.known_by] {
        let spine = parity::spine(&world);
        let (batches, _) =
            repo::training_set(engine, &["facts:value"], spine, known_by).await.unwrap();
        let found: Vec<Option<i64>> = batches
            .iter()
            .flat_map(|rows| {
                let values = rows.column(3).as_any().downcast_ref::<Int64Array>().unwrap();
                values.iter().collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, parity::values(&parity::expected(&world, known_by)), "{known_by:?}");
    }
}

/// The tour's own data: thirteen views, most of them through SQL.
#[tokio::test(flavor = "multi_thread")]
async fn the_icu_views_have_one_content_with_and_without_copies() {
    let (_folder, engine) = icu::engine().await;
    let request = TrainingSetRequest {
        selection: Selection::Service(String::from("deterioration_v1")),
        timestamp: String::from("event_timestamp"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    let manifest = async || {
        let spine = icu::spine();
        let mut set = engine.training_set(grant(), &request, spine, 0).await.unwrap();
        while let Some(batch) = set.next().await {
            batch.unwrap();
        }
        set.finish().manifest().unwrap()
    };
    let expected = manifest().await;
    let registry = &engine.catalog().registry;
    let stored = registry.views.iter().filter(|view| view.definition.aggregates.is_none());
    let views: Vec<String> = stored.map(|view| view.name().to_owned()).collect();
    assert_eq!(views.len(), 13);
    for view in views {
        assert!(optimize(&engine, &view, OptimizeMode::IfChanged).await.rows > 0, "{view}");
    }
    assert_eq!(manifest().await, expected);
}

/// Keys of several periods, in milliseconds, over more rows than a row group has.
#[tokio::test(flavor = "multi_thread")]
async fn several_row_groups_and_pages_answer_as_their_source_does() {
    let repo = Repo::new(
        &YAML[..YAML
            .find("---\napiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: filtered")
            .unwrap()],
    );
    let rows = 300_000_i64;
    let scattered = |row: i64| (row * 7_919) % 100_003;
    repo.parquet(
        "facts/0.parquet",
        vec![
            (
                "ward",
                Arc::new(StringArray::from_iter_values(
                    (0..rows).map(|row| format!("ward {}", scattered(row) % 50)),
                )) as ArrayRef,
            ),
            (
                "bed",
                Arc::new(Int64Array::from_iter_values((0..rows).map(|row| scattered(row) % 400))),
            ),
            ("event", Arc::new(TimestampMillisecondArray::from_iter_values(0..rows))),
            (
                "known",
                Arc::new(TimestampMillisecondArray::from_iter_values(
                    (0..rows).map(|row| row + row % 3),
                )),
            ),
            ("gone", Arc::new(BooleanArray::from_iter((0..rows).map(|row| Some(row % 40 == 0))))),
            ("number", Arc::new(Int64Array::from_iter_values(0..rows))),
            (
                "text",
                Arc::new(StringArray::from_iter_values(
                    (0..rows).map(|row| format!("{}", scattered(row) % 1_000)),
                )),
            ),
        ],
    );
    let repo_yaml = fs::read_to_string(repo.path().join("definitions.yaml")).unwrap();
    repo.write("definitions.yaml", &repo_yaml.replace("ttl: 40us", "ttl: 40s"));
    let engine = repo.applied_in_memory().await;
    for count in [20_i64, 20_000] {
        let questions = batch(vec![
            (
                "ward",
                Arc::new(StringArray::from_iter_values(
                    (0..count).map(|row| format!("ward {}", scattered(row * 31) % 50)),
                )) as ArrayRef,
            ),
            (
                "bed",
                Arc::new(Int64Array::from_iter_values(
                    (0..count).map(|row| scattered(row * 31) % 400),
                )),
            ),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from_iter_values(
                    (0..count).map(|row| row * 300_000_000 / count),
                )),
            ),
        ]);
        fs::remove_dir_all(repo.path().join(".hitherto")).unwrap_or_default();
        let expected = build(&engine, &["whole:*"], questions.clone()).await.unwrap();
        let report = optimize(&engine, "whole", OptimizeMode::IfChanged).await;
        assert_eq!(report.rows, rows as u64);
        assert_same(&build(&engine, &["whole:*"], questions).await.unwrap(), &expected);
    }
}
