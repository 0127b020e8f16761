//! Feature values as text and as JSON.
//!
//! Arrow's own formatter writes the text, so that decimals, dates and
//! timestamps read as in every other Arrow tool; one of a year that no calendar holds is
//! its count since 1970 and its unit, such as `2147483647d`. JSON has bool, number,
//! array and string; what fits none of the first three exactly is the text as a
//! string.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Date32Type, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hitherto_core::column::{Column, Values};
use hitherto_core::key::OwnedPart;
use hitherto_core::{Error, Result};
use serde_json::{Number, Value};

use crate::arrow_columns;
use crate::lookup::Lookup;

/// The values of columns, ready to be written one by one.
pub struct Cells<'l> {
    columns: &'l [Column],
    batch: RecordBatch,
}

impl<'l> Cells<'l> {
    /// Prepares an answer.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(lookup: &'l Lookup) -> Result<Self> {
        Self::of(&lookup.columns, lookup.rows)
    }

    /// Prepares columns of `rows` rows.
    ///
    /// # Errors
    /// As [`Cells::new`].
    pub fn of(columns: &'l [Column], rows: usize) -> Result<Self> {
        Ok(Self { columns, batch: arrow_columns::from_columns(columns, rows)? })
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// A value as text; empty where there is none.
    ///
    /// # Errors
    /// `Internal` when Arrow cannot write it, which would be a bug.
    pub fn text(&self, column: usize, row: usize) -> Result<String> {
        self.write(column, self.batch.column(column), row)
    }

    fn write(&self, column: usize, array: &ArrayRef, row: usize) -> Result<String> {
        if array.is_null(row) {
            return Ok(String::new());
        }
        let options = FormatOptions::default().with_null("null");
        let written = ArrayFormatter::try_new(array, &options)
            .and_then(|formatter| formatter.value(row).try_to_string());
        written.or_else(|cause| beyond_calendar(array, row).ok_or(cause)).map_err(|cause| {
            let name = &self.columns[column].name;
            Error::internal(format!("a value of {name} cannot be written")).with_source(cause)
        })
    }

    /// The items of a list.
    fn items(&self, column: usize, items: &ArrayRef) -> Result<Value> {
        let item = |row: usize| {
            if items.is_null(row) {
                return Ok(Value::Null);
            }
            let text = self.write(column, items, row)?;
            // Infinities and NaN are no numbers in JSON.
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        };
        (0..items.len()).map(item).collect::<Result<_>>().map(Value::Array)
    }

    /// A value as JSON; null where there is none. Infinities and NaN, which
    /// JSON cannot say as numbers, are strings.
    ///
    /// # Errors
    /// As [`Cells::text`].
    pub fn json(&self, column: usize, row: usize) -> Result<Value> {
        let array = self.batch.column(column);
        if array.is_null(row) {
            return Ok(Value::Null);
        }
        match array.data_type() {
            ArrowType::List(_) => return self.items(column, &array.as_list::<i32>().value(row)),
            ArrowType::FixedSizeList(..) => {
                return self.items(column, &array.as_fixed_size_list().value(row));
            }
            _ => {}
        }
        let number = match &self.columns[column].values {
            Values::Bool(values) => return Ok(Value::Bool(values[row])),
            Values::F64(values) => Number::from_f64(values[row]),
            Values::I32(_) | Values::U32(_) | Values::U64(_) | Values::F32(_) | Values::I64(_) => {
                // A date or a timestamp is no JSON number and stays text; what is
                // one is read back digit for digit.
                serde_json::from_str(&self.text(column, row)?).ok()
            }
            Values::I128(_) | Values::Varlen { .. } => None,
        };
        match number {
            Some(number) => Ok(Value::Number(number)),
            None => self.text(column, row).map(Value::String),
        }
    }
}

/// A date or timestamp of a year that no calendar holds: its count since 1970 and its
/// unit, such as `2147483647d`.
fn beyond_calendar(array: &ArrayRef, row: usize) -> Option<String> {
    let unit = match array.data_type() {
        ArrowType::Date32 => {
            return Some(format!("{}d", array.as_primitive_opt::<Date32Type>()?.value(row)));
        }
        ArrowType::Timestamp(TimeUnit::Second, _) => "s",
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => "ms",
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => "us",
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => "ns",
        _ => return None,
    };
    let counts = cast(array, &ArrowType::Int64).ok()?;
    Some(format!("{}{unit}", counts.as_primitive_opt::<Int64Type>()?.value(row)))
}

/// A join key's value as JSON; null is null.
pub fn part_json(part: &Option<OwnedPart>) -> Value {
    match part {
        None => Value::Null,
        Some(OwnedPart::Bool(value)) => Value::from(*value),
        Some(OwnedPart::Int(value)) => Value::from(*value),
        Some(OwnedPart::UInt(value)) => Value::from(*value),
        Some(OwnedPart::Bytes(value)) => Value::from(String::from_utf8_lossy(value)),
    }
}

#[cfg(test)]
mod tests;
