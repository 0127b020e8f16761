//! Record batches read as facts: entity key, times, row bytes.
//!
//! The columns of a fact batch have one order, fixed by [`FactLayout`]:
//!
//! ```text
//! join keys ... | event time | known time, if the view has one
//!               | deleted, if the view has it | features ...
//! ```

use std::sync::Arc;

use ::arrow::array::AsArray;
use ::arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType as ArrowType, Int64Type, TimeUnit};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::Field;
use hitherto_core::key::{self, Part};
use hitherto_core::row::{FLAG_DELETION, RowSchema};
use hitherto_core::rule::{NEVER, Times};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use crate::arrow::{FeatureArray, normalize};

/// How a view's fact batches are read.
#[derive(Clone, Debug)]
pub struct FactLayout {
    view: Arc<str>,
    keys: Arc<[Field]>,
    has_known_time: bool,
    delay_micros: i64,
    has_deleted: bool,
    schema: RowSchema,
}

impl FactLayout {
    /// The layout of a view's facts.
    pub fn new(view: &AppliedView) -> Self {
        Self {
            view: view.name().into(),
            keys: view.keys.clone().into(),
            has_known_time: view.definition.source.known_time.is_some(),
            delay_micros: view.definition.source.delay_micros,
            has_deleted: view.definition.source.deleted.is_some(),
            schema: view.row_schema(),
        }
    }

    /// The view's join keys.
    pub fn keys(&self) -> &[Field] {
        &self.keys
    }

    /// The layout of the view's rows.
    pub fn row_schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Prepares one batch.
    ///
    /// # Errors
    /// `Invalid` when a key is too long or a time out of range.
    pub fn read(&self, batch: &RecordBatch) -> Result<FactBatch<'_>> {
        self.read_columns(batch).map_err(|cause| {
            let context = format!("a fact of feature view {:?} cannot be read", self.view);
            Error::new(cause.kind(), context).with_source(cause)
        })
    }

    fn read_columns(&self, batch: &RecordBatch) -> Result<FactBatch<'_>> {
        let (keys, rest) = batch.columns().split_at(self.keys.len());
        let mut rest = rest.iter();
        let mut next = || {
            let missing = || Error::internal("a batch of facts lacks a column");
            rest.next().ok_or_else(missing)
        };
        let event = read_micros(next()?, Rounding::Up)?;
        let known = match self.has_known_time {
            true => Some(read_micros(next()?, Rounding::Up)?),
            false => None,
        };
        let deleted = match self.has_deleted {
            true => Some(next()?.as_boolean().clone()),
            false => None,
        };
        let features = rest
            .zip(self.schema.types())
            .map(|(array, data_type)| FeatureArray::new(array, data_type))
            .collect::<Result<_>>()?;
        let keys = KeyColumns::encode(keys, &self.keys, batch.num_rows())?;
        Ok(FactBatch { layout: self, keys, event, known, deleted, features })
    }
}

/// One batch of facts.
pub struct FactBatch<'l> {
    layout: &'l FactLayout,
    keys: KeyColumns,
    event: Vec<Option<i64>>,
    known: Option<Vec<Option<i64>>>,
    deleted: Option<BooleanArray>,
    features: Vec<FeatureArray>,
}

impl FactBatch<'_> {
    /// Facts in the batch.
    pub fn len(&self) -> usize {
        self.event.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.event.is_empty()
    }

    /// The encoded entity key, or `None` if any part is null.
    pub fn key(&self, index: usize) -> Option<&[u8]> {
        self.keys.get(index)
    }

    /// Event and known time. `None` is a fact without an event time, which
    /// happened never and answers nothing; one without a known time is known
    /// [`NEVER`].
    pub fn times(&self, index: usize) -> Option<Times> {
        let event = self.event[index]?;
        let known = match &self.known {
            Some(known) => known[index].unwrap_or(NEVER),
            None => event.saturating_add(self.layout.delay_micros),
        };
        Some(Times { event, known })
    }

    /// Whether the fact is a deletion; one that does not say is none.
    fn is_deletion(&self, index: usize) -> bool {
        self.deleted.as_ref().is_some_and(|flag| flag.is_valid(index) && flag.value(index))
    }

    /// Writes the fact's row bytes; those of a deletion have no values.
    ///
    /// # Errors
    /// `Invalid` when the row is too large.
    pub fn encode(&self, index: usize, times: Times, out: &mut Vec<u8>) -> Result<()> {
        if self.is_deletion(index) {
            self.layout.schema.write(out, times, FLAG_DELETION);
            return Ok(());
        }
        let mut row = self.layout.schema.write(out, times, 0);
        for (feature, array) in self.features.iter().enumerate() {
            array.write(index, feature, &mut row)?;
        }
        Ok(())
    }
}

/// The encoded entity keys of one batch, side by side.
pub struct KeyColumns {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    is_null: Vec<bool>,
}

impl KeyColumns {
    /// Encodes join-key arrays of `rows` rows whose types were checked against
    /// `keys`. Without any key every row has the same, empty one.
    ///
    /// # Errors
    /// `Invalid` when a key is too long.
    pub fn encode(arrays: &[ArrayRef], keys: &[Field], rows: usize) -> Result<Self> {
        let arrays: Vec<KeyArray> = arrays
            .iter()
            .zip(keys)
            .map(|(array, key)| KeyArray::new(array, &key.data_type))
            .collect::<Result<_>>()?;
        let mut encoded = Self {
            bytes: Vec::with_capacity(rows * 16),
            ends: Vec::with_capacity(rows),
            is_null: Vec::with_capacity(rows),
        };
        let mut scratch = Vec::with_capacity(64);
        for row in 0..rows {
            scratch.clear();
            let mut is_null = false;
            for (array, key) in arrays.iter().zip(keys) {
                match array.part(row) {
                    Some(part) => key::encode_part(&mut scratch, &key.data_type, part)
                        .map_err(|cause| named(key, cause))?,
                    None => is_null = true,
                }
            }
            if !is_null {
                encoded.bytes.extend_from_slice(&scratch);
            }
            encoded.ends.push(encoded.bytes.len() as u32);
            encoded.is_null.push(is_null);
        }
        Ok(encoded)
    }

    /// The encoded key of a row, or `None` if any part is null.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if self.is_null[row] {
            return None;
        }
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        Some(&self.bytes[start..self.ends[row] as usize])
    }
}

fn named(key: &Field, cause: Error) -> Error {
    Error::new(cause.kind(), format!("join key {:?}: {cause}", key.name))
}

/// A join key's values in one batch, widened.
enum KeyArray {
    Bool(BooleanArray),
    Int(::arrow::array::Int64Array),
    UInt(::arrow::array::UInt64Array),
    Bytes(BinaryArray),
}

impl KeyArray {
    fn new(array: &ArrayRef, data_type: &DataType) -> Result<Self> {
        let array = normalize(array)?;
        let to = |target: &ArrowType| {
            cast(&array, target)
                .map_err(|cause| Error::internal("a join key cannot be read").with_source(cause))
        };
        Ok(match data_type {
            DataType::Bool => KeyArray::Bool(array.as_boolean().clone()),
            DataType::String | DataType::Binary => {
                KeyArray::Bytes(to(&ArrowType::Binary)?.as_binary().clone())
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                KeyArray::UInt(to(&ArrowType::UInt64)?.as_primitive().clone())
            }
            DataType::Date32 => {
                let days = to(&ArrowType::Int32)?;
                let days = cast(&days, &ArrowType::Int64).map_err(|cause| {
                    Error::internal("a join key cannot be read").with_source(cause)
                })?;
                KeyArray::Int(days.as_primitive().clone())
            }
            _ => KeyArray::Int(to(&ArrowType::Int64)?.as_primitive().clone()),
        })
    }

    fn part(&self, row: usize) -> Option<Part<'_>> {
        match self {
            KeyArray::Bool(array) => array.is_valid(row).then(|| Part::Bool(array.value(row))),
            KeyArray::Int(array) => array.is_valid(row).then(|| Part::Int(array.value(row))),
            KeyArray::UInt(array) => array.is_valid(row).then(|| Part::UInt(array.value(row))),
            KeyArray::Bytes(array) => array.is_valid(row).then(|| Part::Bytes(array.value(row))),
        }
    }
}

/// Which way digits finer than a microsecond go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Earlier: for questions.
    Down,
    /// Later: for facts, which are then never seen too soon.
    Up,
}

/// Reads a column of timestamps of any unit, or dates, as microseconds UTC.
///
/// # Errors
/// `Invalid` when it is neither or one is beyond the range of 64 bits.
pub fn read_micros(array: &ArrayRef, rounding: Rounding) -> Result<Vec<Option<i64>>> {
    let (per_unit, units) = match array.data_type() {
        ArrowType::Timestamp(TimeUnit::Second, _) => (1_000_000, 1),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => (1_000, 1),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => (1, 1),
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => (1, 1_000),
        ArrowType::Date32 => (86_400_000_000, 1),
        other => return Err(Error::invalid(format!("a column of times has type {other}"))),
    };
    let counts = match array.data_type() {
        ArrowType::Date32 => {
            cast(array, &ArrowType::Int32).and_then(|days| cast(&days, &ArrowType::Int64))
        }
        _ => cast(array, &ArrowType::Int64),
    }
    .map_err(|cause| Error::internal("a column of times cannot be read").with_source(cause))?;
    let to_micros = |count: i64| match (units, rounding) {
        (1, _) => count.checked_mul(per_unit),
        (units, Rounding::Down) => Some(count.div_euclid(units)),
        (units, Rounding::Up) => {
            Some(count.div_euclid(units) + i64::from(count.rem_euclid(units) != 0))
        }
    };
    counts
        .as_primitive::<Int64Type>()
        .iter()
        .map(|count| match count {
            None => Ok(None),
            Some(count) => to_micros(count).map(Some).ok_or_else(|| {
                Error::invalid(format!("time {count} is beyond the range of microseconds"))
            }),
        })
        .collect()
}
