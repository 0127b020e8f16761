//! The real data of fixtures/icu: intensive-care stays, with laboratory results
//! that were collected long before anyone could know them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{
    KeyColumn, LookupRequest, MaterializeMode, Selection, TrainingSetRequest, VerifyRequest,
};
use hitherto_core::column::Status;
use hitherto_core::key::OwnedPart;
use hitherto_engine::{Access, Config, Engine};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use crate::repo::{apply, grant, materialize};

/// Before every stay; the data's years are shifted into the future.
const NOW: i64 = 0;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/icu")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true if entry.file_name().to_string_lossy().starts_with('.') => {}
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

pub async fn engine() -> (TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), folder.path());
    let config = Config::read(folder.path()).unwrap();
    let engine = Engine::open(folder.path(), &config, Access::ReadWrite).unwrap();
    apply(&engine).await;
    (folder, engine)
}

pub fn spine() -> RecordBatch {
    let file = File::open(fixture().join("spine.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_training_row_equals_the_lookup_as_of_its_time() {
    let (_folder, engine) = engine().await;
    let done = materialize(&engine, MaterializeMode::Incremental, NOW).await;
    assert!(done.iter().all(|view| view.entities > 0 && view.facts_without_time == 0));

    let spine = spine();
    let request = TrainingSetRequest {
        selection: Selection::Service(String::from("deterioration_v2")),
        timestamp: String::from("event_timestamp"),
        timezone: None,
        known_by: None,
        known: None,
        names: hitherto_api::FeatureNames::Full,
    };
    let mut running = engine.training_set(grant(), &request, spine.clone(), NOW).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = running.next().await {
        batches.push(batch.unwrap());
    }
    let report = running.finish().report;
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(all.num_rows(), spine.num_rows());

    // Counted independently by fixtures/icu/leak.py with DuckDB.
    let leaks = |view: &str| report.views.iter().find(|one| one.view == view).unwrap().leaks;
    let labs = ["lactate", "creatinine", "white_cells", "platelets", "bilirubin"];
    assert_eq!(labs.map(leaks), [14, 719, 436, 453, 290]);

    let text = |column: &str, row: usize| {
        let column = spine.column_by_name(column).unwrap();
        Some(OwnedPart::Bytes(column.as_string::<i32>().value(row).as_bytes().to_vec()))
    };
    let times = spine.column_by_name("event_timestamp").unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    for row in (0..spine.num_rows()).step_by(23) {
        let keys = ["hospitalization_id", "patient_id"]
            .map(|name| KeyColumn { name: name.to_owned(), parts: vec![text(name, row)] });
        let lookup = LookupRequest {
            selection: request.selection.clone(),
            keys: keys.to_vec(),
            request: Vec::new(),
            as_of: Some(times.value(row)),
            with_times: false,
        };
        let found = engine.lookup(grant(), &lookup, NOW).unwrap();
        let online = to_record_batch(&found).unwrap();
        for column in online.schema().fields() {
            let name = column.name();
            let offline = all.column_by_name(name).unwrap().slice(row, 1);
            assert_eq!(online.column_by_name(name).unwrap(), &offline, "{name}, row {row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_visible_before_it_happened() {
    let (_folder, engine) = engine().await;
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    let spine = spine();
    let stay = spine.column_by_name("hospitalization_id").unwrap().as_string::<i32>().value(0);
    let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
    let keys = vec![KeyColumn { name: String::from("hospitalization_id"), parts }];
    let selection = Selection::features(["heart_rate:*", "lactate:*"]).unwrap();
    let request =
        LookupRequest { selection, keys, request: Vec::new(), as_of: None, with_times: false };
    let found = engine.lookup(grant(), &request, NOW).unwrap();
    assert!(found.columns.iter().all(|column| column.status(0) == Status::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_all_views_have_no_difference() {
    let (_folder, engine) = engine().await;
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    for seed in 0..3 {
        let request = VerifyRequest { samples: 200, seed, ..VerifyRequest::default() };
        let found = engine.verify(grant(), &request, NOW).await.unwrap();
        assert_eq!((found.views.len(), found.stale().count()), (16, 0));
        assert_eq!(found.differences(), 0, "{found:#?}");
        assert!(found.values() > 16 * 100, "{found:#?}");
    }
}
