//! Facts put one by one, beside loads: the greater row stays, whoever comes first.
//!
//! Rows are not written over each other but *merged*: RocksDB keeps what was written
//! for a key side by side, and [`greatest`] says which of it counts, when it is read or
//! compacted. So a push never waits for a load and a load never undoes a push, though
//! both decided what to write by what they read before.

use hitherto_core::aggregate::TileId;
use hitherto_core::rule;
use hitherto_core::{Result, row};
use rocksdb::{MergeOperands, WriteBatch, WriteOptions};

use super::visible::visible_by;
use super::{EVENTS, HISTORY, LATEST, RocksStore, failed};
use crate::keys::{self, LatestKeys, Mark};
use crate::store::{EventVersion, Fact, GenerationId};

/// The name of [`greatest`], which RocksDB keeps in every file.
pub const GREATEST: &str = "hitherto.greatest.1";

/// The row that supersedes all others of its key; `None`, which fails the read, if
/// one of them is no row.
pub fn greatest(_: &[u8], stored: Option<&[u8]>, rows: &MergeOperands) -> Option<Vec<u8>> {
    let mut rows = stored.into_iter().chain(rows);
    let first = rows.next()?;
    // One row alone is checked too.
    let first = rule::greater(first, first).ok()?;
    rows.try_fold(first, |greatest, row| rule::greater(greatest, row).ok()).map(<[u8]>::to_vec)
}

impl RocksStore {
    /// See [`crate::RowStore::put`].
    pub(super) fn put_facts(&self, generation: GenerationId, facts: &[Fact<'_>]) -> Result<()> {
        let mut order: Vec<&Fact<'_>> = facts.iter().collect();
        let rank = |a: &&Fact<'_>, b: &&Fact<'_>| rule::rank((a.times, a.row), (b.times, b.row));
        order.sort_by(|a, b| a.entity_key.cmp(b.entity_key).then_with(|| rank(b, a)));
        let entities: Vec<&[&Fact<'_>]> =
            order.chunk_by(|a, b| a.entity_key == b.entity_key).collect();
        let (mut keys, mut changed) = (LatestKeys::default(), LatestKeys::default());
        for facts in &entities {
            keys.push(generation, facts[0].entity_key);
            changed.push(generation, facts[0].entity_key);
            changed.push_marked(generation, facts[0].entity_key, Mark::Whole, &[]);
        }
        let newest_visible = visible_by(entities.iter().map(|facts| facts[0].times));

        let one_at_a_time = self.putting.lock();
        let stamp = self.rows.stamp();
        let wanted: Vec<&[u8]> = keys.iter().collect();
        let stored = self.db.batched_multi_get_cf(self.family(LATEST), &wanted, false);
        let mut batch = WriteBatch::default();
        let mut rows = Vec::with_capacity(changed.len());
        for ((facts, key), stored) in entities.into_iter().zip(&wanted).zip(stored) {
            let history = self.family(HISTORY);
            for Fact { entity_key, times, row } in facts {
                batch.merge_cf(history, keys::history(generation, entity_key, *times), row);
            }
            let newest = facts[0].row;
            rows.push(Some(match stored.map_err(failed)? {
                None => newest.to_vec(),
                Some(stored) => {
                    let greater = rule::greater(&stored, newest)?;
                    if greater != &*stored {
                        // It may be known later than the row that it replaces is replaced.
                        let key =
                            keys::history(generation, facts[0].entity_key, row::times(&stored)?);
                        batch.merge_cf(history, key, &stored);
                    }
                    greater.to_vec()
                }
            }));
            // The history is read again when somebody asks for it.
            rows.push(None);
            batch.merge_cf(self.family(LATEST), key, newest);
        }
        self.put_visible_by(&mut batch, generation, newest_visible)?;
        let put = self.rows.begin_put(generation, &changed);
        self.write(batch, &WriteOptions::default())?;
        put.finish(stamp, &rows);
        drop(one_at_a_time);
        Ok(())
    }

    /// See [`crate::RowStore::put_events`].
    pub(super) fn put_versions(
        &self,
        generation: GenerationId,
        versions: &[EventVersion<'_>],
    ) -> Result<()> {
        let changed = changed_by(generation, versions);
        let mut batch = WriteBatch::default();
        for EventVersion { event, known, row } in versions {
            batch.merge_cf(self.family(EVENTS), keys::event(generation, *event, *known), row);
        }
        let one_at_a_time = self.putting.lock();
        let stamp = self.rows.stamp();
        let put = self.rows.begin_put(generation, &changed);
        self.write(batch, &WriteOptions::default())?;
        // They are read again when somebody asks for them.
        put.finish(stamp, &vec![None; changed.len()]);
        drop(one_at_a_time);
        Ok(())
    }
}

/// What is kept in memory that versions change: all of an entity's events, and the tiles that
/// they lie in.
fn changed_by(generation: GenerationId, versions: &[EventVersion<'_>]) -> LatestKeys {
    let mut events: Vec<(&[u8], i64)> =
        versions.iter().map(|version| (version.event.entity, version.event.event)).collect();
    events.sort_unstable();
    events.dedup();
    let mut changed = LatestKeys::default();
    for of_entity in events.chunk_by(|(one, _), (other, _)| one == other) {
        let (entity, _) = of_entity[0];
        changed.push_marked(generation, entity, Mark::Whole, &[]);
        // Events are in the order of their times, so those of one tile are neighbours.
        let mut last: Vec<Option<TileId>> = Vec::new();
        for (_, event) in of_entity {
            for (length, tile) in TileId::all_of(*event).enumerate() {
                last.resize(last.len().max(length + 1), None);
                if last[length].replace(tile) != Some(tile) {
                    changed.push_marked(generation, entity, Mark::Tile, &tile.bytes());
                }
            }
        }
    }
    changed
}
