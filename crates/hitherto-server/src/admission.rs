//! Who may begin: so many at a time, and the rest are told at once.
//!
//! A queue in front of a full server makes every caller late and then answers
//! callers who have gone. A unary request beyond the bound is therefore
//! refused, and its caller backs off. A stream waits for its turn instead: its
//! own flow control already holds its caller back, and one waiting request a
//! stream is a bound of its own.
//!
//! | bound        | of what                                                        |
//! | ------------ | -------------------------------------------------------------- |
//! | [`Admission`] | requests of a kind, of all callers                             |
//! | [`Fair`]     | the same, and no more than half of them one caller's            |
//! | [`Weighed`]  | work on threads that may block, by how much each of them is     |
//! | [`Behind`]   | what waits for the threads that serve connections, by how long  |

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use hitherto_api::{Caller, Subject, SubjectKind};
use hitherto_core::limits::{
    LOOKUP_BEHIND_MILLIS, LOOKUP_BURST_MILLIS, LOOKUP_PLACES_OF_CORE,
    LOOKUP_PLACES_WAITING_OF_CORE, LOOKUP_VALUES_OF_PLACE,
};
use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::refused;
use http::Extensions;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::port::Connection;

/// Admits everybody, to what costs next to nothing.
pub fn everybody() -> Ready<Result<(), Status>> {
    ready(Ok(()))
}

/// The bound on one kind of request. Clones share it.
#[derive(Clone, Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    refusal: Arc<str>,
}

impl Admission {
    /// Admits `at_once_max` requests at a time, as `setting` says; `what` they
    /// are is for the message.
    ///
    /// # Errors
    /// `Invalid` when the setting would admit nobody, or more than can be
    /// counted.
    pub fn new(what: &str, setting: &str, at_once_max: usize) -> Result<Self> {
        if !(1..=Semaphore::MAX_PERMITS).contains(&at_once_max) {
            return Err(Error::invalid(format!(
                "{setting} is {at_once_max}; set it to 1 or more, at most {}",
                Semaphore::MAX_PERMITS
            )));
        }
        let refusal = format!(
            "the server is already answering {at_once_max} {what}, which is its limit \
             ({setting}); back off and retry"
        );
        Ok(Self { permits: Arc::new(Semaphore::new(at_once_max)), refusal: refusal.into() })
    }

    /// Admits one request until the permit is dropped.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when the bound is reached.
    pub fn try_admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| refused(&*self.refusal))
    }

    /// Admits one request as soon as there is room, first come, first served.
    ///
    /// # Errors
    /// None in practice: the semaphore is never closed.
    pub async fn admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| refused(&*self.refusal))
    }
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Those of a caller who is known, on whatever connection.
    Known(Subject),
    /// Those of a connection of nobody who is.
    Connection(u64),
    /// Those that came without one.
    Nobody,
}

impl Asker {
    /// Who sent a request with these extensions.
    pub fn of(asked: &Extensions) -> Self {
        match asked.get::<Arc<Caller>>() {
            Some(caller) if caller.subject.kind != SubjectKind::Anonymous => {
                Asker::Known(caller.subject.clone())
            }
            _ => {
                let connection = asked.get::<Arc<Connection>>();
                connection.map_or(Asker::Nobody, |connection| Asker::Connection(connection.id))
            }
        }
    }
}

/// A bound on one kind of request that one caller cannot take alone. Clones share it.
#[derive(Clone, Debug)]
pub struct Fair {
    all: Admission,
    each_max: usize,
    what: Arc<str>,
    begun: Arc<Mutex<HashMap<Asker, usize>>>,
}

/// A place among the requests of a kind, until it is dropped.
#[derive(Debug)]
pub struct FairPermit {
    fair: Fair,
    asker: Asker,
    _permit: OwnedSemaphorePermit,
}

impl Fair {
    /// As [`Admission::new`], half of them for one caller.
    ///
    /// # Errors
    /// As [`Admission::new`].
    pub fn new(what: &str, setting: &str, at_once_max: usize) -> Result<Self> {
        let all = Admission::new(what, setting, at_once_max)?;
        let each_max = at_once_max.div_ceil(2);
        Ok(Self { all, each_max, what: what.into(), begun: Arc::default() })
    }

    /// Admits one request of a caller until the permit is dropped.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when the bound is reached, or the caller's half of it.
    pub fn try_admit(&self, asker: Asker) -> Result<FairPermit, Status> {
        let permit = self.all.try_admit()?;
        let mut begun = self.begun();
        let own = begun.entry(asker.clone()).or_default();
        if *own >= self.each_max {
            let (own, what) = (self.each_max, &self.what);
            return Err(refused(format!(
                "the server is already answering {own} {what} of this caller, which is half of \
                 all that it answers at a time; wait for one of them"
            )));
        }
        *own += 1;
        drop(begun);
        Ok(FairPermit { fair: self.clone(), asker, _permit: permit })
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<Asker, usize>> {
        self.begun.lock()
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        let mut begun = self.fair.begun();
        if let Some(own) = begun.get_mut(&self.asker) {
            *own -= 1;
            if *own == 0 {
                begun.remove(&self.asker);
            }
        }
    }
}

/// Lookups on threads that may block, by the values that they look up: more of them at a
/// time than cores would only make all of them late. Some may wait, so that a burst passes;
/// who would wait longer than that is told at once. Clones share it.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// Those under way, and those that wait.
    room: Arc<Semaphore>,
    places: Arc<Semaphore>,
    all: usize,
}

/// A lookup's places, until it is dropped.
#[derive(Debug)]
pub struct WeighedPermit {
    _room: OwnedSemaphorePermit,
    _places: OwnedSemaphorePermit,
}

impl Weighed {
    /// So many for each core.
    pub fn by_cores() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(cores * LOOKUP_PLACES_OF_CORE, cores * LOOKUP_PLACES_WAITING_OF_CORE)
    }

    fn new(all: usize, waiting: usize) -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self { room: semaphore(all + waiting), places: semaphore(all), all }
    }

    /// Admits work on so many values until the permit is dropped, in its turn.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` at once when there is no room for it.
    pub async fn admit(&self, values: usize) -> Result<WeighedPermit, Status> {
        let refusal = || {
            refused(
                "the server is looking up as many values as its cores can; back off and retry, \
                 or ask for fewer entities or features at a time",
            )
        };
        // The largest takes half, so that two of them can be under way.
        let count = (values / LOOKUP_VALUES_OF_PLACE).clamp(1, self.all.div_ceil(2)) as u32;
        let room = Arc::clone(&self.room).try_acquire_many_owned(count).map_err(|_| refusal())?;
        let places = Arc::clone(&self.places).acquire_many_owned(count).await;
        Ok(WeighedPermit { _room: room, _places: places.map_err(|_| refusal())? })
    }
}

/// Whether a server is behind: for how long every request has had to wait for a thread.
///
/// ```text
/// waited      short  long  long  long  long  long  short  long   short
///                    |--- a burst ---|
/// refused                             x     x             x      while it was not
///                                     |- behind, and for a while after -|
/// ```
///
/// A queue is as long as its last one has waited, whatever each of them costs; refusing by
/// that needs no number of requests that a machine can do. Those that waited long further
/// from each other than a burst is long are no queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Behind {
    wait_max: Duration,
    epoch: Instant,
    /// Since when all have waited long; 0 if the last one did not.
    since: Arc<AtomicU64>,
    /// When one last waited long.
    last: Arc<AtomicU64>,
    /// Until when whoever waits long is refused.
    until: Arc<AtomicU64>,
}

impl Behind {
    /// A server that keeps up, where nobody is to wait for longer.
    pub fn new(wait_max: Duration) -> Self {
        let (since, last, until) = Default::default();
        Self { wait_max, epoch: Instant::now(), since, last, until }
    }

    /// Lets a request pass that has waited so long, if it may.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when it may not.
    pub fn check(&self, waited: Duration) -> Result<(), Status> {
        if waited <= self.wait_max {
            if self.since.load(Ordering::Relaxed) != 0 {
                self.since.store(0, Ordering::Relaxed);
            }
            return Ok(());
        }
        match self.refuses(self.epoch.elapsed().as_millis() as u64 + 1) {
            false => Ok(()),
            true => Err(refused(
                "the server is behind: lookups wait longer than they should before they are \
                 begun (server.lookupWaitMillisMax); back off and retry",
            )),
        }
    }

    /// Whether a request is refused that has waited long, at a moment.
    fn refuses(&self, now: u64) -> bool {
        let last = self.last.fetch_max(now, Ordering::Relaxed);
        let is_apart = now.saturating_sub(last) > LOOKUP_BURST_MILLIS;
        let since = match self.since.load(Ordering::Relaxed) {
            since if since > 0 && !is_apart => since,
            _ => {
                self.since.store(now, Ordering::Relaxed);
                now
            }
        };
        let is_behind = now.saturating_sub(since) >= LOOKUP_BURST_MILLIS
            || now < self.until.load(Ordering::Relaxed);
        if is_behind {
            self.until.store(now + LOOKUP_BEHIND_MILLIS, Ordering::Relaxed);
        }
        is_behind
    }
}

#[cfg(test)]
mod tests;
