//! The embedded online store: one RocksDB database, five column families.
//!
//! | module    | what it owns                                               |
//! | --------- | ---------------------------------------------------------- |
//! | `acknowledged` | how far the log got, told beside it                    |
//! | `events`  | entities' events, and tiles of those that have many         |
//! | `options` | how each family is tuned, and why                           |
//! | `owner`   | who has the store open for writing                          |
//! | `load`    | rows to sorted files to ingestion                           |
//! | `put`     | facts put one by one, beside loads                          |
//! | `log`     | the log of pushed facts                                     |
//! | `read`    | snapshots: batched gets and history seeks                   |
//! | `folder`  | what there is of a store before it is opened                |
//! | `kept`    | a whole history in one piece                                |
//! | `kind`    | families of many facts an entity, and their keys            |
//! | `room`    | whether the disk has room for what begins                   |
//! | `retain`  | history that nobody can ask for any more                    |
//! | `rows`    | latest rows kept in memory, and which of them still hold    |
//! | `visible` | by when all of a generation's latest rows can be seen       |
//!
//! On disk:
//!
//! ```text
//! <store>/FORMAT        the layout's version as text, read before anything is opened
//! <store>/owner         who has the store open for writing, and the URL of a server
//! <store>/acknowledged  how far the log got
//! <store>/rocksdb       the database
//! <store>/staging       sorted files being built; emptied at every opening
//! ```
//!
//! **What is missing is found when the store is opened**: a database is made with its store
//! and at no other time, and its log is as long as it was.
//!
//! Whoever writes holds a lock on the folder itself, beside RocksDB's lock on a file of that
//! folder: a file can be deleted while it is locked.

mod acknowledged;
mod events;
mod folder;
mod kept;
mod kind;
mod load;
mod log;
mod options;
pub mod owner;
mod put;
mod read;
mod retain;
mod room;
mod rows;
mod visible;

use std::path::{Path, PathBuf};

use hitherto_core::{Error, Kind, Result};
use parking_lot::Mutex;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    Cache, ColumnFamily, DB, DBRecoveryMode, ErrorKind, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions, properties,
};

use crate::keys::MetaKey;
use crate::open::EntryVisitor;
use crate::store::{
    Beneath, EventVersion, Fact, GenerationId, Horizon, Load, Meta, MetaChange, PushLog, Reach,
    RowStore, Snapshot,
};
use crate::{Access, Usage, disk, keys};
use acknowledged::Acknowledged;
use owner::Locked;
use retain::Horizons;
use room::Room;
use rows::RowTable;

const LATEST: &str = "latest";
const HISTORY: &str = "history";
const EVENTS: &str = "events";
const META: &str = "meta";
const PUSHED: &str = "pushed";
const FAMILIES: [&str; 5] = [LATEST, HISTORY, EVENTS, META, PUSHED];
/// Those that have rows of generations.
const OF_ROWS: [&str; 3] = [LATEST, HISTORY, EVENTS];

/// How much an embedded store may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Bytes kept in memory: half for latest rows, half for decompressed blocks.
    pub cache_bytes_max: usize,
    /// Threads for compaction and flushes.
    pub background_threads: usize,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { cache_bytes_max: 256 << 20, background_threads: 2 }
    }
}

/// An open database.
pub struct RocksStore {
    db: DB,
    /// For whoever writes.
    acknowledged: Option<Acknowledged>,
    /// The folder, locked; for whoever writes.
    _folder: Option<Locked>,
    room: Room,
    cache: Cache,
    rows: RowTable,
    horizons: Horizons,
    /// How sorted files of the families of rows are written.
    latest_files: Options,
    history_files: Options,
    event_files: Options,
    /// For what is loaded beside other: compaction brings both together.
    history_deltas: Options,
    event_deltas: Options,
    /// Held by whoever puts facts.
    putting: Mutex<()>,
    staging: PathBuf,
    access: Access,
}

impl RocksStore {
    /// Opens the store in `folder`; for writing, it is created if it is not there.
    ///
    /// # Errors
    /// `NotFound` for reading where no store is, `Conflict` when another
    /// process has it open for writing, `Invalid` when a newer release wrote
    /// it (nothing is touched), `Corrupt` or `Unavailable` from the disk.
    pub fn open(folder: &Path, access: Access, options: RocksOptions) -> Result<Self> {
        match Self::open_once(folder, access, options) {
            // A writer beside may have gone on to another log between two looks.
            Err(error) if access == Access::ReadOnly && error.kind() == Kind::Corrupt => {
                Self::open_once(folder, access, options)
            }
            opened => opened,
        }
    }

    /// Whether a folder has a store, which may be damaged or of any release.
    pub fn is_in(folder: &Path) -> bool {
        folder::format_file(folder).exists()
    }

    fn open_once(folder: &Path, access: Access, options: RocksOptions) -> Result<Self> {
        let has_store = folder::check_format(folder, access)?;
        let locked = match access {
            Access::ReadWrite => Locked::take(folder)?,
            Access::ReadOnly => None,
        };
        // Before the database: a writer beside goes on.
        let acknowledged = acknowledged::read(folder)?;
        let rows_bytes_max = options.cache_bytes_max / 2;
        let cache = Cache::new_lru_cache(options.cache_bytes_max - rows_bytes_max);
        let rows = RowTable::new(rows_bytes_max);
        let database = folder.join("rocksdb");
        let horizons = Horizons::default();
        let room = Room::of(folder);
        folder::check_database(&database, has_store)?;
        let open = |access, recovery| {
            let families = options::families(&cache, &horizons, &room);
            let general = options::database(access, has_store, recovery, options, &room);
            match access {
                Access::ReadWrite => DB::open_cf_descriptors(&general, &database, families),
                Access::ReadOnly => {
                    DB::open_cf_descriptors_read_only(&general, &database, families, false)
                }
            }
        };
        // A write that was cut short at the very end was never acknowledged. Where power was
        // lost, what was not synced may also be there in any order, with whole records behind
        // one that is not. RocksDB goes on from before that one, and forgets what follows:
        // if all that was acknowledged is there, which a reader finds out and changes nothing.
        let mut opened = open(access, DBRecoveryMode::TolerateCorruptedTailRecords);
        if let Err(cause) = &opened
            && cause.kind() == ErrorKind::Corruption
            && acknowledged.is_some()
            && let Ok(looked) = open(Access::ReadOnly, DBRecoveryMode::PointInTime)
        {
            folder::check_log(folder, acknowledged, looked.latest_sequence_number())?;
            drop(looked);
            opened = open(access, DBRecoveryMode::PointInTime);
        }
        let db = opened.map_err(|cause| open_failed(folder, cause))?;
        let there = db.latest_sequence_number();
        folder::check_log(folder, acknowledged, there)?;
        let staging = folder.join("staging");
        let mut keeps = None;
        if access == Access::ReadWrite {
            disk::make_private(&database);
            keeps = Some(Acknowledged::create(folder, there.max(acknowledged.unwrap_or(0)))?);
            folder::write_format(folder)?;
            // Files of a killed load are named by no catalog: nobody can miss them.
            disk::remove(&staging)?;
            disk::make_folders(&staging)?;
            owner::write(folder, None)?;
        }
        let latest_files = options::family(LATEST, &cache, &horizons);
        let history_files = options::family(HISTORY, &cache, &horizons);
        let event_files = options::family(EVENTS, &cache, &horizons);
        let history_deltas = options::deltas(HISTORY, &cache, &horizons);
        let event_deltas = options::deltas(EVENTS, &cache, &horizons);
        let putting = Mutex::new(());
        Ok(Self {
            db,
            acknowledged: keeps,
            _folder: locked,
            room,
            cache,
            rows,
            horizons,
            latest_files,
            history_files,
            event_files,
            history_deltas,
            event_deltas,
            putting,
            staging,
            access,
        })
    }

    /// Compacts at once what would be compacted in time: what replaced and
    /// dropped rows hold is given back, and nothing that can be read changes.
    /// Blocks until it is done; reads go on.
    ///
    /// # Errors
    /// `Invalid` on a store opened for reading, `Unavailable` for I/O.
    pub fn compact(&self) -> Result<()> {
        self.check_writable()?;
        self.room.check()?;
        for family in FAMILIES {
            let family = self.family(family);
            self.db.flush_cf(family).map_err(failed)?;
            self.db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    /// Shows every key of every family with its value, in order: for whoever wants to know
    /// what a step wrote.
    ///
    /// # Errors
    /// `Corrupt` for damaged blocks, `Unavailable` for I/O.
    pub fn show_all(&self, show: &mut EntryVisitor<'_>) -> Result<()> {
        for name in FAMILIES {
            let mut how = ReadOptions::default();
            how.set_total_order_seek(true);
            let family = self.family(name);
            for entry in self.db.iterator_cf_opt(family, how, IteratorMode::Start) {
                let (key, value) = entry.map_err(failed)?;
                show(name, &key, &value);
            }
        }
        Ok(())
    }

    /// Writes a batch that is on the disk when this returns.
    fn write_durably(&self, mut batch: WriteBatch) -> Result<()> {
        // The number that is told is that of an entry of its own. What took the one before may
        // have left none in the log: a file that was ingested does not.
        if batch.is_empty() {
            batch.delete_cf(self.family(META), "");
        }
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        // What was written before is synced with it, and each of its entries has a number.
        let number = self.db.latest_sequence_number() + batch.len() as u64;
        self.write(batch, &durable)?;
        if let Some(acknowledged) = &self.acknowledged {
            acknowledged.raise(number);
        }
        Ok(())
    }

    /// Writes a batch, and notes whether the database writes.
    fn write(&self, batch: WriteBatch, how: &WriteOptions) -> Result<()> {
        self.room.wrote(self.db.write_opt(batch, how)).map_err(failed)
    }

    fn family(&self, name: &str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).expect("every family is opened with the database")
    }

    fn check_writable(&self) -> Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Error::invalid(
                "the store was opened for reading only; open it without --read-only (in Python \
                 read_only=True), or go through the server that has it with --server URL (in \
                 Python hitherto.connect(URL))",
            )),
        }
    }
}

impl Drop for RocksStore {
    /// All that was written is on the disk, and its number beside it: of a store that was
    /// closed no write can go missing unseen, also of those that nobody waited for.
    fn drop(&mut self) {
        if self.access == Access::ReadWrite
            && let Err(error) = self.sync()
        {
            tracing::warn!(%error, "the log of the store was not synced when it was closed");
        }
    }
}

impl RowStore for RocksStore {
    fn snapshot(&self, reach: Reach, generations: &[GenerationId]) -> Box<dyn Snapshot + '_> {
        Box::new(read::RocksSnapshot::new(self, reach, generations))
    }

    fn load(&self, generation: GenerationId, beneath: Beneath) -> Result<Box<dyn Load + '_>> {
        self.check_writable()?;
        self.room.check()?;
        Ok(Box::new(load::RocksLoad::new(self, generation, beneath)?))
    }

    fn put(&self, generation: GenerationId, facts: &[Fact<'_>]) -> Result<()> {
        self.check_writable()?;
        self.put_facts(generation, facts)
    }

    fn put_events(&self, generation: GenerationId, versions: &[EventVersion<'_>]) -> Result<()> {
        self.check_writable()?;
        self.put_versions(generation, versions)
    }

    fn visible_by(&self, generation: GenerationId) -> Result<Option<i64>> {
        self.read_visible_by(generation)
    }

    fn retain(&self, generation: GenerationId, horizon: Horizon) {
        self.horizons.set(generation, horizon);
    }

    fn drop_generation(&self, generation: GenerationId) -> Result<()> {
        self.check_writable()?;
        let (from, to) = (keys::generation(generation), keys::generation_end(generation));
        self.drop_visible_by(generation)?;
        let _write = self.rows.begin_load(generation);
        for family in OF_ROWS {
            let family = self.family(family);
            // Whole files go at once; one range tombstone covers what is left, if anything
            // is: files that are loaded below one would all be written again.
            self.db.delete_file_in_range_cf(family, from, to).map_err(failed)?;
            if self.has_rows(family, from, to)? {
                self.db.delete_range_cf(family, from, to).map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl Meta for RocksStore {
    fn read_meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>> {
        self.db.get_cf(self.family(META), key.to_string()).map_err(failed)
    }

    fn commit_meta(&self, changes: &[MetaChange]) -> Result<()> {
        self.check_writable()?;
        self.room.check()?;
        let family = self.family(META);
        let mut batch = WriteBatch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put_cf(family, key.to_string(), value),
                None => batch.delete_cf(family, key.to_string()),
            }
        }
        self.write_durably(batch)
    }
}

/// What only a folder can do.
impl RocksStore {
    /// What it was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// See [`OnlineStore::check_writes`](crate::OnlineStore::check_writes).
    ///
    /// # Errors
    /// `Unavailable` while nothing can be written, `Invalid` on a store opened for reading.
    pub fn check_writes(&self) -> Result<()> {
        self.check_writable()?;
        self.room.check()?;
        match self.room.has_failed() {
            // One of nothing says whether the database has gone on meanwhile.
            true => self.write(WriteBatch::default(), &WriteOptions::default()),
            false => Ok(()),
        }
    }

    /// See [`OnlineStore::copy_to`](crate::OnlineStore::copy_to).
    ///
    /// # Errors
    /// `Invalid` on a store opened for reading, `Unavailable` for I/O.
    pub fn copy_to(&self, folder: &Path) -> Result<()> {
        self.check_writable()?;
        self.room.check()?;
        disk::make_folders(folder)?;
        // Files are linked where that is possible: they never change.
        let checkpoint = Checkpoint::new(&self.db).map_err(failed)?;
        let database = folder.join("rocksdb");
        checkpoint.create_checkpoint(&database).map_err(failed)?;
        disk::make_private(&database);
        folder::write_format(folder)
    }

    /// See [`OnlineStore::announce`](crate::OnlineStore::announce).
    ///
    /// # Errors
    /// `Invalid` on a store opened for reading, `Unavailable` for I/O.
    pub fn announce(&self, url: &str) -> Result<()> {
        self.check_writable()?;
        // The database lies in the store's folder.
        let folder = self.db.path().parent().unwrap_or(self.db.path());
        owner::write(folder, Some(url))
    }

    /// Approximate sizes; cheap.
    pub fn usage(&self) -> Usage {
        let number = |family: &str, property| {
            self.db.property_int_value_cf(self.family(family), property).ok().flatten().unwrap_or(0)
        };
        Usage {
            latest_rows: number(LATEST, properties::ESTIMATE_NUM_KEYS),
            history_rows: number(HISTORY, properties::ESTIMATE_NUM_KEYS)
                + number(EVENTS, properties::ESTIMATE_NUM_KEYS),
            disk_bytes: FAMILIES
                .iter()
                .map(|family| number(family, properties::TOTAL_SST_FILES_SIZE))
                .sum(),
            cache_bytes: self.cache.get_usage() as u64 + self.rows.bytes(),
            row_cache_hits: self.rows.hits(),
            row_cache_misses: self.rows.misses(),
        }
    }
}

impl RocksStore {
    /// Whether a family has a row in a range of keys.
    fn has_rows(&self, family: &ColumnFamily, from: [u8; 8], to: [u8; 8]) -> Result<bool> {
        let mut how = ReadOptions::default();
        how.set_total_order_seek(true);
        how.set_iterate_upper_bound(to);
        let mut rows = self.db.raw_iterator_cf_opt(family, how);
        rows.seek(from);
        rows.status().map_err(failed)?;
        Ok(rows.valid())
    }
}

fn open_failed(folder: &Path, cause: rocksdb::Error) -> Error {
    if cause.to_string().contains("/LOCK: ") {
        return owner::in_use(folder).with_source(cause);
    }
    let kind = failed(cause.clone()).kind();
    let advice = match kind {
        Kind::Corrupt => "restore a backup",
        _ => "see that its disk has room and works, and that this user may write there",
    };
    let message = format!("the store {} cannot be opened; {advice}", folder.display());
    Error::new(kind, message).with_source(cause)
}

fn io_failed(path: &Path, cause: std::io::Error) -> Error {
    Error::unavailable(format!(
        "{} cannot be used; see that this user may read and write there, and that there is room",
        path.display()
    ))
    .with_source(cause)
}

/// An error of a running store, by what the caller can do.
fn failed(cause: rocksdb::Error) -> Error {
    let (kind, message) = match cause.kind() {
        ErrorKind::Corruption => (
            Kind::Corrupt,
            "the online store has damaged bytes; restore a backup, or build the views anew with \
             `hitherto materialize --full` (in Python store.materialize(full=True))",
        ),
        ErrorKind::IOError
        | ErrorKind::TimedOut
        | ErrorKind::Busy
        | ErrorKind::TryAgain
        | ErrorKind::ShutdownInProgress
        | ErrorKind::Aborted => (
            Kind::Unavailable,
            "the online store cannot read or write now; see that its disk has room and works",
        ),
        _ => (Kind::Internal, "the online store failed"),
    };
    Error::new(kind, message).with_source(cause)
}
