//! The bytes of every key in the store. Kinds are never reused.
//!
//! ```text
//! latest    view u32 | generation u32 | entity key                   -> row
//! history   view u32 | generation u32 | entity key | !e | !n         -> row
//! events    view u32 | generation u32 | event key | !n               -> row
//! meta      text                                                     -> see MetaKey
//! pushed    view u32 | 0 | number u64                                -> batch of facts
//!           view u32 | 1 | name u128      -> number u64 | digest u128 | arrived i64
//!           view u32 | 2 | number u64                                -> name u128
//! ```
//!
//! All numbers are big endian. `!e` and `!n` are event and known time with the
//! sign flipped and all bits inverted, so that plain bytewise order puts the
//! newest fact first. Entity keys are self-delimiting (see
//! [`hitherto_core::key`]), so no entity's keys are a prefix of another's. A view has either
//! latest rows and history, or events: each of them may have many versions
//! ([`hitherto_core::key::EventKey`]).
//!
//! # Format numbers
//!
//! Of everything on disk. A number rises in the order in which changes land and never
//! means anything else; `fixtures/formats` has what each wrote, opened by a test. A newer
//! one is refused and nothing is touched.
//!
//! | structure            | where its number is     | written | described in                  |
//! | -------------------- | ----------------------- | ------- | ----------------------------- |
//! | store's folder, keys | `FORMAT` beside it      | 4       | here and in `rocks`           |
//! | catalog              | `format` in its JSON    | 2, or 3 | `core/catalog/record.rs`      |
//! | row                  | first byte              | 1       | `core/row`                    |
//! | batch of the log     | first byte              | 2       | `engine/push/batch.rs`        |
//! | consumed files       | none, the folder's      | -       | `engine/materialize/consumed` |
//! | file of pushed facts | its name                | 2       | `offline/pushed.rs`           |
//! | optimized copy       | `format` in copy.json   | 2       | `engine/optimize/record.rs`   |
//! | backup               | `format` in backup.json | 1       | `engine/backup`               |
//! | seal of a backup     | its first word          | 1       | `engine/backup/seal.rs`       |
//! | manifest             | `format` in its JSON    | 1       | `api/manifest`                |
//!
//! The folder's 1 had no log of pushed facts, and its rows replaced each other instead of
//! being merged. Up to 2 the log's keys had no digest of what a name says, and nothing told
//! how much had been acknowledged. Up to 3 there were no events. Each becomes 4 when it is opened
//! for writing.

use std::fmt;

use hitherto_core::key::{EventKey, descending, from_descending};
use hitherto_core::rule::Times;

use crate::store::{BatchName, GenerationId, LogEntry, NamedBatch};

/// Bytes before the entity key.
pub const GENERATION_BYTES: usize = 8;
/// Bytes after the entity key in a history key.
pub const TIMES_BYTES: usize = 16;
/// Bytes after the event's key in a version's.
const KNOWN_BYTES: usize = 8;

/// The prefix of all keys of one generation.
pub fn generation(id: GenerationId) -> [u8; GENERATION_BYTES] {
    let mut key = [0; GENERATION_BYTES];
    key[..4].copy_from_slice(&id.view.to_be_bytes());
    key[4..].copy_from_slice(&id.number.to_be_bytes());
    key
}

/// The first key after all keys of one generation.
pub fn generation_end(id: GenerationId) -> [u8; GENERATION_BYTES] {
    (u64::from_be_bytes(generation(id)) + 1).to_be_bytes()
}

/// The key of an entity's latest row; also the prefix of its history.
pub fn latest(id: GenerationId, entity_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(GENERATION_BYTES + entity_key.len() + TIMES_BYTES);
    key.extend_from_slice(&generation(id));
    key.extend_from_slice(entity_key);
    key
}

/// What follows an entity's key in the name of something of it that is kept in memory beside
/// latest rows: no entity's key begins with another's, so these are nobody's.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// Its whole history, or all its events.
    Whole = 0xFF,
    /// A tile of its events; which follows.
    Tile = 0xFE,
    /// The length of tiles at the ends of windows.
    Finest = 0xFD,
}

/// The keys of many latest rows, side by side in one buffer.
#[derive(Clone, Debug, Default)]
pub struct LatestKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl LatestKeys {
    /// Appends the key of an entity's latest row.
    pub fn push(&mut self, id: GenerationId, entity_key: &[u8]) {
        self.bytes.extend_from_slice(&generation(id));
        self.bytes.extend_from_slice(entity_key);
        self.ends.push(self.bytes.len());
    }

    /// Appends the name of something of an entity that is kept beside latest rows in memory.
    pub fn push_marked(&mut self, id: GenerationId, entity_key: &[u8], mark: Mark, which: &[u8]) {
        self.bytes.extend_from_slice(&generation(id));
        self.bytes.extend_from_slice(entity_key);
        self.bytes.push(mark as u8);
        self.bytes.extend_from_slice(which);
        self.ends.push(self.bytes.len());
    }

    /// Forgets all keys and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key with this number.
    pub fn get(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[start..self.ends[number]]
    }

    /// Each key as [`latest`] makes it, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// The key of one fact in an entity's history.
pub fn history(id: GenerationId, entity_key: &[u8], times: Times) -> Vec<u8> {
    let mut key = latest(id, entity_key);
    key.extend_from_slice(&descending(times.event));
    key.extend_from_slice(&descending(times.known));
    key
}

/// Splits a history key into the entity's prefix and the fact's times.
pub fn split_history(key: &[u8]) -> Option<(&[u8], Times)> {
    let (prefix, times) = key.split_at_checked(key.len().checked_sub(TIMES_BYTES)?)?;
    let (event, known) = times.split_at(8);
    let times = Times {
        event: from_descending(event.try_into().ok()?),
        known: from_descending(known.try_into().ok()?),
    };
    (prefix.len() >= GENERATION_BYTES).then_some((prefix, times))
}

/// The key of one version of an event.
pub fn event(id: GenerationId, event: EventKey<'_>, known: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(GENERATION_BYTES + event.bytes() + KNOWN_BYTES);
    key.extend_from_slice(&generation(id));
    event.encode(&mut key);
    key.extend_from_slice(&descending(known));
    key
}

/// The parts of the key of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionKey<'k> {
    /// Generation and entity: what the keys of an entity's events begin with.
    pub entity: &'k [u8],
    /// The same with the event.
    pub event: &'k [u8],
    /// When it happened and was known.
    pub times: Times,
}

impl<'k> VersionKey<'k> {
    /// Divides a key; `None` if it is none.
    pub fn split(key: &'k [u8]) -> Option<Self> {
        let (event, known) = key.split_last_chunk()?;
        let EventKey { entity, event: happened, .. } = EventKey::split(event)?;
        let times = Times { event: happened, known: from_descending(*known) };
        (entity.len() >= GENERATION_BYTES).then_some(Self { entity, event, times })
    }
}

/// What a key of the log leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// A batch, by its number.
    Batch = 0,
    /// The number of a batch, by its name.
    Number = 1,
    /// The name of a batch, by its number.
    Name = 2,
}

/// A key of the metadata. Its bytes are its text.
///
/// | number | text                      | scope      | changes                | value      |
/// | ------ | ------------------------- | ---------- | ---------------------- | ---------- |
/// | 1      | `catalog`                 | repository | applied or published   | JSON       |
/// | 2      | `clock`                   | store      | each hour, each commit | JSON       |
/// | 3      | `consumed/{view}`         | view's id  | each run               | JSON       |
/// | 4      | `consumed/{view}/previous`| view's id  | new generation, undone | JSON       |
/// | 5      | `landed/{view}`           | view's id  | grows                  | u64, big   |
/// | 6      | `arrived`                 | store      | grows, with the log    | i64, big   |
/// | 7      | `visible-by/{view}/{gen}` | generation | grows, with rows       | i64, little|
///
/// Numbers name the sorts of keys wherever their text does not. The number of a sort that
/// goes is retired and never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaKey {
    /// What is applied and what of it is published: `core/catalog`. The one key that says
    /// what readers see, so whatever goes with a change of that is written in its batch.
    Catalog,
    /// What is believed of the clock: `engine/clock.rs`.
    Clock,
    /// What a view's generation was made of: `engine/materialize/consumed.rs`. Written with
    /// the catalog; removed when nothing has the view's id any more.
    Consumed {
        /// The view's id.
        view: u32,
    },
    /// The same of the generation before. Written and removed as the one above.
    ConsumedBefore {
        /// The view's id.
        view: u32,
    },
    /// How many of a view's pushed batches are in files: `engine/push/landed.rs`. Stays when
    /// the view goes, as its files do.
    Landed {
        /// The view's id.
        view: u32,
    },
    /// When the last pushed facts arrived, in microseconds UTC: the log's own, written in
    /// the batch of its entries.
    Arrived,
    /// By when all latest rows of a generation can be seen, in microseconds UTC: the rows'
    /// own, written with those that are put and before those that are loaded. Goes with the
    /// generation.
    VisibleBy(GenerationId),
}

impl MetaKey {
    /// The number of its sort.
    pub fn number(self) -> u8 {
        match self {
            MetaKey::Catalog => 1,
            MetaKey::Clock => 2,
            MetaKey::Consumed { .. } => 3,
            MetaKey::ConsumedBefore { .. } => 4,
            MetaKey::Landed { .. } => 5,
            MetaKey::Arrived => 6,
            MetaKey::VisibleBy(_) => 7,
        }
    }
}

impl fmt::Display for MetaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetaKey::Catalog => f.write_str("catalog"),
            MetaKey::Clock => f.write_str("clock"),
            MetaKey::Consumed { view } => write!(f, "consumed/{view}"),
            MetaKey::ConsumedBefore { view } => write!(f, "consumed/{view}/previous"),
            MetaKey::Landed { view } => write!(f, "landed/{view}"),
            MetaKey::Arrived => f.write_str("arrived"),
            MetaKey::VisibleBy(GenerationId { view, number }) => {
                write!(f, "visible-by/{view}/{number}")
            }
        }
    }
}

/// What a name leads to.
pub fn named(entry: &LogEntry<'_>, BatchName { content, .. }: BatchName) -> Vec<u8> {
    let mut value = entry.number.to_be_bytes().to_vec();
    value.extend_from_slice(&content.to_be_bytes());
    value.extend_from_slice(&entry.arrived.to_be_bytes());
    value
}

/// Reads what a name leads to; `None` if it is anything else. An earlier release wrote the
/// number alone.
pub fn read_named(value: &[u8]) -> Option<NamedBatch> {
    let (number, rest) = value.split_first_chunk()?;
    let number = u64::from_be_bytes(*number);
    if rest.is_empty() {
        return Some(NamedBatch { number, facts: None });
    }
    let (content, arrived) = rest.split_first_chunk()?;
    let arrived = i64::from_be_bytes(arrived.try_into().ok()?);
    Some(NamedBatch { number, facts: Some((u128::from_be_bytes(*content), arrived)) })
}

/// A key of the log of pushed facts; `rest` is a number or a name, big endian.
pub fn logged(view: u32, what: Logged, rest: &[u8]) -> Vec<u8> {
    let mut key = view.to_be_bytes().to_vec();
    key.push(what as u8);
    key.extend_from_slice(rest);
    key
}

#[cfg(test)]
mod tests;
