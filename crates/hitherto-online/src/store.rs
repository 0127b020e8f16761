//! What an online store can do, without saying how.
//!
//! Rows live in two families. `latest` has one row an entity and generation:
//! the greatest fact by the rule's rank. `history` has every kept fact, newest
//! first. `meta` is a small ordered map for the catalog.
//!
//! A generation becomes visible when the catalog in `meta` names it, which is
//! one atomic write; loads before that are seen by nobody.

use std::ops::ControlFlow;

use hitherto_core::Result;
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

/// What a process opens a store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing; one process at a time.
    ReadWrite,
    /// Reading what was there at opening, beside any writer.
    ReadOnly,
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

    /// Whether a read failed because what it wants is not in memory, and a
    /// snapshot of [`Reach::Disk`] has to be asked.
    fn is_out_of_reach(&self) -> bool;

    /// Reads the stored fact with exactly these times.
    ///
    /// # Errors
    /// As [`Histories::scan`].
    fn read_history(
        &self,
        generation: GenerationId,
        entity_key: &[u8],
        times: Times,
    ) -> Result<Option<Vec<u8>>>;
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

/// Rows on their way into one generation. Keys must arrive in ascending order
/// within each family, each at most once.
pub trait Load: Send {
    /// Adds an entity's latest row, replacing the one stored.
    ///
    /// # Errors
    /// `Internal` when keys are out of order, `Unavailable` for I/O.
    fn put_latest(&mut self, entity_key: &[u8], row: &[u8]) -> Result<()>;

    /// Adds one fact to an entity's history, replacing one with the same times.
    ///
    /// # Errors
    /// As [`Load::put_latest`].
    fn put_history(&mut self, entity_key: &[u8], times: Times, row: &[u8]) -> Result<()>;

    /// Makes all rows readable: history first, then latest. Dropping a load
    /// without this leaves nothing behind.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn finish(self: Box<Self>) -> Result<Loaded>;
}

/// What a finished load put into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows in `latest`.
    pub latest_rows: u64,
    /// Rows in `history`.
    pub history_rows: u64,
    /// Bytes of sorted files.
    pub file_bytes: u64,
}

/// What a store holds, approximately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows in `latest`, over all generations.
    pub latest_rows: u64,
    /// Rows in `history`, over all generations.
    pub history_rows: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes of cached rows and blocks.
    pub cache_bytes: u64,
    /// Rows that were found in the cache of rows since the store was opened.
    pub row_cache_hits: u64,
    /// Rows that were not.
    pub row_cache_misses: u64,
}

/// An online store.
pub trait OnlineStore: Send + Sync {
    /// A consistent view of now of these generations; others may be seen half
    /// loaded. It holds resources until dropped. While rows are being put into one of
    /// the generations, it waits for that if its reach is the disk.
    fn snapshot(&self, reach: Reach, generations: &[GenerationId]) -> Box<dyn Snapshot + '_>;

    /// Begins a load into a generation.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Invalid` on a store opened for reading.
    fn load(&self, generation: GenerationId) -> Result<Box<dyn Load + '_>>;

    /// Removes every row of a generation.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn drop_generation(&self, generation: GenerationId) -> Result<()>;

    /// Reads one metadata value.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    fn read_meta(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Writes metadata values at once, durably; `None` removes.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn commit_meta(&self, changes: &[(String, Option<Vec<u8>>)]) -> Result<()>;

    /// Approximate sizes; cheap.
    fn usage(&self) -> Usage;
}
