//! Columns of timestamps or dates as microseconds UTC.
//!
//! Times without a zone are local times of whoever a [`Zone`] names, and UTC's if nothing
//! does; dates have none and are their midnight.

use ::arrow::array::{Array, ArrayRef, AsArray};
use ::arrow::buffer::{NullBuffer, ScalarBuffer};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType as ArrowType, Int64Type, TimeUnit, TimestampMicrosecondType};
use hitherto_core::limits::ZONE_MICROS_MAX;
use hitherto_core::zone::{Reading, Zone};
use hitherto_core::{Error, Result};

use crate::arrow::type_name;

/// Whether times of a type are local times of somebody.
pub fn is_zoneless(data_type: &ArrowType) -> bool {
    matches!(data_type, ArrowType::Timestamp(_, None) | ArrowType::Date32)
}

/// Bounds of local times, read as UTC's, as bounds of when that was: the clock they were
/// read from may have been anywhere.
pub fn widened((from, to): (i64, i64)) -> (i64, i64) {
    (from.saturating_sub(ZONE_MICROS_MAX), to.saturating_add(ZONE_MICROS_MAX))
}

/// Which way digits finer than a microsecond go, and local times that a clock showed twice
/// or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Earlier: for questions.
    Down,
    /// Later: for facts, which are then never seen too soon.
    Up,
}

/// A column of times.
pub struct Micros {
    /// Microseconds UTC; without meaning where null.
    pub values: ScalarBuffer<i64>,
    /// Which are null, if any is.
    pub nulls: Option<NullBuffer>,
}

impl Micros {
    /// Reads a column of timestamps of any unit, or dates. One that counts
    /// microseconds already is not copied.
    ///
    /// # Errors
    /// `Invalid` when it is neither, or a time is beyond the range of 64 bits.
    pub fn read(array: &ArrayRef, rounding: Rounding) -> Result<Self> {
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let (per_unit, units) = match array.data_type() {
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
                let array = array.as_primitive::<TimestampMicrosecondType>();
                return Ok(Self { values: array.values().clone(), nulls });
            }
            ArrowType::Timestamp(TimeUnit::Second, _) => (1_000_000, 1),
            ArrowType::Timestamp(TimeUnit::Millisecond, _) => (1_000, 1),
            ArrowType::Timestamp(TimeUnit::Nanosecond, _) => (1, 1_000),
            ArrowType::Date32 => (86_400_000_000, 1),
            // Nothing but nulls, of a column whose type nobody could see.
            ArrowType::Null => return Ok(Self { values: vec![0; array.len()].into(), nulls }),
            other => {
                let found = type_name(other);
                return Err(Error::invalid(format!(
                    "a column of times has type {found}; make it one of timestamps or dates"
                )));
            }
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
        let counts = counts.as_primitive::<Int64Type>().values();
        let micros = counts.iter().enumerate().map(|(row, count)| {
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            match to_micros(*count) {
                _ if is_null => Ok(0),
                Some(micros) => Ok(micros),
                None => {
                    let unit = array.data_type();
                    Err(Error::invalid(format!(
                        "the time {count} of row {row} of a batch, a {unit}, is beyond what 64 \
                         bits of microseconds hold; clear it or write one that fits"
                    )))
                }
            }
        });
        Ok(Self { values: micros.collect::<Result<Vec<_>>>()?.into(), nulls })
    }

    /// The same, where times without a zone are local times of `zone`, if it is given.
    ///
    /// # Errors
    /// As [`Micros::read`].
    pub fn read_in(zone: Option<&Zone>, array: &ArrayRef, rounding: Rounding) -> Result<Self> {
        let micros = Self::read(array, rounding)?;
        let Some(zone) = zone.filter(|_| is_zoneless(array.data_type())) else {
            return Ok(micros);
        };
        let reading = match rounding {
            Rounding::Down => Reading::Earlier,
            Rounding::Up => Reading::Later,
        };
        let values = micros.values.iter().map(|local| zone.to_utc(*local, reading));
        Ok(Self { values: values.collect::<Vec<_>>().into(), nulls: micros.nulls })
    }

    /// The time of a row, `None` if it is null.
    pub fn get(&self, row: usize) -> Option<i64> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!is_null).then(|| self.values[row])
    }
}
