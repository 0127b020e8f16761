//! Snapshots of the database: batched gets and history seeks.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier, SnapshotWithThreadMode};

use super::events::RocksEvents;
use super::kind::Kind;
use super::rows::SnapshotRows;
use super::{LATEST, RocksStore, failed, kept};
use crate::keys::{LatestKeys, Mark};
use crate::store::{Events, FactVisitor, GenerationId, Histories, Reach, Rows, Snapshot};

/// How long to wait before it is asked again whether a write has ended.
const WRITE_POLL: Duration = Duration::from_micros(200);

/// One consistent view of the database.
///
/// Most lookups find all their rows in the table, and RocksDB makes a snapshot
/// under a lock of the whole database, so one that stays in memory makes its own
/// only when the table does not have a row.
///
/// RocksDB lets a snapshot that was made while a file is ingested see it later and
/// not at first. So one counts only if nothing was being loaded into its generations
/// when it was made. Facts that are put come and are seen all at once, but one that is
/// made after rows were taken from the table may have facts that those rows lack.
pub struct RocksSnapshot<'s> {
    pub(super) store: &'s RocksStore,
    generations: Vec<GenerationId>,
    /// Taken before `snapshot`: see [`super::rows`].
    pub(super) stamp: u64,
    snapshot: OnceLock<SnapshotWithThreadMode<'s, DB>>,
    pub(super) reach: Reach,
    is_out_of_reach: AtomicBool,
}

impl<'s> RocksSnapshot<'s> {
    /// A snapshot of now.
    pub fn new(store: &'s RocksStore, reach: Reach, generations: &[GenerationId]) -> Self {
        let (stamp, snapshot) = match reach {
            Reach::Memory => (store.rows.stamp(), OnceLock::new()),
            Reach::Disk => loop {
                let stamp = store.rows.stamp();
                let snapshot = store.db.snapshot();
                if store.rows.are_not_loaded_since(stamp, generations) {
                    break (stamp, OnceLock::from(snapshot));
                }
                sleep(WRITE_POLL);
            },
        };
        let generations = generations.to_vec();
        let is_out_of_reach = AtomicBool::new(false);
        Self { store, generations, stamp, snapshot, reach, is_out_of_reach }
    }

    /// How to read what was there at the moment of the stamp.
    fn options(&self) -> Result<ReadOptions> {
        let is_made = self.snapshot.get().is_some();
        let snapshot = self.snapshot.get_or_init(|| self.store.db.snapshot());
        if !is_made && !self.store.rows.are_unchanged_since(self.stamp, &self.generations) {
            return Err(self.out_of_reach("the store has changed since the lookup began"));
        }
        let mut options = ReadOptions::default();
        options.set_snapshot(snapshot);
        if self.reach == Reach::Memory {
            options.set_read_tier(ReadTier::BlockCache);
        }
        Ok(options)
    }

    fn failed(&self, cause: rocksdb::Error) -> Error {
        if cause.kind() == ErrorKind::Incomplete && self.reach == Reach::Memory {
            return self.out_of_reach("a row is not in memory");
        }
        failed(cause)
    }

    pub(super) fn out_of_reach(&self, why: &str) -> Error {
        self.is_out_of_reach.store(true, Ordering::Relaxed);
        Error::unavailable(why)
    }
}

impl Snapshot for RocksSnapshot<'_> {
    fn read_latest(&self, keys: &LatestKeys, rows: &mut Rows) -> Result<()> {
        rows.reset(keys.len());
        let mut table = self.store.rows.of_snapshot(self.stamp);
        let missing = table.take(keys, rows);
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<&[u8]> = missing.iter().map(|number| keys.get(*number)).collect();
        let family = self.store.family(LATEST);
        let options = self.options()?;
        let read = self.store.db.batched_multi_get_cf_opt(family, &wanted, false, &options);
        for ((number, key), row) in missing.iter().zip(wanted).zip(read) {
            let row = row.map_err(|cause| self.failed(cause))?;
            table.leave(key, row.as_deref());
            if let Some(row) = row {
                rows.set(*number, &row);
            }
        }
        Ok(())
    }

    fn histories(&self) -> Result<Box<dyn Histories + '_>> {
        Ok(Box::new(RocksHistories::new(self, Kind::History)))
    }

    fn events(&self) -> Result<Box<dyn Events + '_>> {
        Ok(Box::new(RocksEvents::new(self)))
    }

    fn is_out_of_reach(&self) -> bool {
        self.is_out_of_reach.load(Ordering::Relaxed)
    }
}

/// Histories or events out of the table, or else out of the database with one iterator that
/// is moved from entity to entity.
pub(super) struct RocksHistories<'h, 's> {
    snapshot: &'h RocksSnapshot<'s>,
    kind: Kind,
    /// Made when it is needed.
    facts: Option<DBRawIterator<'h>>,
    key: LatestKeys,
    /// All facts of the last entity in one piece, if they are few.
    pub kept: Rows,
}

impl<'h, 's> RocksHistories<'h, 's> {
    pub fn new(snapshot: &'h RocksSnapshot<'s>, kind: Kind) -> Self {
        let (key, kept) = (LatestKeys::default(), Rows::default());
        Self { snapshot, kind, facts: None, key, kept }
    }

    fn facts(&mut self) -> Result<&mut DBRawIterator<'h>> {
        match &mut self.facts {
            Some(facts) => Ok(facts),
            none => {
                let snapshot = self.snapshot;
                let mut options = snapshot.options()?;
                options.set_prefix_same_as_start(true);
                let family = snapshot.store.family(self.kind.family());
                Ok(none.insert(snapshot.store.db.raw_iterator_cf_opt(family, options)))
            }
        }
    }

    /// Shows facts from a key on, those of its entity, until `visit` breaks.
    pub fn seek(&mut self, newest: &[u8], visit: &mut FactVisitor<'_>) -> Result<()> {
        let kind = self.kind;
        let (entity, _) = kind.entity(newest)?;
        let facts = self.facts()?;
        facts.seek(newest);
        while let Some((key, row)) = facts.item() {
            let (prefix, times) = kind.entity(key)?;
            if prefix != entity || visit(times, row).is_break() {
                return Ok(());
            }
            facts.next();
        }
        let status = facts.status();
        status.map_err(|cause| self.snapshot.failed(cause))
    }

    /// Has all facts of an entity in `kept`, unless they are too many for that.
    pub fn find_whole(&mut self, generation: GenerationId, entity_key: &[u8]) -> Result<()> {
        match self.find_kept(generation, entity_key) {
            true => Ok(()),
            false => self.keep_whole(generation, entity_key),
        }
    }

    /// The same, if the table has them or that they are too many.
    pub fn find_kept(&mut self, generation: GenerationId, entity_key: &[u8]) -> bool {
        self.key.clear();
        self.key.push_marked(generation, entity_key, Mark::Whole, &[]);
        self.kept.reset(1);
        self.table().take(&self.key, &mut self.kept).is_empty()
    }

    /// Reads them for what [`RocksHistories::find_kept`] did not find.
    pub fn keep_whole(&mut self, generation: GenerationId, entity_key: &[u8]) -> Result<()> {
        let whole = self.read_whole(&self.kind.first(generation, entity_key, i64::MAX))?;
        // That they are too many is kept, too.
        self.table().leave(self.key.get(0), whole.as_deref());
        whole.into_iter().for_each(|whole| self.kept.set(0, &whole));
        Ok(())
    }

    fn table(&self) -> SnapshotRows<'h> {
        self.snapshot.store.rows.of_snapshot(self.snapshot.stamp)
    }

    /// Reads an entity's whole history, to be kept; `None` if it is too long for that.
    fn read_whole(&mut self, first: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut whole = Vec::new();
        let mut add = |times: Times, row: &[u8]| {
            kept::push(&mut whole, times, row);
            match whole.len() > kept::BYTES_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        self.seek(first, &mut add)?;
        Ok((whole.len() <= kept::BYTES_MAX).then_some(whole))
    }
}

impl Histories for RocksHistories<'_, '_> {
    fn scan(
        &mut self,
        generation: GenerationId,
        entity_key: &[u8],
        at: i64,
        visit: &mut FactVisitor<'_>,
    ) -> Result<()> {
        self.find_whole(generation, entity_key)?;
        match self.kept.get(0) {
            Some(whole) => kept::show(whole, at, visit),
            None => self.seek(&self.kind.first(generation, entity_key, at), visit),
        }
    }
}
