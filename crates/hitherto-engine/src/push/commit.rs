//! Group commit: one of those who wait writes the batches of all to the log, and puts them
//! into the generations that lookups read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hitherto_api::{Ack, Grant, PushRequest, Pushed};
use hitherto_core::aggregate::EventIds;
use hitherto_core::catalog::{AppliedView, Catalog, Reads};
use hitherto_core::key::EventKey;
use hitherto_core::limits::{PUSH_GROUP_BYTES_MAX, PUSH_LAND_BYTES};
use hitherto_core::{Error, Result};
use hitherto_online::{
    BatchName, Durability, EventVersion, Fact, GenerationId, LogEntry, NamedBatch,
};

use super::ViewLogs;
use super::batch::read;
use super::waiting::{Stamped, Waiting, clock_off};
use crate::Engine;

impl Engine {
    /// Pushes one batch of facts that arrived at `now`. Blocks for the disk; batches
    /// that are pushed from several threads are made durable together.
    ///
    /// # Errors
    /// `NotFound` for an unknown view; `Invalid` for facts that do not fit it or are too
    /// many; `Unavailable` while nothing of the view is online, or when the disk refuses;
    /// `Conflict` when its idempotency key was used for other facts, or when the view's
    /// definition changes meanwhile.
    pub fn push(&self, _: &Grant, request: &PushRequest, now: i64) -> Result<Pushed> {
        let catalog = self.catalog();
        let view = catalog.registry.view(&request.view)?;
        check_online(&catalog, view)?;
        let waiting = Arc::new(Waiting::new(&self.offline, view, request, now)?);
        if waiting.is_empty() {
            return Ok(Pushed::default());
        }
        self.pushes.waiting.lock().push(Arc::clone(&waiting));
        let is_much = loop {
            let mut logs = self.pushes.logs.lock();
            if waiting.done.get().is_some() {
                break logs.get(&view.id).is_some_and(|log| log.bytes > PUSH_LAND_BYTES);
            }
            let group = self.take_group();
            self.commit_group(&mut logs, &group);
        };
        if is_much && self.pushes.landing.try_lock().is_some() {
            // The push itself is done; files that cannot be written now will be later.
            let landed = self.land(view);
            landed.unwrap_or_else(|error| tracing::warn!(%error, "pushed facts stay in the log"));
        }
        let done = waiting.done.get().ok_or_else(|| Error::internal("a push was lost"))?;
        done.as_ref().copied().map_err(Error::again)
    }

    /// Takes those who wait, as far as one commit may hold them.
    fn take_group(&self) -> Vec<Arc<Waiting>> {
        let mut waiting = self.pushes.waiting.lock();
        let mut bytes = 0;
        let is_room = |one: &&Arc<Waiting>| {
            bytes += one.bytes_len;
            bytes <= PUSH_GROUP_BYTES_MAX
        };
        let count = waiting.iter().take_while(is_room).count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Commits a group and tells each of its members what came of it.
    fn commit_group(&self, logs: &mut ViewLogs, group: &[Arc<Waiting>]) {
        let outcomes = self.log_group(logs, group).and_then(|outcomes| {
            let mut views: Vec<u32> = group.iter().map(|one| one.view).collect();
            views.sort_unstable();
            views.dedup();
            views.into_iter().try_for_each(|view| self.apply_logged(logs, view))?;
            Ok(outcomes)
        });
        match outcomes {
            Ok(outcomes) => group.iter().zip(outcomes).for_each(|(one, outcome)| {
                drop(one.done.set(outcome));
            }),
            Err(error) => group.iter().for_each(|one| drop(one.done.set(Err(error.again())))),
        }
    }

    /// Writes a group's batches to the log, and says of each what will come of it.
    fn log_group(
        &self,
        logs: &mut ViewLogs,
        group: &[Arc<Waiting>],
    ) -> Result<Vec<Result<Pushed>>> {
        let catalog = self.catalog();
        let mut after = logs.clone();
        let mut stamped: Vec<Stamped<'_>> = Vec::with_capacity(group.len());
        let mut outcomes = Vec::with_capacity(group.len());
        let mut arrived = self.pushes.arrived.load(Ordering::Relaxed);
        for one in group {
            if catalog.online(one.view).is_none() {
                outcomes.push(Err(Error::conflict(
                    "the view's definition changed meanwhile; materialize it, and push again",
                )));
                continue;
            }
            if let Some(before) = self.find_same(one, &stamped)? {
                outcomes.push(one.repeat(before));
                continue;
            }
            let clock_off_micros = clock_off(arrived, one.now);
            arrived = arrived.max(one.now);
            self.pushes.clock.store(one.now, Ordering::Relaxed);
            let log = after.entry(one.view).or_default();
            stamped.push(one.stamp(arrived, log.logged));
            log.logged += 1;
            log.bytes += one.bytes_len as u64;
            outcomes.push(Ok(one.pushed(arrived, clock_off_micros)));
        }
        let entries: Vec<LogEntry<'_>> = stamped.iter().map(Stamped::entry).collect();
        let durability = match group.iter().any(|one| one.ack == Ack::Durable) {
            true => Durability::Synced,
            false => Durability::Buffered,
        };
        self.store.log.append_log(&entries, durability)?;
        self.pushes.arrived.fetch_max(arrived, Ordering::Relaxed);
        *logs = after;
        Ok(outcomes)
    }

    /// The batch that was pushed before under the name of this one, in the log or among
    /// those that are on their way there.
    fn find_same(&self, one: &Waiting, before: &[Stamped<'_>]) -> Result<Option<NamedBatch>> {
        let Some(BatchName { name, .. }) = one.name else { return Ok(None) };
        let is_same = |other: &&Stamped<'_>| {
            other.of.view == one.view && other.of.name.is_some_and(|other| other.name == name)
        };
        match before.iter().find(is_same) {
            Some(same) => Ok(same.named()),
            None => self.store.log.find_logged(one.view, name),
        }
    }

    /// Brings a view's generation up to the end of its log.
    pub(super) fn apply_logged(&self, logs: &mut ViewLogs, view: u32) -> Result<()> {
        let catalog = self.catalog();
        let (Some(log), Some(published)) = (logs.get_mut(&view), catalog.online(view)) else {
            return Ok(());
        };
        let number = published.generation.number;
        log.applied = self.replay(&published.view, number, log.applied)?.max(log.applied);
        Ok(())
    }

    /// Puts facts into a generation of their view.
    pub(crate) fn put(&self, view: &AppliedView, number: u32, facts: &[Fact<'_>]) -> Result<()> {
        let id = GenerationId { view: view.id, number };
        let Some(ids) = EventIds::of(view) else { return self.store.rows.put(id, facts) };
        let versions = facts.iter().map(|Fact { entity_key: entity, times, row }| {
            let event = EventKey { entity, event: times.event, id: ids.read(row)? };
            Ok(EventVersion { event, known: times.known, row })
        });
        self.store.rows.put_events(id, &versions.collect::<Result<Vec<_>>>()?)
    }

    /// Puts a view's logged batches from number `from` on into a generation; returns the
    /// end of what is there now.
    pub(super) fn replay(&self, view: &AppliedView, number: u32, from: u64) -> Result<u64> {
        let mut end = from;
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        let put = |pending: &mut Vec<Vec<u8>>| {
            let facts = pending.iter().map(|batch| Ok(read(batch)?.facts));
            let facts: Vec<Vec<Fact<'_>>> = facts.collect::<Result<_>>()?;
            let put = self.put(view, number, &facts.concat());
            drop(facts);
            pending.clear();
            put
        };
        self.store.log.read_log(view.id, from, &mut |number, batch| {
            end = number + 1;
            bytes += batch.len();
            pending.push(batch.to_vec());
            if bytes > PUSH_GROUP_BYTES_MAX {
                bytes = 0;
                put(&mut pending)?;
            }
            Ok(())
        })?;
        if !pending.is_empty() {
            put(&mut pending)?;
        }
        Ok(end)
    }
}

/// A pushed fact is to be seen by the next lookup, which needs something to be online under
/// the definition that says what a fact has.
fn check_online(catalog: &Catalog, view: &AppliedView) -> Result<()> {
    match catalog.published.reads(view) {
        Reads::Own(_) => Ok(()),
        Reads::Earlier(_) => Err(Error::unavailable(format!(
            "the definition of feature view {0:?} has changed, and lookups read the copy of the \
             one before; run `hitherto materialize {0}` (in Python store.materialize([{0:?}])), \
             and push then",
            view.name()
        ))),
        Reads::Nothing => Err(Error::unavailable(format!(
            "nothing of feature view {0:?} is online yet; run `hitherto materialize {0}` (in \
             Python store.materialize([{0:?}])), and push then",
            view.name()
        ))),
    }
}
