//! A whole history in one piece, as it is kept in memory.
//!
//! ```text
//! newest fact: event time | known time | row bytes | row; the next; ... the oldest
//!              i64          i64          u32         little endian, all of them
//! ```

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};

use crate::store::FactVisitor;

/// Bytes of a history that is kept; of a longer one it is kept that it is.
pub const BYTES_MAX: usize = 16 << 10;

/// Appends a fact, older than those before it.
pub fn push(history: &mut Vec<u8>, times: Times, row: &[u8]) {
    history.extend_from_slice(&times.event.to_le_bytes());
    history.extend_from_slice(&times.known.to_le_bytes());
    history.extend_from_slice(&(row.len() as u32).to_le_bytes());
    history.extend_from_slice(row);
}

/// Shows the facts with event time at or before `at`, newest first, until `visit`
/// breaks.
///
/// # Errors
/// `Internal` when the bytes are no history.
pub fn show(mut history: &[u8], at: i64, visit: &mut FactVisitor<'_>) -> Result<()> {
    while !history.is_empty() {
        let (times, row, rest) =
            split(history).ok_or_else(|| Error::internal("a kept history is not whole"))?;
        history = rest;
        if times.event <= at && visit(times, row).is_break() {
            break;
        }
    }
    Ok(())
}

/// The first fact, and what follows it.
fn split(history: &[u8]) -> Option<(Times, &[u8], &[u8])> {
    let (event, rest) = history.split_first_chunk()?;
    let (known, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (row, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let times = Times { event: i64::from_le_bytes(*event), known: i64::from_le_bytes(*known) };
    Some((times, row, rest))
}
