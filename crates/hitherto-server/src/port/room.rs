//! Who is connected, how many may be, and who goes when one more comes.
//!
//! ```text
//! full:  the oldest that never asked anything goes   strangers who say nothing
//!        else the one that has been idle longest      it will connect again
//!        else one all of whose calls wait for more of their requests
//!        else the new one is there for health alone, among a few of which
//!             the oldest goes
//! ```
//!
//! So whoever opens connections and keeps them makes room for whoever uses theirs, and a
//! probe is answered whatever the others do. A sweep ends what takes longer than it may.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hitherto_core::limits::{
    CONNECTION_IDLE_SECONDS, CONNECTIONS_RESERVED, STOP_SILENCE_MILLIS, STRANGER_SECONDS,
};
use parking_lot::{Mutex, MutexGuard};

use super::connection::{Connection, Doing, Epoch};
use crate::budget::Budget;

/// All connections of a port.
pub struct Room {
    connections_max: usize,
    budget: Arc<Budget>,
    epoch: Epoch,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    connections: HashMap<u64, Arc<Connection>>,
    next: u64,
}

/// What connections are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Whether they keep their times.
    Serving,
    /// Also whether they hold up the end.
    Stopping,
}

/// A connection's place, until this is dropped.
pub struct Place {
    room: Arc<Room>,
    /// Whose place it is.
    pub connection: Arc<Connection>,
}

impl Room {
    /// An empty one, for so many connections and a few more for health.
    pub fn new(connections_max: usize, budget: Arc<Budget>) -> Arc<Self> {
        let present = Mutex::default();
        Arc::new(Self { connections_max, budget, epoch: Epoch::begin(), present })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock()
    }

    /// Lets a connection in; another one may have to go for it.
    pub fn enter(self: &Arc<Self>, address: Option<SocketAddr>) -> Place {
        let mut present = self.present();
        let is_full = present.connections.len() >= self.connections_max;
        let is_full = is_full && !present.make_room(self.epoch.millis());
        if is_full && present.connections.len() >= self.connections_max + CONNECTIONS_RESERVED {
            present.end_oldest_probe();
        }
        let id = present.next;
        present.next += 1;
        let connection = Connection::new(id, address, self.budget.share(), is_full, self.epoch);
        let connection = Arc::new(connection);
        present.connections.insert(id, Arc::clone(&connection));
        Place { room: Arc::clone(self), connection }
    }

    /// Ends a connection that can be spared, because the system has no more.
    pub fn spare(&self) {
        let mut present = self.present();
        if !present.make_room(self.epoch.millis()) {
            present.end_oldest_probe();
        }
    }

    /// Connections that there are.
    pub fn len(&self) -> usize {
        self.present().connections.len()
    }

    /// Bytes that their requests and answers take.
    pub fn bytes_held(&self) -> u64 {
        self.budget.used()
    }

    /// Ends connections that say nothing, do not read their answers or, once the server
    /// stops, hold up its end.
    pub fn sweep(&self, sweep: Sweep) {
        let now = self.epoch.millis();
        let before = |millis: u64| now.saturating_sub(millis);
        for connection in self.present().connections.values() {
            let is_over = match connection.doing() {
                Doing::Strange if connection.is_idle() => {
                    connection.opened < before(STRANGER_SECONDS * 1_000)
                }
                Doing::Idle(since) => since < before(CONNECTION_IDLE_SECONDS * 1_000),
                _ => false,
            };
            let is_over = is_over
                || connection.is_late(now)
                || (connection.is_probe && connection.opened < before(STRANGER_SECONDS * 500))
                || (sweep == Sweep::Stopping && connection.holds_up(before(STOP_SILENCE_MILLIS)));
            if is_over {
                connection.end();
            }
        }
    }
}

impl Present {
    /// Ends a connection that can go, if there is one.
    fn make_room(&mut self, now: u64) -> bool {
        let waits_since = now.saturating_sub(2 * STOP_SILENCE_MILLIS);
        let rank = |connection: &Connection| match connection.doing() {
            _ if connection.is_probe => None,
            Doing::Strange => Some((0, connection.opened)),
            Doing::Idle(since) => Some((1, since)),
            Doing::Calls => connection.holds_up(waits_since).then_some((2, connection.opened)),
        };
        let ranked = self
            .connections
            .values()
            .filter_map(|connection| Some((rank(connection)?, connection.id)));
        self.end(ranked.min().map(|(_, id)| id))
    }

    fn end_oldest_probe(&mut self) {
        let probes = self.connections.values().filter(|connection| connection.is_probe);
        self.end(probes.map(|connection| connection.id).min());
    }

    fn end(&mut self, id: Option<u64>) -> bool {
        let ended = id.and_then(|id| self.connections.remove(&id));
        ended.inspect(|connection| connection.end()).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.present().connections.remove(&self.connection.id);
    }
}

#[cfg(test)]
mod tests;
