//! The encoded entity keys of many rows, in the form in which they are looked up.
//!
//! A key whose bytes never number more than eight is a *word*: those bytes as
//! one big-endian number, so that words order and differ exactly as the bytes
//! do, and a batch of them is hashed and compared without touching memory
//! twice. Any other key is its bytes.
//!
//! ```text
//! int64                    -7     7F FF FF FF FF FF FF F9   word 0x7FFFFFFFFFFFFFF9
//! int32, bool          3, true    80 00 00 03 01            word 0x0000008000000301
//! string              "a"         61 00 00                  bytes
//! ```

use crate::definition::Field;
use crate::types::DataType;
use crate::{Error, Result};

/// Bytes of a word.
const WORD_BYTES: usize = 8;

/// How many bytes every key of these types has, if that is few enough for a
/// word. A view without join keys has the empty key, which is a word too.
pub fn word_bytes(keys: &[Field]) -> Option<usize> {
    keys.iter().try_fold(0, |sum, key| match key.data_type {
        DataType::String | DataType::Binary => None,
        _ => Some(sum + key.data_type.slot_bytes()).filter(|sum| *sum <= WORD_BYTES),
    })
}

/// One part of a word: the encoded bytes of a bool, integer or date as a
/// number. `value` holds the bits of the value, sign-extended.
pub fn word_part(data_type: &DataType, value: u64) -> u64 {
    let bits = 8 * data_type.slot_bytes() as u32;
    let flipped = match data_type {
        DataType::Bool
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => value,
        _ => value ^ (1 << (bits - 1)),
    };
    flipped & (u64::MAX >> (u64::BITS - bits))
}

/// One key of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// A key of at most eight bytes, always the same number of them.
    Word(u64),
    /// Any other.
    Bytes(&'a [u8]),
}

/// The entity keys of a batch of rows.
#[derive(Clone, Debug)]
pub struct KeyBatch {
    form: Form,
    is_null: Option<Vec<bool>>,
}

#[derive(Clone, Debug)]
enum Form {
    Words { words: Vec<u64>, bytes_each: usize },
    Bytes { bytes: Vec<u8>, ends: Vec<u32> },
}

impl KeyBatch {
    /// Keys as words, of `bytes_each` bytes; `is_null` has one item a row.
    pub fn words(words: Vec<u64>, bytes_each: usize, is_null: Option<Vec<bool>>) -> Self {
        Self { form: Form::Words { words, bytes_each }, is_null }
    }

    /// Keys as bytes: row `i` is `bytes[ends[i - 1]..ends[i]]`.
    pub fn bytes(bytes: Vec<u8>, ends: Vec<u32>, is_null: Option<Vec<bool>>) -> Self {
        Self { form: Form::Bytes { bytes, ends }, is_null }
    }

    /// Keys as bytes, each written by `encode` into an empty buffer, so that the
    /// bound on one key holds for each. `false` is a row without a key, of which
    /// nothing is kept.
    ///
    /// # Errors
    /// Those of `encode`; `Invalid` when all keys together pass 4 GiB.
    pub fn encode_each(
        rows: usize,
        mut encode: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>,
    ) -> Result<Self> {
        let mut bytes = Vec::with_capacity(rows * 2 * WORD_BYTES);
        let mut ends = Vec::with_capacity(rows);
        let mut is_null = Vec::with_capacity(rows);
        let mut key = Vec::new();
        for row in 0..rows {
            key.clear();
            let has_key = encode(row, &mut key)?;
            if has_key {
                bytes.extend_from_slice(&key);
            }
            is_null.push(!has_key);
            ends.push(u32::try_from(bytes.len()).map_err(|_| {
                Error::invalid(
                    "the join keys of one batch are larger than 4 GiB; use smaller batches",
                )
            })?);
        }
        Ok(Self::bytes(bytes, ends, is_null.contains(&true).then_some(is_null)))
    }

    /// Rows.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Words { words, .. } => words.len(),
            Form::Bytes { ends, .. } => ends.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<Key<'_>> {
        if self.is_null(row) {
            return None;
        }
        Some(match &self.form {
            Form::Words { words, .. } => Key::Word(words[row]),
            Form::Bytes { bytes, ends } => Key::Bytes(slice(bytes, ends, row)),
        })
    }

    /// All keys as words, those of null rows without meaning; `None` where keys
    /// are bytes.
    pub(crate) fn as_words(&self) -> Option<&[u64]> {
        match &self.form {
            Form::Words { words, .. } => Some(words),
            Form::Bytes { .. } => None,
        }
    }

    /// Whether a row has no key: a part of it is null, or cannot be encoded.
    pub fn is_null(&self, row: usize) -> bool {
        self.is_null.as_ref().is_some_and(|is_null| is_null[row])
    }

    /// Whether a null may occur.
    pub(crate) fn has_nulls(&self) -> bool {
        self.is_null.is_some()
    }

    /// Writes the encoded key of a row into `out`, which is cleared; `false` if
    /// it has none.
    pub fn read_into(&self, row: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        match &self.form {
            _ if self.is_null(row) => return false,
            Form::Words { words, bytes_each } => {
                out.extend_from_slice(&words[row].to_be_bytes()[WORD_BYTES - bytes_each..]);
            }
            Form::Bytes { bytes, ends } => out.extend_from_slice(slice(bytes, ends, row)),
        }
        true
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], row: usize) -> &'a [u8] {
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    &bytes[start..ends[row] as usize]
}
