//! Rows side by side, for features to be copied out of, one after the other.
//!
//! Where no fact answers there is a row in which everything is null, whose slots
//! are zeros, and beside it why. So a feature is copied down its offset in one
//! loop that asks nothing of a row:
//!
//! ```text
//!              header | nulls | slot 0 | slot 1 | ...     status
//!   row 0      ...................^.................      PRESENT
//!   absent     0000000 1111111 00000000 00000000 ...      NOT_FOUND
//!   row 2      ...................^.................      PRESENT
//! ```

use super::{HEADER_BYTES, Row, RowSchema};
use crate::Result;
use crate::column::Status;

/// Rows of one schema, or the status of every feature where there is none.
pub struct Gather<'a> {
    schema: &'a RowSchema,
    rows: Vec<&'a [u8]>,
    /// PRESENT where there is a row.
    statuses: Vec<u8>,
}

impl<'a> Gather<'a> {
    /// None yet, with room for `rows`.
    pub fn with_capacity(schema: &'a RowSchema, rows: usize) -> Self {
        Self { schema, rows: Vec::with_capacity(rows), statuses: Vec::with_capacity(rows) }
    }

    /// One row.
    pub fn of(row: Row<'a>) -> Self {
        Self { schema: row.schema, rows: vec![row.bytes], statuses: vec![Status::Present as u8] }
    }

    /// Forgets all rows and keeps the room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.statuses.clear();
    }

    /// Appends stored bytes, or why there are none.
    ///
    /// # Errors
    /// Those of [`RowSchema::read`].
    pub fn push(&mut self, row: Result<&'a [u8], Status>) -> Result<()> {
        let (row, status) = match row {
            Ok(bytes) => (self.schema.read(bytes)?.bytes, Status::Present),
            Err(status) => (self.schema.absent.as_slice(), status),
        };
        self.rows.push(row);
        self.statuses.push(status as u8);
        Ok(())
    }

    /// The little-endian bytes of a feature of fixed width; zeros where there is
    /// no value.
    pub(crate) fn fixed<const N: usize>(&self, feature: usize) -> impl Iterator<Item = [u8; N]> {
        let offset = self.schema.offsets[feature];
        self.rows.iter().map(move |row| {
            let mut slot = [0; N];
            slot.copy_from_slice(&row[offset..offset + N]);
            slot
        })
    }

    /// The status of a feature in each row.
    pub(crate) fn statuses(&self, feature: usize) -> impl Iterator<Item = u8> {
        let (byte, bit) = (HEADER_BYTES + feature / 8, feature % 8);
        self.rows.iter().zip(&self.statuses).map(move |(row, status)| {
            let is_null = row[byte] >> bit & 1;
            // PRESENT and NULL are 0 and 1.
            if *status == Status::Present as u8 { is_null } else { *status }
        })
    }

    /// The rows, with the status of a feature in each.
    pub(crate) fn rows(&self, feature: usize) -> impl Iterator<Item = (Row<'a>, u8)> {
        let rows = self.rows.iter().map(|bytes| Row { schema: self.schema, bytes });
        rows.zip(self.statuses(feature))
    }
}

const _: () = assert!(Status::Present as u8 == 0 && Status::Null as u8 == 1, "see statuses");
