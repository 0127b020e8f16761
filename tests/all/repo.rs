//! Repositories made for a test: YAML and Parquet in a temporary folder.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch};
use hitherto_api::{
    Grant, KeyColumn, Lookup, LookupRequest, MaterializeMode, MaterializeRequest, Materialized,
    Progress, Selection, TrainingSetReport, TrainingSetRequest,
};
use hitherto_core::Result;
use hitherto_engine::{Access, Config, Engine};
use hitherto_online::memory::MemoryStore;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A repository in a temporary folder.
pub struct Repo {
    folder: TempDir,
}

/// What tests may.
pub fn grant() -> &'static Grant {
    static GRANT: LazyLock<Grant> = LazyLock::new(|| Grant::in_process("tests"));
    &GRANT
}

/// Nobody is told.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: &str, _: u64) {}
    fn end(&self, _: &str, _: u64) {}
}

impl Repo {
    /// A repository with one definition file.
    pub fn new(yaml: &str) -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.write("definitions.yaml", yaml);
        repo
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes one Parquet file with these columns.
    pub fn parquet(&self, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_parquet(&path, &batch(columns));
    }

    /// An engine over RocksDB.
    pub fn open(&self, access: Access) -> Result<Engine> {
        Engine::open(self.path(), &Config::default(), access)
    }

    /// An engine over RocksDB with everything applied at 0.
    pub async fn applied(&self) -> Engine {
        let engine = self.open(Access::ReadWrite).unwrap();
        apply(&engine).await;
        engine
    }

    /// An engine over the in-memory store with everything applied at 0.
    pub async fn applied_in_memory(&self) -> Engine {
        let store = Arc::new(MemoryStore::default());
        let engine = Engine::with_store(self.path(), store, &Config::default()).unwrap();
        apply(&engine).await;
        engine
    }
}

pub async fn apply(engine: &Engine) {
    let plan = engine.plan(grant()).await.unwrap();
    engine.apply(grant(), &plan, 0).await.unwrap();
}

pub async fn materialize(engine: &Engine, mode: MaterializeMode, now: i64) -> Vec<Materialized> {
    let request = MaterializeRequest { mode, ..MaterializeRequest::default() };
    engine.materialize(grant(), &request, now, &Silent).await.unwrap()
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

pub fn write_parquet(path: &Path, batch: &RecordBatch) {
    write_parquet_as(path, batch, WriterProperties::default());
}

/// A row group at a time: rows that do not fit in one the writer cuts off by calling itself,
/// once for each, until its stack is full.
pub fn write_parquet_as(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = File::create(path).unwrap();
    let rows = batch.num_rows();
    let group_rows = properties.max_row_group_row_count().unwrap_or(rows).max(1);
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    for from in (0..rows).step_by(group_rows) {
        writer.write(&batch.slice(from, group_rows.min(rows - from))).unwrap();
    }
    writer.close().unwrap();
}

/// A lookup of features by reference.
pub fn lookup(
    engine: &Engine,
    features: &[&str],
    keys: Vec<KeyColumn>,
    as_of: Option<i64>,
    now: i64,
) -> Result<Lookup> {
    let selection = Selection::features(features)?;
    engine.lookup(
        grant(),
        &LookupRequest { selection, keys, request: Vec::new(), as_of, with_times: true },
        now,
    )
}

/// A training set, read to its end.
pub async fn training_set(
    engine: &Engine,
    features: &[&str],
    spine: RecordBatch,
    known_by: Option<i64>,
) -> Result<(Vec<RecordBatch>, TrainingSetReport)> {
    let (batches, report, _) = explained(engine, features, spine, known_by).await?;
    Ok((batches, report))
}

/// The same, with its plan and what that measured.
pub async fn explained(
    engine: &Engine,
    features: &[&str],
    spine: RecordBatch,
    known_by: Option<i64>,
) -> Result<(Vec<RecordBatch>, TrainingSetReport, String)> {
    let request = TrainingSetRequest {
        selection: Selection::features(features)?,
        timestamp: String::from("at"),
        timezone: None,
        known_by,
        known: None,
        names: Default::default(),
    };
    let mut running = engine.training_set(grant(), &request, spine, i64::MAX).await?;
    let mut batches = Vec::new();
    while let Some(batch) = running.next().await {
        batches.push(batch?);
    }
    let plan = running.explain();
    Ok((batches, running.finish().report, plan))
}
