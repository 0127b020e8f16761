//! Rows: the values of one fact as bytes, each feature at a known offset.
//!
//! ```text
//! 0        1       2                4            12           20
//! | format | flags | schema version | event time | known time | null bitmap | slots | var |
//!   u8=1     u8      u16              i64          i64          ceil(F/8)
//! ```
//!
//! All numbers are little endian: slots are copied into packed arrays as they
//! are. Bit `i` of the bitmap is set when feature `i` is null; its slot is then
//! zero, so that equal facts have equal bytes. Slots follow each other in
//! declared order without padding. The slot of a string, binary or list holds
//! the offset (from the row's start) and the length of its bytes in the variable
//! part, both `u32`; the bytes of a list are in [`crate::list`]. A feature is
//! read at its offset; nothing before it is decoded. A deletion has no values, but for that of
//! an event, which says by them what is gone.
//!
//! Flags: bit 0 deletion, bit 1 encrypted, bit 2 compressed (1 and 2 are
//! assigned but not written by this release; a row that has them is refused).
//! Version and flag values are never reused.

mod block;
mod gather;

pub use block::RowBlock;
pub use gather::Gather;

use crate::error::ROWS_ANEW;
use crate::limits::ROW_BYTES_MAX;
use crate::list::Items;
use crate::rule::Times;
use crate::types::{DataType, Physical};
use crate::{Error, Result};

/// The row format that this release writes.
pub const FORMAT: u8 = 1;
/// Flag: the fact says that the entity's values are gone.
pub const FLAG_DELETION: u8 = 1;

const HEADER_BYTES: usize = 20;
const FLAGS_READABLE: u8 = FLAG_DELETION;

/// Where each feature of a view stands in its rows. Derived once per view.
#[derive(Clone, Debug)]
pub struct RowSchema {
    version: u16,
    types: Vec<DataType>,
    offsets: Vec<usize>,
    fixed_bytes: usize,
    /// A row in which everything is null.
    absent: Vec<u8>,
}

impl RowSchema {
    /// The layout of rows with features of these types in this order.
    pub fn new<'t>(types: impl IntoIterator<Item = &'t DataType>, version: u16) -> Self {
        let types: Vec<DataType> = types.into_iter().cloned().collect();
        let mut end = HEADER_BYTES + types.len().div_ceil(8);
        let mut offsets = Vec::with_capacity(types.len());
        for data_type in &types {
            offsets.push(end);
            end += data_type.slot_bytes();
        }
        let mut schema = Self { version, types, offsets, fixed_bytes: end, absent: Vec::new() };
        let mut absent = Vec::new();
        schema.write(&mut absent, Times { event: 0, known: 0 }, 0);
        schema.absent = absent;
        schema
    }

    /// The types of the features, in declared order.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Bytes of a row without its variable part.
    pub fn fixed_bytes(&self) -> usize {
        self.fixed_bytes
    }

    /// Whether every row has exactly that many bytes.
    pub fn is_fixed(&self) -> bool {
        self.types.iter().all(|data_type| data_type.physical() != Physical::Varlen)
    }

    /// Begins a row in `out`, which is cleared: all features null.
    pub fn write<'a>(&'a self, out: &'a mut Vec<u8>, times: Times, flags: u8) -> RowWriter<'a> {
        out.clear();
        out.resize(self.fixed_bytes, 0);
        out[0] = FORMAT;
        out[1] = flags;
        out[2..4].copy_from_slice(&self.version.to_le_bytes());
        out[4..12].copy_from_slice(&times.event.to_le_bytes());
        out[12..20].copy_from_slice(&times.known.to_le_bytes());
        for feature in 0..self.types.len() {
            out[HEADER_BYTES + feature / 8] |= 1 << (feature % 8);
        }
        RowWriter { schema: self, row: out }
    }

    /// Checks the header of stored bytes and gives access to the features.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are too short or of another schema,
    /// `Invalid` when a newer release wrote them.
    pub fn read<'a>(&'a self, bytes: &'a [u8]) -> Result<Row<'a>> {
        if bytes.len() < self.fixed_bytes {
            return Err(Error::corrupt(format!(
                "a stored row has {} bytes where its schema needs {}; {ROWS_ANEW}",
                bytes.len(),
                self.fixed_bytes
            )));
        }
        if bytes[0] != FORMAT || bytes[1] & !FLAGS_READABLE != 0 {
            return Err(Error::invalid(format!(
                "a stored row has format {} with flags {:#04x}; this release reads format \
                 {FORMAT}, so use the release that wrote the store",
                bytes[0], bytes[1]
            )));
        }
        let version = u16::from_le_bytes([bytes[2], bytes[3]]);
        if version != self.version {
            return Err(Error::corrupt(format!(
                "a stored row has schema version {version} where {} was expected; {ROWS_ANEW}",
                self.version
            )));
        }
        Ok(Row { schema: self, bytes })
    }
}

/// Event and known time of a stored row, without its schema.
///
/// # Errors
/// `Corrupt` when the bytes cannot be a row.
pub fn times(bytes: &[u8]) -> Result<Times> {
    let time = |at: usize| {
        let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
        field
            .map(i64::from_le_bytes)
            .ok_or_else(|| Error::corrupt(format!("a stored row has no header; {ROWS_ANEW}")))
    };
    Ok(Times { event: time(4)?, known: time(12)? })
}

/// Moves the known time of a row up to `known`, if it is earlier. Bytes that are no row
/// stay as they are.
pub fn raise_known(bytes: &mut [u8], known: i64) {
    if let Some(field) = bytes.get_mut(12..HEADER_BYTES)
        && let Ok(stored) = <[u8; 8]>::try_from(&*field)
    {
        field.copy_from_slice(&i64::from_le_bytes(stored).max(known).to_le_bytes());
    }
}

/// What a row says, whatever the version of its schema: without its known time, and the
/// known time.
pub fn content(bytes: &[u8]) -> ([&[u8]; 3], &[u8]) {
    let part = |range: std::ops::Range<usize>| bytes.get(range).unwrap_or_default();
    let rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    ([part(0..2), part(4..12), rest], part(12..HEADER_BYTES))
}

/// Makes a row a deletion that keeps its values: those that say what is gone.
pub fn mark_deletion(bytes: &mut [u8]) {
    if let Some(flags) = bytes.get_mut(1) {
        *flags |= FLAG_DELETION;
    }
}

/// How many features are null in a stored row, of those whose bit is set in `asked`.
pub fn count_nulls(bytes: &[u8], asked: &[u8]) -> u32 {
    let nulls = bytes.get(HEADER_BYTES..).unwrap_or_default();
    nulls.iter().zip(asked).map(|(nulls, asked)| (nulls & asked).count_ones()).sum()
}

/// Whether a stored row is a deletion.
pub fn is_deletion(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|flags| flags & FLAG_DELETION != 0)
}

/// A row being written. Features are set in declared order, each at most once;
/// those never set are null.
pub struct RowWriter<'a> {
    schema: &'a RowSchema,
    row: &'a mut Vec<u8>,
}

impl RowWriter<'_> {
    /// Sets a feature of fixed width from its little-endian bytes.
    ///
    /// # Panics
    /// When the width is not that of the feature's type: a broken caller.
    pub fn set_fixed(&mut self, feature: usize, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.schema.types[feature].slot_bytes(), "slot width");
        self.mark_set(feature);
        let offset = self.schema.offsets[feature];
        self.row[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Sets a string or binary feature.
    ///
    /// # Errors
    /// `Invalid` when the row grows beyond its limit.
    pub fn set_varlen(&mut self, feature: usize, bytes: &[u8]) -> Result<()> {
        self.append(feature, bytes.len(), |row| row.extend_from_slice(bytes))
    }

    /// Sets a list feature from its items side by side.
    ///
    /// # Errors
    /// `Invalid` when the row grows beyond its limit.
    pub fn set_list(&mut self, feature: usize, items: Items<'_>) -> Result<()> {
        self.append(feature, items.encoded_bytes(), |row| items.encode(row))
    }

    /// Appends `length` bytes to the variable part and points the slot at them.
    fn append(
        &mut self,
        feature: usize,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let start = self.row.len();
        if start + length > ROW_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a row has {} bytes, and {ROW_BYTES_MAX} is the limit; shorten its values, or \
                 split the view",
                start + length
            )));
        }
        self.mark_set(feature);
        write(self.row);
        let offset = self.schema.offsets[feature];
        self.row[offset..offset + 4].copy_from_slice(&(start as u32).to_le_bytes());
        self.row[offset + 4..offset + 8].copy_from_slice(&(length as u32).to_le_bytes());
        Ok(())
    }

    fn mark_set(&mut self, feature: usize) {
        self.row[HEADER_BYTES + feature / 8] &= !(1 << (feature % 8));
    }
}

/// A stored row whose header was checked.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    schema: &'a RowSchema,
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    /// The feature's type.
    pub fn data_type(&self, feature: usize) -> &'a DataType {
        &self.schema.types[feature]
    }

    /// Whether the feature is null.
    pub fn is_null(&self, feature: usize) -> bool {
        self.bytes[HEADER_BYTES + feature / 8] & (1 << (feature % 8)) != 0
    }

    /// The little-endian bytes of a feature of fixed width.
    pub fn fixed<const N: usize>(&self, feature: usize) -> [u8; N] {
        let offset = self.schema.offsets[feature];
        let mut slot = [0; N];
        slot.copy_from_slice(&self.bytes[offset..offset + N]);
        slot
    }

    /// The bytes of a string, binary or list feature.
    ///
    /// # Errors
    /// `Corrupt` when its slot points outside the row.
    pub fn varlen(&self, feature: usize) -> Result<&'a [u8]> {
        let slot = u64::from_le_bytes(self.fixed(feature));
        let (start, length) = ((slot & 0xFFFF_FFFF) as usize, (slot >> 32) as usize);
        self.bytes.get(start..start + length).ok_or_else(|| {
            Error::corrupt(format!("a stored row points outside itself; {ROWS_ANEW}"))
        })
    }
}

#[cfg(test)]
mod tests;
