//! Bulk loading: rows in key order become sorted files, which are ingested.
//!
//! Nothing passes through the write-ahead log or a memtable. Files are built
//! in the staging folder and moved, not copied, into the database.

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_core::limits::SORTED_FILE_BYTES_MAX;
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};

use super::{HISTORY, LATEST, RocksStore, failed, io_failed};
use crate::keys;
use crate::store::{Beneath, GenerationId, Load, Loaded};

/// A load in progress; its staging folder goes when it is dropped.
pub struct RocksLoad<'s> {
    store: &'s RocksStore,
    generation: GenerationId,
    folder: PathBuf,
    latest: Files<'s>,
    history: Files<'s>,
}

impl<'s> RocksLoad<'s> {
    /// Creates the staging folder.
    pub fn new(store: &'s RocksStore, generation: GenerationId, beneath: Beneath) -> Result<Self> {
        let name = format!("{}-{}", generation.view, generation.number);
        let folder = store.staging.join(name);
        match fs::create_dir(&folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::conflict(
                    "this view is being loaded by another run; wait for it",
                ));
            }
            created => created.map_err(|cause| io_failed(&folder, cause))?,
        }
        Ok(Self {
            store,
            generation,
            folder,
            latest: Files::new(&store.latest_files, beneath),
            history: Files::new(&store.history_files, beneath),
        })
    }

    fn ingest(&self, family: &str, files: &Files<'_>) -> Result<()> {
        if files.paths.is_empty() {
            return Ok(());
        }
        let mut how = IngestExternalFileOptions::default();
        how.set_move_files(true);
        let family = self.store.family(family);
        let ingested =
            self.store.db.ingest_external_file_cf_opts(family, &how, files.paths.clone());
        ingested.map_err(failed)
    }
}

impl Load for RocksLoad<'_> {
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()> {
        self.latest.put(&self.folder, LATEST, &keys::latest(self.generation, entity_key), row)
    }

    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()> {
        let key = keys::history(self.generation, entity_key, times);
        self.history.put(&self.folder, HISTORY, &key, row)
    }

    fn finish(mut self: Box<Self>) -> Result<Loaded> {
        self.latest.close()?;
        self.history.close()?;
        let write = self.store.rows.begin_load(self.generation);
        self.ingest(HISTORY, &self.history)?;
        self.ingest(LATEST, &self.latest)?;
        drop(write);
        Ok(Loaded {
            latest_rows: self.latest.rows,
            history_rows: self.history.rows,
            file_bytes: self.latest.bytes + self.history.bytes,
        })
    }
}

impl Drop for RocksLoad<'_> {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_dir_all(&self.folder) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %cause, "staged files stay until the next opening");
        }
    }
}

/// The sorted files of one family. RocksDB keeps its own count of key order
/// within a file; across files `last_key` does.
struct Files<'s> {
    options: &'s Options,
    beneath: Beneath,
    open: Option<SstFileWriter<'s>>,
    paths: Vec<PathBuf>,
    last_key: Vec<u8>,
    rows: u64,
    bytes: u64,
}

impl<'s> Files<'s> {
    fn new(options: &'s Options, beneath: Beneath) -> Self {
        let (paths, last_key) = (Vec::new(), Vec::new());
        Self { options, beneath, open: None, paths, last_key, rows: 0, bytes: 0 }
    }

    fn put(&mut self, folder: &Path, family: &str, key: &[u8], row: &[u8]) -> Result<()> {
        if self.rows > 0 && key <= self.last_key.as_slice() {
            return Err(Error::internal("a load's keys are out of order"));
        }
        if self.open.as_ref().is_some_and(|file| file.file_size() >= SORTED_FILE_BYTES_MAX) {
            self.close()?;
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let path = folder.join(format!("{family}-{:06}.sst", self.paths.len()));
                let file = SstFileWriter::create(self.options);
                file.open(&path).map_err(failed)?;
                self.paths.push(path);
                self.open.insert(file)
            }
        };
        match self.beneath {
            Beneath::Nothing => file.put(key, row),
            Beneath::Rows => file.merge(key, row),
        }
        .map_err(failed)?;
        self.rows += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if let Some(mut file) = self.open.take() {
            file.finish().map_err(failed)?;
            self.bytes += file.file_size();
        }
        Ok(())
    }
}
