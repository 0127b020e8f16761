//! Encoded facts side by side in one buffer, and the order in which they are sorted.
//!
//! ```text
//! | key bytes | row bytes | key | row |
//!   u32         u32
//! ```

use std::cmp::Ordering;

use hitherto_core::rule::{self, Times};
use hitherto_core::{Error, Result, row};

use super::kept::Kept;

/// Bytes of facts that are handed over together.
pub const BUFFER_BYTES: usize = 1 << 20;

const HEADER_BYTES: usize = 8;

/// One encoded fact.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    /// The encoded entity key.
    pub key: &'r [u8],
    /// The row.
    pub row: &'r [u8],
}

/// Encoded facts, one after the other.
#[derive(Default)]
pub struct Records {
    bytes: Vec<u8>,
}

impl Records {
    /// What [`Records::as_bytes`] gave.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes of all.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends one.
    pub fn push(&mut self, Record { key, row }: Record<'_>) {
        for part in [key, row] {
            self.bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
    }

    /// Drops all; keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The one at `at`, and where the next begins.
    fn read(&self, at: usize) -> Option<(Record<'_>, usize)> {
        let length = |at: usize| {
            let bytes = self.bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let start = at + HEADER_BYTES;
        let middle = start + length(at)?;
        let end = middle + length(at + 4)?;
        let key = self.bytes.get(start..middle)?;
        Some((Record { key, row: self.bytes.get(middle..end)? }, end))
    }

    /// All of them, with where they begin.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Record<'_>)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let at = next;
            let (record, end) = self.read(at)?;
            next = end;
            Some((at, record))
        })
    }
}

/// Where a fact is among buffers, with what decides most comparisons.
#[derive(Clone, Copy)]
pub struct Place {
    /// The first eight bytes of its key, as a number.
    prefix: u64,
    times: Times,
    buffer: u32,
    at: u32,
}

fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = key.len().min(8);
    first[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(first)
}

/// The facts at some places of some buffers.
pub struct Sorter<'b> {
    /// The buffers.
    pub buffers: &'b [Records],
}

impl<'b> Sorter<'b> {
    /// The places of all facts.
    ///
    /// # Errors
    /// `Corrupt` when a row has no header.
    pub fn places(&self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for (buffer, records) in (0..).zip(self.buffers) {
            for (at, record) in records.iter() {
                let (prefix, times) = (prefix(record.key), row::times(record.row)?);
                places.push(Place { prefix, times, buffer, at: at as u32 });
            }
        }
        Ok(places)
    }

    /// The places of all facts that are kept, in order.
    ///
    /// # Errors
    /// As [`Sorter::places`].
    pub fn sort_kept(&self, kept: &mut Kept) -> Result<Vec<Place>> {
        let mut places = self.places()?;
        self.sort(&mut places);
        self.retain_kept(places, kept)
    }

    /// Those of sorted places whose facts are kept.
    ///
    /// # Errors
    /// As [`Sorter::get`].
    pub fn retain_kept(&self, mut places: Vec<Place>, kept: &mut Kept) -> Result<Vec<Place>> {
        let mut outcome = Ok(());
        places.retain(|place| match self.get(place) {
            Ok((record, times)) => kept.keeps(record.key, times),
            Err(error) => {
                outcome = Err(error);
                false
            }
        });
        outcome.map(|()| places)
    }

    /// Copies facts into buffers, and hands these on.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn copy(
        &self,
        places: &[Place],
        mut take: impl FnMut(Records) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = Records::default();
        for place in places {
            buffer.push(self.get(place)?.0);
            if buffer.as_bytes().len() >= BUFFER_BYTES {
                take(std::mem::take(&mut buffer))?;
            }
        }
        take(buffer)
    }

    /// Bytes of the fact at a place.
    pub fn bytes(&self, place: &Place) -> usize {
        self.get(place).map_or(0, |(record, _)| record.key.len() + record.row.len())
    }

    /// The fact at a place.
    ///
    /// # Errors
    /// `Internal` when there is none.
    pub fn get(&self, place: &Place) -> Result<(Record<'b>, Times)> {
        let found = self.buffers.get(place.buffer as usize);
        let found = found.and_then(|records| records.read(place.at as usize));
        let (record, _) = found.ok_or_else(|| Error::internal("a sorted fact has no place"))?;
        Ok((record, place.times))
    }

    /// Brings places in order: by key, newest first; of equal times the greatest row
    /// first.
    pub fn sort(&self, places: &mut [Place]) {
        places.sort_unstable_by(|a, b| self.compare(a, b));
    }

    fn compare(&self, a: &Place, b: &Place) -> Ordering {
        a.prefix.cmp(&b.prefix).then_with(|| match (self.get(a), self.get(b)) {
            (Ok((one, _)), Ok((other, _))) => one
                .key
                .cmp(other.key)
                .then_with(|| rule::rank((b.times, other.row), (a.times, one.row))),
            _ => Ordering::Equal,
        })
    }
}

/// Where the facts of one part end and those of the next begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Border {
    key: Box<[u8]>,
    times: Times,
}

impl Border {
    /// Before the facts of an entity that are not newer than `times`.
    pub fn before(key: &[u8], times: Times) -> Self {
        Self { key: key.into(), times }
    }

    /// Before all facts of an entity.
    pub fn before_entity(key: &[u8]) -> Self {
        Self::before(key, Times { event: i64::MAX, known: i64::MAX })
    }

    /// Whether a fact lies behind it.
    pub fn is_before(&self, key: &[u8], times: Times) -> bool {
        self.key.as_ref().cmp(key).then_with(|| times.cmp(&self.times)).is_le()
    }
}
