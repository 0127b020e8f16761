//! Batches from their arrival to the log: checked and encoded by the caller's own thread,
//! stamped by the one who commits for all.
//!
//! **Stamps never go back.** Who commits holds the logs, and gives each batch the later of
//! its arrival and the last stamp before it.

use std::sync::OnceLock;

use hitherto_api::{Ack, PushRequest, Pushed};
use hitherto_core::catalog::AppliedView;
use hitherto_core::limits::{CLOCK_JUMP_MICROS_MAX, PUSH_FACTS_MAX, PUSH_NAME_BYTES_MAX};
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_core::{Error, Result};
use hitherto_offline::Offline;
use hitherto_offline::pushed::KnownFrom;
use hitherto_online::{BatchName, Fact, LogEntry, NamedBatch};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::batch::{Digest, FactBytes, KnownTimes, read};

/// A batch that waits to be committed.
pub(super) struct Waiting {
    pub view: u32,
    pub name: Option<BatchName>,
    /// Its facts, until somebody commits them.
    bytes: Mutex<FactBytes>,
    pub bytes_len: usize,
    facts: u64,
    /// When it arrived by the clock.
    pub now: i64,
    known: KnownTimes,
    pub ack: Ack,
    pub done: OnceLock<Result<Pushed>>,
}

impl Waiting {
    /// Checks and encodes what arrives at `now`.
    pub fn new(
        offline: &Offline,
        view: &AppliedView,
        request: &PushRequest,
        now: i64,
    ) -> Result<Self> {
        let facts = request.facts.num_rows();
        if facts > PUSH_FACTS_MAX {
            return Err(Error::invalid(format!(
                "a batch of {facts} facts is larger than the limit of {PUSH_FACTS_MAX}; push it in \
                 parts"
            )));
        }
        let key = request.idempotency_key.as_bytes();
        if key.len() > PUSH_NAME_BYTES_MAX {
            return Err(Error::invalid(format!(
                "an idempotency key has {} bytes, and {PUSH_NAME_BYTES_MAX} is the limit; give a \
                 shorter one",
                key.len()
            )));
        }
        let mut bytes = FactBytes::default();
        let push = |entity: &[u8], row: &[u8]| bytes.push(entity, row);
        let known_from = offline.read_pushed(view, &request.facts, now, push)?;
        let known = match known_from {
            KnownFrom::Batch => KnownTimes::Said,
            KnownFrom::Arrival => KnownTimes::Given,
        };
        let name = match key {
            [] => None,
            key => Some(BatchName { name: xxh3_128(key), content: digest(&bytes, known)? }),
        };
        let bytes_len = bytes.as_bytes().len();
        let (bytes, done, ack) = (Mutex::new(bytes), OnceLock::new(), request.ack);
        Ok(Self {
            view: view.id,
            name,
            bytes,
            bytes_len,
            facts: facts as u64,
            now,
            known,
            ack,
            done,
        })
    }

    /// Takes its facts, which arrived then.
    pub fn stamp(&self, arrived: i64, number: u64) -> Stamped<'_> {
        let mut bytes = std::mem::take(&mut *self.bytes.lock());
        bytes.set_arrived(arrived);
        if self.known == KnownTimes::Given && arrived > self.now {
            bytes.raise_known(arrived);
        }
        Stamped { of: self, number, arrived, bytes }
    }

    /// What came of it, if it arrived then.
    pub fn pushed(&self, arrived: i64, clock_off_micros: i64) -> Pushed {
        let known_from = (self.known == KnownTimes::Given).then_some(arrived);
        Pushed { facts: self.facts, is_repeated: false, known_from, clock_off_micros }
    }

    /// Whether it has no facts.
    pub fn is_empty(&self) -> bool {
        self.facts == 0
    }

    /// What comes of it, when a batch of its name was pushed before.
    pub fn repeat(&self, before: NamedBatch) -> Result<Pushed> {
        let content = self.name.map(|name| name.content);
        if before.facts.is_some_and(|(facts, _)| Some(facts) != content) {
            return Err(Error::conflict(
                "the idempotency key was used before for other facts; nothing of this batch was \
                 stored: push these facts under a key of their own",
            ));
        }
        let known_from = before.facts.map(|(_, arrived)| arrived);
        Ok(Pushed {
            facts: self.facts,
            is_repeated: true,
            known_from: known_from.filter(|_| self.known == KnownTimes::Given),
            clock_off_micros: 0,
        })
    }
}

/// A batch that is on its way into the log.
pub(super) struct Stamped<'w> {
    pub of: &'w Waiting,
    number: u64,
    arrived: i64,
    bytes: FactBytes,
}

impl Stamped<'_> {
    pub fn entry(&self) -> LogEntry<'_> {
        let Waiting { view, name, .. } = *self.of;
        LogEntry {
            view,
            number: self.number,
            name,
            arrived: self.arrived,
            bytes: self.bytes.as_bytes(),
        }
    }

    pub fn named(&self) -> Option<NamedBatch> {
        let facts = self.of.name.map(|name| (name.content, self.arrived))?;
        Some(NamedBatch { number: self.number, facts: Some(facts) })
    }
}

/// Says what a batch's facts are, whenever they arrived.
fn digest(bytes: &FactBytes, known: KnownTimes) -> Result<u128> {
    let mut digest = Digest::new(known);
    for Fact { entity_key, row, .. } in read(bytes.as_bytes())?.facts {
        digest.push(entity_key, row);
    }
    Ok(digest.value())
}

/// See [`Pushed::clock_off_micros`].
pub(super) fn clock_off(arrived: i64, now: i64) -> i64 {
    let ahead = now.saturating_sub(arrived);
    let is_first = arrived == i64::MIN;
    if is_first || (0..=CLOCK_JUMP_MICROS_MAX).contains(&ahead) {
        return 0;
    }
    tracing::warn!(
        clock_off_seconds = ahead / MICROS_PER_SECOND,
        "the clock is not where the facts pushed before left it: those that bring no known time \
         are known from the later of the two",
    );
    ahead
}
