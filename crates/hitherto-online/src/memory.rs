//! The online store on ordered maps: the mirror that tests run beside RocksDB.
//!
//! Readers hold the tables of their moment; a writer copies them, changes the
//! copy and swaps it in. Right for tests and small embedded uses, not for size.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};

use crate::keys::{self, LatestKeys};
use crate::store::{
    FactVisitor, GenerationId, Histories, Load, Loaded, OnlineStore, Reach, Rows, Snapshot, Usage,
};

#[derive(Clone, Default)]
struct Tables {
    latest: BTreeMap<Vec<u8>, Vec<u8>>,
    history: BTreeMap<Vec<u8>, Vec<u8>>,
    meta: BTreeMap<String, Vec<u8>>,
}

/// An online store that lives as long as the value.
#[derive(Default)]
pub struct MemoryStore {
    tables: RwLock<Arc<Tables>>,
}

impl MemoryStore {
    fn read(&self) -> Arc<Tables> {
        Arc::clone(&self.tables.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Tables)) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut tables));
    }
}

impl OnlineStore for MemoryStore {
    fn snapshot(&self, _: Reach, _: &[GenerationId]) -> Box<dyn Snapshot + '_> {
        Box::new(MemorySnapshot(self.read()))
    }

    fn load(&self, generation: GenerationId) -> Result<Box<dyn Load + '_>> {
        Ok(Box::new(MemoryLoad { store: self, generation, staged: Tables::default() }))
    }

    fn drop_generation(&self, generation: GenerationId) -> Result<()> {
        let prefix = keys::generation(generation);
        self.change(|tables| {
            tables.latest.retain(|key, _| !key.starts_with(&prefix));
            tables.history.retain(|key, _| !key.starts_with(&prefix));
        });
        Ok(())
    }

    fn read_meta(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.read().meta.get(key).cloned())
    }

    fn commit_meta(&self, changes: &[(String, Option<Vec<u8>>)]) -> Result<()> {
        self.change(|tables| {
            for (key, value) in changes {
                match value {
                    Some(value) => tables.meta.insert(key.clone(), value.clone()),
                    None => tables.meta.remove(key),
                };
            }
        });
        Ok(())
    }

    fn usage(&self) -> Usage {
        let tables = self.read();
        Usage {
            latest_rows: tables.latest.len() as u64,
            history_rows: tables.history.len() as u64,
            ..Usage::default()
        }
    }
}

struct MemorySnapshot(Arc<Tables>);

impl Snapshot for MemorySnapshot {
    fn read_latest(&self, keys: &LatestKeys, rows: &mut Rows) -> Result<()> {
        rows.reset(keys.len());
        for (number, key) in keys.iter().enumerate() {
            if let Some(row) = self.0.latest.get(key) {
                rows.set(number, row);
            }
        }
        Ok(())
    }

    fn histories(&self) -> Result<Box<dyn Histories + '_>> {
        Ok(Box::new(MemoryHistories(&self.0)))
    }

    fn is_out_of_reach(&self) -> bool {
        false
    }

    fn read_history(
        &self,
        generation: GenerationId,
        entity_key: &[u8],
        times: Times,
    ) -> Result<Option<Vec<u8>>> {
        Ok(self.0.history.get(&keys::history(generation, entity_key, times)).cloned())
    }
}

struct MemoryHistories<'s>(&'s Tables);

impl Histories for MemoryHistories<'_> {
    fn scan(
        &mut self,
        generation: GenerationId,
        entity_key: &[u8],
        at: i64,
        visit: &mut FactVisitor<'_>,
    ) -> Result<()> {
        let prefix = keys::latest(generation, entity_key);
        let newest = keys::history(generation, entity_key, Times { event: at, known: i64::MAX });
        for (key, row) in self.0.history.range(newest..) {
            match keys::split_history(key) {
                Some((entity, times)) if entity == prefix => {
                    if visit(times, row).is_break() {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }
}

struct MemoryLoad<'s> {
    store: &'s MemoryStore,
    generation: GenerationId,
    staged: Tables,
}

impl Load for MemoryLoad<'_> {
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()> {
        let key = keys::latest(self.generation, entity_key);
        put_in_order(&mut self.staged.latest, key, row)
    }

    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()> {
        let key = keys::history(self.generation, entity_key, times);
        put_in_order(&mut self.staged.history, key, row)
    }

    fn finish(self: Box<Self>) -> Result<Loaded> {
        let Tables { latest, history, .. } = self.staged;
        let loaded = Loaded {
            latest_rows: latest.len() as u64,
            history_rows: history.len() as u64,
            file_bytes: 0,
        };
        self.store.change(|tables| {
            tables.history.extend(history);
            tables.latest.extend(latest);
        });
        Ok(loaded)
    }
}

fn put_in_order(table: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: Vec<u8>, row: &[u8]) -> Result<()> {
    if table.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return Err(Error::internal("a load's keys are out of order"));
    }
    table.insert(key, row.to_vec());
    Ok(())
}
