//! The store's rows for one request, and the rule applied to them.
//!
//! ```text
//! cells      view 0: entity 0, 1, 2 ... | view 1: entity 0, 1, 2 ... | ...
//! blocks     |--------|--------|--------|--------|--------|   one batched read each
//! stretches  |--------|--------|---|----|--------|--------|   of one view, to `take`
//! ```
//!
//! A small request is one block over all its views. A large one is read block by
//! block, so that no more rows are held than fit the processor's cache while
//! feature after feature is copied out of them.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};

use hitherto_core::key::batch::KeyBatch;
use hitherto_core::rule::{self, Absence, Answer, Moment, Says, Search, Times};
use hitherto_core::{Error, Result, row};
use hitherto_online::keys::LatestKeys;
use hitherto_online::{GenerationId, Histories, Rows, Snapshot};

use super::plan::LookupPlan;

/// Rows of a block.
const BLOCK_ROWS: usize = 64;

/// Reads one request's rows, view by view, entities in request order.
pub(super) struct Reader<'a> {
    pub plan: &'a LookupPlan,
    /// For each of the plan's lists of join keys.
    pub entities: &'a [KeyBatch],
    pub store: &'a dyn Snapshot,
    pub at: i64,
    /// Turns true when nobody waits for the answer any more.
    pub is_over: &'a AtomicBool,
}

/// Rows that were read from histories, for as long as their stretch is shown.
#[derive(Default)]
struct Past<'a> {
    /// Made when the first history is needed.
    histories: Option<Box<dyn Histories + 'a>>,
    bytes: Vec<u8>,
}

/// Where an answer's row lies.
enum Found<'r> {
    Latest(&'r [u8]),
    Past(Range<usize>),
}

/// What was found for one entity in one view, with the times of the fact that answers or is
/// too old to.
type Told<T> = (std::result::Result<T, Absence>, Option<Times>);

impl<'a> Reader<'a> {
    /// Says whether anybody waits for the answer.
    ///
    /// # Errors
    /// `Unavailable` when nobody does any more.
    pub fn check_wanted(&self) -> Result<()> {
        match self.is_over.load(Ordering::Relaxed) {
            true => Err(Error::unavailable("the lookup was given up by its caller; ask again")),
            false => Ok(()),
        }
    }

    /// Calls `take` with the answers for stretches of entities of one view, and with the
    /// times of the facts that answer or have expired; views in plan order, those whose rows
    /// answer.
    pub fn read_all(
        &self,
        rows: usize,
        mut take: impl FnMut(usize, &[Answer<'_>], &[Option<Times>]) -> Result<()>,
    ) -> Result<()> {
        let cells = self.plan.stored.len() * rows;
        let mut keys = LatestKeys::default();
        let mut stored = Rows::default();
        let mut past = Past::default();
        for start in (0..cells).step_by(BLOCK_ROWS) {
            self.check_wanted()?;
            let stretches = stretches(start..(start + BLOCK_ROWS).min(cells), rows);
            let stretches = stretches.map(|(view, rows)| (self.plan.stored[view], rows));
            keys.clear();
            for (view, rows) in stretches.clone() {
                self.push_keys(view, rows, &mut keys);
            }
            self.store.read_latest(&keys, &mut stored)?;
            let mut stored = stored.iter();
            for (view, rows) in stretches {
                past.bytes.clear();
                let found = self.find(view, rows, &mut stored, &mut past)?;
                let answers = found.iter().map(|(found, _)| match found {
                    Ok(Found::Latest(row)) => Ok(*row),
                    Ok(Found::Past(place)) => Ok(&past.bytes[place.clone()]),
                    Err(absence) => Err(*absence),
                });
                let times = found.iter().map(|(_, times)| *times);
                take(view, &answers.collect::<Vec<_>>(), &times.collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    /// Appends the keys of a stretch's entities that can exist.
    fn push_keys(&self, view: usize, rows: Range<usize>, keys: &mut LatestKeys) {
        let view = &self.plan.views[view];
        let Some((generation, _)) = view.online else { return };
        let mut entity = Vec::new();
        for row in rows {
            if self.entities[view.entity].read_into(row, &mut entity) {
                keys.push(generation, &entity);
            }
        }
    }

    /// Applies the rule to a stretch; `stored` has the latest row of each key
    /// that [`Reader::push_keys`] appended for it.
    fn find<'r>(
        &self,
        view: usize,
        rows: Range<usize>,
        stored: &mut impl Iterator<Item = Option<&'r [u8]>>,
        past: &mut Past<'a>,
    ) -> Result<Vec<Told<Found<'r>>>> {
        let view = &self.plan.views[view];
        let moment = Moment::new(self.at, view.known);
        let entities = &self.entities[view.entity];
        let find = |row: usize| {
            let Some((generation, _)) = view.online.filter(|_| !entities.is_null(row)) else {
                return Ok((Err(Absence::NullKey), None));
            };
            let Some(latest) = stored.next().flatten() else {
                return Ok((Err(Absence::NeverSeen), None));
            };
            let times = row::times(latest)?;
            if !moment.sees(times) {
                let search = Search::new(moment, view.ttl_micros);
                let mut entity = Vec::new();
                entities.read_into(row, &mut entity);
                let (place, times) = self.search(generation, &entity, search, past)?;
                return Ok((place.map(Found::Past), times));
            }
            let winner = Some((times.event, Says::of_row(latest)));
            let judged = rule::judge(winner, false, self.at, view.ttl_micros);
            let times = is_told(&judged).then_some(times);
            Ok((judged.map(|()| Found::Latest(latest)), times))
        };
        rows.map(find).collect()
    }

    /// Searches an entity's history for the answer and says where it was put.
    fn search(
        &self,
        generation: GenerationId,
        entity: &[u8],
        mut search: Search,
        past: &mut Past<'a>,
    ) -> Result<Told<Range<usize>>> {
        let Past { histories, bytes } = past;
        let histories = match histories {
            Some(histories) => histories,
            None => histories.insert(self.store.histories()?),
        };
        let start = bytes.len();
        let mut answered = None;
        histories.scan(
            generation,
            entity,
            self.at,
            &mut |times, row| match search.show(times, row) {
                Some(answer) => {
                    let answer = answer.map(|row| bytes.extend_from_slice(row));
                    answered = Some((answer, is_told(&answer).then_some(times)));
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            },
        )?;
        let (answer, times) = answered.unwrap_or_else(|| (Err(search.absence()), None));
        Ok((answer.map(|()| start..bytes.len()), times))
    }
}

/// Whether the times of the greatest fact are told: of one that answers, and of one that is
/// too old, for people to see how old.
fn is_told(judged: &std::result::Result<(), Absence>) -> bool {
    matches!(judged, Ok(()) | Err(Absence::Expired))
}

/// Cuts a range of cells where one view ends and the next begins: the view, and
/// the rows of its entities.
fn stretches(
    cells: Range<usize>,
    rows: usize,
) -> impl Iterator<Item = (usize, Range<usize>)> + Clone {
    (cells.start / rows..cells.end.div_ceil(rows)).map(move |view| {
        let first = view * rows;
        (view, cells.start.max(first) - first..cells.end.min(first + rows) - first)
    })
}
