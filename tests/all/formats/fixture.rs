//! `fixtures/formats/<number>`: what a release wrote, opened by every later one.
//!
//! One small repository with every structure that is kept on disk, and beside it the
//! answers. All facts and all questions of a fixture are made here, so that a new one
//! needs no thought; what old ones answer is in their `expected.txt` alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::types::{Float32Type, Int16Type};
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{
    Ack, FeatureNames, KeyColumn, MaterializeMode, OptimizeMode, PushRequest, Pushed, Selection,
    Spine, TrainingSetRequest,
};
use hitherto_core::key::OwnedPart;
use hitherto_engine::{Access, BackupFiles, Config, Engine, Finished, TrainingSet};

use crate::repo::{Silent, apply, batch, grant, lookup, materialize, write_parquet};

/// After every fact.
pub const NOW: i64 = 1_000;

const SERVICE: &str = "everything";

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: Entity
metadata: { name: bed }
spec: { keys: [{ name: ward, type: string }, { name: bed, type: int32 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: types, owner: formats, description: a feature of every type }
spec:
  entity: stay
  source: { parquet: types.parquet, eventTime: event }
  online: { history: 1000d }
  features:
    - { name: bool, type: bool }
    - { name: int8, type: int8 }
    - { name: int64, type: int64 }
    - { name: uint64, type: uint64 }
    - { name: float32, type: float32 }
    - { name: float64, type: float64 }
    - { name: money, type: 'decimal128(38, 3)' }
    - { name: string, type: string }
    - { name: binary, type: binary }
    - { name: date, type: date32 }
    - { name: zoned, type: 'timestamp(us, +05:30)' }
    - { name: nanos, type: 'timestamp(ns)' }
    - { name: vector, type: list(float32) }
    - { name: codes, type: list(int16) }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: bed
  source: { parquet: labs, eventTime: event, knownTime: known, deleted: gone }
  ttl: 500us
  online: { history: 1000d }
  features: [{ name: level, type: float64, default: 0.5 }, { name: note, type: string }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: census }
spec:
  source:
    parquet: labs
    sql: SELECT event, ward, COUNT(*) AS facts FROM source GROUP BY event, ward
    eventTime: event
  features: [{ name: facts, type: int64 }, { name: ward, type: string }]
  online: { history: 1000d }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: levels }
spec:
  entity: bed
  source: { parquet: labs, eventTime: event, knownTime: known, deleted: gone, id: eventTime }
  online: { history: 1000d }
  aggregates:
    - { function: sum, column: level, windows: [1d] }
    - { function: count, windows: [lifetime], where: note IS NOT NULL, name: noted }
    - { function: last_n, column: level, n: 3, windows: [1d], nulls: keep }
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: ratios, owner: formats }
spec:
  entities: [stay, bed]
  inputs: ['labs:*', 'types:int8']
  features:
    - { name: quarter, type: float64, expr: level / 4, default: -1 }
    - { name: words, type: string, expr: \"concat(note, ' ', CAST(int8 AS VARCHAR))\" }
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: asked }
spec:
  request: [{ name: amount, type: float64, description: brought }]
  features: [{ name: share, type: float64, expr: amount / 2 }]
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: everything }
spec: { features: ['types:*', 'labs:*', 'census:*', 'levels:*', 'ratios:*'] }
";

/// Ward, bed, event, known, level, note, gone.
type Lab = (&'static str, i32, i64, i64, Option<f64>, Option<&'static str>, bool);

/// Late knowledge, ties, a correction, a deletion, nulls, NaN and both zeros.
const LABS: [Lab; 9] = [
    ("a", 1, 10, 10, Some(1.0), Some("first"), false),
    ("a", 1, 20, 300, Some(2.0), Some("late"), false),
    ("a", 1, 20, 20, Some(f64::NAN), Some("grüß\0"), false),
    ("a", 11, 30, 30, Some(-0.0), None, false),
    ("a", 11, 30, 30, Some(0.0), Some(""), false),
    ("a1", 1, 40, 40, None, Some("null"), false),
    ("a1", 1, 50, 60, None, None, true),
    ("", -1, 70, 70, Some(f64::NEG_INFINITY), Some("empty ward"), false),
    ("a", 1, 80, 400, Some(3.0), Some("from the second file"), false),
];

/// Those that are pushed: the first three land in a file, the last stays in the log.
const PUSHED: [Lab; 4] = [
    ("pushed", 7, 100, 100, Some(7.5), Some("pushed"), false),
    ("pushed", 7, 110, 110, Some(8.5), None, false),
    ("a", 11, 120, 120, None, None, true),
    ("pushed", 8, 130, 130, Some(9.5), Some("still in the log"), false),
];

fn labs(facts: &[Lab]) -> RecordBatch {
    let times = |of: fn(&Lab) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(facts.iter().map(of)))
    };
    batch(vec![
        ("ward", Arc::new(StringArray::from_iter_values(facts.iter().map(|fact| fact.0)))),
        ("bed", Arc::new(Int32Array::from_iter_values(facts.iter().map(|fact| fact.1)))),
        ("event", times(|fact| fact.2)),
        ("known", times(|fact| fact.3)),
        ("level", Arc::new(Float64Array::from_iter(facts.iter().map(|fact| fact.4)))),
        ("note", Arc::new(StringArray::from_iter(facts.iter().map(|fact| fact.5)))),
        ("gone", Arc::new(BooleanArray::from_iter(facts.iter().map(|fact| Some(fact.6))))),
    ])
}

/// Stays 1 to 3: values, nulls, other values.
fn types() -> RecordBatch {
    let money = Decimal128Array::from(vec![Some(-12_345), None, Some(i128::from(i64::MAX) * 1000)]);
    let zoned = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1 << 50)]);
    let vectors = vec![Some(vec![Some(0.5), None, Some(-0.0)]), None, Some(vec![])];
    let codes = vec![Some(vec![Some(i16::MIN)]), None, Some(vec![Some(1), Some(2)])];
    batch(vec![
        ("stay", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("event", Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some((1 << 53) + 1)]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::NAN)]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN)]))),
        ("money", Arc::new(money.with_precision_and_scale(38, 3).unwrap())),
        ("string", Arc::new(StringArray::from(vec![Some("grüß\0"), None, Some("")]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), None, Some(&[])]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        ("zoned", Arc::new(zoned.with_timezone("+05:30"))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None, Some(i64::MAX)]))),
        ("vector", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vectors))),
        ("codes", Arc::new(ListArray::from_iter_primitive::<Int16Type, _, _>(codes))),
    ])
}

/// Stay, ward, bed and moment.
const QUESTIONS: [(i64, &str, i32, i64); 14] = [
    (1, "a", 1, 9),
    (2, "a", 1, 10),
    (3, "a", 1, 299),
    (4, "a", 1, 300),
    (1, "a", 1, 399),
    (1, "a", 1, 900),
    (1, "a", 11, 119),
    (1, "a", 11, 120),
    (2, "a1", 1, 59),
    (2, "a1", 1, 60),
    (3, "", -1, 70),
    (3, "pushed", 7, 109),
    (3, "pushed", 7, 610),
    (3, "pushed", 7, 611),
];
/// Answered by the log alone until it lands.
const LOGGED: (i64, &str, i32, i64) = (1, "pushed", 8, 130);

fn spine() -> RecordBatch {
    let stays = QUESTIONS.iter().map(|question| question.0);
    let wards = QUESTIONS.iter().map(|question| question.1);
    let beds = QUESTIONS.iter().map(|question| question.2);
    let times = QUESTIONS.iter().map(|question| question.3);
    batch(vec![
        ("stay", Arc::new(Int64Array::from_iter_values(stays)) as ArrayRef),
        ("ward", Arc::new(StringArray::from_iter_values(wards))),
        ("bed", Arc::new(Int32Array::from_iter_values(beds))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times))),
    ])
}

/// An engine over the repository of a fixture.
pub fn open(repository: &Path) -> Engine {
    let config = Config::read(repository).unwrap();
    Engine::open(repository, &config, Access::ReadWrite).unwrap()
}

/// Pushes what the fixture's release pushed first, under the name that it had then.
pub fn push_first(engine: &Engine) -> Pushed {
    push(engine, &PUSHED[..3], "first")
}

fn push(engine: &Engine, facts: &[Lab], name: &str) -> Pushed {
    let push = |view: &str| {
        let request = PushRequest {
            view: String::from(view),
            facts: labs(facts),
            idempotency_key: String::from(name),
            ack: Ack::Durable,
        };
        engine.push(grant(), &request, NOW).unwrap()
    };
    if has_events(engine) {
        push("levels");
    }
    push("labs")
}

/// Whether the release of a fixture could compute features of events.
fn has_events(engine: &Engine) -> bool {
    engine.catalog().registry.view("levels").is_ok()
}

/// What lookups answer, a line a question, the one that was never landed last.
pub fn looked_up(engine: &Engine) -> String {
    let answers = QUESTIONS.iter().chain([&LOGGED]).map(|(stay, ward, bed, at)| {
        let key = |name: &str, part| KeyColumn { name: name.into(), parts: vec![Some(part)] };
        let keys = vec![
            key("stay", OwnedPart::Int(*stay)),
            key("ward", OwnedPart::Bytes(ward.as_bytes().to_vec())),
            key("bed", OwnedPart::Int(i64::from(*bed))),
        ];
        let mut selection = vec!["types:*", "labs:*", "census:*"];
        selection.extend(has_events(engine).then_some("levels:*"));
        let computes = engine.catalog().registry.on_demand_view("ratios").is_some();
        selection.extend(computes.then_some("ratios:*"));
        let found = lookup(engine, &selection, keys, Some(*at), NOW).unwrap();
        line(&(*stay, *ward, *bed, *at), &to_record_batch(&found).unwrap(), 0, 0)
    });
    answers.collect()
}

/// A training set of all questions but the one that was never landed.
pub async fn train(engine: &Engine) -> (String, Finished) {
    let request = TrainingSetRequest {
        selection: Selection::Service(SERVICE.into()),
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    trained(engine.training_set(grant(), &request, spine(), NOW).await.unwrap()).await
}

/// The same by a manifest.
pub async fn rebuild(engine: &Engine, manifest: &hitherto_api::Manifest) -> (String, Finished) {
    let (spine, schema) = (spine(), spine().schema());
    let spine = Some(Spine::Rows { batches: vec![spine], schema });
    trained(engine.rebuild(grant(), manifest, spine, NOW).await.unwrap()).await
}

async fn trained(mut set: TrainingSet) -> (String, Finished) {
    let (mut lines, mut questions) = (String::new(), QUESTIONS.iter());
    while let Some(batch) = set.next().await {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            lines.push_str(&line(questions.next().unwrap(), &batch, row, 4));
        }
    }
    (lines, set.finish())
}

/// One answer as text; features begin at column `first`.
fn line(question: &(i64, &str, i32, i64), batch: &RecordBatch, row: usize, first: usize) -> String {
    let options = FormatOptions::new().with_null("null");
    let values = batch.columns()[first..].iter().map(|column| {
        let shown = ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string();
        match column.data_type() {
            arrow::datatypes::DataType::Utf8 if column.is_valid(row) => format!("{shown:?}"),
            _ => shown,
        }
    });
    let (stay, ward, bed, at) = question;
    let values = values.collect::<Vec<_>>().join(" | ");
    format!("stay {stay}, bed {ward:?} {bed}, at {at}: {values}\n")
}

/// Writes a fixture of what this release writes into `folder`, which must not be there.
pub async fn write(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let written = tempfile::tempdir().unwrap();
    let repository = written.path().join("repository");
    fs::create_dir_all(repository.join("labs")).unwrap();
    fs::write(repository.join("hitherto.yaml"), "store: store\nthreads: 1\n").unwrap();
    fs::write(repository.join("definitions.yaml"), YAML).unwrap();
    write_parquet(&repository.join("types.parquet"), &types());
    write_parquet(&repository.join("labs/0.parquet"), &labs(&LABS[..8]));
    let engine = open(&repository);
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    write_parquet(&repository.join("labs/1.parquet"), &labs(&LABS[8..]));
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    for view in ["types", "labs"] {
        engine.optimize(grant(), view, OptimizeMode::Full, &Silent).await.unwrap();
    }
    push_first(&engine);
    let (_, finished) = train(&engine).await;
    let manifest = serde_json::to_string_pretty(&finished.manifest().unwrap()).unwrap();
    fs::write(folder.join("manifest.json"), manifest + "\n").unwrap();
    push(&engine, &PUSHED[3..], "second");
    engine.backup(grant(), &written.path().join("backup"), BackupFiles::Linked, NOW).unwrap();
    fs::write(folder.join("expected.txt"), looked_up(&engine)).unwrap();
    drop(engine);
    for part in ["repository", "backup"] {
        copy(&written.path().join(part), &folder.join(part));
    }
}

/// Copies a folder without what only says who had it open.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false if name == "LOCK" || name == "LOG" || name == "owner" => {}
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// The folder of all fixtures.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/formats")
}
