//! What a file's statistics say of the facts in a row group or page: when they
//! happened, and between which entity keys they lie.
//!
//! Statistics may be missing, and those of text may be shortened; then the
//! bounds are wider, never wrong.

use std::ops::RangeInclusive;

use ::arrow::array::{Array, ArrayRef};
use hitherto_api::arrow::micros::{Micros, Rounding};
use hitherto_core::definition::Field;
use hitherto_core::key::batch::{Key, KeyBatch, word_bytes};
use hitherto_core::slots::Spine;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use crate::keys::encode_keys;

/// The bounds of some facts; `None` is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// The earliest and latest event time, in microseconds UTC.
    pub event: Option<(i64, i64)>,
    /// The least and greatest entity key.
    pub keys: Option<KeyBounds>,
}

/// Two keys between which others lie.
#[derive(Clone, Debug)]
pub(super) enum KeyBounds {
    Words(RangeInclusive<u64>),
    Bytes(Vec<u8>, Vec<u8>),
}

impl KeyBounds {
    /// The spine's entities in these bounds.
    pub fn entities(&self, spine: &Spine) -> std::ops::Range<u32> {
        match self {
            KeyBounds::Words(words) => {
                spine.entities_between(Key::Word(*words.start()), Key::Word(*words.end()))
            }
            KeyBounds::Bytes(low, high) => {
                spine.entities_between(Key::Bytes(low), Key::Bytes(high))
            }
        }
    }
}

impl Bounds {
    /// The spine's entities that these facts can be about.
    pub fn entities(&self, spine: &Spine) -> std::ops::Range<u32> {
        self.keys.as_ref().map_or_else(|| spine.all_entities(), |keys| keys.entities(spine))
    }

    /// Whether any of these facts can have a slot: some happened by the spine's
    /// last time, and some may be about one of its entities.
    pub fn concerns(&self, spine: &Spine, last_time: i64) -> bool {
        let is_after = self.event.is_some_and(|(earliest, _)| earliest > last_time);
        !is_after && !self.entities(spine).is_empty()
    }
}

/// The least and greatest values of a column, one a row group.
pub(super) fn of(
    metadata: &ArrowReaderMetadata,
    column: &str,
) -> parquet::errors::Result<(ArrayRef, ArrayRef)> {
    let groups = metadata.metadata().row_groups();
    let (schema, parquet) = (metadata.schema(), metadata.parquet_schema());
    let converter = StatisticsConverter::try_new(column, schema, parquet)?;
    Ok((converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?))
}

/// Event time bounds from a column's statistics, one a row group.
pub(super) fn events_of(metadata: &ArrowReaderMetadata, column: &str) -> Vec<Option<(i64, i64)>> {
    match of(metadata, column) {
        Ok((least, greatest)) => events(&least, &greatest),
        Err(_) => vec![None; metadata.metadata().num_row_groups()],
    }
}

/// Event time bounds from arrays of least and greatest values, one a row group
/// or page.
fn events(least: &ArrayRef, greatest: &ArrayRef) -> Vec<Option<(i64, i64)>> {
    let read = |array| Micros::read(array, Rounding::Up).ok();
    let (Some(from), Some(to)) = (read(least), read(greatest)) else {
        return vec![None; least.len()];
    };
    (0..least.len()).map(|index| from.get(index).zip(to.get(index))).collect()
}

/// Key bounds from arrays of the first join key's least and greatest values. The
/// keys after it can have any value.
pub(super) fn keys(
    least: &ArrayRef,
    greatest: &ArrayRef,
    keys: &[Field],
) -> Vec<Option<KeyBounds>> {
    let first = &keys[..1];
    let read = |array: &ArrayRef| encode_keys(std::slice::from_ref(array), first, array.len()).ok();
    let (Some(low), Some(high)) = (read(least), read(greatest)) else {
        return vec![None; least.len()];
    };
    let width = word_bytes(keys).zip(word_bytes(first));
    (0..least.len()).map(|index| one(&low, &high, index, width)).collect()
}

/// `width`: the bytes of the whole key and of its first part, if both are words.
fn one(
    low: &KeyBatch,
    high: &KeyBatch,
    index: usize,
    width: Option<(usize, usize)>,
) -> Option<KeyBounds> {
    if let (Some(Key::Word(low)), Some(Key::Word(high)), Some((whole, first))) =
        (low.get(index), high.get(index), width)
    {
        let rest_bits = 8 * (whole - first) as u32;
        let rest = u64::MAX.checked_shr(u64::BITS - rest_bits).unwrap_or(0);
        return Some(KeyBounds::Words(low << rest_bits..=high << rest_bits | rest));
    }
    let (mut least, mut greatest) = (Vec::new(), Vec::new());
    let is_known = low.read_into(index, &mut least) && high.read_into(index, &mut greatest);
    // The next greater bytes of this length: nothing that begins with the bound
    // comes after them.
    let last = greatest.iter().rposition(|byte| *byte != u8::MAX)?;
    greatest[last] += 1;
    greatest.truncate(last + 1);
    is_known.then_some(KeyBounds::Bytes(least, greatest))
}
