//! Rows: what lookups read, and loads and pushes write.
//!
//! **A row replaces another only if the rule ranks it higher, and the store itself
//! sees to that**: loads and puts may write the same entity in any order, beside
//! each other, and none reverts the other.
//!
//! A lookup calls a store once for a batch of rows, so that a trait object costs it nothing
//! a row, and nothing above needs the store's type.

use std::ops::ControlFlow;

use hitherto_core::Result;
use hitherto_core::aggregate::EventSource;
use hitherto_core::key::EventKey;
use hitherto_core::rule::Times;

use crate::keys::LatestKeys;

/// Names one complete copy of one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GenerationId {
    /// The applied view's id.
    pub view: u32,
    /// The generation's number.
    pub number: u32,
}

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No further than what is in memory: such a read never waits for a disk.
    Memory,
    /// Wherever the row is.
    Disk,
}

/// Bytes that are reserved for rows before there are so many.
const RESERVED_BYTES_MAX: usize = 1 << 20;

/// The stored rows of a batch of keys, copied side by side into one buffer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Where each row lies; `None` where there is none.
    places: Vec<Option<(usize, usize)>>,
}

impl Rows {
    /// Makes room for `rows` rows, none of which is there yet; keeps the buffer.
    pub fn reset(&mut self, rows: usize) {
        self.bytes.clear();
        self.places.clear();
        self.places.resize(rows, None);
    }

    /// Copies the row with this number.
    pub fn set(&mut self, number: usize, row: &[u8]) {
        if self.bytes.capacity() == 0 {
            // Rows of one view are about as long as each other.
            self.bytes.reserve((row.len() * self.places.len()).min(RESERVED_BYTES_MAX));
        }
        self.places[number] = Some((self.bytes.len(), row.len()));
        self.bytes.extend_from_slice(row);
    }

    /// The row with this number, if there is one.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        self.places[number].map(|(start, bytes)| &self.bytes[start..start + bytes])
    }

    /// All rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.places.len()).map(|number| self.get(number))
    }
}

/// Takes one fact of a history; breaks when it has seen enough.
pub type FactVisitor<'v> = dyn FnMut(Times, &[u8]) -> ControlFlow<()> + 'v;

/// One consistent view of the store.
pub trait Snapshot: Send + Sync {
    /// Reads many latest rows in one batch, in the order of their keys; what
    /// `rows` held is dropped. Blocks for storage I/O on a cache miss, if the
    /// snapshot's reach allows it.
    ///
    /// # Errors
    /// `Corrupt` for damaged blocks, `Unavailable` for I/O and for what is
    /// [out of reach](Snapshot::is_out_of_reach).
    fn read_latest(&self, keys: &LatestKeys, rows: &mut Rows) -> Result<()>;

    /// A cursor over histories; cheap to move, not to make.
    ///
    /// # Errors
    /// `Unavailable` when they are out of reach.
    fn histories(&self) -> Result<Box<dyn Histories + '_>>;

    /// A cursor over entities' events; cheap to move, not to make.
    ///
    /// # Errors
    /// `Unavailable` when they are out of reach.
    fn events(&self) -> Result<Box<dyn Events + '_>>;

    /// Whether a read failed because what it wants is not in memory, and a
    /// snapshot of [`Reach::Disk`] has to be asked.
    fn is_out_of_reach(&self) -> bool;
}

/// Reads entities' histories, one after the other.
pub trait Histories {
    /// Shows an entity's kept facts with event time at or before `at`, newest
    /// first, until `visit` breaks. One seek.
    ///
    /// # Errors
    /// `Corrupt` for damaged blocks or keys, `Unavailable` for I/O and for what
    /// is out of reach.
    fn scan(
        &mut self,
        generation: GenerationId,
        entity_key: &[u8],
        at: i64,
        visit: &mut FactVisitor<'_>,
    ) -> Result<()>;
}

/// How many events an entity has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So few that all of them are read faster than any part of them.
    Few,
    /// More.
    Many,
}

/// Reads entities' events, one entity after the other.
pub trait Events: EventSource {
    /// Turns to an entity, and says how many events it has.
    ///
    /// # Errors
    /// As [`Histories::scan`].
    fn begin(&mut self, generation: GenerationId, entity_key: &[u8]) -> Result<Amount>;
}

/// What a generation has before a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beneath {
    /// No row.
    Nothing,
    /// Rows of earlier loads and pushes.
    Rows,
}

/// One fact to be put.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'f> {
    /// The encoded entity key.
    pub entity_key: &'f [u8],
    /// Its times; those of the row.
    pub times: Times,
    /// The row.
    pub row: &'f [u8],
}

/// One version of an event to be put.
#[derive(Clone, Copy, Debug)]
pub struct EventVersion<'f> {
    /// Whose event it is, and which.
    pub event: EventKey<'f>,
    /// When it was known.
    pub known: i64,
    /// The row.
    pub row: &'f [u8],
}

/// Rows on their way into one generation, in parts.
pub trait Load: Send + Sync {
    /// Begins a part. Several may be written at once, by a thread each; where one has
    /// keys, no other has any between them.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn part(&self) -> Result<Box<dyn LoadPart + '_>>;

    /// Makes the rows of all finished parts readable: history first, then latest.
    /// Dropping a load without this leaves nothing behind.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn finish(self: Box<Self>) -> Result<Loaded>;
}

/// Rows of one part of a load. Keys must arrive in ascending order within each family,
/// each at most once.
pub trait LoadPart {
    /// Adds an entity's latest row; of it and one that is stored the greater stays.
    ///
    /// # Errors
    /// `Internal` when keys are out of order, `Unavailable` for I/O.
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()>;

    /// Adds one fact to an entity's history; of it and one with the same times the
    /// greater stays.
    ///
    /// # Errors
    /// As [`LoadPart::put_latest`].
    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()>;

    /// Adds one version of an event, whose key is encoded; of it and one with the same known
    /// time the greater stays.
    ///
    /// # Errors
    /// As [`LoadPart::put_latest`].
    fn put_event(&mut self, event_key: &[u8], known: i64, row: &[u8]) -> Result<()>;

    /// Ends the part.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What a finished load put into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows in `latest`.
    pub latest_rows: u64,
    /// Rows in `history`.
    pub history_rows: u64,
    /// Rows in `events`.
    pub event_rows: u64,
    /// Bytes of sorted files.
    pub file_bytes: u64,
}

/// Where what somebody can ask for of a generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The earliest moment.
    pub moment: i64,
    /// The earliest event time that counts at any moment from then on.
    pub event: i64,
}

/// Keeps rows: `latest` has one an entity and generation, `history` every kept fact, `events`
/// every kept version of an event.
pub trait RowStore: Send + Sync {
    /// A consistent view of now of these generations; others may be seen half
    /// loaded. It holds resources until dropped. While rows are being put into one of
    /// the generations, it waits for that if its reach is the disk.
    fn snapshot(&self, reach: Reach, generations: &[GenerationId]) -> Box<dyn Snapshot + '_>;

    /// Begins a load into a generation.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Invalid` on a store opened for reading.
    fn load(&self, generation: GenerationId, beneath: Beneath) -> Result<Box<dyn Load + '_>>;

    /// Puts facts into a generation, for every snapshot made afterwards all at once:
    /// into history, and where a fact is the entity's greatest, into latest. The row
    /// that it replaces there goes to history too. Not durable by itself: see
    /// [`crate::PushLog::append_log`].
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes, `Invalid` on a store opened
    /// for reading.
    fn put(&self, generation: GenerationId, facts: &[Fact<'_>]) -> Result<()>;

    /// Puts versions of events into a generation, for every snapshot made afterwards all at
    /// once. Not durable by itself: see [`crate::PushLog::append_log`].
    ///
    /// # Errors
    /// As [`RowStore::put`].
    fn put_events(&self, generation: GenerationId, versions: &[EventVersion<'_>]) -> Result<()>;

    /// A moment by which every latest row of a generation can be seen, known time
    /// counted; `i64::MIN` if it never had any. `None` if nobody knows.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes.
    fn visible_by(&self, generation: GenerationId) -> Result<Option<i64>>;

    /// Says that nobody asks for moments before a horizon any more: history and events that
    /// answer only these are reclaimed when there is time for it. To be said again whenever the
    /// store is opened.
    fn retain(&self, generation: GenerationId, horizon: Horizon);

    /// Removes every row of a generation.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn drop_generation(&self, generation: GenerationId) -> Result<()>;
}
