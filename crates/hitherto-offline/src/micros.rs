//! Columns of timestamps or dates as microseconds UTC.

use ::arrow::array::{Array, ArrayRef, AsArray};
use ::arrow::buffer::{NullBuffer, ScalarBuffer};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType as ArrowType, Int64Type, TimeUnit, TimestampMicrosecondType};
use hitherto_core::{Error, Result};

use crate::arrow::type_name;

/// Which way digits finer than a microsecond go.
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
                return Err(Error::invalid(format!("a column of times has type {found}")));
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

    /// The time of a row, `None` if it is null.
    pub fn get(&self, row: usize) -> Option<i64> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!is_null).then(|| self.values[row])
    }
}
