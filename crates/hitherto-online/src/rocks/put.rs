//! Facts put one by one, beside loads: the greater row stays, whoever comes first.
//!
//! Rows are not written over each other but *merged*: RocksDB keeps what was written
//! for a key side by side, and [`greatest`] says which of it counts, when it is read or
//! compacted. So a push never waits for a load and a load never undoes a push, though
//! both decided what to write by what they read before.

use hitherto_core::rule;
use hitherto_core::{Result, row};
use rocksdb::{MergeOperands, WriteBatch, WriteOptions};

use super::visible::visible_by;
use super::{HISTORY, LATEST, RocksStore, failed};
use crate::keys::{self, LatestKeys};
use crate::store::{Fact, GenerationId};

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
            changed.push_history(generation, facts[0].entity_key);
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
}
