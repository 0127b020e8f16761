//! Who leads: one process at a time, and another one soon after it is gone.
//!
//! The leader writes the lease anew, over what it wrote before, several times a term. Whoever
//! sees it unchanged for a whole term *by its own clock* writes its own over it; of two who do,
//! one succeeds. A leader believes that it leads until a term after the moment *before* it wrote
//! last, less a margin for clocks that run at different rates: by then nobody can have seen that
//! one unchanged for a term. So no two lead at once, and no two clocks are compared.
//!
//! A leader that was stopped in the middle of its work does not know that its time is over. What
//! it writes then is refused by the epoch: see [`super::Versions::commit`].

use std::time::{Duration, Instant};

use bytes::Bytes;
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::root::{Root, Stored, Token, Written};

const FORMAT: u32 = 1;
const NAME: &str = "lease";

/// The part of a term by which a leader stops earlier: an eighth, far more than clocks differ.
const MARGIN: u32 = 8;

/// A process that can lead.
#[derive(Clone, Debug)]
pub struct Member {
    /// Names it, and no other that ever ran.
    pub id: String,
    /// Where others reach it.
    pub address: String,
}

/// What the lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    format: u32,
    /// The number of leaders so far.
    pub epoch: u64,
    /// The leader's id.
    pub leader: String,
    /// Where the leader is reached.
    pub address: String,
    /// How often it has written this: no two are the same.
    beat: u64,
    /// Whether it has given it up.
    is_released: bool,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This process leads.
    Leads {
        /// The number of leaders so far, with this one.
        epoch: u64,
        /// It does until then at least.
        until: Instant,
    },
    /// Another process does, or did until lately.
    Follows(LeaseRecord),
}

/// The lease as one process sees it.
pub struct Lease {
    root: Root,
    me: Member,
    term: Duration,
    /// Leaders there were, whatever the lease says.
    epoch_min: u64,
    held: Option<Held>,
    seen: Option<Seen>,
}

struct Held {
    record: LeaseRecord,
    token: Token,
    until: Instant,
}

struct Seen {
    record: LeaseRecord,
    token: Token,
    since: Instant,
}

/// Says what time it is on a clock that never goes back.
pub type Monotonic<'c> = &'c dyn Fn() -> Instant;

impl Lease {
    /// A lease that lies in a folder; all its members have one `term`.
    pub fn new(root: Root, me: Member, term: Duration) -> Self {
        Self { root, me, term, epoch_min: 0, held: None, seen: None }
    }

    /// Says that there were so many leaders, as what they wrote shows: a lease that was removed
    /// begins above them.
    pub fn expect(&mut self, epoch: u64) {
        self.epoch_min = self.epoch_min.max(epoch);
    }

    /// Looks, writes what is to be written, and says how things stand. To be called several
    /// times a term.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer: a leader stays one until its time is over
    /// ([`Lease::leads`]). `Invalid` when a newer release wrote the lease, `Corrupt` when it is
    /// none.
    pub fn look(&mut self, now: Monotonic<'_>) -> Result<Standing> {
        if let Some(standing) = self.renew(now)? {
            return Ok(standing);
        }
        let before = now();
        let Some(stored) = self.root.read(NAME)? else {
            let record = self.record(1);
            return self.take(record, None, before, now);
        };
        let Stored { bytes, token } = stored;
        let record = self.parse(&bytes)?;
        let is_same = self.seen.as_ref().is_some_and(|seen| seen.token == token);
        if !is_same {
            let since = now();
            self.seen = Some(Seen { record: record.clone(), token: token.clone(), since });
        }
        let is_over = self.seen.as_ref().is_some_and(|seen| now() - seen.since >= self.term);
        if !is_over && !record.is_released {
            return Ok(Standing::Follows(record));
        }
        let next = self.record(record.epoch + 1);
        let before = now();
        self.take(next, Some(&token), before, now)
    }

    /// Whether this process leads at a moment, and as the how manieth leader.
    pub fn leads(&self, now: Instant) -> Option<u64> {
        self.held.as_ref().filter(|held| now < held.until).map(|held| held.record.epoch)
    }

    /// The leader that was seen last.
    pub fn leader(&self) -> Option<&LeaseRecord> {
        let held = self.held.as_ref().map(|held| &held.record);
        held.or(self.seen.as_ref().map(|seen| &seen.record))
    }

    /// Gives the lease up, so that another can take it at once.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer: others wait for a term then.
    pub fn release(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let mut record = held.record;
        record.beat += 1;
        record.is_released = true;
        self.root.replace(NAME, encode(&record)?, &held.token).map(|_| ())
    }

    /// Writes the own lease anew; `None` if there is none, or not any more.
    fn renew(&mut self, now: Monotonic<'_>) -> Result<Option<Standing>> {
        let Some(mut held) = self.held.take() else { return Ok(None) };
        // What was written before and not answered may be there.
        for is_last in [false, true] {
            held.record.beat += 1;
            let before = now();
            match self.root.replace(NAME, encode(&held.record)?, &held.token) {
                Ok(Written::Done(token)) => {
                    (held.token, held.until) = (token, until(before, self.term));
                    let standing = Standing::Leads { epoch: held.record.epoch, until: held.until };
                    self.held = Some(held);
                    return Ok(Some(standing));
                }
                Ok(Written::Lost) if is_last => break,
                Ok(Written::Lost) => match self.own(&held.record)? {
                    Some(token) => held.token = token,
                    None => break,
                },
                Err(error) => {
                    self.held = Some(held).filter(|held| now() < held.until);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// The token of the lease that is there, if it is of the same leader.
    fn own(&self, record: &LeaseRecord) -> Result<Option<Token>> {
        let Some(stored) = self.root.read(NAME)? else { return Ok(None) };
        let there = self.parse(&stored.bytes)?;
        let is_own = there.leader == record.leader && there.epoch == record.epoch;
        Ok((is_own && !there.is_released).then_some(stored.token))
    }

    /// Writes the own lease over what was seen there.
    fn take(
        &mut self,
        record: LeaseRecord,
        over: Option<&Token>,
        before: Instant,
        now: Monotonic<'_>,
    ) -> Result<Standing> {
        let bytes = encode(&record)?;
        let written = match over {
            Some(token) => self.root.replace(NAME, bytes, token)?,
            None => self.root.create(NAME, bytes)?,
        };
        match written {
            Written::Done(token) => {
                let (epoch, until) = (record.epoch, until(before, self.term));
                self.seen = None;
                self.held = Some(Held { record, token, until });
                Ok(Standing::Leads { epoch, until })
            }
            Written::Lost => {
                let other = self.root.read(NAME)?;
                let other = other.ok_or_else(|| self.broken())?;
                let record = self.parse(&other.bytes)?;
                let since = now();
                self.seen = Some(Seen { record: record.clone(), token: other.token, since });
                Ok(Standing::Follows(record))
            }
        }
    }

    fn record(&self, epoch: u64) -> LeaseRecord {
        LeaseRecord {
            format: FORMAT,
            epoch: epoch.max(self.epoch_min + 1),
            leader: self.me.id.clone(),
            address: self.me.address.clone(),
            beat: 0,
            is_released: false,
        }
    }

    fn parse(&self, bytes: &Bytes) -> Result<LeaseRecord> {
        let record: LeaseRecord =
            serde_json::from_slice(bytes).map_err(|cause| self.broken().with_source(cause))?;
        match record.format {
            FORMAT => Ok(record),
            other => Err(Error::invalid(format!(
                "the lease in {} has format {other}, this release reads up to {FORMAT}; use the \
                 release that wrote it",
                self.root.url()
            ))),
        }
    }

    fn broken(&self) -> Error {
        Error::corrupt(format!(
            "{}/{NAME} is damaged; stop all servers that share it, and remove it",
            self.root.url()
        ))
    }
}

fn until(before: Instant, term: Duration) -> Instant {
    before + term - term / MARGIN
}

fn encode(record: &LeaseRecord) -> Result<Bytes> {
    let bytes = serde_json::to_vec(record);
    let failed = |cause| Error::internal("a lease cannot be written as JSON").with_source(cause);
    bytes.map(Bytes::from).map_err(failed)
}
