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
//! | module    | what it owns                                              |
//! | --------- | --------------------------------------------------------- |
//! | `batch`   | a batch as bytes                                          |
//! | `waiting` | batches from their arrival to the log                     |
//! | `commit`  | batches of all who wait, into the log and the generations |
//! | `landed`  | the log's facts as files                                  |
//! | `folder`  | those files, by name                                      |
//! | `paused`  | pushes that are kept back while something else is done    |
//! | `locks`   | the order of all locks                                    |

mod batch;
mod commit;
mod folder;
mod landed;
mod locks;
mod paused;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use hitherto_core::Result;

pub(crate) use self::batch::{FactBytes, read};
use self::landed::Tail;
use self::locks::{Rank, Ranked};
pub(crate) use self::paused::{CaughtUp, Paused};
use self::waiting::Waiting;
use crate::Engine;

/// What an engine knows of pushes.
pub(crate) struct Pushes {
    waiting: Ranked<Vec<Arc<Waiting>>>,
    /// Whoever holds it commits; nobody else changes log or generations.
    logs: Ranked<ViewLogs>,
    /// Held while the log's facts are written to files.
    landing: Ranked<()>,
    /// The latest moment at which facts arrived, in microseconds UTC; what is stored, or
    /// `i64::MIN`.
    arrived: AtomicI64,
    /// What the clock said when facts were last logged by this process, or `i64::MIN`. The
    /// latest arrival may be of a clock that was ahead.
    clock: AtomicI64,
    /// First numbers of batches that running builds still need in the log, by view id.
    kept: Ranked<HashMap<u32, u64>>,
    /// Files of a process that may not write the store, by view id: see `landed`.
    tails: Ranked<HashMap<u32, Tail>>,
}

impl Pushes {
    /// Of a store whose last pushed facts arrived then.
    pub fn new(arrived: Option<i64>) -> Self {
        Self {
            waiting: Ranked::new(Rank::Waiting),
            logs: Ranked::new(Rank::Logs),
            landing: Ranked::new(Rank::Landing),
            arrived: AtomicI64::new(arrived.unwrap_or(i64::MIN)),
            clock: AtomicI64::new(i64::MIN),
            kept: Ranked::new(Rank::Kept),
            tails: Ranked::new(Rank::Tails),
        }
    }
}

/// Where the logs of views stand, by view id.
type ViewLogs = HashMap<u32, ViewLog>;

/// Where a view's log stands. Batches have numbers, from 0; ends are exclusive.
#[derive(Clone, Copy, Debug, Default)]
struct ViewLog {
    /// Batches that are in files.
    landed: u64,
    /// Batches that are in the view's generation.
    applied: u64,
    /// Batches that were ever logged.
    logged: u64,
    /// Bytes of those that are in no file.
    bytes: u64,
}

impl Engine {
    /// Learns where the logs of views stand that it does not know, and applies what was
    /// logged and perhaps not applied when the store was last used.
    pub(crate) fn recover_pushes(&self) -> Result<()> {
        let mut logs = self.pushes.logs.lock();
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
        self.pushes.logs.lock().get(&view).is_some_and(|log| log.logged > 0)
    }
}
