//! The paths of Hitherto, one file each, over the online and offline layers.
//!
//! | module           | the path                                               |
//! | ---------------- | ------------------------------------------------------ |
//! | [`config`]       | the repository's one configuration file                 |
//! | `clock`          | what is believed of the clock                           |
//! | `local`          | what a store alone has                                  |
//! | [`disk`]         | files and folders that appear whole and stay            |
//! | `machine`        | how much memory there is                                |
//! | [`background`]   | threads that give way to lookups                        |
//! | [`repository`]   | definition files on disk                                |
//! | [`selection`]    | a service or feature list, resolved against the catalog |
//! | [`apply`]        | PLAN and APPLY: definitions to the catalog              |
//! | [`materialize`]  | MATERIALIZE: sources to the online store                |
//! | [`push`]         | PUSH: facts to log, online store and files              |
//! | `retention`      | RETENTION: history that nobody is promised any more     |
//! | [`backup`]       | BACKUP and RESTORE: a store as it is at one moment      |
//! | [`optimize`]     | OPTIMIZE: a copy of a source that reads fastest        |
//! | [`lookup`]       | LOOKUP: entity keys to feature columns                  |
//! | [`training_set`] | TRAINING SET: a spine to record batches                 |
//! | [`verify`]       | VERIFY: both sides computed and compared                |
//! | [`why`]          | WHY: which fact answers, and why the others do not      |
//!
//! An [`Engine`] is one open repository. It reads no clock: every path takes
//! `now`. The binaries pass it in.

pub mod apply;
pub mod background;
pub mod backup;
mod clock;
pub mod config;
pub mod disk;
mod files;
mod local;
pub mod lookup;
mod machine;
pub mod materialize;
mod on_demand;
pub mod optimize;
pub mod push;
pub mod repository;
mod retention;
pub mod selection;
pub mod training_set;
pub mod verify;
pub mod why;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hitherto_core::Result;
use hitherto_core::catalog::Catalog;
use hitherto_offline::Offline;
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{MetaChange, MetaKey, OnlineStore, owner};
use tokio::sync::Mutex;

pub use apply::Plan;
pub use backup::{Backup, BackupFiles};
pub use config::Config;
pub use hitherto_offline::parquet_metadata;
pub use hitherto_online::{Access, Usage};
pub use machine::read_memory_bytes;
pub use training_set::{Finished, TrainingSet};

/// Who had the store last open for writing, in words; whether they have it still is the
/// lock's to say.
pub fn owner_of(root: &Path, config: &Config) -> String {
    match owner::read(&online_folder(root, config)) {
        Some((owner, Some(url))) => format!("{owner}, a server at {url}"),
        Some((owner, None)) => owner,
        None => String::from("a process that left no name"),
    }
}

/// Where the server answers, or answered, that had the store last open for writing.
pub fn server_of(root: &Path, config: &Config) -> Option<String> {
    owner::read(&online_folder(root, config))?.1
}

/// The file that whoever has the store open for writing holds a lock on.
pub fn lock_of(root: &Path, config: &Config) -> PathBuf {
    owner::lock(&online_folder(root, config))
}

fn online_folder(root: &Path, config: &Config) -> PathBuf {
    root.join(&config.store).join("online")
}

fn offline_of(root: &Path, config: &Config) -> Result<Offline> {
    Offline::new(root, config.memory_bytes() as usize, config.threads())
}

/// One open repository: definitions, sources and online store.
///
/// All methods take `&self`; share it in an [`Arc`]. Whatever somebody asks for takes a
/// [`Grant`](hitherto_api::Grant), which says who may what. Lookups run beside
/// everything else and hold no lock; whatever changes catalog or generations takes
/// `writer`, one at a time; pushes have a queue of their own.
pub struct Engine {
    root: PathBuf,
    /// Where optimized copies lie.
    copies: PathBuf,
    /// Where pushed facts lie.
    pushed: PathBuf,
    /// Where files lie that go with their process.
    temporary: PathBuf,
    /// The file with the key that backups are sealed with.
    backup_key: Option<PathBuf>,
    store: OnlineStore,
    offline: Offline,
    catalog: ArcSwap<lookup::Snapshot>,
    counts: Arc<lookup::AllCounts>,
    writer: Mutex<()>,
    pushes: push::Pushes,
    /// Locked for moments.
    believed: parking_lot::Mutex<clock::Believed>,
}

impl Engine {
    /// Opens the repository in `root`, with its online store in
    /// `config.store` below it.
    ///
    /// # Errors
    /// Those of [`RocksStore::open`]; `Invalid` or `Corrupt` from the catalog.
    pub fn open(root: &Path, config: &Config, access: Access) -> Result<Self> {
        let options = RocksOptions {
            cache_bytes_max: config.cache.bytes() as usize,
            background_threads: config.threads(),
        };
        let folder = online_folder(root, config);
        if access == Access::ReadWrite {
            // What an earlier release made, others could read.
            disk::make_private(&root.join(&config.store));
        }
        let store = RocksStore::open(&folder, access, options)?;
        Self::with_store(root, Arc::new(store), config)
    }

    /// Whether the repository in `root` has a store.
    pub fn has_store(root: &Path, config: &Config) -> bool {
        RocksStore::is_in(&online_folder(root, config))
    }

    /// Opens the repository in `root` over any online store.
    ///
    /// # Errors
    /// `Invalid` or `Corrupt` from the catalog.
    pub fn with_store(root: &Path, store: impl Into<OnlineStore>, config: &Config) -> Result<Self> {
        let store = store.into();
        let catalog = match store.meta.read_meta(MetaKey::Catalog)? {
            Some(json) => Catalog::from_json(&json)?,
            None => Catalog::default(),
        };
        let pushes = push::Pushes::new(store.log.arrived()?);
        let believed = local::Local::new(store.meta.as_ref()).believed()?;
        let counts = Arc::default();
        let offline = offline_of(root, config)?;
        let engine = Self {
            root: root.to_owned(),
            copies: root.join(&config.store).join("optimized"),
            pushed: root.join(&config.store).join("pushed"),
            temporary: root.join(&config.store).join("temporary"),
            backup_key: config.backup_key.as_ref().map(|file| root.join(file)),
            store,
            offline,
            catalog: ArcSwap::from_pointee(lookup::Snapshot::new(catalog, &counts)?),
            counts,
            writer: Mutex::new(()),
            pushes,
            believed: believed.into(),
        };
        engine.recover_pushes()?;
        engine.reclaim_history();
        Ok(engine)
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is applied and online now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.load().catalog)
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.store.is_writable()
    }

    /// Whether pushes, builds and changes of definitions are taken now, and if not, why:
    /// a disk that is full. It is for those who ask now and then; each of them asks itself.
    ///
    /// # Errors
    /// `Unavailable` while the disk is full, `Invalid` on a repository opened for reading.
    pub fn check_writes(&self) -> Result<()> {
        self.store.check_writes()
    }

    /// Notes that this process serves the repository at `url`, for those who come to write
    /// beside it and cannot.
    ///
    /// # Errors
    /// `Unavailable` when the store's folder cannot be written.
    pub fn announce(&self, url: &str) -> Result<()> {
        match self.is_writable() {
            true => self.store.announce(url),
            false => Ok(()),
        }
    }

    /// What the online store holds.
    pub fn usage(&self) -> Usage {
        self.store.usage()
    }

    /// Hears what the clock says; returns the time to go by where a clock that is set ahead
    /// would do harm for good.
    fn hear(&self, now: i64) -> i64 {
        self.believed.lock().hear(now)
    }

    fn believed(&self) -> clock::Believed {
        *self.believed.lock()
    }

    /// Makes `catalog` durable together with `changes` to what is local, then visible.
    /// The caller holds `writer`.
    fn commit(&self, catalog: Catalog, mut changes: Vec<MetaChange>) -> Result<Arc<Catalog>> {
        let snapshot = lookup::Snapshot::new(catalog, &self.counts)?;
        let catalog = Arc::clone(&snapshot.catalog);
        changes.push((MetaKey::Catalog, Some(catalog.to_json()?)));
        self.store.meta.commit_meta(&changes)?;
        self.catalog.store(Arc::new(snapshot));
        Ok(catalog)
    }
}
