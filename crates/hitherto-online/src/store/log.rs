//! The log of pushed facts: what is in it is acknowledged, and applied at the latest when
//! the store is opened again.

use hitherto_core::Result;

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
    /// Names the batch: see [`PushLog::find_logged`].
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

/// Keeps batches of pushed facts in the order in which they arrived, a sequence a view.
pub trait PushLog: Send + Sync {
    /// Appends batches to the log of pushed facts, all or none, and keeps when the last of
    /// them arrived: see [`PushLog::arrived`].
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
}
