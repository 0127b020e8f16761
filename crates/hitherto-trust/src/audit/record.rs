//! What is recorded, and its one form in bytes.
//!
//! ```text
//! format u8 = 1 | fields of Protocol Buffers: proto/hitherto/audit/v1/record.proto
//! ```
//!
//! Equal records have equal bytes: what is read and written again is the same, or it was not
//! written here. Never in it: values, join keys, SQL, tokens, messages of errors.

use hitherto_core::limits::{AUDIT_HASHES_MAX, AUDIT_TEXT_BYTES_MAX, AUDIT_VIEWS_MAX};
use hitherto_core::time::format_timestamp;
use serde::{Serialize, Serializer};

use super::wire;

/// The form of records that this release writes, and the only one.
const FORMAT: u8 = 1;

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When, microseconds UTC by the clock of whoever wrote it. Order is that of records.
    #[serde(serialize_with = "moment")]
    pub time: i64,
    /// What.
    pub event: Event,
    /// The same in all records of one call, and in no other's.
    #[serde(skip_serializing_if = "is_zero")]
    pub call: u64,
    /// Who asked: who vouches for the name, a slash, the name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// The network address that asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What was called; of what was denied, its path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The feature service that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The feature views that were asked for, or changed; those of a service are its
    /// definition's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<String>,
    /// Features that were answered.
    #[serde(skip_serializing_if = "is_zero")]
    pub features: u64,
    /// The moment that was asked about, if not the present.
    #[serde(serialize_with = "moment_if_any", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<i64>,
    /// Distinct entities that were asked about; where they are more than are listed, those that
    /// were asked about.
    #[serde(skip_serializing_if = "is_zero")]
    pub entities: u64,
    /// Keyed hashes of them ([`EntityKeys`](super::EntityKeys)), sorted, each once, up to a
    /// bound.
    #[serde(serialize_with = "hexes", skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<u64>,
    /// Rows answered, facts pushed, or records: what the event counts.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u64,
    /// Whether the caller might.
    pub decision: Decision,
    /// How it ended: `ok`, or the kind of error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// How long it took, in microseconds.
    #[serde(rename = "duration_micros", skip_serializing_if = "is_zero")]
    pub duration: u64,
    /// What else belongs to it: what a job does, the content hash of a training set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The catalog that answered.
    #[serde(skip_serializing_if = "is_zero")]
    pub catalog_version: u64,
}

/// What happened. Numbers are never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A call ended.
    #[default]
    Call = 1,
    /// A call began that changes something, or whose answer goes on for a while.
    Begun = 2,
    /// Somebody was turned away at the door.
    Denied = 3,
    /// The log was opened.
    Started = 4,
    /// It was closed.
    Stopped = 5,
    /// Records that found no room in the queue, of a log that does as well as it can.
    Dropped = 6,
    /// Calls that were refused because their records could not be written.
    Refused = 7,
    /// The clock went another way than time.
    ClockStepped = 8,
    /// The file that was written to is gone, with so many records.
    Lost = 9,
    /// Nothing that is older is retired for now.
    Held = 10,
    /// A hold was lifted.
    Released = 11,
    /// Records before this one, by number, were retired.
    Retired = 12,
    /// A job ended that a call had started.
    JobEnded = 13,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 13] = [
        Event::Call,
        Event::Begun,
        Event::Denied,
        Event::Started,
        Event::Stopped,
        Event::Dropped,
        Event::Refused,
        Event::ClockStepped,
        Event::Lost,
        Event::Held,
        Event::Released,
        Event::Retired,
        Event::JobEnded,
    ];
}

/// Whether a caller might do what they asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nobody had to decide.
    #[default]
    None = 0,
    /// They might.
    Permitted = 1,
    /// They might not.
    Denied = 2,
}

impl Record {
    /// A record of the log's own.
    pub fn of(event: Event, time: i64, count: u64, detail: impl Into<String>) -> Self {
        Self { time, event, count, detail: detail.into(), ..Self::default() }
    }

    /// Its bytes. What is longer than its bound is cut.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192 + 8 * self.hashes.len());
        out.push(FORMAT);
        wire::number(&mut out, 1, self.time as u64);
        wire::number(&mut out, 2, self.event as u64);
        wire::number(&mut out, 3, self.call);
        wire::text(&mut out, 4, cut(&self.caller));
        wire::text(&mut out, 5, cut(&self.address));
        wire::text(&mut out, 6, cut(&self.method));
        wire::text(&mut out, 7, cut(&self.service));
        let views = self.views.iter().take(AUDIT_VIEWS_MAX);
        views.for_each(|view| wire::bytes(&mut out, 8, cut(view).as_bytes()));
        wire::number(&mut out, 9, self.features);
        if let Some(as_of) = self.as_of {
            wire::present(&mut out, 10, as_of as u64);
        }
        wire::number(&mut out, 11, self.entities);
        wire::packed(&mut out, 12, &self.hashes[..self.hashes.len().min(AUDIT_HASHES_MAX)]);
        wire::number(&mut out, 13, self.count);
        wire::number(&mut out, 14, self.decision as u64);
        wire::text(&mut out, 15, cut(&self.outcome));
        wire::number(&mut out, 16, self.duration);
        wire::text(&mut out, 17, cut(&self.detail));
        wire::number(&mut out, 18, self.catalog_version);
        out
    }

    /// Reads bytes; `None` if this release does not write them.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, mut rest) = bytes.split_first()?;
        let mut record = Self { event: *Event::ALL.first()?, ..Self::default() };
        while !rest.is_empty() {
            let (field, value) = wire::take(&mut rest)?;
            record.set(field, value)?;
        }
        (*format == FORMAT && record.encode() == bytes).then_some(record)
    }

    fn set(&mut self, field: u64, value: wire::Value<'_>) -> Option<()> {
        match field {
            1 => self.time = value.number()? as i64,
            2 => {
                let number = value.number()?;
                self.event = Event::ALL.into_iter().find(|event| *event as u64 == number)?;
            }
            3 => self.call = value.number()?,
            4 => self.caller = value.text()?,
            5 => self.address = value.text()?,
            6 => self.method = value.text()?,
            7 => self.service = value.text()?,
            8 => self.views.push(value.text()?),
            9 => self.features = value.number()?,
            10 => self.as_of = Some(value.number()? as i64),
            11 => self.entities = value.number()?,
            12 => self.hashes = value.packed()?,
            13 => self.count = value.number()?,
            14 => {
                let decisions = [Decision::None, Decision::Permitted, Decision::Denied];
                self.decision = *decisions.get(usize::try_from(value.number()?).ok()?)?;
            }
            15 => self.outcome = value.text()?,
            16 => self.duration = value.number()?,
            17 => self.detail = value.text()?,
            18 => self.catalog_version = value.number()?,
            _ => return None,
        }
        Some(())
    }

    /// Whether it is about the entity with this hash: `None` where it does not list all that it
    /// counts, so that it cannot say.
    pub fn is_about(&self, hash: u64) -> Option<bool> {
        match self.hashes.binary_search(&hash) {
            Ok(_) => Some(true),
            Err(_) => ((self.hashes.len() as u64) >= self.entities).then_some(false),
        }
    }
}

/// As much of a text as is recorded.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX)]
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn moment<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_timestamp(*micros))
}

fn moment_if_any<S: Serializer>(micros: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match micros {
        Some(micros) => moment(micros, serializer),
        None => serializer.serialize_none(),
    }
}

fn hexes<S: Serializer>(hashes: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(|hash| format!("{hash:016x}")))
}
