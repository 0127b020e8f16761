//! What is pushed, and what came of it.

use arrow::array::RecordBatch;
use hitherto_core::Result;
use serde::Serialize;

use crate::manifest::content::ContentHash;

/// How a name begins that was made of what a batch says.
const CONTENT_NAME: &str = "content/";

/// One batch of facts for one view.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The feature view.
    pub view: String,
    /// The facts. Join keys and features have their own names; times, and the mark of
    /// deletions, those that the view's source has for them.
    pub facts: RecordBatch,
    /// Names the batch among the view's: the same facts under a name that was pushed before
    /// change nothing, and keep the known time that they were given first; other facts are
    /// refused. Empty is no name: facts without a known time are then stated anew, and
    /// known from now on.
    pub idempotency_key: String,
    /// When it is acknowledged.
    pub ack: Ack,
}

/// When a push is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// Once it is on the disk.
    #[default]
    Durable,
    /// Once lookups see it; a loss of power may undo the last seconds.
    Async,
}

/// A push that was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Facts in the batch.
    pub facts: u64,
    /// Whether the batch had been pushed before under its idempotency key, so that it
    /// changed nothing.
    pub is_repeated: bool,
    /// The earliest moment that sees facts of a batch that brings no known times: its
    /// arrival, or that of the batch that it repeats. Microseconds UTC.
    pub known_from: Option<i64>,
    /// By how many microseconds the clock was off: behind what was stamped before, below 0,
    /// or further ahead of it than is likely, which is a clock set ahead or a long rest.
    pub clock_off_micros: i64,
}

/// An idempotency key that is made of what a batch says: pushed again, it is the same
/// batch. For callers who give none.
///
/// # Errors
/// `Invalid` for a column of a type that no feature has.
pub fn content_key(facts: &RecordBatch) -> Result<String> {
    let mut hash = ContentHash::new(facts.schema_ref())?;
    hash.update(facts)?;
    Ok(format!("{CONTENT_NAME}{}", hash.digest()))
}
