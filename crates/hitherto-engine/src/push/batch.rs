//! A batch of pushed facts as bytes: what the log keeps.
//!
//! ```text
//! | format | arrived | { entity key bytes | entity key | row bytes | row } ...
//!   u8=2     i64         u32                             u32           little endian
//! ```
//!
//! Rows have their own format and schema version. Format 1, which earlier releases wrote,
//! does not say when the batch arrived.

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result, row};
use hitherto_online::Fact;
use xxhash_rust::xxh3::Xxh3Default;

/// The form of batches that this release writes.
const FORMAT: u8 = 2;
/// The form that had no arrival.
const FORMAT_BEFORE: u8 = 1;
/// Bytes before the first fact.
const HEADER_BYTES: usize = 9;

/// Facts side by side.
#[derive(Clone, Debug)]
pub struct FactBytes(Vec<u8>);

impl Default for FactBytes {
    fn default() -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0] = FORMAT;
        Self(bytes)
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

    /// Says when the batch arrived.
    pub fn set_arrived(&mut self, arrived: i64) {
        self.0[1..HEADER_BYTES].copy_from_slice(&arrived.to_le_bytes());
    }

    /// Lets no fact be known before `known`.
    pub fn raise_known(&mut self, known: i64) {
        let mut rest = &mut self.0[HEADER_BYTES..];
        while let Some((_, after_key)) = split_mut(rest)
            && let Some((row, after_row)) = split_mut(after_key)
        {
            row::raise_known(row, known);
            rest = after_row;
        }
    }
}

fn split_mut(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = bytes.split_first_chunk_mut::<4>()?;
    rest.split_at_mut_checked(u32::from_le_bytes(*length) as usize)
}

/// Whether known times are part of what a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownTimes {
    /// They came with it.
    Said,
    /// They were given to it.
    Given,
}

/// Says whether two batches have the same facts in the same order, whatever the version of
/// their schema and, if they were given their known times, whenever they arrived.
pub struct Digest {
    hash: Xxh3Default,
    known: KnownTimes,
    bytes: Vec<u8>,
}

impl Digest {
    /// Of no facts yet.
    pub fn new(known: KnownTimes) -> Self {
        Self { hash: Xxh3Default::new(), known, bytes: Vec::new() }
    }

    /// Adds a fact.
    pub fn push(&mut self, entity_key: &[u8], row: &[u8]) {
        let (said, known) = row::content(row);
        let known = if self.known == KnownTimes::Said { known } else { &[] };
        self.bytes.clear();
        for part in [entity_key].into_iter().chain(said).chain([known]) {
            self.bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.hash.update(&self.bytes);
    }

    /// The digest.
    pub fn value(&self) -> u128 {
        self.hash.digest128()
    }
}

/// A stored batch.
pub struct Batch<'b> {
    /// When it arrived, microseconds UTC; an earlier release did not keep that.
    pub arrived: Option<i64>,
    /// Its facts.
    pub facts: Vec<Fact<'b>>,
}

/// Reads a stored batch.
///
/// # Errors
/// `Invalid` when a newer release wrote it, `Corrupt` when it is none.
pub fn read(bytes: &[u8]) -> Result<Batch<'_>> {
    let damaged = || Error::corrupt("a batch of pushed facts is damaged; restore a backup");
    let (format, mut rest) = bytes.split_first().ok_or_else(damaged)?;
    let mut arrived = None;
    if *format == FORMAT {
        let (arrival, facts) = rest.split_first_chunk().ok_or_else(damaged)?;
        arrived = Some(i64::from_le_bytes(*arrival));
        rest = facts;
    } else if *format != FORMAT_BEFORE {
        return Err(Error::invalid(format!(
            "a batch of pushed facts has format {format}, this release reads up to {FORMAT}; use \
             the release that wrote it"
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
    Ok(Batch { arrived, facts })
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
            schema.write(&mut row, Times { event, known: 7 }, 0);
            batch.push(key, &row);
        }
        batch.set_arrived(-3);
        batch.raise_known(8);
        let Batch { arrived, facts } = read(batch.as_bytes()).unwrap();
        assert_eq!(arrived, Some(-3));
        let times: Vec<_> = facts.iter().map(|fact| (fact.entity_key, fact.times.event)).collect();
        assert_eq!(times, [(&b"a"[..], 1), (b"", -5), (b"long", i64::MAX)]);
        assert!(facts.iter().all(|fact| fact.times.known == 8));
        let whole = batch.as_bytes();
        let fact = |keys: usize| HEADER_BYTES + keys;
        let ends = [fact(0), fact(9 + row.len()), fact(17 + 2 * row.len()), whole.len()];
        for end in 0..=whole.len() {
            assert_eq!(read(&whole[..end]).is_ok(), ends.contains(&end), "{end} bytes");
        }
        // What an earlier release wrote: the same without the arrival.
        let before = [&[FORMAT_BEFORE], &whole[HEADER_BYTES..]].concat();
        let Batch { arrived, facts } = read(&before).unwrap();
        assert_eq!((arrived, facts.len()), (None, 3));
        assert!(read(&[FORMAT + 1]).is_err());
    }

    #[test]
    fn a_digest_is_of_what_a_batch_says() {
        let digest = |key: &[u8], version: u16, times: Times, known: KnownTimes| {
            let mut row = Vec::new();
            RowSchema::new(&[], version).write(&mut row, times, 0);
            let mut digest = Digest::new(known);
            digest.push(key, &row);
            digest.value()
        };
        let times = |event, known| Times { event, known };
        let given = digest(b"a", 1, times(1, 2), KnownTimes::Given);
        assert_eq!(given, digest(b"a", 2, times(1, 9), KnownTimes::Given), "a retry, later");
        assert_ne!(given, digest(b"b", 1, times(1, 2), KnownTimes::Given));
        assert_ne!(given, digest(b"a", 1, times(2, 2), KnownTimes::Given));
        let said = digest(b"a", 1, times(1, 2), KnownTimes::Said);
        assert_ne!(said, digest(b"a", 1, times(1, 9), KnownTimes::Said));
    }
}
