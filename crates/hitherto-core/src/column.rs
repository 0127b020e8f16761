//! Columns: one feature of many entities as a packed array with statuses.
//!
//! A lookup's answer and a training set's feature columns are both made here,
//! straight out of row bytes, so that both say the same. A column has one
//! status a row and one value a row; where the status is not
//! [`Status::Present`] the value is zero or empty and means nothing, unless the column is
//! filled: then it is the feature's declared default.

use crate::row::{Gather, Row};
use crate::types::{DataType, Physical};
use crate::{Error, Result};

/// What a value's absence or presence means. The numbers are wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// There is a value.
    Present = 0,
    /// A fact answers and its value is null.
    Null = 1,
    /// No fact answers: never seen, not yet known, or deleted.
    NotFound = 2,
    /// The newest known fact is older than the view's ttl.
    Expired = 3,
}

impl Status {
    /// All statuses, by number.
    pub const ALL: [Status; 4] = [Status::Present, Status::Null, Status::NotFound, Status::Expired];

    /// The status with this wire number.
    pub fn from_byte(byte: u8) -> Option<Status> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// As written in JSON and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Present => "PRESENT",
            Status::Null => "NULL",
            Status::NotFound => "NOT_FOUND",
            Status::Expired => "EXPIRED",
        }
    }
}

/// Packed values by machine type; one item a row, except `Varlen`.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 0 or 1.
    Bool(Vec<bool>),
    /// Signed integers up to 32 bits and dates.
    I32(Vec<i32>),
    /// 64-bit integers and timestamps.
    I64(Vec<i64>),
    /// Unsigned integers up to 32 bits.
    U32(Vec<u32>),
    /// Unsigned 64-bit integers.
    U64(Vec<u64>),
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// Decimals, unscaled.
    I128(Vec<i128>),
    /// Text and bytes: row `i` is `data[ends[i - 1]..ends[i]]`.
    Varlen {
        /// Where each row's bytes end.
        ends: Vec<u32>,
        /// All rows' bytes.
        data: Vec<u8>,
    },
}

/// One feature of many entities.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As shown to the caller, `view:feature`.
    pub name: String,
    /// The declared type.
    pub data_type: DataType,
    /// One [`Status`] number a row.
    pub statuses: Vec<u8>,
    /// One value a row.
    pub values: Values,
    /// Whether the feature's default stands where there is no value.
    pub is_filled: bool,
}

impl Column {
    /// An empty column with room for `rows`.
    pub fn with_capacity(name: String, data_type: DataType, rows: usize) -> Self {
        let values = match data_type.physical() {
            Physical::Bool => Values::Bool(Vec::with_capacity(rows)),
            Physical::I32 => Values::I32(Vec::with_capacity(rows)),
            Physical::I64 => Values::I64(Vec::with_capacity(rows)),
            Physical::U32 => Values::U32(Vec::with_capacity(rows)),
            Physical::U64 => Values::U64(Vec::with_capacity(rows)),
            Physical::F32 => Values::F32(Vec::with_capacity(rows)),
            Physical::F64 => Values::F64(Vec::with_capacity(rows)),
            Physical::I128 => Values::I128(Vec::with_capacity(rows)),
            Physical::Varlen => Values::Varlen { ends: Vec::with_capacity(rows), data: Vec::new() },
        };
        Self { name, data_type, statuses: Vec::with_capacity(rows), values, is_filled: false }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.statuses.len()
    }

    /// Bytes of its strings, binaries or lists; 0 if it has none.
    pub fn varlen_bytes(&self) -> usize {
        match &self.values {
            Values::Varlen { data, .. } => data.len(),
            _ => 0,
        }
    }

    /// Whether it has no row yet.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty()
    }

    /// The status of a row.
    pub fn status(&self, row: usize) -> Status {
        Status::from_byte(self.statuses[row]).unwrap_or(Status::NotFound)
    }

    /// Whether a row has a value to be shown: its own or the default.
    pub fn has_value(&self, row: usize) -> bool {
        self.is_filled || self.status(row) == Status::Present
    }

    /// Lets a default, the values of a column with one row, stand wherever there is no
    /// value. Statuses stay.
    ///
    /// # Errors
    /// `Invalid` when the text of all rows passes 4 GiB, `Internal` when the default is of
    /// another type.
    pub fn fill(&mut self, default: &Values) -> Result<()> {
        let statuses = &self.statuses;
        match (&mut self.values, default) {
            (Values::Bool(values), Values::Bool(default)) => fill(values, statuses, default),
            (Values::I32(values), Values::I32(default)) => fill(values, statuses, default),
            (Values::I64(values), Values::I64(default)) => fill(values, statuses, default),
            (Values::U32(values), Values::U32(default)) => fill(values, statuses, default),
            (Values::U64(values), Values::U64(default)) => fill(values, statuses, default),
            (Values::F32(values), Values::F32(default)) => fill(values, statuses, default),
            (Values::F64(values), Values::F64(default)) => fill(values, statuses, default),
            (Values::I128(values), Values::I128(default)) => fill(values, statuses, default),
            (Values::Varlen { ends, data }, Values::Varlen { data: default, .. }) => {
                let (mut filled, mut start) = (Vec::with_capacity(data.len()), 0);
                for (end, status) in ends.iter_mut().zip(statuses) {
                    filled.extend_from_slice(match *status == Status::Present as u8 {
                        true => &data[start..*end as usize],
                        false => default,
                    });
                    start = *end as usize;
                    *end = varlen_end(&filled)?;
                }
                *data = filled;
            }
            _ => return Err(Error::internal("a default is not of its feature's type")),
        }
        self.is_filled = true;
        Ok(())
    }

    /// Appends a text, binary or list by its bytes.
    ///
    /// # Errors
    /// `Internal` when the column has other values, `Invalid` when its text passes 4 GiB.
    pub fn push_varlen(&mut self, bytes: &[u8]) -> Result<()> {
        let Values::Varlen { ends, data } = &mut self.values else {
            return Err(Error::internal("a column of numbers was given text"));
        };
        data.extend_from_slice(bytes);
        ends.push(varlen_end(data)?);
        self.statuses.push(Status::Present as u8);
        Ok(())
    }

    /// Appends a row that has no fact.
    pub fn push_absent(&mut self, status: Status) {
        self.statuses.push(status as u8);
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::U32(values) => values.push(0),
            Values::U64(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::I128(values) => values.push(0),
            Values::Varlen { ends, data } => ends.push(data.len() as u32),
        }
    }

    /// Appends the value of `feature` in a stored row.
    ///
    /// # Errors
    /// As [`Column::extend`].
    pub fn push_row(&mut self, row: &Row<'_>, feature: usize) -> Result<()> {
        self.extend(&Gather::of(*row), feature)
    }

    /// Appends the values of `feature` in many rows, or why there is none.
    ///
    /// # Errors
    /// `Corrupt` when a row's bytes are not what its schema says, `Invalid`
    /// when the text of all rows passes 4 GiB.
    pub fn extend(&mut self, rows: &Gather<'_>, feature: usize) -> Result<()> {
        self.statuses.extend(rows.statuses(feature));
        match (&mut self.values, self.data_type.slot_bytes()) {
            (Values::Bool(values), _) => {
                values.extend(rows.fixed(feature).map(|slot| u8::from_le_bytes(slot) != 0));
            }
            (Values::I32(values), 1) => {
                values.extend(rows.fixed(feature).map(|slot| i32::from(i8::from_le_bytes(slot))));
            }
            (Values::I32(values), 2) => {
                values.extend(rows.fixed(feature).map(|slot| i32::from(i16::from_le_bytes(slot))));
            }
            (Values::I32(values), _) => {
                values.extend(rows.fixed(feature).map(i32::from_le_bytes));
            }
            (Values::U32(values), 1) => {
                values.extend(rows.fixed(feature).map(|slot| u32::from(u8::from_le_bytes(slot))));
            }
            (Values::U32(values), 2) => {
                values.extend(rows.fixed(feature).map(|slot| u32::from(u16::from_le_bytes(slot))));
            }
            (Values::U32(values), _) => {
                values.extend(rows.fixed(feature).map(u32::from_le_bytes));
            }
            (Values::I64(values), _) => values.extend(rows.fixed(feature).map(i64::from_le_bytes)),
            (Values::U64(values), _) => values.extend(rows.fixed(feature).map(u64::from_le_bytes)),
            (Values::F32(values), _) => values.extend(rows.fixed(feature).map(f32::from_le_bytes)),
            (Values::F64(values), _) => values.extend(rows.fixed(feature).map(f64::from_le_bytes)),
            (Values::I128(values), _) => {
                values.extend(rows.fixed(feature).map(i128::from_le_bytes));
            }
            (Values::Varlen { ends, data }, _) => {
                for (row, status) in rows.rows(feature) {
                    if status == Status::Present as u8 {
                        data.extend_from_slice(row.varlen(feature)?);
                    }
                    ends.push(varlen_end(data)?);
                }
            }
        }
        Ok(())
    }

    /// Whether a row says the same as a row of another column: the same status
    /// and, if there is a value or default, the same bits. A NaN is the same NaN; 0.0 is
    /// not -0.0.
    pub fn is_same(&self, row: usize, other: &Column, other_row: usize) -> bool {
        if self.data_type != other.data_type || self.statuses[row] != other.statuses[other_row] {
            return false;
        }
        if !self.has_value(row) || !other.has_value(other_row) {
            return self.has_value(row) == other.has_value(other_row);
        }
        match (&self.values, &other.values) {
            (Values::Bool(a), Values::Bool(b)) => a[row] == b[other_row],
            (Values::I32(a), Values::I32(b)) => a[row] == b[other_row],
            (Values::I64(a), Values::I64(b)) => a[row] == b[other_row],
            (Values::U32(a), Values::U32(b)) => a[row] == b[other_row],
            (Values::U64(a), Values::U64(b)) => a[row] == b[other_row],
            (Values::F32(a), Values::F32(b)) => a[row].to_bits() == b[other_row].to_bits(),
            (Values::F64(a), Values::F64(b)) => a[row].to_bits() == b[other_row].to_bits(),
            (Values::I128(a), Values::I128(b)) => a[row] == b[other_row],
            _ => self.varlen(row) == other.varlen(other_row),
        }
    }

    /// The bytes of a row of a string or binary column; empty for any other.
    pub fn varlen(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::Varlen { ends, data } => {
                let start = if row == 0 { 0 } else { ends[row - 1] as usize };
                &data[start..ends[row] as usize]
            }
            _ => &[],
        }
    }
}

/// Lets a default stand where the status is not PRESENT.
fn fill<T: Copy>(values: &mut [T], statuses: &[u8], default: &[T]) {
    for (value, status) in values.iter_mut().zip(statuses) {
        if *status != Status::Present as u8 {
            *value = default[0];
        }
    }
}

/// Where bytes of a column end.
///
/// # Errors
/// `Invalid` when they pass 4 GiB.
pub fn varlen_end(data: &[u8]) -> Result<u32> {
    u32::try_from(data.len())
        .map_err(|_| Error::invalid("one column of an answer is larger than 4 GiB; ask for less"))
}
