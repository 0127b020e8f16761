//! Snapshots of the database: batched gets and history seeks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier, SnapshotWithThreadMode};

use super::{HISTORY, LATEST, RocksStore, failed};
use crate::keys::{self, LatestKeys};
use crate::store::{FactVisitor, GenerationId, Histories, Reach, RowsVisitor, Snapshot};

/// One consistent view of the database.
pub struct RocksSnapshot<'s> {
    store: &'s RocksStore,
    /// Taken before `snapshot`: see [`super::rows`].
    stamp: u64,
    snapshot: SnapshotWithThreadMode<'s, DB>,
    reach: Reach,
    is_out_of_reach: AtomicBool,
}

impl<'s> RocksSnapshot<'s> {
    /// A snapshot of now.
    pub fn new(store: &'s RocksStore, reach: Reach) -> Self {
        let stamp = store.rows.stamp();
        let snapshot = store.db.snapshot();
        Self { store, stamp, snapshot, reach, is_out_of_reach: AtomicBool::new(false) }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        if self.reach == Reach::Memory {
            options.set_read_tier(ReadTier::BlockCache);
        }
        options
    }

    fn failed(&self, cause: rocksdb::Error) -> Error {
        if cause.kind() == ErrorKind::Incomplete && self.reach == Reach::Memory {
            self.is_out_of_reach.store(true, Ordering::Relaxed);
            return Error::unavailable("a row is not in memory");
        }
        failed(cause)
    }
}

impl Snapshot for RocksSnapshot<'_> {
    fn read_latest(&self, keys: &LatestKeys, visit: &mut RowsVisitor<'_>) -> Result<()> {
        let mut cache = self.store.rows.of_snapshot(self.stamp);
        let held: Vec<Option<Arc<[u8]>>> = keys.iter().map(|key| cache.get(key)).collect();
        let wanted = keys.iter().zip(&held);
        let wanted: Vec<&[u8]> =
            wanted.filter_map(|(key, held)| held.is_none().then_some(key)).collect();
        if wanted.is_empty() {
            return visit(&held.iter().map(Option::as_deref).collect::<Vec<_>>());
        }
        let family = self.store.family(LATEST);
        let options = self.options();
        let read = self.store.db.batched_multi_get_cf_opt(family, &wanted, false, &options);
        let read: Vec<_> =
            read.into_iter().collect::<Result<_, _>>().map_err(|cause| self.failed(cause))?;
        for (key, row) in wanted.iter().zip(&read) {
            if let Some(row) = row {
                cache.put(key, row);
            }
        }
        let mut read = read.iter();
        let rows = held.iter().map(|held| match held {
            Some(row) => Some(&**row),
            None => read.next().and_then(Option::as_deref),
        });
        visit(&rows.collect::<Vec<_>>())
    }

    fn histories(&self) -> Box<dyn Histories + '_> {
        let mut options = self.options();
        options.set_prefix_same_as_start(true);
        let facts = self.store.db.raw_iterator_cf_opt(self.store.family(HISTORY), options);
        Box::new(RocksHistories { snapshot: self, facts })
    }

    fn is_out_of_reach(&self) -> bool {
        self.is_out_of_reach.load(Ordering::Relaxed)
    }

    fn read_history(
        &self,
        generation: GenerationId,
        entity_key: &[u8],
        times: Times,
    ) -> Result<Option<Vec<u8>>> {
        let key = keys::history(generation, entity_key, times);
        let family = self.store.family(HISTORY);
        let fact = self.store.db.get_cf_opt(family, key, &self.options());
        fact.map_err(|cause| self.failed(cause))
    }
}

/// One iterator, moved from entity to entity.
struct RocksHistories<'s> {
    snapshot: &'s RocksSnapshot<'s>,
    facts: DBRawIterator<'s>,
}

impl Histories for RocksHistories<'_> {
    fn scan(
        &mut self,
        generation: GenerationId,
        entity_key: &[u8],
        at: i64,
        visit: &mut FactVisitor<'_>,
    ) -> Result<()> {
        let newest = keys::history(generation, entity_key, Times { event: at, known: i64::MAX });
        let entity = &newest[..newest.len() - keys::TIMES_BYTES];
        self.facts.seek(&newest);
        while let Some((key, row)) = self.facts.item() {
            let (prefix, times) = keys::split_history(key).ok_or_else(|| {
                Error::corrupt("the online store has a damaged history key; restore a backup")
            })?;
            if prefix != entity || visit(times, row).is_break() {
                return Ok(());
            }
            self.facts.next();
        }
        self.facts.status().map_err(|cause| self.snapshot.failed(cause))
    }
}
