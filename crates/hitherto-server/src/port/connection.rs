//! One connection, as everything that bounds it sees it.
//!
//! ```text
//! calls    a place for each call that may be under way at a time, with
//!   state     free | answering | sending, to be done at ...
//!   silent    since when more of its request is waited for; 0 while nothing is
//! ```
//!
//! All of it is atomics: a call begins and ends without a lock, and the sweep
//! ([`Room::sweep`](super::room::Room::sweep)) only reads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hitherto_core::limits::{CALLS_OF_CONNECTION_MAX, SEND_BYTES_PER_SECOND_MIN};
use tokio::sync::Notify;

use crate::budget::Share;

/// States of a call that are no moment by which it is sent.
const FREE: u64 = 0;
const ANSWERING: u64 = 1;

/// Milliseconds since a port was opened; never 0 or 1, which mean something else.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// Now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// What time it is.
    pub fn millis(self) -> u64 {
        self.0.elapsed().as_millis() as u64 + 2
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Tells connections from each other.
    pub id: u64,
    /// Where it comes from.
    pub address: Option<SocketAddr>,
    /// Its part of the bytes that there are.
    pub share: Arc<Share>,
    /// Whether it is there for health alone, because the port is full.
    pub is_probe: bool,
    /// Since when it is there.
    pub opened: u64,
    epoch: Epoch,
    /// Whether it asked for something, as somebody who may.
    known: AtomicBool,
    /// Since when it has no call under way.
    idle_since: AtomicU64,
    under_way: AtomicUsize,
    /// How much of what it sent is worked on, and until when something last was.
    working: AtomicUsize,
    worked: AtomicU64,
    calls: Vec<CallState>,
    over: Notify,
}

#[derive(Debug, Default)]
struct CallState {
    state: AtomicU64,
    silent: AtomicU64,
}

/// What a connection does, for whoever decides which one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It never asked for anything that it may.
    Strange,
    /// It has no call under way, since then.
    Idle(u64),
    /// It has.
    Calls,
}

impl Connection {
    /// A connection that has just been opened.
    pub fn new(
        id: u64,
        address: Option<SocketAddr>,
        share: Arc<Share>,
        is_probe: bool,
        epoch: Epoch,
    ) -> Self {
        let opened = epoch.millis();
        let calls = (0..CALLS_OF_CONNECTION_MAX).map(|_| CallState::default()).collect();
        Self {
            id,
            address,
            share,
            is_probe,
            opened,
            epoch,
            known: AtomicBool::new(false),
            idle_since: AtomicU64::new(opened),
            under_way: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            worked: AtomicU64::new(0),
            calls,
            over: Notify::new(),
        }
    }

    /// Begins a call; `None` if as many are under way as may be.
    pub fn begin(self: &Arc<Self>) -> Option<Call> {
        let take = |call: &CallState| {
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            call.state.compare_exchange(FREE, ANSWERING, success, failure).is_ok()
        };
        let index = self.calls.iter().position(take)?;
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Some(Call { connection: Arc::clone(self), index })
    }

    /// Something that it sent is worked on, until this is dropped.
    pub fn works(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::AcqRel);
        Working { connection: Arc::clone(self) }
    }

    /// It asks for something, as somebody who may.
    pub fn passed(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// What it does.
    pub fn doing(&self) -> Doing {
        match (self.known.load(Ordering::Relaxed), self.under_way.load(Ordering::Relaxed)) {
            (false, _) => Doing::Strange,
            (true, 0) => Doing::Idle(self.idle_since.load(Ordering::Relaxed)),
            (true, _) => Doing::Calls,
        }
    }

    /// Whether no call is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Whether an answer should have been sent by now, and was not read.
    pub fn is_late(&self, now: u64) -> bool {
        let is_late = |call: &CallState| {
            let state = call.state.load(Ordering::Relaxed);
            state > ANSWERING && state < now
        };
        self.calls.iter().any(is_late)
    }

    /// Whether every call under way has waited since before `since` for more of its request,
    /// and nothing was worked on meanwhile: what was has answers to send.
    pub fn holds_up(&self, since: u64) -> bool {
        let is_working = self.working.load(Ordering::Acquire) > 0;
        if is_working || self.worked.load(Ordering::Relaxed) > since {
            return false;
        }
        let waits = |call: &CallState| {
            let silent = call.silent.load(Ordering::Relaxed);
            call.state.load(Ordering::Relaxed) == FREE || (silent > 0 && silent < since)
        };
        self.calls.iter().all(waits)
    }

    /// Ends the connection and all its calls.
    pub fn end(&self) {
        self.over.notify_one();
    }

    /// Waits until somebody ends it.
    pub async fn over(&self) {
        self.over.notified().await;
    }
}

/// A call that is under way until this is dropped.
#[derive(Debug)]
pub struct Call {
    connection: Arc<Connection>,
    index: usize,
}

impl Call {
    /// Whose it is.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// A handle for whoever reads its request.
    pub fn listening(&self) -> Listening {
        Listening { connection: Arc::clone(&self.connection), index: self.index }
    }

    /// Something is there to be sent: its caller has so long to begin to take it.
    pub fn sends(&self, pause: Duration) {
        let due = self.connection.epoch.millis() + millis(pause);
        self.connection.calls[self.index].state.store(due, Ordering::Relaxed);
    }

    /// More of an answer was taken: it has time for that, and no more than for a pause
    /// ahead.
    pub fn sent(&self, bytes: usize, pause: Duration) {
        let state = &self.connection.calls[self.index].state;
        let now = self.connection.epoch.millis();
        let due = due(state.load(Ordering::Relaxed), now, bytes, millis(pause));
        state.store(due, Ordering::Relaxed);
    }

    /// Nothing is there to be sent.
    pub fn waits(&self) {
        self.connection.calls[self.index].state.store(ANSWERING, Ordering::Relaxed);
    }
}

/// When a call is to be done in whose state so many bytes of an answer were taken. After
/// nothing was there to be sent its caller has a pause again.
fn due(state: u64, now: u64, bytes: usize, pause: u64) -> u64 {
    if state <= ANSWERING {
        return now + pause;
    }
    let due = state.max(now);
    let more = bytes as u64 * 1_000 / SEND_BYTES_PER_SECOND_MIN + 1;
    (due + more).min(now + pause).max(due)
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl Drop for Call {
    fn drop(&mut self) {
        let call = &self.connection.calls[self.index];
        call.silent.store(0, Ordering::Relaxed);
        call.state.store(FREE, Ordering::Release);
        self.connection.idle_since.store(self.connection.epoch.millis(), Ordering::Relaxed);
        self.connection.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work on what a caller sent, until this is dropped.
#[derive(Debug)]
pub struct Working {
    connection: Arc<Connection>,
}

impl Drop for Working {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.worked.fetch_max(connection.epoch.millis(), Ordering::Relaxed);
        connection.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whoever reads a call's request says here whether there is something.
#[derive(Debug)]
pub struct Listening {
    connection: Arc<Connection>,
    index: usize,
}

impl Listening {
    /// The bytes of its connection.
    pub fn share(&self) -> &Arc<Share> {
        &self.connection.share
    }

    /// More of the request is waited for, or is there.
    pub fn is_silent(&self, is_silent: bool) {
        let silent = &self.connection.calls[self.index].silent;
        match is_silent {
            false => silent.store(0, Ordering::Relaxed),
            true if silent.load(Ordering::Relaxed) == 0 => {
                silent.store(self.connection.epoch.millis(), Ordering::Relaxed);
            }
            true => {}
        }
    }
}

#[cfg(test)]
mod tests;
