//! The writer of a log.
//!
//! ```text
//! append   encode -> | lock: tag, one write to the kernel |  -> answered     strict
//! offer    encode -> queue, or dropped and counted  -> answered               as well as it can
//! keeper   every 50 ms, where something was written: queue -> kernel -> disk
//!          every minute, at every end: checkpoint; then what is due: next file, retirement
//! ```
//!
//! One thread, the keeper, waits for the disk and nobody else does. What cannot be written is
//! refused at once and tried again by whoever comes next, so that a log goes on by itself when
//! its disk has room; how many were refused is its first record then.
//!
//! | module   | what it owns                                               |
//! | -------- | ----------------------------------------------------------- |
//! | `open`   | a log as a crash left it, and a new one                      |
//! | `tail`   | the file that is written to                                  |
//! | `keeper` | the thread that keeps the log                                |

mod keeper;
mod open;
mod tail;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hitherto_core::limits::{AUDIT_DISK_KEPT_BYTES, AUDIT_QUEUE_BYTES_MAX, DISK_KEPT_PARTS};
use hitherto_core::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rustix::fs::statvfs;

use self::tail::Tail;
use super::keys::{PublicKey, Signer};
use super::record::{Event, Record};

/// Says what time it is, microseconds UTC: that of the world, whatever answers are for.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Keeps a signed checkpoint elsewhere than in the log's folder, in the place of the one before.
pub type Remember = Box<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// What a log is opened with.
pub struct Options {
    /// Its folder, which is made if it is not there.
    pub folder: PathBuf,
    /// Signs its checkpoints.
    pub signer: Signer,
    /// What time it is.
    pub clock: Clock,
    /// How often a checkpoint is signed.
    pub checkpoint: Duration,
    /// Bytes of a file before the next is begun.
    pub file_bytes: u64,
    /// For how long records are kept, in microseconds; `None` is for ever.
    pub retention: Option<i64>,
    /// The signed checkpoint that was kept elsewhere: the log has at least its records.
    pub remembered: Option<String>,
    /// Keeps the next ones.
    pub remember: Remember,
}

/// How a log is.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Records in it.
    pub records: u64,
    /// Records that found no room in the queue, since it was opened.
    pub dropped: u64,
    /// Records that could not be written, since it was opened.
    pub refused: u64,
    /// When the last checkpoint was signed, microseconds UTC.
    pub checkpoint: i64,
    /// Whether the last record could be written.
    pub is_writable: bool,
}

/// A log that is written to. It is closed when it is dropped, which waits for the disk.
pub struct Log {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// What the writers and the keeper of a log share.
struct Shared {
    options: Options,
    /// Bytes that are kept free on its disk for what else is on it.
    disk_kept: u64,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    /// Wakes the keeper: something was written, the queue is half full, or it is the end.
    wake: Condvar,
    is_full: AtomicBool,
    /// Whether its file is gone, and there is no other yet.
    is_lost: AtomicBool,
    has_failed: AtomicBool,
    records: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    checkpoint: AtomicI64,
}

/// What one writer at a time has.
struct State {
    tail: Tail,
    /// Whether the disk does not have all of it yet.
    is_dirty: bool,
    /// Records that could not be written, since the last that could.
    refused: u64,
}

/// Records that wait to be written, each behind its length.
#[derive(Default)]
struct Queue {
    bodies: Vec<u8>,
    lengths: Vec<u32>,
    dropped: u64,
    is_over: bool,
}

impl Log {
    /// Opens a log, or begins one; the first record says how it was found.
    ///
    /// # Errors
    /// `Conflict` when another process writes it, or another key signed it; `Corrupt` when it is
    /// not as it was written, or not as far as it was; `Unavailable` when it cannot be read or
    /// written.
    pub fn open(options: Options) -> Result<Self> {
        let (found, mut keeping) = open::open(&options)?;
        let size = statvfs(&options.folder);
        let size = size.map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        let kept = (size / (4 * DISK_KEPT_PARTS)).clamp(256 << 10, AUDIT_DISK_KEPT_BYTES);
        let records = AtomicU64::new(found.records);
        let shared = Arc::new(Shared {
            options,
            disk_kept: kept,
            state: Mutex::new(State { tail: found, is_dirty: true, refused: 0 }),
            queue: Mutex::default(),
            wake: Condvar::new(),
            is_full: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            records,
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            checkpoint: AtomicI64::new(keeping.signed_at()),
        });
        keeping.begin(&shared)?;
        let keeper = {
            let shared = Arc::clone(&shared);
            let keep = move || keeping.run(&shared);
            let thread = std::thread::Builder::new().name(String::from("audit"));
            thread.spawn(keep).map_err(Error::no_threads)?
        };
        Ok(Self { shared, keeper: Some(keeper) })
    }

    /// Writes a record: the kernel has it, whatever becomes of this process. The disk has it
    /// within 50 ms.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, at once.
    pub fn append(&self, record: &Record) -> Result<()> {
        self.check()?;
        let body = record.encode();
        let (is_first, written) = {
            let mut state = self.shared.state.lock();
            let was_dirty = state.is_dirty;
            let written = state.put(&self.shared, &[&body]);
            (!was_dirty, written)
        };
        if is_first {
            // The keeper looks and goes to sleep under this lock: it cannot miss the call.
            drop(self.shared.queue.lock());
            self.shared.wake.notify_one();
        }
        written.map_err(|cause| self.shared.refuse(cause))
    }

    /// Notes a record to be written soon, if there is room for it, and counts it otherwise: how
    /// many were dropped is a record too. Waits for nobody.
    pub fn offer(&self, record: &Record) {
        let body = record.encode();
        let mut queue = self.shared.queue.lock();
        if queue.bodies.len() + body.len() > AUDIT_QUEUE_BYTES_MAX {
            queue.dropped += 1;
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bodies.extend_from_slice(&body);
        queue.lengths.push(body.len() as u32);
        let (is_first, bytes) = (queue.lengths.len() == 1, queue.bodies.len());
        drop(queue);
        if is_first || bytes > AUDIT_QUEUE_BYTES_MAX / 2 {
            self.shared.wake.notify_one();
        }
    }

    /// Whether records can be written, as far as is known: a call need not be begun that could
    /// not be answered.
    ///
    /// # Errors
    /// `Unavailable` when the disk has no room for them, or the log's file is gone.
    pub fn check(&self) -> Result<()> {
        let shared = &self.shared;
        let why = if shared.is_lost.load(Ordering::Relaxed) {
            String::from("its file was removed, and none can be made in its place")
        } else if shared.is_full.load(Ordering::Relaxed) && shared.look_whether_full() {
            format!("fewer than {} KiB are free on its disk", shared.disk_kept >> 10)
        } else {
            return Ok(());
        };
        shared.count_refused();
        Err(shared.refuse(std::io::Error::other(why)))
    }

    /// Waits until the disk has every record that was written so far.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        let file = Arc::clone(&self.shared.state.lock().tail.appended.file);
        file.sync_data().map_err(|cause| self.shared.refuse(cause))
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        Status {
            records: shared.records.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            checkpoint: shared.checkpoint.load(Ordering::Relaxed),
            is_writable: [&shared.is_full, &shared.is_lost, &shared.has_failed]
                .iter()
                .all(|obstacle| !obstacle.load(Ordering::Relaxed)),
        }
    }

    /// The key that checks its checkpoints.
    pub fn key(&self) -> PublicKey {
        self.shared.options.signer.public()
    }
}

impl Shared {
    fn now(&self) -> i64 {
        (self.options.clock)()
    }

    fn refuse(&self, cause: std::io::Error) -> Error {
        Error::unavailable(format!(
            "the audit log {} cannot be written, and nothing is answered without its record; see \
             that its folder is there and its disk has room, and calls are answered again without \
             a restart",
            self.options.folder.display()
        ))
        .with_source(cause)
    }

    fn count_refused(&self) {
        self.state.lock().refused += 1;
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks at the disk and notes whether what is free there is kept for others.
    fn look_whether_full(&self) -> bool {
        let free = statvfs(&self.options.folder)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let is_full = free < self.disk_kept;
        self.is_full.store(is_full, Ordering::Relaxed);
        is_full
    }
}

impl State {
    /// Writes records, that of those which were refused before them.
    fn put(&mut self, shared: &Shared, bodies: &[&[u8]]) -> std::io::Result<()> {
        let missed = self.refused;
        let written = match missed {
            0 => self.tail.put(bodies.iter().copied()),
            _ => {
                let refused = Record::of(Event::Refused, shared.now(), missed, "").encode();
                let all = std::iter::once(&refused[..]).chain(bodies.iter().copied());
                self.tail.put(all)
            }
        };
        match &written {
            Ok(()) => (self.refused, self.is_dirty) = (0, true),
            Err(_) => {
                self.refused += bodies.len() as u64;
                shared.refused.fetch_add(bodies.len() as u64, Ordering::Relaxed);
            }
        }
        shared.has_failed.store(written.is_err(), Ordering::Relaxed);
        shared.records.store(self.tail.records, Ordering::Relaxed);
        written
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.queue.lock().is_over = true;
        self.shared.wake.notify_one();
        if let Some(keeper) = self.keeper.take() {
            // A panic of it was told where it happened.
            drop(keeper.join());
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("folder", &self.shared.options.folder).finish_non_exhaustive()
    }
}
