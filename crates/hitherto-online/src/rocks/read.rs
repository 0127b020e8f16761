//! Snapshots of the database: batched gets and history seeks.

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};
use rocksdb::{DB, ReadOptions, SnapshotWithThreadMode};

use super::{HISTORY, LATEST, RocksStore, failed};
use crate::keys;
use crate::store::{FactVisitor, GenerationId, RowVisitor, Snapshot};

/// One consistent view of the database.
pub struct RocksSnapshot<'s> {
    store: &'s RocksStore,
    snapshot: SnapshotWithThreadMode<'s, DB>,
}

impl<'s> RocksSnapshot<'s> {
    /// A snapshot of now.
    pub fn new(store: &'s RocksStore) -> Self {
        Self { store, snapshot: store.db.snapshot() }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl Snapshot for RocksSnapshot<'_> {
    fn read_latest(&self, keys: &[Vec<u8>], visit: &mut RowVisitor<'_>) -> Result<()> {
        let family = self.store.family(LATEST);
        let rows = self.store.db.batched_multi_get_cf_opt(family, keys, false, &self.options());
        for (index, row) in rows.into_iter().enumerate() {
            visit(index, row.map_err(failed)?.as_deref())?;
        }
        Ok(())
    }

    fn scan_history(
        &self,
        generation: GenerationId,
        entity_key: &[u8],
        at: i64,
        visit: &mut FactVisitor<'_>,
    ) -> Result<()> {
        let mut options = self.options();
        options.set_prefix_same_as_start(true);
        let mut facts = self.store.db.raw_iterator_cf_opt(self.store.family(HISTORY), options);
        let newest = keys::history(generation, entity_key, Times { event: at, known: i64::MAX });
        let entity = &newest[..newest.len() - keys::TIMES_BYTES];
        facts.seek(&newest);
        while let Some((key, row)) = facts.item() {
            let (prefix, times) = keys::split_history(key).ok_or_else(|| {
                Error::corrupt("the online store has a damaged history key; restore a backup")
            })?;
            if prefix != entity || visit(times, row).is_break() {
                return Ok(());
            }
            facts.next();
        }
        facts.status().map_err(failed)
    }

    fn read_history(
        &self,
        generation: GenerationId,
        entity_key: &[u8],
        times: Times,
    ) -> Result<Option<Vec<u8>>> {
        let key = keys::history(generation, entity_key, times);
        let family = self.store.family(HISTORY);
        self.store.db.get_cf_opt(family, key, &self.options()).map_err(failed)
    }
}
