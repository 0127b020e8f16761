//! Pieces to encoded facts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::arrow::array::ArrayRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use futures::executor::block_on;
use hitherto_api::TimeRange;
use hitherto_core::Result;
use hitherto_core::aggregate::EventIds;
use hitherto_core::catalog::AppliedView;
use hitherto_core::key::EventKey;
use hitherto_core::row::{self, FLAG_DELETION, RowBlock};
use parking_lot::Mutex;

use super::ScanCount;
use super::candidates::{Candidate, Candidates};
use super::spread::{Spread, SpreadWriter};
use super::superseded::Superseded;
use crate::error::from_datafusion;
use crate::fact_files::{FactFiles, Unit};
use crate::facts::{FactHeads, FactLayout};
use crate::footer::next_unwound;
use crate::pieces::{FactSource, Piece, read_unit};
use crate::source::FactQuery;

/// Rows of a row group whose keys and times are read before the first feature: all of
/// them are in memory. A larger one is read batch by batch.
const HEADS_FIRST_ROWS_MAX: usize = 1 << 20;

/// A scan of one view's facts. Shared by threads.
pub struct Scan {
    /// Of the source's facts: those in files have the layout of their files.
    layout: FactLayout,
    /// With the event times outside of which facts are left out.
    pieces: Mutex<VecDeque<(Piece, TimeRange)>>,
    context: Arc<TaskContext>,
    superseded: Superseded,
    /// Of a view whose facts are events: they are sorted by these.
    ids: Option<EventIds>,
    spread: Spread,
    /// What was read so far.
    pub count: Arc<ScanCount>,
    /// Nobody waits for it any more.
    pub stop: Arc<AtomicBool>,
}

/// What one thread uses again and again.
struct Reader<'s> {
    scan: &'s Scan,
    writer: SpreadWriter<'s>,
    window: TimeRange,
    candidates: Candidates,
    block: RowBlock,
}

impl Scan {
    /// A scan of everything that queries find.
    pub fn new(
        view: &AppliedView,
        queries: &[FactQuery],
        context: Arc<TaskContext>,
        superseded: Superseded,
        spread: Spread,
    ) -> Self {
        let pieces = queries.iter().flat_map(|query| {
            let window = query.window.unwrap_or(TimeRange::ALL);
            let mut pieces = FactSource::new(&query.plan).pieces();
            pieces.retain(|piece| match piece {
                Piece::Unit(_, unit) => unit.is_within(window),
                Piece::Partition(..) => true,
            });
            pieces.into_iter().map(move |piece| (piece, window))
        });
        let pieces = Mutex::new(pieces.collect());
        let (count, stop) = (Arc::default(), Arc::default());
        let (layout, ids) = (FactLayout::new(view), EventIds::of(view));
        Self { layout, pieces, context, superseded, ids, spread, count, stop }
    }

    /// The facts, once all threads are done.
    pub fn into_spread(self) -> Spread {
        self.spread
    }

    /// Reads pieces until none is left, as one of several threads; calls `read` whenever
    /// the count has grown. An error stops the others.
    pub fn work(&self, read: impl FnMut()) -> Result<()> {
        let worked = self.work_through(read);
        if worked.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        worked
    }

    fn work_through(&self, mut read: impl FnMut()) -> Result<()> {
        let mut reader = Reader {
            scan: self,
            writer: self.spread.writer(),
            window: TimeRange::ALL,
            candidates: Candidates::default(),
            block: RowBlock::default(),
        };
        while let Some((piece, window)) = self.take() {
            reader.window = window;
            match piece {
                Piece::Unit(files, unit)
                    if unit.rows <= HEADS_FIRST_ROWS_MAX && self.ids.is_none() =>
                {
                    read_unit(&unit, || reader.read_heads_first(&files, &unit, &mut read))?;
                }
                Piece::Unit(files, unit) => {
                    read_unit(&unit, || reader.read_whole(&files, &unit, &mut read))?;
                }
                Piece::Partition(plan, partition) => {
                    reader.read_partition(&plan, partition, &mut read)?;
                }
            }
        }
        reader.writer.flush()
    }

    fn take(&self) -> Option<(Piece, TimeRange)> {
        self.pieces.lock().pop_front().filter(|_| !self.is_stopped())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Reader<'_> {
    fn read_heads_first(
        &mut self,
        files: &FactFiles,
        unit: &Unit,
        read: &mut impl FnMut(),
    ) -> Result<()> {
        self.candidates.clear();
        let mut first_row = 0;
        for batch in files.read_columns(unit, files.heads())? {
            let (columns, rows) = batch?;
            if self.scan.is_stopped() {
                return Ok(());
            }
            self.add(&files.layout.read_heads(&columns, rows)?, first_row);
            first_row += rows;
            read();
        }
        // Once more, for those that were read before a newer one of the row group.
        self.scan.superseded.drop_worthless(&mut self.candidates, 0);
        let Self { scan, writer, candidates, block, .. } = self;
        let facts = write_deletions(&scan.layout, candidates, writer)?;
        files.read_rows(unit, &facts, block, &scan.stop, |facts, rows| {
            write(candidates, facts, rows, writer)
        })
    }

    fn read_whole(
        &mut self,
        files: &FactFiles,
        unit: &Unit,
        read: &mut impl FnMut(),
    ) -> Result<()> {
        for batch in files.read_columns(unit, &files.columns)? {
            let (columns, rows) = batch?;
            if self.scan.is_stopped() {
                return Ok(());
            }
            self.take(&files.layout, &columns, rows)?;
            read();
        }
        Ok(())
    }

    fn read_partition(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        partition: usize,
        read: &mut impl FnMut(),
    ) -> Result<()> {
        let failed = |cause| from_datafusion("the source's facts cannot be read", cause);
        let context = Arc::clone(&self.scan.context);
        let mut batches = plan.execute(partition, context).map_err(failed)?;
        while let Some(batch) = block_on(next_unwound(&mut batches))? {
            let batch = batch.map_err(failed)?;
            if self.scan.is_stopped() {
                return Ok(());
            }
            self.take(&self.scan.layout, batch.columns(), batch.num_rows())?;
            read();
        }
        Ok(())
    }

    /// Takes a batch of whole facts.
    fn take(&mut self, layout: &FactLayout, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let facts = layout.read(columns, rows)?;
        self.candidates.clear();
        self.add(&facts.heads, 0);
        let Self { scan, writer, candidates, block, .. } = self;
        if let Some(ids) = &scan.ids {
            facts.encode_block(&candidates.facts, block)?;
            return write_events(ids, candidates, block, writer);
        }
        let with_values = write_deletions(&scan.layout, candidates, writer)?;
        facts.encode_block(&with_values, block)?;
        write(candidates, &with_values, block, writer)
    }

    /// Adds those facts of a batch that are not worthless.
    fn add(&mut self, heads: &FactHeads, first_row: usize) {
        let (count, before) = (&self.scan.count, self.candidates.facts.len());
        let refused = self.candidates.add(heads, first_row, self.window);
        count.facts.fetch_add(heads.len() as u64 - refused.outside, Ordering::Relaxed);
        count.without_time.fetch_add(refused.without_time, Ordering::Relaxed);
        count.without_key.fetch_add(refused.without_key, Ordering::Relaxed);
        // Another event of an entity takes nothing from one.
        if self.scan.ids.is_none() {
            self.scan.superseded.drop_worthless(&mut self.candidates, before);
        }
    }
}

/// Writes those facts that are deletions; returns the others.
fn write_deletions(
    layout: &FactLayout,
    candidates: &Candidates,
    writer: &mut SpreadWriter<'_>,
) -> Result<Vec<Candidate>> {
    let facts = candidates.facts.iter().copied();
    let (deletions, with_values): (Vec<Candidate>, Vec<_>) =
        facts.partition(|fact| fact.is_deletion);
    let mut row = Vec::new();
    for fact in &deletions {
        layout.row_schema().write(&mut row, fact.times, FLAG_DELETION);
        writer.push(candidates.key(fact), &row)?;
    }
    Ok(with_values)
}

/// Writes facts with their rows.
fn write(
    candidates: &Candidates,
    facts: &[Candidate],
    rows: &RowBlock,
    writer: &mut SpreadWriter<'_>,
) -> Result<()> {
    let mut facts = facts.iter().enumerate();
    facts.try_for_each(|(index, fact)| writer.push(candidates.key(fact), rows.get(index)))
}

/// Writes events with their rows, by their own keys.
fn write_events(
    ids: &EventIds,
    candidates: &Candidates,
    rows: &RowBlock,
    writer: &mut SpreadWriter<'_>,
) -> Result<()> {
    let (mut key, mut row) = (Vec::new(), Vec::new());
    for (index, fact) in candidates.facts.iter().enumerate() {
        rows.get(index).clone_into(&mut row);
        if fact.is_deletion {
            row::mark_deletion(&mut row);
        }
        let (entity, event) = (candidates.key(fact), fact.times.event);
        key.clear();
        EventKey { entity, event, id: ids.read(&row)? }.encode(&mut key);
        writer.push(&key, &row)?;
    }
    Ok(())
}
