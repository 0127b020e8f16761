//! The rule's answers for every row of a spine, after the last fact.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use super::SlotAnswer;
use super::rows::Rows;
use crate::Result;
use crate::column::Column;
use crate::limits::SPINE_ROWS_MAX;
use crate::row::{Gather, RowSchema};
use crate::rule::{Absence, Answer};
use crate::slots::spine::{NO_SLOT, Spine};

/// Marks a code that is a reason and not the number of a row.
const ABSENT: u32 = 1 << 31;
/// Marks a slot that would have leaked.
const LEAK: u32 = 1 << 30;
/// Spine rows gathered at a time: their row bytes stay in the cache while
/// feature after feature is copied out of them.
const GATHER_ROWS: usize = 256;

/// The rule's answer for every row of a spine.
pub struct Answers {
    spine: Arc<Spine>,
    /// Per slot: the number of its row, or a reason; and whether it leaks.
    codes: Vec<u32>,
    rows: Rows,
    schema: RowSchema,
}

impl Answers {
    pub(super) fn new(spine: Arc<Spine>, rows: Rows, schema: RowSchema) -> Self {
        let codes = Vec::with_capacity(spine.slots());
        Self { spine, codes, rows, schema }
    }

    /// Appends the answer of the next slot.
    pub(super) fn push(&mut self, answer: &SlotAnswer) {
        let code = answer.row.unwrap_or_else(|absence| ABSENT | absence as u32);
        self.codes.push(if answer.is_leak { code | LEAK } else { code });
    }

    /// The answer for a spine row.
    pub fn of_row(&self, spine_row: usize) -> Answer<'_> {
        match self.code(spine_row) {
            None => Err(Absence::NullKey),
            Some(code) if code & ABSENT == 0 => Ok(self.rows.get(code & !LEAK)),
            Some(code) => Err(Absence::ALL[(code & !ABSENT & !LEAK) as usize]),
        }
    }

    /// Whether a join on event time alone would have answered this spine row
    /// with a fact that was not known at its time.
    pub fn is_leak(&self, spine_row: usize) -> bool {
        self.code(spine_row).is_some_and(|code| code & LEAK != 0)
    }

    /// Appends the features of a range of spine rows to columns, each with the
    /// feature that it shows.
    ///
    /// # Errors
    /// As [`Column::push_row`].
    pub fn gather(&self, rows: Range<usize>, columns: &mut [(usize, Column)]) -> Result<()> {
        let mut answers: Vec<Answer<'_>> = Vec::with_capacity(GATHER_ROWS);
        let mut gather = Gather::with_capacity(&self.schema, GATHER_ROWS);
        for start in rows.clone().step_by(GATHER_ROWS) {
            let spine_rows = start..(start + GATHER_ROWS).min(rows.end);
            answers.clear();
            answers.extend(spine_rows.map(|row| self.of_row(row)));
            // Rows lie anywhere in memory. Touched all together they come together.
            let ends = |row: &[u8]| row[0] ^ row[row.len() - 1];
            black_box(answers.iter().flatten().fold(0, |touched, row| touched ^ ends(row)));
            gather.clear();
            for answer in &answers {
                gather.push(answer.map_err(Absence::status))?;
            }
            for (feature, column) in columns.iter_mut() {
                column.extend(&gather, *feature)?;
            }
        }
        Ok(())
    }

    /// Bytes held beside the spine.
    pub fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes() + self.codes.capacity() * size_of::<u32>()
    }

    fn code(&self, spine_row: usize) -> Option<u32> {
        let slot = self.spine.slot_of_row[spine_row];
        (slot != NO_SLOT).then(|| self.codes[slot as usize])
    }
}

const _: () = assert!(SPINE_ROWS_MAX < LEAK as usize, "a row's number leaves room for the marks");
const _: () = assert!(Absence::ALL.len() < LEAK as usize, "and so does a reason");
