//! Bulk loading: rows in key order become sorted files, which are ingested.
//!
//! Nothing passes through the write-ahead log or a memtable. Files are built
//! in the staging folder and moved, not copied, into the database.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use hitherto_core::definition::Known;
use hitherto_core::key::EventKey;
use hitherto_core::limits::SORTED_FILE_BYTES_MAX;
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result, row};
use parking_lot::{Mutex, MutexGuard};
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};

use super::{EVENTS, HISTORY, LATEST, RocksStore, failed, io_failed};
use crate::keys;
use crate::store::{Beneath, GenerationId, Load, LoadPart, Loaded};

/// A load in progress; its staging folder goes when it is dropped.
pub struct RocksLoad<'s> {
    store: &'s RocksStore,
    generation: GenerationId,
    beneath: Beneath,
    folder: PathBuf,
    parts: AtomicUsize,
    written: Mutex<Written>,
}

/// The files of finished parts.
#[derive(Default)]
struct Written {
    latest: Vec<PathBuf>,
    history: Vec<PathBuf>,
    events: Vec<PathBuf>,
    loaded: Loaded,
    /// By when all latest rows can be seen.
    visible_by: Option<i64>,
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
        let (parts, written) = (AtomicUsize::new(0), Mutex::default());
        Ok(Self { store, generation, beneath, folder, parts, written })
    }

    fn ingest(&self, family: &str, files: &[PathBuf]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let mut how = IngestExternalFileOptions::default();
        how.set_move_files(true);
        let family = self.store.family(family);
        let ingested = self.store.db.ingest_external_file_cf_opts(family, &how, files.to_vec());
        ingested.map_err(failed)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock()
    }
}

impl Load for RocksLoad<'_> {
    fn part(&self) -> Result<Box<dyn LoadPart + '_>> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let stem = |family| self.folder.join(format!("{family}-{number:06}"));
        let (history, events) = match self.beneath {
            Beneath::Nothing => (&self.store.history_files, &self.store.event_files),
            Beneath::Rows => (&self.store.history_deltas, &self.store.event_deltas),
        };
        Ok(Box::new(RocksPart {
            load: self,
            latest: Files::new(&self.store.latest_files, self.beneath, stem(LATEST)),
            history: Files::new(history, self.beneath, stem(HISTORY)),
            events: Files::new(events, self.beneath, stem(EVENTS)),
            visible_by: None,
        }))
    }

    fn finish(self: Box<Self>) -> Result<Loaded> {
        let Written { latest, history, events, loaded, visible_by } =
            std::mem::take(&mut *self.written());
        let visible_by = visible_by.unwrap_or(i64::MIN);
        self.store.room.check()?;
        self.store.load_visible_by(self.generation, self.beneath, visible_by)?;
        let write = self.store.rows.begin_load(self.generation);
        self.ingest(HISTORY, &history)?;
        self.ingest(LATEST, &latest)?;
        self.ingest(EVENTS, &events)?;
        drop(write);
        Ok(loaded)
    }
}

/// One part of a load.
struct RocksPart<'l> {
    load: &'l RocksLoad<'l>,
    latest: Files<'l>,
    history: Files<'l>,
    events: Files<'l>,
    visible_by: Option<i64>,
}

impl LoadPart for RocksPart<'_> {
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()> {
        let moment = row::times(row)?.visible(Known::Honor);
        self.visible_by = self.visible_by.max(Some(moment));
        self.latest.put(&keys::latest(self.load.generation, entity_key), row)
    }

    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()> {
        self.history.put(&keys::history(self.load.generation, entity_key, times), row)
    }

    fn put_event(&mut self, event_key: &[u8], known: i64, row: &[u8]) -> Result<()> {
        let event = EventKey::split(event_key)
            .ok_or_else(|| Error::internal("an event is loaded under no key of one"))?;
        self.events.put(&keys::event(self.load.generation, event, known), row)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.latest.close()?;
        self.history.close()?;
        self.events.close()?;
        let mut written = self.load.written();
        written.loaded.latest_rows += self.latest.rows;
        written.loaded.history_rows += self.history.rows;
        written.loaded.event_rows += self.events.rows;
        written.loaded.file_bytes += self.latest.bytes + self.history.bytes + self.events.bytes;
        written.visible_by = written.visible_by.max(self.visible_by);
        written.latest.append(&mut self.latest.paths);
        written.history.append(&mut self.history.paths);
        written.events.append(&mut self.events.paths);
        Ok(())
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

/// The sorted files of one family in one part. RocksDB keeps its own count of key order
/// within a file; across files `last_key` does.
struct Files<'s> {
    options: &'s Options,
    beneath: Beneath,
    /// Where they lie, without a number.
    stem: PathBuf,
    open: Option<SstFileWriter<'s>>,
    paths: Vec<PathBuf>,
    last_key: Vec<u8>,
    rows: u64,
    bytes: u64,
}

impl<'s> Files<'s> {
    fn new(options: &'s Options, beneath: Beneath, stem: PathBuf) -> Self {
        let (paths, last_key) = (Vec::new(), Vec::new());
        Self { options, beneath, stem, open: None, paths, last_key, rows: 0, bytes: 0 }
    }

    fn put(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        if self.rows > 0 && key <= self.last_key.as_slice() {
            return Err(Error::internal("a load's keys are out of order"));
        }
        if self.open.as_ref().is_some_and(|file| file.file_size() >= SORTED_FILE_BYTES_MAX) {
            self.close()?;
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let path = self.stem.with_extension(format!("{:06}.sst", self.paths.len()));
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
