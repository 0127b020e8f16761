//! Many rows side by side, written column by column.
//!
//! Rows without variable parts all have one width, so a block of them is a
//! matrix of bytes: each column of a batch is copied down its own offset in one
//! loop, without asking again for every value what type it has.
//!
//! ```text
//!            header | nulls | slot 0 | slot 1 | ...
//!   row 0    ...................^.................
//!   row 1    ...................^.................   set_column goes down here
//!   row 2    ...................^.................
//! ```

use super::{HEADER_BYTES, RowSchema};
use crate::Result;
use crate::rule::Times;

/// Encoded rows, one after the other.
#[derive(Debug, Default)]
pub struct RowBlock {
    bytes: Vec<u8>,
    ends: Ends,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Ends {
    Every(usize),
    Each(Vec<usize>),
}

impl Default for Ends {
    fn default() -> Self {
        Ends::Each(Vec::new())
    }
}

impl RowBlock {
    /// Begins rows of one width, all features null; what was there is dropped.
    ///
    /// # Panics
    /// When the schema has features of variable width.
    pub fn begin(&mut self, schema: &RowSchema, times: impl Iterator<Item = Times>) {
        assert!(schema.is_fixed(), "rows of one width");
        self.bytes.clear();
        self.ends = Ends::Every(schema.fixed_bytes());
        schema.write(&mut self.scratch, Times { event: 0, known: 0 }, 0);
        for times in times {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&self.scratch);
            self.bytes[start + 4..start + 12].copy_from_slice(&times.event.to_le_bytes());
            self.bytes[start + 12..start + 20].copy_from_slice(&times.known.to_le_bytes());
        }
    }

    /// Sets one feature of all rows begun: `value` gives the little-endian bytes
    /// for each, `None` for a null.
    pub fn set_column<const N: usize>(
        &mut self,
        schema: &RowSchema,
        feature: usize,
        mut value: impl FnMut(usize) -> Option<[u8; N]>,
    ) {
        let Ends::Every(width) = self.ends else { return };
        let offset = schema.offsets[feature];
        let (null_byte, null_bit) = (HEADER_BYTES + feature / 8, 1_u8 << (feature % 8));
        for (index, row) in self.bytes.chunks_exact_mut(width).enumerate() {
            if let Some(value) = value(index) {
                row[offset..offset + N].copy_from_slice(&value);
                row[null_byte] &= !null_bit;
            }
        }
    }

    /// Appends rows one by one, each encoded by `encode`; what was there is
    /// dropped.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn encode_each(
        &mut self,
        rows: usize,
        mut encode: impl FnMut(usize, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.bytes.clear();
        let mut ends = Vec::with_capacity(rows);
        for index in 0..rows {
            encode(index, &mut self.scratch)?;
            self.bytes.extend_from_slice(&self.scratch);
            ends.push(self.bytes.len());
        }
        self.ends = Ends::Each(ends);
        Ok(())
    }

    /// The bytes of one row.
    pub fn get(&self, index: usize) -> &[u8] {
        match &self.ends {
            Ends::Every(width) => &self.bytes[index * width..(index + 1) * width],
            Ends::Each(ends) => {
                let start = if index == 0 { 0 } else { ends[index - 1] };
                &self.bytes[start..ends[index]]
            }
        }
    }
}
