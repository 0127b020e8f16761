//! PUSH: facts in, at once visible to lookups and never lost.
//!
//! ```text
//! batch   -> facts     checked and encoded by the caller's own thread
//!         -> queue     one of those who wait commits for all (group commit)
//! commit  -> log       every batch of the group, one sync: from here on it is durable
//!         -> store     merged into the view's generation: from here on it is seen
//!         -> answer
//! later   -> file      what the log has, as Parquet, where training sets read it
//! ```
//!
//! **The log decides.** A batch that is in the log is applied, at the latest when the
//! store is opened again; applying it twice changes nothing, because a fact replaces
//! another only if it ranks higher. A batch that carries the name of one that is in the
//! log, or was, is not written again, so that a caller who got no answer can repeat it.
//!
//! **Facts that bring no known time are known from their arrival.** They are stamped with it
//! once, before the log, and the stamp is part of the fact: nothing reads it again from a
//! clock. A retry that says its name keeps its first stamp. Stamps never go back, whatever
//! the clock says: the latest of them is in the store, written with the log. When a batch
//! arrived is kept beside the known times that it claims, too.
//!
//! **A build never loses a push.** Incremental loads merge into the rows that pushes
//! wrote. A new generation is given all pushed facts: those in files while it is built,
//! those in the log before it replaces the old one, with pushes held back for the last
//! of them.
//!
//! | module    | what it owns                                            |
//! | --------- | -------------------------------------------------------- |
//! | `request` | what is pushed, and what came of it                      |
//! | `batch`   | a batch as bytes                                         |
//! | `waiting` | batches from their arrival to the log                    |
//! | `landed`  | the log's facts as files                                 |

mod batch;
mod landed;
mod request;
mod waiting;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hitherto_api::Grant;
use hitherto_core::catalog::{AppliedView, Catalog, Reads};
use hitherto_core::limits::{PUSH_GROUP_BYTES_MAX, PUSH_LAND_BYTES};
use hitherto_core::{Error, Result};
use hitherto_online::{BatchName, Durability, Fact, GenerationId, LogEntry, NamedBatch};

pub(crate) use self::batch::{FactBytes, read};
use self::landed::Tail;
pub use self::request::{Ack, PushRequest, Pushed, content_key};
use self::waiting::{Stamped, Waiting, clock_off};
use crate::Engine;

/// What an engine knows of pushes.
pub(crate) struct Pushes {
    waiting: Mutex<Vec<Arc<Waiting>>>,
    /// By view id. Whoever holds it commits; nobody else changes log or generations.
    logs: Mutex<HashMap<u32, ViewLog>>,
    /// Held while the log's facts are written to files.
    landing: Mutex<()>,
    /// The latest moment at which facts arrived, in microseconds UTC; what is stored, or
    /// `i64::MIN`.
    arrived: AtomicI64,
    /// What the clock said when facts were last logged by this process, or `i64::MIN`. The
    /// latest arrival may be of a clock that was ahead.
    clock: AtomicI64,
    /// First numbers of batches that running builds still need in the log, by view id.
    held: Mutex<HashMap<u32, u64>>,
    /// Files of a process that may not write the store: see `landed`.
    tails: Mutex<HashMap<u32, Tail>>,
}

impl Pushes {
    /// Of a store whose last pushed facts arrived then.
    pub fn new(arrived: Option<i64>) -> Self {
        Self {
            waiting: Mutex::default(),
            logs: Mutex::default(),
            landing: Mutex::default(),
            arrived: AtomicI64::new(arrived.unwrap_or(i64::MIN)),
            clock: AtomicI64::new(i64::MIN),
            held: Mutex::default(),
            tails: Mutex::default(),
        }
    }
}

/// Where a view's log stands. Batches have numbers, from 0; ends are exclusive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ViewLog {
    /// Batches that are in files.
    landed: u64,
    /// Batches that are in the view's generation.
    applied: u64,
    /// Batches that were ever logged.
    logged: u64,
    /// Bytes of those that are in no file.
    bytes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        let waiting = Arc::new(Waiting::new(view, request, now)?);
        if waiting.is_empty() {
            return Ok(Pushed::default());
        }
        lock(&self.pushes.waiting).push(Arc::clone(&waiting));
        let is_much = loop {
            let mut logs = lock(&self.pushes.logs);
            if waiting.done.get().is_some() {
                break logs.get(&view.id).is_some_and(|log| log.bytes > PUSH_LAND_BYTES);
            }
            let group = self.take_group();
            self.commit_group(&mut logs, &group);
        };
        if is_much && self.pushes.landing.try_lock().is_ok() {
            // The push itself is done; files that cannot be written now will be later.
            let landed = self.land(view);
            landed.unwrap_or_else(|error| tracing::warn!(%error, "pushed facts stay in the log"));
        }
        let done = waiting.done.get().ok_or_else(|| Error::internal("a push was lost"))?;
        done.as_ref().copied().map_err(Error::again)
    }

    /// Takes those who wait, as far as one commit may hold them.
    fn take_group(&self) -> Vec<Arc<Waiting>> {
        let mut waiting = lock(&self.pushes.waiting);
        let mut bytes = 0;
        let is_room = |one: &&Arc<Waiting>| {
            bytes += one.bytes_len;
            bytes <= PUSH_GROUP_BYTES_MAX
        };
        let count = waiting.iter().take_while(is_room).count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Commits a group and tells each of its members what came of it.
    fn commit_group(&self, logs: &mut HashMap<u32, ViewLog>, group: &[Arc<Waiting>]) {
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
        logs: &mut HashMap<u32, ViewLog>,
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
    fn apply_logged(&self, logs: &mut HashMap<u32, ViewLog>, view: u32) -> Result<()> {
        let catalog = self.catalog();
        let (Some(log), Some(published)) = (logs.get_mut(&view), catalog.online(view)) else {
            return Ok(());
        };
        let id = GenerationId { view, number: published.generation.number };
        log.applied = self.replay(id, log.applied)?.max(log.applied);
        Ok(())
    }

    /// Puts a view's logged batches from number `from` on into a generation; returns the
    /// end of what is there now.
    fn replay(&self, generation: GenerationId, from: u64) -> Result<u64> {
        let mut end = from;
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        let put = |pending: &mut Vec<Vec<u8>>| {
            let facts = pending.iter().map(|batch| Ok(read(batch)?.facts));
            let facts: Vec<Vec<Fact<'_>>> = facts.collect::<Result<_>>()?;
            let put = self.store.rows.put(generation, &facts.concat());
            drop(facts);
            pending.clear();
            put
        };
        self.store.log.read_log(generation.view, from, &mut |number, batch| {
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

    /// Learns where the logs of views stand that it does not know, and applies what was
    /// logged and perhaps not applied when the store was last used.
    pub(crate) fn recover_pushes(&self) -> Result<()> {
        let mut logs = lock(&self.pushes.logs);
        for view in &self.catalog().registry.views {
            if logs.contains_key(&view.id) {
                continue;
            }
            let landed = self.read_landed(view)?;
            let mut log = ViewLog { landed, applied: landed, logged: landed, bytes: 0 };
            self.store.log.read_log(view.id, landed, &mut |number, batch| {
                log.logged = number + 1;
                log.bytes += batch.len() as u64;
                Ok(())
            })?;
            logs.insert(view.id, log);
            if self.store.is_writable() {
                self.apply_logged(&mut logs, view.id)?;
            }
        }
        Ok(())
    }

    /// Whether anything was ever pushed to a view.
    pub(crate) fn has_pushes(&self, view: u32) -> bool {
        lock(&self.pushes.logs).get(&view).is_some_and(|log| log.logged > 0)
    }

    /// Keeps pushes back while a load ends that relies on no row from the future being
    /// there, if there is none; the moment by which all rows can be seen then.
    pub(crate) fn hold_if_settled(
        &self,
        generation: GenerationId,
        now: i64,
    ) -> Result<Option<(Held<'_>, i64)>> {
        let held = Held { _logs: lock(&self.pushes.logs) };
        let now = now.max(self.pushes.clock.load(Ordering::Relaxed));
        let visible_by = self.store.rows.visible_by(generation)?;
        Ok(visible_by.filter(|moment| *moment <= now).map(|moment| (held, moment)))
    }

    /// Gives a generation that nobody reads yet what was pushed since its build read the
    /// view's files, and keeps further pushes back until the guard is dropped.
    pub(crate) fn catch_up(&self, generation: GenerationId, from: u64) -> Result<CaughtUp<'_>> {
        // Nearly all of it while pushes go on, so that they wait for little.
        let from = self.replay(generation, from)?;
        let logs = lock(&self.pushes.logs);
        let end = self.replay(generation, from)?;
        Ok(CaughtUp { logs, end })
    }
}

/// No push is committed while this is there.
pub(crate) struct Held<'e> {
    _logs: MutexGuard<'e, HashMap<u32, ViewLog>>,
}

/// No push is committed while this is there.
pub(crate) struct CaughtUp<'e> {
    logs: MutexGuard<'e, HashMap<u32, ViewLog>>,
    /// The end of the batches that the generation has.
    pub end: u64,
}

impl CaughtUp<'_> {
    /// Says that the generation is the one that is read from now on.
    pub fn flipped(mut self, view: u32) {
        let log = self.logs.entry(view).or_default();
        log.applied = log.applied.max(self.end);
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
