//! Heads first, then features of those facts that lead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::arrow::array::ArrayRef;
use hitherto_api::arrow::from_arrow;
use hitherto_core::row::RowBlock;
use hitherto_core::slots::{Arrival, Contest, Entries, Events, Places, Spine};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};
use parquet::arrow::arrow_reader::RowSelection;

use super::file::Rows;
use super::units::{FactFiles, Unit};
use super::values::NumberColumn;
use crate::arrow::FeatureArray;
use crate::facts::{FactHeads, Placed};

/// One row in so many leads at most where features are read of those rows only.
/// Below it skipping costs more than it saves.
const SPARSE_ROWS: usize = 24;

/// One row in so many is read at least where all of them are decoded at once: picking
/// most of them one by one takes longer.
const DENSE_ROWS: usize = 2;

/// Facts that are encoded at a time: their rows stay in the cache.
const BLOCK_FACTS: usize = 512;

/// Bytes of rows whose numbers are all read before the first row is encoded; more are
/// read batch by batch.
const NUMBERS_BYTES_MAX: usize = 64 << 20;

/// What a thread uses again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    pub entries: Entries,
    pub block: RowBlock,
    pub places: Places,
    pub arrivals: Vec<Arrival>,
    leading: Entries,
}

impl FactFiles {
    /// Lets the facts of one row group compete. Returns their number; fewer if
    /// `stop` was set meanwhile.
    pub fn compete(
        &self,
        unit: &Unit,
        contest: &Contest,
        scratch: &mut Scratch,
        stop: &AtomicBool,
    ) -> Result<u64> {
        scratch.leading.clear();
        let mut facts = 0;
        let Scratch { entries, places, leading, .. } = scratch;
        let ranges = self.each_head(unit, contest.spine(), stop, |heads| {
            entries.clear();
            contest.enter(&heads.keys, heads.times_batch(), facts, places, entries);
            contest.compete(entries, |row| heads.is_deletion(row as usize - facts));
            entries.drain_into(leading);
            facts += heads.len();
        })?;
        contest.retain_leading(&mut scratch.leading);
        if let Some(ranges) = ranges {
            let mut number = number_in_group(&ranges);
            scratch.leading.renumber(&mut number);
        }
        let Scratch { leading, block, .. } = scratch;
        self.read_rows(unit, leading.facts(), block, stop, |facts, rows| {
            contest.fill(facts, rows);
            Ok(())
        })?;
        Ok(facts as u64)
    }

    /// Brings the facts of one row group to the entities that they are events of. Returns
    /// their number; fewer if `stop` was set meanwhile.
    pub fn gather(
        &self,
        unit: &Unit,
        events: &Events,
        scratch: &mut Scratch,
        stop: &AtomicBool,
    ) -> Result<u64> {
        let Scratch { arrivals, block, .. } = scratch;
        arrivals.clear();
        let mut facts = 0;
        let ranges = self.each_head(unit, events.spine(), stop, |heads| {
            let is_deletion = |row: usize| heads.is_deletion(row);
            events.enter(&heads.keys, heads.times_batch(), facts, is_deletion, arrivals);
            facts += heads.len();
        })?;
        if let Some(ranges) = ranges {
            let mut number = number_in_group(&ranges);
            arrivals.iter_mut().for_each(|arrival| arrival.row = number(arrival.row));
        }
        self.read_rows(unit, arrivals, block, stop, |facts, rows| {
            events.fill(facts, rows);
            Ok(())
        })?;
        Ok(facts as u64)
    }

    /// Reads the heads of the facts of a row group that can concern a spine, batch by batch,
    /// until `stop` is set. Says which rows they were, if they were not all.
    fn each_head(
        &self,
        unit: &Unit,
        spine: &Spine,
        stop: &AtomicBool,
        mut each: impl FnMut(&FactHeads),
    ) -> Result<Option<Vec<Range<usize>>>> {
        let ranges = self.rows_that_concern(unit, spine)?;
        let rows = match &ranges {
            None => Rows::All,
            Some(ranges) if ranges.is_empty() => return Ok(None),
            Some(ranges) => Rows::Only(selection(ranges.iter().cloned(), unit.rows)),
        };
        let mut heads = unit.file.read(unit.row_group, self.heads(), rows)?;
        while let Some(columns) = heads.next(&unit.file) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (columns, rows) = columns?;
            each(&self.layout.read_heads(&columns, rows)?);
        }
        Ok(ranges)
    }

    /// Reads columns of all facts of a row group, batch by batch: the columns and their
    /// rows.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, naming the file; so do the batches.
    pub fn read_columns(
        &self,
        unit: &Unit,
        names: &[String],
    ) -> Result<impl Iterator<Item = Result<(Vec<ArrayRef>, usize)>> + use<>> {
        let file = Arc::clone(&unit.file);
        let mut columns = file.read(unit.row_group, names, Rows::All)?;
        Ok(std::iter::from_fn(move || columns.next(&file)))
    }

    /// Reads the features of some facts of a row group, which come by ascending row and
    /// are no deletions, and hands on their encoded rows: so many facts, and the row of
    /// each. Ends early if `stop` is set.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, naming the file; `Invalid` when a row is too large;
    /// what `take` returns.
    pub fn read_rows<F: Placed>(
        &self,
        unit: &Unit,
        mut facts: &[F],
        block: &mut RowBlock,
        stop: &AtomicBool,
        mut take: impl FnMut(&[F], &RowBlock) -> Result<()>,
    ) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        let is_sparse = facts.len() * SPARSE_ROWS < unit.rows;
        if self.features().is_empty() {
            let none = self.layout.features(&[])?;
            none.encode_block(facts, |_, _| 0, block)?;
            return take(facts, block);
        }
        let bytes = facts.len() * self.layout.row_schema().fixed_bytes();
        if facts.len() * DENSE_ROWS < unit.rows
            && bytes <= NUMBERS_BYTES_MAX
            && let Some(columns) = self.number_columns(unit)
        {
            return self.read_numbers(unit, &columns, facts, block, take);
        }
        let rows = match is_sparse {
            false => Rows::All,
            true => {
                let rows = facts.iter().map(|fact| fact.row() as usize);
                Rows::Only(selection(rows.map(|row| row..row + 1), unit.rows))
            }
        };
        let mut columns = unit.file.read(unit.row_group, self.features(), rows)?;
        let mut first_row = 0;
        while !facts.is_empty() {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let ended = || {
                Error::corrupt(format!(
                    "source file {} ends too early; write it again",
                    unit.file.file.name
                ))
            };
            let (columns, rows) = columns.next(&unit.file).ok_or_else(ended)??;
            let count = match is_sparse {
                true => rows.min(facts.len()),
                false => facts.partition_point(|fact| (fact.row() as usize) < first_row + rows),
            };
            let (here, later) = facts.split_at(count);
            if !here.is_empty() {
                let features = self.layout.features(&columns)?;
                // Of a selection the reader gave just these rows, in their order.
                let place = |index: usize, fact: &F| match is_sparse {
                    true => index,
                    false => fact.row() as usize - first_row,
                };
                features.encode_block(here, place, block)?;
                take(here, block)?;
            }
            facts = later;
            first_row += rows;
        }
        Ok(())
    }
}

impl FactFiles {
    /// The features as columns of numbers, if all of them are.
    fn number_columns(&self, unit: &Unit) -> Option<Vec<NumberColumn>> {
        if !self.layout.is_plain() {
            return None;
        }
        let group = unit.file.metadata.metadata().row_group(unit.row_group);
        let features = self.features().iter().zip(self.layout.row_schema().types());
        let number = |(name, data_type): (&String, &DataType)| {
            // What is converted is not what lies in pages.
            let (_, field) = unit.file.metadata.schema().column_with_name(name)?;
            let is_plain = from_arrow(field.data_type()).as_ref() == Some(data_type);
            is_plain.then(|| NumberColumn::find(group, name, data_type)).flatten()
        };
        features.map(number).collect()
    }

    /// Reads the numbers of these facts, and nothing else.
    fn read_numbers<F: Placed>(
        &self,
        unit: &Unit,
        columns: &[NumberColumn],
        facts: &[F],
        block: &mut RowBlock,
        mut take: impl FnMut(&[F], &RowBlock) -> Result<()>,
    ) -> Result<()> {
        let group = unit.file.metadata.metadata().row_group(unit.row_group);
        let ranges = columns.iter().map(|column| column.byte_range(group));
        let chunks = Arc::new(unit.file.content(ranges.collect())?);
        let rows: Vec<u32> = facts.iter().map(Placed::row).collect();
        let mut arrays = Vec::with_capacity(columns.len());
        for column in columns {
            let numbers = column.read(&chunks, group, &rows);
            let numbers = numbers.map_err(|cause| unit.file.damaged(cause))?;
            arrays.push(FeatureArray::Fixed {
                values: numbers.values,
                width: numbers.width,
                nulls: numbers.nulls,
            });
        }
        let features = self.layout.features_of(arrays);
        for (start, facts) in facts.chunks(BLOCK_FACTS).enumerate() {
            features.encode_block(facts, |index, _| start * BLOCK_FACTS + index, block)?;
            take(facts, block)?;
        }
        Ok(())
    }
}

fn selection(ranges: impl Iterator<Item = Range<usize>>, rows: usize) -> RowSelection {
    RowSelection::from_consecutive_ranges(ranges, rows)
}

/// The number in its row group of each of the rows that were read, which are asked for in
/// their order.
fn number_in_group(ranges: &[Range<usize>]) -> impl FnMut(u32) -> u32 {
    let (mut range, mut read_before) = (0, 0);
    move |row| {
        while row as usize - read_before >= ranges[range].len() {
            read_before += ranges[range].len();
            range += 1;
        }
        (ranges[range].start + row as usize - read_before) as u32
    }
}
