//! What an online store can do, without saying how.
//!
//! Rows live in two families. `latest` has one row an entity and generation:
//! the greatest fact by the rule's rank. `history` has every kept fact, newest
//! first. `meta` is a small ordered map for the catalog, and `pushed` a log of the
//! facts that were pushed.
//!
//! A generation becomes visible when the catalog in `meta` names it, which is
//! one atomic write; loads before that are seen by nobody.
//!
//! **A row replaces another only if the rule ranks it higher, and the store itself
//! sees to that**: loads and pushes may write the same entity in any order, beside
//! each other, and none reverts the other.

use std::ops::ControlFlow;
use std::path::Path;

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

/// Whether a write is on the disk when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is: what was written survives a loss of power.
    #[default]
    Synced,
    /// It is with the system, and survives the end of the process only.
    Buffered,
}

/// One batch of pushed facts in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry<'l> {
    /// The applied view's id.
    pub view: u32,
    /// Its place among the view's batches, ascending.
    pub number: u64,
    /// Names the batch: see [`OnlineStore::find_logged`].
    pub name: Option<BatchName>,
    /// When it arrived; never before the one before it.
    pub arrived: i64,
    /// The batch.
    pub bytes: &'l [u8],
}

/// What a batch is known by when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchName {
    /// Its name among the view's batches.
    pub name: u128,
    /// Says whether another has the same facts.
    pub content: u128,
}

/// A batch that was logged under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBatch {
    /// Its place among the view's batches.
    pub number: u64,
    /// The digest of its facts, and when it arrived; an earlier release kept neither.
    pub facts: Option<(u128, i64)>,
}

/// Takes one batch of the log with its number.
pub type LogVisitor<'v> = dyn FnMut(u64, &[u8]) -> Result<()> + 'v;

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
    fn load(&self, generation: GenerationId, beneath: Beneath) -> Result<Box<dyn Load + '_>>;

    /// Puts facts into a generation, for every snapshot made afterwards all at once:
    /// into history, and where a fact is the entity's greatest, into latest. The row
    /// that it replaces there goes to history too. Not durable by itself: see
    /// [`OnlineStore::append_log`].
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes, `Invalid` on a store opened
    /// for reading.
    fn put(&self, generation: GenerationId, facts: &[Fact<'_>]) -> Result<()>;

    /// A moment by which every latest row of a generation can be seen, known time
    /// counted; `i64::MIN` if it never had any. `None` if nobody knows.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes.
    fn visible_by(&self, generation: GenerationId) -> Result<Option<i64>>;

    /// Appends batches to the log of pushed facts, all or none, and keeps when the last of
    /// them arrived: see [`OnlineStore::arrived`].
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Invalid` on a store opened for reading.
    fn append_log(&self, entries: &[LogEntry<'_>], durability: Durability) -> Result<()>;

    /// Makes durable what was written so far.
    ///
    /// # Errors
    /// `Unavailable` for I/O.
    fn sync(&self) -> Result<()>;

    /// Shows a view's batches from number `from` on, in order.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes; what `visit` returns.
    fn read_log(&self, view: u32, from: u64, visit: &mut LogVisitor<'_>) -> Result<()>;

    /// When the last batch of all views arrived, also of one that is not in the log any
    /// more.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes.
    fn arrived(&self) -> Result<Option<i64>>;

    /// The batch of that name, if it was appended and its name is not forgotten.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes.
    fn find_logged(&self, view: u32, name: u128) -> Result<Option<NamedBatch>>;

    /// Makes the names of a view's batches those of another view's.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Corrupt` for damaged bytes, `Invalid` on a store opened for
    /// reading.
    fn carry_names(&self, from: u32, to: u32) -> Result<()>;

    /// Removes a view's batches with numbers below `batches`, and the names of those
    /// below `names`.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Invalid` on a store opened for reading.
    fn trim_log(&self, view: u32, batches: u64, names: u64) -> Result<()>;

    /// Says that nobody asks for moments before `horizon` any more: history that answers
    /// only these is reclaimed when there is time for it. To be said again whenever the
    /// store is opened.
    fn retain(&self, generation: GenerationId, horizon: i64);

    /// Writes a copy of the whole store, as it is now, to a folder that is not there
    /// yet: another store, ready to be opened.
    ///
    /// # Errors
    /// `Invalid` for a store that is not on disk or was opened for reading,
    /// `Unavailable` for I/O.
    fn copy_to(&self, folder: &Path) -> Result<()>;

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

    /// Notes where the process that has the store open for writing answers, for those who
    /// come to write beside it. A store of one process needs no note.
    ///
    /// # Errors
    /// `Invalid` on a store opened for reading, `Unavailable` for I/O.
    fn announce(&self, _url: &str) -> Result<()> {
        Ok(())
    }

    /// Whether it was opened for writing.
    fn is_writable(&self) -> bool;

    /// Approximate sizes; cheap.
    fn usage(&self) -> Usage;
}
