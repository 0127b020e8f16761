//! An open online store: three stores behind their traits, and the folder that they may be in.
//!
//! The folder, with what only a folder can do (be opened for reading beside a writer, be
//! copied, say who has it and how large it is), is RocksDB's. A store that is elsewhere has
//! none.

use std::path::Path;
use std::sync::Arc;

use hitherto_core::{Error, Result};

use crate::memory::MemoryStore;
use crate::rocks::RocksStore;
use crate::store::{Meta, PushLog, RowStore};

/// What a process opens a store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing; one process at a time.
    ReadWrite,
    /// Reading what was there at opening, beside any writer.
    ReadOnly,
}

/// What a store holds, approximately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows in `latest`, over all generations.
    pub latest_rows: u64,
    /// Rows in `history` and `events`, over all generations.
    pub history_rows: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes of cached rows and blocks.
    pub cache_bytes: u64,
    /// Rows that were found in the cache of rows since the store was opened.
    pub row_cache_hits: u64,
    /// Rows that were not.
    pub row_cache_misses: u64,
}

/// Takes one key of a store with its family and its value.
pub type EntryVisitor<'v> = dyn FnMut(&str, &[u8], &[u8]) + 'v;

/// An open online store.
#[derive(Clone)]
pub struct OnlineStore {
    /// What lookups read.
    pub rows: Arc<dyn RowStore>,
    /// What was pushed.
    pub log: Arc<dyn PushLog>,
    /// What counts.
    pub meta: Arc<dyn Meta>,
    folder: Option<Arc<RocksStore>>,
}

impl From<Arc<RocksStore>> for OnlineStore {
    fn from(store: Arc<RocksStore>) -> Self {
        let (rows, log, meta) = (Arc::clone(&store), Arc::clone(&store), Arc::clone(&store));
        Self { rows, log, meta, folder: Some(store) }
    }
}

impl From<Arc<MemoryStore>> for OnlineStore {
    fn from(store: Arc<MemoryStore>) -> Self {
        let (rows, log) = (Arc::clone(&store), Arc::clone(&store));
        Self { rows, log, meta: store, folder: None }
    }
}

impl OnlineStore {
    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.folder.as_ref().is_none_or(|folder| folder.access() == Access::ReadWrite)
    }

    /// Whether facts, loads and metadata are taken now, and if not, why; for those who ask
    /// now and then. A store in memory takes them.
    ///
    /// # Errors
    /// `Unavailable` while the disk is full or was and what is below has not gone on yet,
    /// `Invalid` on a store opened for reading.
    pub fn check_writes(&self) -> Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.check_writes())
    }

    /// Approximate sizes; cheap. Of a store in memory they are not counted.
    pub fn usage(&self) -> Usage {
        self.folder.as_ref().map(|folder| folder.usage()).unwrap_or_default()
    }

    /// Writes a copy of the whole store, as it is now, to a folder that is not there
    /// yet: another store, ready to be opened.
    ///
    /// # Errors
    /// `Invalid` for a store that is not on disk or was opened for reading,
    /// `Unavailable` for I/O.
    pub fn copy_to(&self, folder: &Path) -> Result<()> {
        match &self.folder {
            Some(store) => store.copy_to(folder),
            None => Err(Error::invalid(
                "a store in memory has nothing to be copied; open one that is on a disk",
            )),
        }
    }

    /// Notes where the process that has the store open for writing answers, for those who
    /// come to write beside it. A store of one process needs no note.
    ///
    /// # Errors
    /// `Invalid` on a store opened for reading, `Unavailable` for I/O.
    pub fn announce(&self, url: &str) -> Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.announce(url))
    }
}
