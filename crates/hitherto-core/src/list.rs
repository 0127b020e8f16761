//! Lists of numbers as bytes: what a row and a column hold of one list.
//!
//! ```text
//! | count u32 | items | null bitmap ceil(count/8), only if an item is null |
//! ```
//!
//! All numbers are little endian, so that the items of an embedding can be used
//! where they lie. Bit `i` of the bitmap is set when item `i` is null; the item
//! is then zero, so that equal lists have equal bytes. Whether there is a bitmap
//! follows from the length.

use crate::error::ROWS_ANEW;
use crate::types::DataType;
use crate::{Error, Result};

const COUNT_BYTES: usize = 4;

/// The items of one list, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    /// Little-endian items of one width; those that are null may hold anything.
    pub bytes: &'a [u8],
    /// Bytes of one item.
    pub width: usize,
    /// One flag an item, true where it is null; `None` if none is.
    pub nulls: Option<&'a [bool]>,
}

impl Items<'_> {
    fn count(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Bytes of the encoded list.
    pub fn encoded_bytes(&self) -> usize {
        let bitmap = self.nulls.map_or(0, |_| self.count().div_ceil(8));
        COUNT_BYTES + self.bytes.len() + bitmap
    }

    /// Appends the encoded list.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.count() as u32).to_le_bytes());
        let Some(nulls) = self.nulls else {
            out.extend_from_slice(self.bytes);
            return;
        };
        let mut bitmap = vec![0_u8; self.count().div_ceil(8)];
        for (index, item) in self.bytes.chunks_exact(self.width).enumerate() {
            if nulls[index] {
                bitmap[index / 8] |= 1 << (index % 8);
                out.resize(out.len() + self.width, 0);
            } else {
                out.extend_from_slice(item);
            }
        }
        out.extend_from_slice(&bitmap);
    }
}

/// An encoded list whose bytes were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    items: &'a [u8],
    width: usize,
    bitmap: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    /// Checks bytes that should be a list of `item`, of `length` items if one
    /// is declared.
    ///
    /// # Errors
    /// `Corrupt` when they are not.
    pub fn read(bytes: &'a [u8], item: &DataType, length: Option<u32>) -> Result<Self> {
        Self::split(bytes, item.slot_bytes())
            .filter(|list| length.is_none_or(|length| list.len() == length as usize))
            .ok_or_else(|| Error::corrupt(format!("stored bytes are not a list; {ROWS_ANEW}")))
    }

    fn split(bytes: &'a [u8], width: usize) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<COUNT_BYTES>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (items, bitmap) = rest.split_at_checked(count.checked_mul(width)?)?;
        let bitmap = Some(bitmap).filter(|bitmap| !bitmap.is_empty());
        let fits = bitmap.is_none_or(|bitmap| bitmap.len() == count.div_ceil(8));
        fits.then_some(Self { items, width, bitmap })
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.items.len() / self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All items as little-endian bytes, zero where null.
    pub fn bytes(&self) -> &'a [u8] {
        self.items
    }

    /// Whether an item is null.
    pub fn is_null(&self, index: usize) -> bool {
        self.bitmap.is_some_and(|bitmap| bitmap[index / 8] & (1 << (index % 8)) != 0)
    }

    /// The little-endian bytes of each item, `None` where it is null.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + '_ {
        let items = self.items.chunks_exact(self.width).enumerate();
        items.map(|(index, item)| (!self.is_null(index)).then_some(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8], nulls: Option<&[bool]>) -> Vec<u8> {
        let items = Items { bytes, width: 2, nulls };
        let mut out = Vec::new();
        items.encode(&mut out);
        assert_eq!(out.len(), items.encoded_bytes());
        out
    }

    #[test]
    fn the_bytes_are_those_that_are_drawn() {
        assert_eq!(encoded(&[], None), [0, 0, 0, 0]);
        assert_eq!(encoded(&[1, 0, 2, 0], None), [2, 0, 0, 0, 1, 0, 2, 0]);
        let one_null = encoded(&[1, 0, 9, 9], Some(&[false, true]));
        assert_eq!(one_null, [2, 0, 0, 0, 1, 0, 0, 0, 0b10]);
    }

    #[test]
    fn a_list_comes_back_and_anything_else_is_refused() {
        let bytes = encoded(&[1, 0, 9, 9], Some(&[false, true]));
        let list = List::read(&bytes, &DataType::Int16, Some(2)).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [Some(&[1, 0][..]), None]);
        assert!(List::read(&bytes, &DataType::Int16, Some(3)).is_err(), "another length");
        assert!(List::read(&bytes, &DataType::Int32, None).is_err(), "another width");
        assert!(List::read(&bytes[..8], &DataType::Int16, None).is_ok(), "no null");
        assert!(List::read(&bytes[..7], &DataType::Int16, None).is_err(), "too short");
        assert!(List::read(&[], &DataType::Int16, None).is_err(), "nothing");
        assert!(List::read(&[255; 8], &DataType::Float64, None).is_err(), "a wrong count");
    }
}
