//! The online store on ordered maps: the mirror that tests run beside RocksDB.
//!
//! Readers hold the tables of their moment; a writer copies them, changes the
//! copy and swaps it in. Right for tests and small embedded uses, not for size.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use hitherto_core::aggregate::{EventSource, Moments, TileId, VersionVisitor};
use hitherto_core::definition::Known;
use hitherto_core::key::EventKey;
use hitherto_core::rule::{self, Times};
use hitherto_core::{Error, Result, row};
use parking_lot::{Mutex, RwLock};

use crate::keys::{self, LatestKeys, Logged, MetaKey, VersionKey, logged};
use crate::open::EntryVisitor;
use crate::store::{
    Amount, Beneath, Durability, EventVersion, Events, Fact, FactVisitor, GenerationId, Histories,
    Horizon, Load, LoadPart, Loaded, LogEntry, LogVisitor, Meta, MetaChange, NamedBatch, PushLog,
    Reach, RowStore, Rows, Snapshot,
};

#[derive(Clone, Default)]
struct Tables {
    latest: Table,
    history: Table,
    events: Table,
    meta: BTreeMap<String, Vec<u8>>,
    pushed: Table,
}

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

/// An online store that lives as long as the value.
#[derive(Default)]
pub struct MemoryStore {
    tables: RwLock<Arc<Tables>>,
}

impl MemoryStore {
    fn read(&self) -> Arc<Tables> {
        Arc::clone(&self.tables.read())
    }

    /// As [`RocksStore::show_all`](crate::rocks::RocksStore::show_all).
    pub fn show_all(&self, show: &mut EntryVisitor<'_>) {
        let Tables { latest, history, events, meta, pushed } = &*self.read();
        let families =
            [("latest", latest), ("history", history), ("events", events), ("pushed", pushed)];
        for (family, table) in families {
            table.iter().for_each(|(key, value)| show(family, key, value));
        }
        meta.iter().for_each(|(key, value)| show("meta", key.as_bytes(), value));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let mut tables = self.tables.write();
        change(Arc::make_mut(&mut tables))
    }
}

impl RowStore for MemoryStore {
    fn snapshot(&self, _: Reach, _: &[GenerationId]) -> Box<dyn Snapshot + '_> {
        Box::new(MemorySnapshot(self.read()))
    }

    fn load(&self, generation: GenerationId, beneath: Beneath) -> Result<Box<dyn Load + '_>> {
        Ok(Box::new(MemoryLoad { store: self, generation, beneath, staged: Mutex::default() }))
    }

    fn put(&self, generation: GenerationId, facts: &[Fact<'_>]) -> Result<()> {
        self.change(|tables| {
            for Fact { entity_key, times, row } in facts {
                let key = keys::latest(generation, entity_key);
                if let Some(stored) = tables.latest.get(&key)
                    && rule::greater(stored, row)? != stored
                {
                    let replaced = keys::history(generation, entity_key, row::times(stored)?);
                    merge(&mut tables.history, replaced, stored.clone())?;
                }
                merge(&mut tables.latest, key, row.to_vec())?;
                let key = keys::history(generation, entity_key, *times);
                merge(&mut tables.history, key, row.to_vec())?;
            }
            Ok(())
        })
    }

    fn put_events(&self, generation: GenerationId, versions: &[EventVersion<'_>]) -> Result<()> {
        self.change(|tables| {
            versions.iter().try_for_each(|EventVersion { event, known, row }| {
                merge(&mut tables.events, keys::event(generation, *event, *known), row.to_vec())
            })
        })
    }

    fn visible_by(&self, generation: GenerationId) -> Result<Option<i64>> {
        let tables = self.read();
        let rows = tables.latest.range(keys::generation(generation).to_vec()..);
        let rows = rows.take_while(|(key, _)| key.starts_with(&keys::generation(generation)));
        let moments = rows.map(|(_, row)| Ok(row::times(row)?.visible(Known::Honor)));
        let latest = moments.reduce(|a: Result<i64>, b| Ok(a?.max(b?)));
        Ok(Some(latest.transpose()?.unwrap_or(i64::MIN)))
    }

    fn retain(&self, _: GenerationId, _: Horizon) {}

    fn drop_generation(&self, generation: GenerationId) -> Result<()> {
        let prefix = keys::generation(generation);
        self.change(|tables| {
            for table in [&mut tables.latest, &mut tables.history, &mut tables.events] {
                table.retain(|key, _| !key.starts_with(&prefix));
            }
        });
        Ok(())
    }
}

impl PushLog for MemoryStore {
    fn append_log(&self, entries: &[LogEntry<'_>], _: Durability) -> Result<()> {
        self.change(|Tables { pushed, meta, .. }| {
            for entry in entries {
                let (view, number) = (entry.view, entry.number.to_be_bytes());
                pushed.insert(logged(view, Logged::Batch, &number), entry.bytes.to_vec());
                if let Some(named) = entry.name {
                    let name = named.name.to_be_bytes();
                    let value = keys::named(entry, named);
                    pushed.insert(logged(view, Logged::Number, &name), value);
                    pushed.insert(logged(view, Logged::Name, &number), name.to_vec());
                }
                let arrived = MetaKey::Arrived.to_string();
                meta.insert(arrived, entry.arrived.to_be_bytes().to_vec());
            }
        });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn read_log(&self, view: u32, from: u64, visit: &mut LogVisitor<'_>) -> Result<()> {
        let from = logged(view, Logged::Batch, &from.to_be_bytes());
        let to = logged(view, Logged::Number, &[]);
        let tables = self.read();
        tables.pushed.range(from..to).try_for_each(|(key, bytes)| visit(number(&key[5..]), bytes))
    }

    fn arrived(&self) -> Result<Option<i64>> {
        Ok(self.read().meta.get(&MetaKey::Arrived.to_string()).map(|bytes| number(bytes) as i64))
    }

    fn find_logged(&self, view: u32, name: u128) -> Result<Option<NamedBatch>> {
        let key = logged(view, Logged::Number, &name.to_be_bytes());
        Ok(self.read().pushed.get(&key).and_then(|found| keys::read_named(found)))
    }

    fn carry_names(&self, from: u32, to: u32) -> Result<()> {
        self.change(|Tables { pushed, .. }| {
            let is_name = |key: &[u8]| {
                key.starts_with(&logged(from, Logged::Number, &[]))
                    || key.starts_with(&logged(from, Logged::Name, &[]))
            };
            let names = pushed.iter().filter(|(key, _)| is_name(key));
            let names =
                names.map(|(key, value)| ([&to.to_be_bytes(), &key[4..]].concat(), value.clone()));
            let names: Vec<_> = names.collect();
            pushed.extend(names);
        });
        Ok(())
    }

    fn trim_log(&self, view: u32, batches: u64, names: u64) -> Result<()> {
        let batch =
            logged(view, Logged::Batch, &[])..logged(view, Logged::Batch, &batches.to_be_bytes());
        let name =
            logged(view, Logged::Name, &[])..logged(view, Logged::Name, &names.to_be_bytes());
        let is_of_view = |key: &[u8]| key.starts_with(&logged(view, Logged::Number, &[]));
        self.change(|tables| {
            tables.pushed.retain(|key, value| match is_of_view(key) {
                true => keys::read_named(value).is_none_or(|named| named.number >= names),
                false => !batch.contains(key) && !name.contains(key),
            });
        });
        Ok(())
    }
}

impl Meta for MemoryStore {
    fn read_meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>> {
        Ok(self.read().meta.get(&key.to_string()).cloned())
    }

    fn commit_meta(&self, changes: &[MetaChange]) -> Result<()> {
        self.change(|tables| {
            for (key, value) in changes {
                match value {
                    Some(value) => tables.meta.insert(key.to_string(), value.clone()),
                    None => tables.meta.remove(&key.to_string()),
                };
            }
        });
        Ok(())
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
        Ok(Box::new(MemoryHistories(&self.0.history)))
    }

    fn events(&self) -> Result<Box<dyn Events + '_>> {
        let entity = (GenerationId { view: 0, number: 0 }, Vec::new());
        Ok(Box::new(MemoryEvents { events: &self.0.events, entity }))
    }

    fn is_out_of_reach(&self) -> bool {
        false
    }
}

struct MemoryHistories<'s>(&'s Table);

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
        for (key, row) in self.0.range(newest..) {
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

struct MemoryEvents<'s> {
    events: &'s Table,
    entity: (GenerationId, Vec<u8>),
}

impl Events for MemoryEvents<'_> {
    fn begin(&mut self, generation: GenerationId, entity_key: &[u8]) -> Result<Amount> {
        self.entity = (generation, entity_key.to_vec());
        Ok(Amount::Few)
    }
}

/// All events are read whenever they are asked for, and nothing is remembered.
impl EventSource for MemoryEvents<'_> {
    fn scan(&mut self, times: Moments, visit: &mut VersionVisitor<'_>) -> Result<()> {
        let (generation, entity) = &self.entity;
        let prefix = keys::latest(*generation, entity);
        let newest = EventKey { entity, event: times.last, id: &[] };
        for (key, row) in self.events.range(keys::event(*generation, newest, i64::MAX)..) {
            match VersionKey::split(key) {
                Some(key) if key.entity == prefix && key.times.event >= times.first => {
                    if visit(key.times, row).is_break() {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn recall(&mut self, _: TileId, _: &mut Vec<u8>) -> Result<bool> {
        Ok(false)
    }

    fn remember(&mut self, _: TileId, _: &[u8]) {}

    fn finest(&mut self) -> Option<u32> {
        None
    }

    fn set_finest(&mut self, _: u32) {}
}

struct MemoryLoad<'s> {
    store: &'s MemoryStore,
    generation: GenerationId,
    beneath: Beneath,
    staged: Mutex<Tables>,
}

impl Load for MemoryLoad<'_> {
    fn part(&self) -> Result<Box<dyn LoadPart + '_>> {
        Ok(Box::new(MemoryPart { load: self, staged: Tables::default() }))
    }

    fn finish(self: Box<Self>) -> Result<Loaded> {
        let Tables { latest, history, events, .. } = self.staged.into_inner();
        let loaded = Loaded {
            latest_rows: latest.len() as u64,
            history_rows: history.len() as u64,
            event_rows: events.len() as u64,
            file_bytes: 0,
        };
        self.store.change(|tables| {
            let families = [
                (&mut tables.history, history),
                (&mut tables.latest, latest),
                (&mut tables.events, events),
            ];
            for (table, mut rows) in families {
                match self.beneath {
                    Beneath::Nothing => table.append(&mut rows),
                    Beneath::Rows => {
                        rows.into_iter().try_for_each(|(key, row)| merge(table, key, row))?;
                    }
                }
            }
            Ok(loaded)
        })
    }
}

struct MemoryPart<'l> {
    load: &'l MemoryLoad<'l>,
    staged: Tables,
}

impl LoadPart for MemoryPart<'_> {
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()> {
        let key = keys::latest(self.load.generation, entity_key);
        put_in_order(&mut self.staged.latest, key, row)
    }

    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()> {
        let key = keys::history(self.load.generation, entity_key, times);
        put_in_order(&mut self.staged.history, key, row)
    }

    fn put_event(&mut self, event_key: &[u8], known: i64, row: &[u8]) -> Result<()> {
        let event = EventKey::split(event_key)
            .ok_or_else(|| Error::internal("an event is loaded under no key of one"))?;
        let key = keys::event(self.load.generation, event, known);
        put_in_order(&mut self.staged.events, key, row)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let mut all = self.load.staged.lock();
        all.latest.append(&mut self.staged.latest);
        all.history.append(&mut self.staged.history);
        all.events.append(&mut self.staged.events);
        Ok(())
    }
}

/// Keeps the greater of a row and the one that is stored.
fn merge(table: &mut Table, key: Vec<u8>, row: Vec<u8>) -> Result<()> {
    match table.entry(key) {
        Entry::Vacant(place) => {
            place.insert(row);
        }
        Entry::Occupied(mut place) => {
            let greater = rule::greater(place.get(), &row)?.to_vec();
            place.insert(greater);
        }
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn put_in_order(table: &mut Table, key: Vec<u8>, row: &[u8]) -> Result<()> {
    if table.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return Err(Error::internal("a load's keys are out of order"));
    }
    table.insert(key, row.to_vec());
    Ok(())
}
