//! A batch of pushed facts as bytes: what the log keeps.
//!
//! ```text
//! | format | { entity key bytes | entity key | row bytes | row } ...
//!   u8=1       u32 little endian               u32 little endian
//! ```
//!
//! Rows have their own format and schema version.

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result, row};
use hitherto_online::Fact;

/// The form of batches that this release writes.
const FORMAT: u8 = 1;

/// Facts side by side.
#[derive(Clone, Debug)]
pub struct FactBytes(Vec<u8>);

impl Default for FactBytes {
    fn default() -> Self {
        Self(vec![FORMAT])
    }
}

impl FactBytes {
    /// Appends a fact.
    pub fn push(&mut self, entity_key: &[u8], row: &[u8]) {
        for part in [entity_key, row] {
            self.0.extend_from_slice(&(part.len() as u32).to_le_bytes());
            self.0.extend_from_slice(part);
        }
    }

    /// The stored form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The facts of a stored batch.
///
/// # Errors
/// `Invalid` when a newer release wrote it, `Corrupt` when it is none.
pub fn facts(bytes: &[u8]) -> Result<Vec<Fact<'_>>> {
    let damaged = || Error::corrupt("a batch of pushed facts is damaged; restore a backup");
    let (format, mut rest) = bytes.split_first().ok_or_else(damaged)?;
    if *format != FORMAT {
        return Err(Error::invalid(format!(
            "a batch of pushed facts has format {format}, this release reads {FORMAT}; use the \
             release that wrote it"
        )));
    }
    let mut facts = Vec::new();
    while !rest.is_empty() {
        let mut part = || {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = tail;
            Some(part)
        };
        let (entity_key, row) = part().zip(part()).ok_or_else(damaged)?;
        let times: Times = row::times(row)?;
        facts.push(Fact { entity_key, times, row });
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use hitherto_core::row::RowSchema;

    use super::*;

    #[test]
    fn facts_come_out_as_they_went_in_and_cut_bytes_are_refused() {
        let schema = RowSchema::new(&[], 1);
        let mut batch = FactBytes::default();
        let mut row = Vec::new();
        for (key, event) in [(&b"a"[..], 1), (b"", -5), (b"long", i64::MAX)] {
            schema.write(&mut row, Times { event, known: event }, 0);
            batch.push(key, &row);
        }
        let read = facts(batch.as_bytes()).unwrap();
        let read: Vec<_> = read.iter().map(|fact| (fact.entity_key, fact.times.event)).collect();
        assert_eq!(read, [(&b"a"[..], 1), (b"", -5), (b"long", i64::MAX)]);
        let whole = batch.as_bytes();
        let fact_ends = [1, 1 + 8 + 1 + row.len(), 1 + 16 + 1 + 2 * row.len(), whole.len()];
        for end in 0..=whole.len() {
            assert_eq!(facts(&whole[..end]).is_ok(), fact_ends.contains(&end), "{end} bytes");
        }
        assert!(facts(&[FORMAT + 1]).is_err());
    }
}
