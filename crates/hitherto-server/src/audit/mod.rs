//! What is recorded of each call.
//!
//! ```text
//! serve   begin: who, from where, what          a change has a record of that before it begins
//!         work:  what it turns out to ask for   noted by whoever decodes it: `Note`
//!         end:   how it ended                   the record is written, then the answer leaves
//! ```
//!
//! There is one way to serve, and so one place that records: a call whose [`Entry`] is dropped
//! unended was given up by its caller, and has its record too. Where nothing is recorded, a
//! note is nothing and costs nothing.
//!
//! | module     | what it owns                                          |
//! | ---------- | ------------------------------------------------------ |
//! | `note`     | a call's record, while it is under way                 |
//! | `entities` | whom a request is about, as keyed hashes               |

mod entities;
mod note;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hitherto_api::Clock;
use hitherto_core::limits::{AUDIT_DENIALS_EACH_SECOND, AUDIT_FILE_BYTES};
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_core::{Error, Result};
use hitherto_engine::config::{AuditConfig, AuditLevel};
use hitherto_engine::disk::{make_folders, write_whole};
use hitherto_trust::audit::{
    Decision, EntityKeys, Event, Log, Options, Record, Signer, Status, read_signed,
};
use parking_lot::Mutex;

pub use entities::{Passing, ROWS_HASHED_MAX};
pub use note::{Entry, Note};

/// The files in the folder of keys, beside those of [`EntityKeys`].
const SIGNING: &str = "signing.pem";
const LAST: &str = "last.checkpoint";

/// What records calls.
pub struct Audit {
    log: Log,
    level: AuditLevel,
    entities: EntityKeys,
    clock: Clock,
    next_call: AtomicU64,
    denials: Mutex<Denials>,
}

/// Callers who were turned away in one second.
#[derive(Default)]
struct Denials {
    second: i64,
    count: u64,
}

impl Audit {
    /// Opens the log that the settings name, or begins one; nothing if they ask for none. Its
    /// times are those of `clock`, the world's, whatever answers are for.
    ///
    /// # Errors
    /// As [`Log::open`]; `Invalid` for a key that is none.
    pub fn open(config: &AuditConfig, clock: Clock) -> Result<Option<Arc<Self>>> {
        if config.level == AuditLevel::Off {
            return Ok(None);
        }
        make_folders(&config.keys)?;
        let signer = Signer::read_or_make(&config.keys.join(SIGNING))?;
        let last = config.keys.join(LAST);
        let remembered = read_if_any(&last)?;
        let begun = clock();
        let log = Log::open(Options {
            folder: config.folder.clone(),
            signer,
            clock: Arc::clone(&clock),
            checkpoint: config.checkpoint.duration(),
            file_bytes: AUDIT_FILE_BYTES,
            retention: config.retention.map(|retention| retention.micros()),
            remembered,
            remember: Box::new(move |note| write_whole(&last, note.as_bytes())),
        })?;
        let entities = EntityKeys::new(&config.keys);
        entities.of(begun)?;
        Ok(Some(Arc::new(Self {
            log,
            level: config.level,
            entities,
            clock,
            next_call: AtomicU64::new(begun.unsigned_abs()),
            denials: Mutex::default(),
        })))
    }

    /// How the log is.
    pub fn status(&self) -> Status {
        self.log.status()
    }

    /// Whether nothing is answered at present, because nothing can be recorded.
    pub fn is_in_the_way(&self) -> bool {
        self.level == AuditLevel::Strict && !self.log.status().is_writable
    }

    /// Which key checks the log.
    pub fn key(&self) -> String {
        self.log.key().to_string()
    }

    /// Records that somebody was turned away at the door; of very many in a second there is
    /// only their number.
    pub fn deny(&self, address: Option<IpAddr>, path: &str) {
        let time = (self.clock)();
        let mut denials = self.denials.lock();
        let second = time.div_euclid(MICROS_PER_SECOND);
        if denials.second != second {
            let more = denials.count.saturating_sub(AUDIT_DENIALS_EACH_SECOND);
            *denials = Denials { second, count: 0 };
            if more > 0 {
                self.tell_denied(Record::of(Event::Denied, time, more, "more of them"));
            }
        }
        denials.count += 1;
        if denials.count <= AUDIT_DENIALS_EACH_SECOND {
            let record = Record::of(Event::Denied, time, 1, "");
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            self.tell_denied(Record { address, method: path.to_owned(), ..record });
        }
    }

    fn tell_denied(&self, record: Record) {
        let record =
            Record { decision: Decision::Denied, outcome: String::from("denied"), ..record };
        // They are told nothing, so that there is nothing to refuse; it is counted.
        if let Err(error) = self.write(&record) {
            tracing::debug!(%error, "a denial is not recorded");
        }
    }

    /// Refuses what could not be recorded, before it is begun.
    fn check(&self) -> Result<()> {
        match self.level {
            AuditLevel::Strict => self.log.check(),
            AuditLevel::BestEffort | AuditLevel::Off => Ok(()),
        }
    }

    fn write(&self, record: &Record) -> Result<()> {
        match self.level {
            AuditLevel::Strict => self.log.append(record),
            AuditLevel::BestEffort | AuditLevel::Off => {
                self.log.offer(record);
                Ok(())
            }
        }
    }

    /// Waits until the disk has what was recorded, where nothing goes without it.
    async fn settle(self: Arc<Self>) -> Result<()> {
        if self.level != AuditLevel::Strict {
            return Ok(());
        }
        let broken = |cause| Error::internal("the audit log broke off").with_source(cause);
        tokio::task::spawn_blocking(move || self.log.sync()).await.map_err(broken)?
    }

    fn call(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }
}

/// The checkpoint that was put aside beside the key, if there is one that the key has signed.
///
/// # Errors
/// `Unavailable` when a file cannot be read, `Invalid` for a key that is none.
pub fn last_checkpoint(keys: &Path) -> Result<Option<hitherto_trust::audit::Checkpoint>> {
    if !keys.join(SIGNING).exists() {
        return Ok(None);
    }
    let key = Signer::read_or_make(&keys.join(SIGNING))?.public();
    Ok(read_if_any(&keys.join(LAST))?.and_then(|note| read_signed(&note, key)))
}

fn read_if_any(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::unreadable(path.display(), cause)),
    }
}
