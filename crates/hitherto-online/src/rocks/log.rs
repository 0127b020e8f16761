//! The log of pushed facts: batch by batch, in the order of arrival.

use std::path::Path;

use hitherto_core::{Error, Result};
use rocksdb::{Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions};

use super::acknowledged::Acknowledged;
use super::{META, PUSHED, RocksStore, failed, io_failed};
use crate::keys::{self, Logged, MetaKey, logged};
use crate::store::{Durability, LogEntry, LogVisitor, Meta, NamedBatch, PushLog};

impl PushLog for RocksStore {
    fn append_log(&self, entries: &[LogEntry<'_>], durability: Durability) -> Result<()> {
        self.check_writable()?;
        self.room.check()?;
        let family = self.family(PUSHED);
        let mut batch = WriteBatch::default();
        for entry in entries {
            let number = entry.number.to_be_bytes();
            batch.put_cf(family, logged(entry.view, Logged::Batch, &number), entry.bytes);
            if let Some(named) = entry.name {
                let name = named.name.to_be_bytes();
                let value = keys::named(entry, named);
                batch.put_cf(family, logged(entry.view, Logged::Number, &name), value);
                batch.put_cf(family, logged(entry.view, Logged::Name, &number), name);
            }
        }
        if let Some(last) = entries.last() {
            let arrived = MetaKey::Arrived.to_string();
            batch.put_cf(self.family(META), arrived, last.arrived.to_be_bytes());
        }
        match durability {
            Durability::Synced => self.write_durably(batch),
            Durability::Buffered => self.write(batch, &WriteOptions::default()),
        }
    }

    fn sync(&self) -> Result<()> {
        self.check_writable()?;
        // A write, and no bare sync: that one is not refused after an error, and its own then
        // cannot be recovered from.
        self.write_durably(WriteBatch::default())?;
        let synced = self.acknowledged.as_ref().map_or(Ok(()), Acknowledged::sync);
        synced.map_err(|cause| io_failed(Path::new("how far the log got"), cause))
    }

    fn read_log(&self, view: u32, from: u64, visit: &mut LogVisitor<'_>) -> Result<()> {
        self.show_logged(view, Logged::Batch, from, u64::MAX, |number, bytes| visit(number, bytes))
    }

    fn arrived(&self) -> Result<Option<i64>> {
        let arrived = self.read_meta(MetaKey::Arrived)?;
        arrived.map(|bytes| Ok(to_number(&bytes)? as i64)).transpose()
    }

    fn find_logged(&self, view: u32, name: u128) -> Result<Option<NamedBatch>> {
        let key = logged(view, Logged::Number, &name.to_be_bytes());
        let value = self.db.get_cf(self.family(PUSHED), key).map_err(failed)?;
        value.map(|value| keys::read_named(&value).ok_or_else(damaged)).transpose()
    }

    fn carry_names(&self, from: u32, to: u32) -> Result<()> {
        self.check_writable()?;
        let family = self.family(PUSHED);
        let mut batch = WriteBatch::default();
        self.show_logged(from, Logged::Name, 0, u64::MAX, |number, name| {
            let value = self.db.get_cf(family, logged(from, Logged::Number, name));
            if let Some(value) = value.map_err(failed)? {
                batch.put_cf(family, logged(to, Logged::Number, name), value);
                batch.put_cf(family, logged(to, Logged::Name, &number.to_be_bytes()), name);
            }
            Ok(())
        })?;
        self.write(batch, &WriteOptions::default())
    }

    fn trim_log(&self, view: u32, batches: u64, names: u64) -> Result<()> {
        self.check_writable()?;
        let family = self.family(PUSHED);
        let mut batch = WriteBatch::default();
        self.show_logged(view, Logged::Name, 0, names, |_, name| {
            batch.delete_cf(family, logged(view, Logged::Number, name));
            Ok(())
        })?;
        for (what, end) in [(Logged::Name, names), (Logged::Batch, batches)] {
            let (from, to) = (logged(view, what, &[0; 8]), logged(view, what, &end.to_be_bytes()));
            batch.delete_range_cf(family, from, to);
        }
        self.write(batch, &WriteOptions::default())
    }
}

impl RocksStore {
    /// Shows what the log has of one sort, by numbers from `from` up to and without
    /// `to`.
    fn show_logged(
        &self,
        view: u32,
        what: Logged,
        from: u64,
        to: u64,
        mut show: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(logged(view, what, &to.to_be_bytes()));
        let start = logged(view, what, &from.to_be_bytes());
        let mode = IteratorMode::From(&start, Direction::Forward);
        for entry in self.db.iterator_cf_opt(self.family(PUSHED), options, mode) {
            let (key, bytes) = entry.map_err(failed)?;
            show(to_number(key.get(5..).unwrap_or_default())?, &bytes)?;
        }
        Ok(())
    }
}

fn to_number(bytes: &[u8]) -> Result<u64> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::corrupt("the log of pushed facts is damaged; restore a backup")
}
