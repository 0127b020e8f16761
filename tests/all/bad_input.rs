//! Input that does not fit: one clear error that names what is wrong, what was
//! expected and found and what to do, and nothing changes. The catalog keeps
//! its version, the store its rows, and a training set is refused before its
//! first row. What `definitions`, `lookups` and `training` show is not repeated.

use std::fs;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date64Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use hitherto_api::{
    FeatureNames, KeyColumn, LookupRequest, MaterializeMode, MaterializeRequest, Selection,
    TrainingSetRequest,
};
use hitherto_core::catalog::Catalog;
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::{Error, Kind};
use hitherto_engine::Engine;

use crate::repo::{Repo, Silent, batch, grant, lookup, materialize, write_parquet};

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
  source: { parquet: labs, eventTime: drawn, knownTime: released }
  features: [{ name: lactate, type: int64 }, { name: note, type: string }]
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: vitals }
spec:
  entity: stay
  source: { parquet: vitals.parquet, eventTime: drawn }
  features: [{ name: lactate, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: sepsis }
spec: { features: ['labs:lactate'] }
";

/// What a spine is told in which no column is a time.
const NO_TIME: &str = "a timestamp or date is needed, and none of its columns is one; add one \
                       that says as of when each row asks, or leave the spine out and take every \
                       entity at one moment with --at TIME (in Python at=)";

/// When everything was materialized.
const NOW: i64 = 10_000_000_000;

fn times(micros: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros.to_vec()))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Two facts as a source file has them, one column replaced or, with `None`,
/// left out.
fn facts(column: &str, instead: Option<ArrayRef>) -> RecordBatch {
    let columns = vec![
        ("stay", ints(&[1, 2])),
        ("drawn", times(&[NOW - 20, NOW - 10])),
        ("released", times(&[NOW - 15, NOW - 5])),
        ("lactate", ints(&[100, 200])),
        ("note", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef),
    ];
    let columns = columns.into_iter().filter_map(|(name, array)| match name == column {
        false => Some((name, array)),
        true => instead.clone().map(|instead| (name, instead)),
    });
    batch(columns.collect())
}

/// A repository whose two views are online.
async fn online() -> (Repo, Engine) {
    let repo = Repo::new(YAML);
    fs::create_dir_all(repo.path().join("labs")).unwrap();
    write(&repo, "labs/monday.parquet", &facts("", None));
    write(&repo, "vitals.parquet", &facts("", None));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    (repo, engine)
}

fn write(repo: &Repo, file: &str, facts: &RecordBatch) {
    write_parquet(&repo.path().join(file), facts);
}

fn stays(values: &[i64]) -> Vec<KeyColumn> {
    let parts = values.iter().map(|value| Some(OwnedPart::Int(*value))).collect();
    vec![KeyColumn { name: String::from("stay"), parts }]
}

/// The catalog with its generations, and what lookups answer before any fact
/// was known, when one was, and now.
fn state(engine: &Engine) -> (Catalog, [Values; 3]) {
    let answer = |at| {
        let found = lookup(engine, &["labs:lactate"], stays(&[1, 2]), Some(at), NOW).unwrap();
        found.columns[0].values.clone()
    };
    (Catalog::clone(&engine.catalog()), [NOW - 16, NOW - 6, NOW].map(answer))
}

async fn run(engine: &Engine, views: &[&str], mode: MaterializeMode) -> Result<(), Error> {
    let views = views.iter().map(|view| String::from(*view)).collect();
    let request = MaterializeRequest { views, mode, ..MaterializeRequest::default() };
    engine.materialize(grant(), &request, NOW, &Silent).await.map(drop)
}

/// What starting a training set is told; no row of it was read.
async fn refused(
    engine: &Engine,
    selection: Selection,
    names: FeatureNames,
    spine: RecordBatch,
) -> Error {
    let timestamp = String::from("at");
    let request = TrainingSetRequest {
        selection,
        timestamp,
        timezone: None,
        known_by: None,
        known: None,
        names,
    };
    match engine.training_set(grant(), &request, spine, NOW).await {
        Ok(_) => panic!("the training set was begun"),
        Err(error) => error,
    }
}

fn spine() -> RecordBatch {
    batch(vec![("stay", ints(&[1, 2])), ("at", times(&[NOW, NOW]))])
}

fn features(references: &[&str]) -> Selection {
    Selection::features(references).unwrap()
}

fn service(name: &str) -> Selection {
    Selection::Service(name.to_owned())
}

fn assert_told(error: &Error, kind: Kind, message: &str) {
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_not_found_and_the_like_is_suggested() {
    let (_repo, engine) = online().await;
    let before = state(&engine);
    for (selection, message) in [
        (features(&["lab:lactate"]), "no feature view \"lab\" is applied; did you mean \"labs\"?"),
        (
            features(&["labs:lactat"]),
            "feature view \"labs\" has no feature \"lactat\"; did you mean \"lactate\"?",
        ),
        (
            features(&["labs:creatinine"]),
            "feature view \"labs\" has no feature \"creatinine\"; there is lactate, note",
        ),
        (service("sepsi"), "no feature service \"sepsi\" is applied; did you mean \"sepsis\"?"),
    ] {
        let keys = stays(&[1]);
        let request = LookupRequest {
            selection: selection.clone(),
            keys,
            request: Vec::new(),
            as_of: None,
            with_times: false,
        };
        assert_told(&engine.lookup(grant(), &request, NOW).unwrap_err(), Kind::NotFound, message);
        let error = refused(&engine, selection, FeatureNames::Short, spine()).await;
        assert_told(&error, Kind::NotFound, message);
    }
    // The first view is known; it is not materialized either.
    let error = run(&engine, &["labs", "vital"], MaterializeMode::Full).await.unwrap_err();
    let message = "no feature view \"vital\" is applied; did you mean \"vitals\"?";
    assert_told(&error, Kind::NotFound, message);
    assert_eq!(state(&engine), before);
}

#[test]
fn a_malformed_feature_says_what_form_it_should_have() {
    for odd in ["labs", "labs:", ":lactate", "labs:lactate:x", "Labs:lactate", "labs: lactate", "*"]
    {
        let error = Selection::features([odd]).unwrap_err();
        let message = format!(
            "{odd:?} is no feature reference; write view:feature, view:* or \
             alias=view[key=column]:feature"
        );
        assert_told(&error, Kind::Invalid, &message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_no_feature_is_refused() {
    let (_repo, engine) = online().await;
    let error = refused(&engine, features(&[]), FeatureNames::Short, spine()).await;
    let message = "no feature is asked for; name a service or view:feature";
    assert_told(&error, Kind::Invalid, message);
    let error = lookup(&engine, &[], stays(&[1]), None, NOW).unwrap_err();
    assert_told(&error, Kind::Invalid, message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_whose_columns_do_not_fit_is_refused_before_the_first_row() {
    let (_repo, engine) = online().await;
    let key = |array: ArrayRef| batch(vec![("stay", array), ("at", times(&[NOW, NOW]))]);
    let at = |array: ArrayRef| batch(vec![("stay", ints(&[1, 2])), ("at", array)]);
    let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["2024-01-01", "2024-01-02"])) };
    let key_message = |found: &str| {
        format!(
            "the spine's column \"stay\" has type {found}; the join key of feature view \"labs\" \
             is int64; cast the spine"
        )
    };
    let at_message = |found: &str| {
        format!("the spine's column \"at\" has type {found}, which is no time; {NO_TIME}")
    };
    for (spine, message) in [
        (key(Arc::new(Int32Array::from(vec![1, 2]))), key_message("int32")),
        (key(Arc::new(UInt64Array::from(vec![1, 2]))), key_message("uint64")),
        (key(Arc::new(Float64Array::from(vec![1.0, 2.0]))), key_message("float64")),
        (at(text()), at_message("string")),
        (at(Arc::new(Date64Array::from(vec![1, 2]))), at_message("Date64")),
        (at(Arc::new(Float64Array::from(vec![1.0, 2.0]))), at_message("float64")),
        (
            batch(vec![("stay_id", ints(&[1])), ("at", times(&[NOW]))]),
            String::from(
                "the spine has no column \"stay\", the join key of feature view \"labs\"; there \
                 is stay_id; rename the column, or name it with the features, as in \
                 VIEW[KEY=COLUMN]:*",
            ),
        ),
        (
            batch(vec![("stay", ints(&[1])), ("att", times(&[NOW]))]),
            String::from(
                "the spine has no column \"at\", the column of times; its one column of times is \
                 \"att\"; name it with --timestamp (in Python timestamp=)",
            ),
        ),
    ] {
        let error = refused(&engine, service("sepsis"), FeatureNames::Short, spine).await;
        assert_told(&error, Kind::Invalid, &message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_of_one_name_are_refused_whatever_made_them() {
    let (_repo, engine) = online().await;
    let of_features = "the training set would have two columns named \"lactate\", two features'; \
                       name one view otherwise (other=view:feature), or ask for full names, \
                       view:feature";
    let of_both = "the training set would have two columns named \"lactate\", one of the spine's \
                   and a feature's; rename the spine's, or ask for full names, view:feature";
    let of_both_full = "the training set would have two columns named \"labs:lactate\", one of the \
                        spine's and a feature's; rename the spine's";
    let of_spine = |name: &str, first: u32| {
        format!("the spine has two columns named {name:?}, number {first} and 3; rename one")
    };
    let both = || features(&["labs:lactate", "vitals:lactate"]);
    let with =
        |name: &str| batch(vec![("stay", ints(&[1])), ("at", times(&[NOW])), (name, ints(&[7]))]);
    for (selection, names, spine, message) in [
        (both(), FeatureNames::Short, spine(), of_features.to_owned()),
        (service("sepsis"), FeatureNames::Short, with("lactate"), of_both.to_owned()),
        (service("sepsis"), FeatureNames::Full, with("labs:lactate"), of_both_full.to_owned()),
        (service("sepsis"), FeatureNames::Full, with("at"), of_spine("at", 2)),
        (service("sepsis"), FeatureNames::Full, with("stay"), of_spine("stay", 1)),
    ] {
        let error = refused(&engine, selection, names, spine).await;
        assert_told(&error, Kind::Invalid, &message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spine_batches_of_two_schemas_are_refused() {
    let (_repo, engine) = online().await;
    let other = batch(vec![("at", times(&[NOW])), ("stay", ints(&[1]))]);
    let request = TrainingSetRequest {
        selection: service("sepsis"),
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Short,
    };
    let schema = spine().schema();
    let error = engine
        .training_set(grant(), &request, (vec![spine(), other], schema), NOW)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    let message = "the spine's batches have two schemas; give all of them one: ";
    assert!(error.to_string().starts_with(message), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_with_a_time_that_is_null_or_beyond_range_is_refused() {
    let (_repo, engine) = online().await;
    let nulls: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(NOW), None]));
    let with = |at| batch(vec![("stay", ints(&[1, 2])), ("at", at)]);
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, with(nulls)).await;
    let message = "the spine's column \"at\" is null (row 1 of a batch); leave that row out, \
                   or give it its time";
    assert_told(&error, Kind::Invalid, message);
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, i64::MAX]));
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, with(seconds)).await;
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_before_the_history_says_how_far_back_it_goes() {
    let (_repo, engine) = online().await;
    let hour = 3_600_000_000;
    assert!(lookup(&engine, &["labs:lactate"], stays(&[1]), Some(NOW - hour), NOW).is_ok());
    let error = lookup(&engine, &["labs:lactate"], stays(&[1]), Some(NOW - hour - 1), NOW);
    let message = "feature view \"labs\" keeps history back to 1970-01-01T01:46:40Z and cannot \
                   answer as of 1970-01-01T01:46:39.999999Z; ask later, or lengthen \
                   online.history, apply and materialize";
    assert_told(&error.unwrap_err(), Kind::Invalid, message);
    // A view that keeps none reaches back to its run.
    assert!(lookup(&engine, &["vitals:lactate"], stays(&[1]), Some(NOW), NOW).is_ok());
    let error = lookup(&engine, &["vitals:lactate"], stays(&[1]), Some(NOW - 1), NOW).unwrap_err();
    let message = "feature view \"vitals\" keeps history back to 1970-01-01T02:46:40Z and cannot \
                   answer as of 1970-01-01T02:46:39.999999Z; ask later, or lengthen \
                   online.history, apply and materialize";
    assert_told(&error, Kind::Invalid, message);
    // One view that cannot answer fails the lookup of both.
    let both = ["labs:lactate", "vitals:note"];
    assert!(lookup(&engine, &both, stays(&[1]), Some(NOW - 1), NOW).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_that_does_not_fit_is_refused_and_the_old_copy_answers_on() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    let float: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
    let zoned: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![NOW - 20, NOW - 10]).with_timezone("UTC"));
    let lacks = |column: &str| {
        format!(
            "source file labs/tuesday.parquet lacks the column {column:?} that other files of \
             the source have; write it with that column, or keep it out of source.parquet"
        )
    };
    let differs = |column: &str, then: &str, now: &str| {
        format!(
            "column {column:?} has type {then} in source file labs/monday.parquet and {now} in \
             labs/tuesday.parquet; write both with one type"
        )
    };
    let micros = "timestamp(us)";
    for (column, instead, message) in [
        ("stay", None, lacks("stay")),
        ("drawn", None, lacks("drawn")),
        ("released", None, lacks("released")),
        ("lactate", None, lacks("lactate")),
        ("lactate", Some(&float), differs("lactate", "int64", "float64")),
        ("lactate", Some(&text), differs("lactate", "int64", "string")),
        ("stay", Some(&text), differs("stay", "int64", "string")),
        ("drawn", Some(&text), differs("drawn", micros, "string")),
        ("drawn", Some(&zoned), differs("drawn", micros, "timestamp(us, UTC)")),
    ] {
        write(&repo, "labs/tuesday.parquet", &facts(column, instead.cloned()));
        let error = run(&engine, &[], MaterializeMode::Incremental).await.unwrap_err();
        assert_told(&error, Kind::Invalid, &message);
        assert_eq!(state(&engine), before, "{message}");
    }
    // The run is not stuck: a file that fits is taken.
    write(&repo, "labs/tuesday.parquet", &facts("lactate", Some(ints(&[111, 222]))));
    run(&engine, &[], MaterializeMode::Incremental).await.unwrap();
    assert_eq!(state(&engine).1[2], Values::I64(vec![111, 222]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_no_longer_fits_fails_every_path_in_the_same_words() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    write(&repo, "labs/monday.parquet", &facts("lactate", None));
    let message = "feature view \"labs\", features.lactate: the source has no column \"lactate\"; \
                   there is stay, drawn, released, note";
    for mode in [MaterializeMode::Incremental, MaterializeMode::Full] {
        let error = run(&engine, &["labs"], mode).await.unwrap_err();
        assert_told(&error, Kind::Invalid, message);
    }
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, spine()).await;
    assert_told(&error, Kind::Invalid, message);
    assert_eq!(state(&engine), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_files_are_gone_says_where_it_looked() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    fs::remove_file(repo.path().join("labs/monday.parquet")).unwrap();
    let folder = repo.path().join("labs");
    let message = format!(
        "source \"labs\" has no Parquet file ({} was looked at); put one there, or name another \
         in source.parquet",
        folder.display()
    );
    let error = run(&engine, &["labs"], MaterializeMode::Full).await.unwrap_err();
    assert_told(&error, Kind::NotFound, &message);
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, spine()).await;
    assert_told(&error, Kind::NotFound, &message);
    assert_eq!(state(&engine), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_times_that_cannot_be_kept_change_nothing() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    let beyond: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, i64::MAX]));
    write(&repo, "labs/tuesday.parquet", &facts("drawn", Some(beyond)));
    let error = run(&engine, &["labs"], MaterializeMode::Incremental).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert_eq!(state(&engine), before);
}

/// What can be seen of a broken file without reading its pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_corrupt_and_changes_nothing() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    let path = repo.path().join("labs/monday.parquet");
    let good = fs::read(&path).unwrap();
    let flipped = |from_end: usize| {
        let mut bytes = good.clone();
        let at = bytes.len() - from_end;
        bytes[at] ^= 0xFF;
        bytes
    };
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("half of it", good[..good.len() / 2].to_vec()),
        ("its last byte cut off", good[..good.len() - 1].to_vec()),
        ("its first four bytes", good[..4].to_vec()),
        ("another format", b"stay,drawn,released,lactate\n1,2,3,4\n".to_vec()),
        ("a flipped byte in the mark at its end", flipped(1)),
        ("a flipped byte in the length of its footer", flipped(5)),
    ] {
        fs::write(&path, bytes).unwrap();
        // A full run and a plan look at the files first, and name the one.
        let message = "source file labs/monday.parquet is not a whole Parquet file; write it again";
        let error = run(&engine, &["labs"], MaterializeMode::Full).await.unwrap_err();
        assert_told(&error, Kind::Corrupt, message);
        assert_told(&engine.plan(grant()).await.unwrap_err(), Kind::Corrupt, message);
        assert_eq!(state(&engine), before, "{what}");
    }
    fs::write(&path, &good).unwrap();
    run(&engine, &["labs"], MaterializeMode::Full).await.unwrap();
    assert_eq!(state(&engine).1[2], before.1[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_that_is_cut_short_is_corrupt_on_every_path_and_changes_nothing() {
    let (repo, engine) = online().await;
    let before = state(&engine);
    let good = fs::read(repo.path().join("labs/monday.parquet")).unwrap();
    for bytes in [4, good.len() / 2, good.len() - 8, good.len() - 1] {
        fs::write(repo.path().join("labs/tuesday.parquet"), &good[..bytes]).unwrap();
        for mode in [MaterializeMode::Incremental, MaterializeMode::Full] {
            let error = run(&engine, &["labs"], mode).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt, "{bytes} bytes, {mode:?}: {error}");
        }
        let error = refused(&engine, service("sepsis"), FeatureNames::Short, spine()).await;
        assert_eq!(error.kind(), Kind::Corrupt, "{bytes} bytes: {error}");
        assert_eq!(state(&engine), before, "{bytes} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_without_columns_is_refused() {
    let (_repo, engine) = online().await;
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, nothing).await;
    let message = format!("the spine has no column \"at\", the column of times; {NO_TIME}");
    assert_told(&error, Kind::Invalid, &message);
    // Columns without rows are a spine, of which the types count all the same.
    let fields =
        vec![Field::new("stay", DataType::Utf8, true), Field::new("at", DataType::Date32, true)];
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    let error = refused(&engine, service("sepsis"), FeatureNames::Short, empty).await;
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("has type string; the join key"), "{error}");
}
