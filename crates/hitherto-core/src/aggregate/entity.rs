//! The events of one entity, and the answers at its moments.
//!
//! This is the definition of an aggregate view's features at work, for a training set as for
//! a lookup: rows of facts in, in any order, and one value a feature and moment out.
//!
//! ```text
//! rows       sorted by (e, id): versions of one event are neighbours
//! versions   by known time: each is current for a range of moments    (versions)
//! windows    cut that range to where the event is in the window        (window)
//! moments    9:00   10:00   11:00   12:00     sorted, so a range is [from, to) of them
//! event            |=============|            added at 10:00, taken away at 12:00
//! ```
//!
//! A state that can be taken back ([`Form::is_invertible`]) walks along the moments: events are
//! added where their range begins and taken away where it ends. One that cannot covers a range
//! of `n` moments by two blocks of the greatest power of two that is not over `n`; they may
//! overlap, since such a state takes an event twice as once. Blocks are pushed down from the
//! greatest to the least, each into its two halves, so a moment merges what covers it in
//! `log2 n` steps. A range up to the last moment needs no blocks: what was merged once stays.

use std::ops::Range;

use super::answer;
use super::finish::{Outcome, Reason};
use super::ordered::Place;
use super::plan::{AggregatePlan, Group, Kept};
use super::state::{Input, Removal, State};
use super::versions::{self, Terms, Version};
use super::window::Moments;
use crate::column::Column;
use crate::definition::Known;
use crate::row::{self, Row};
use crate::rule::{NEVER, Says};
use crate::{Error, Result};

/// Computes a view's features, entity by entity.
pub struct Evaluation<'p> {
    plan: &'p AggregatePlan,
    terms: Terms,
    /// Per feature, how often each reason for no value was found.
    reasons: Vec<[u64; Reason::ALL.len()]>,
}

/// What was found at an entity's moments beside values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether an event counts in any window.
    pub has_events: Vec<bool>,
    /// Whether a join on event time alone would have seen other versions.
    pub is_leak: Vec<bool>,
}

/// A version of an event that counts at some moments, whatever the window.
struct Counting<'r> {
    row: Row<'r>,
    event: i64,
    known: i64,
    id: &'r [u8],
    current: Moments,
}

/// Moments at which a join on event time alone would see something else of an event, and
/// whether what it would see counts.
struct Unknown<'r> {
    row: Row<'r>,
    event: i64,
    moments: Moments,
}

/// A version at work in one window: which, and at which of the moments.
struct Ranged {
    version: usize,
    moments: Range<usize>,
}

impl<'p> Evaluation<'p> {
    /// Under these terms.
    pub fn new(plan: &'p AggregatePlan, terms: Terms) -> Self {
        Self { plan, terms, reasons: vec![[0; Reason::ALL.len()]; plan.features.len()] }
    }

    /// Appends the answers of an entity at these moments, which are sorted and differ, to
    /// columns, and says what else was found. `rows` are its facts in any order; `weight` says
    /// for how many questions each moment stands.
    ///
    /// # Errors
    /// `Corrupt` when a row is none, `Invalid` when a value is too long for a function that
    /// keeps many.
    pub fn answer(
        &mut self,
        rows: &[&[u8]],
        moments: &[i64],
        weight: impl Fn(usize) -> u32,
        columns: &mut [Column],
    ) -> Result<Found> {
        let (counting, unknown) = self.versions(rows)?;
        let Self { plan, reasons, .. } = self;
        let mut has_events = Marks::new(moments.len());
        let mut is_leak = Marks::new(moments.len());
        for group in &plan.groups {
            let ranged = ranged(group, &counting, moments);
            ranged.iter().for_each(|ranged| has_events.add(&ranged.moments));
            for unknown in unknown.iter().filter(|unknown| group.takes(&unknown.row)) {
                let inside = group.window.moments(unknown.event);
                let inside = inside.and_then(|inside| inside.both(&unknown.moments));
                is_leak.add(&inside.map_or(0..0, |inside| numbers(moments, inside)));
            }
            for kept in &group.states {
                let work = Work { kept, counting: &counting };
                work.walk(&ranged, moments.len(), |moment, found| {
                    for number in &kept.features {
                        let function = &plan.features[*number].function;
                        let outcome = found.finish(function, moments[moment])?;
                        if let Outcome::Absent(reason) = outcome {
                            reasons[*number][reason as usize] += u64::from(weight(moment));
                        }
                        answer::push(&outcome, &mut columns[*number])?;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(Found { has_events: has_events.into_flags(), is_leak: is_leak.into_flags() })
    }

    /// Per feature, how often each reason for no value was found, in the order of
    /// [`Reason::ALL`].
    pub fn into_reasons(self) -> Vec<[u64; Reason::ALL.len()]> {
        self.reasons
    }

    /// The versions that are current at some moments, and what was not known yet at some.
    fn versions<'r>(&self, rows: &[&'r [u8]]) -> Result<(Vec<Counting<'r>>, Vec<Unknown<'r>>)>
    where
        'p: 'r,
    {
        let schema = &self.plan.schema;
        let mut facts = Vec::with_capacity(rows.len());
        for bytes in rows {
            let row = schema.read(bytes)?;
            let id = self.plan.id.map_or(Ok(&[][..]), |id| row.varlen(id))?;
            facts.push((row::times(bytes)?, id, *bytes, row));
        }
        facts.sort_unstable_by(|(a, a_id, ..), (b, b_id, ..)| {
            a.event.cmp(&b.event).then_with(|| a_id.cmp(b_id))
        });
        let (mut counting, mut unknown) = (Vec::with_capacity(facts.len()), Vec::new());
        let mut chain: Vec<Version<'r>> = Vec::new();
        for event in
            facts.chunk_by(|(a, a_id, ..), (b, b_id, ..)| (a.event, a_id) == (b.event, b_id))
        {
            let (times, id, ..) = event[0];
            chain.clear();
            chain.extend(event.iter().map(|(times, _, bytes, _)| Version {
                known: times.known,
                says: Says::of_row(bytes),
                passes: true,
                row: bytes,
            }));
            if chain.len() > 1 {
                versions::sort(&mut chain);
            }
            for (index, version) in chain.iter().enumerate().filter(|(_, version)| version.counts())
            {
                if let Some(current) = versions::current(&chain, index, self.terms) {
                    let row = schema.read(version.row)?;
                    let event = times.event;
                    counting.push(Counting { row, event, known: version.known, id, current });
                }
            }
            self.find_unknown(&chain, times.event, &mut unknown)?;
        }
        Ok((counting, unknown))
    }

    /// Where a join on event time alone, which sees the last version always, sees another than
    /// the one that is current.
    fn find_unknown<'r>(
        &self,
        chain: &[Version<'r>],
        event: i64,
        to: &mut Vec<Unknown<'r>>,
    ) -> Result<()>
    where
        'p: 'r,
    {
        let Some(last) = chain.last() else { return Ok(()) };
        let is_known = last.known != NEVER && last.known <= self.terms.known_by;
        if last.known <= event && is_known {
            return Ok(());
        }
        let until = if is_known { last.known - 1 } else { i64::MAX };
        let Some(before) = Moments::between(i64::MIN, until) else { return Ok(()) };
        if last.counts() {
            let row = self.plan.schema.read(last.row)?;
            to.push(Unknown { row, event, moments: before });
        }
        // What counts until then and the last version knows to be wrong.
        let honored = Terms { known: Known::Honor, ..self.terms };
        for (index, version) in chain[..chain.len() - 1].iter().enumerate() {
            let current = versions::current(chain, index, honored);
            if let Some(moments) = current.filter(|_| version.counts()) {
                let row = self.plan.schema.read(version.row)?;
                to.push(Unknown { row, event, moments });
            }
        }
        Ok(())
    }
}

/// The versions that count in a group's window, each with the moments at which it does.
fn ranged(group: &Group, counting: &[Counting<'_>], moments: &[i64]) -> Vec<Ranged> {
    let mut ranged = Vec::new();
    for (version, counting) in counting.iter().enumerate() {
        let inside = group.window.moments(counting.event);
        let Some(inside) = inside.and_then(|inside| inside.both(&counting.current)) else {
            continue;
        };
        let moments = numbers(moments, inside);
        if !moments.is_empty() && group.takes(&counting.row) {
            ranged.push(Ranged { version, moments });
        }
    }
    ranged
}

/// Which of the moments lie in a range.
fn numbers(moments: &[i64], range: Moments) -> Range<usize> {
    let first = moments.partition_point(|at| *at < range.first);
    first..first + moments[first..].partition_point(|at| *at <= range.last)
}

/// One state on its way along the moments.
struct Work<'w, 'r> {
    kept: &'w Kept,
    counting: &'w [Counting<'r>],
}

impl Work<'_, '_> {
    /// Shows the state at each of so many moments, in their order.
    fn walk(
        &self,
        ranged: &[Ranged],
        moments: usize,
        show: impl FnMut(usize, &State) -> Result<()>,
    ) -> Result<()> {
        match self.kept.form.is_invertible() {
            true => self.come_and_go(ranged, moments, show),
            false => self.cover(ranged, moments, show),
        }
    }

    /// Events are added where their range begins, and taken away where it ends.
    fn come_and_go(
        &self,
        ranged: &[Ranged],
        moments: usize,
        mut show: impl FnMut(usize, &State) -> Result<()>,
    ) -> Result<()> {
        let come = Places::new(moments, ranged.iter().map(|ranged| ranged.moments.start));
        let go = Places::new(moments, ranged.iter().map(|ranged| ranged.moments.end));
        let mut state = State::new(self.kept.form);
        for moment in 0..moments {
            for index in come.at(moment) {
                self.show(ranged[*index as usize].version, |input| state.add(input))?;
            }
            for index in go.at(moment) {
                let removal =
                    self.show(ranged[*index as usize].version, |input| state.remove(input))?;
                if removal != Removal::Done {
                    return Err(Error::internal("a state gave up that can be taken back"));
                }
            }
            show(moment, &state)?;
        }
        Ok(())
    }

    /// Ranges are covered by blocks of moments.
    fn cover(
        &self,
        ranged: &[Ranged],
        moments: usize,
        mut show: impl FnMut(usize, &State) -> Result<()>,
    ) -> Result<()> {
        let is_open = |ranged: &&Ranged| ranged.moments.end == moments;
        // By the logarithm of a block's length: where it begins, and whose it is.
        let mut blocks: Vec<Vec<(usize, usize)>> = Vec::new();
        for Ranged { version, moments } in ranged.iter().filter(|ranged| !is_open(ranged)) {
            let level = moments.len().ilog2() as usize;
            if blocks.len() <= level {
                blocks.resize_with(level + 1, Vec::new);
            }
            blocks[level].push((moments.start, *version));
            let second = moments.end - (1 << level);
            if second > moments.start {
                blocks[level].push((second, *version));
            }
        }
        let mut covered: Vec<Option<State>> =
            vec![None; if blocks.is_empty() { 0 } else { moments }];
        for (level, blocks) in blocks.iter().enumerate().rev() {
            for (begin, version) in blocks {
                let state = covered[*begin].get_or_insert_with(|| State::new(self.kept.form));
                self.show(*version, |input| state.add(input))?;
            }
            let Some(half) = level.checked_sub(1).map(|level| 1 << level) else { continue };
            // Each block's second half begins where another block may: from behind, so that
            // none is pushed down twice.
            for begin in (0..moments.saturating_sub(half)).rev() {
                let Some(state) = covered[begin].clone() else { continue };
                match &mut covered[begin + half] {
                    Some(second) => second.merge(&state),
                    second => *second = Some(state),
                }
            }
        }
        let open: Vec<&Ranged> = ranged.iter().filter(is_open).collect();
        let come = Places::new(moments, open.iter().map(|ranged| ranged.moments.start));
        let mut lasting = State::new(self.kept.form);
        for moment in 0..moments {
            for index in come.at(moment) {
                self.show(open[*index as usize].version, |input| lasting.add(input))?;
            }
            match covered.get(moment) {
                Some(Some(here)) => {
                    let mut state = lasting.clone();
                    state.merge(here);
                    show(moment, &state)?;
                }
                _ => show(moment, &lasting)?,
            }
        }
        Ok(())
    }

    fn show<T>(&self, version: usize, to: impl FnOnce(&Input<'_>) -> Result<T>) -> Result<T> {
        let Counting { row, event, known, id, .. } = &self.counting[version];
        self.kept.show(row, Place { event: *event, known: *known, id }, to)
    }
}

/// Things by one of so many places, each place's in the order in which they came.
struct Places {
    starts: Vec<u32>,
    things: Vec<u32>,
}

impl Places {
    fn new(places: usize, of: impl Iterator<Item = usize> + Clone) -> Self {
        let mut starts = vec![0_u32; places + 2];
        of.clone().filter(|place| *place < places).for_each(|place| starts[place + 2] += 1);
        for place in 2..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut things = vec![0; starts[places + 1] as usize];
        for (thing, place) in of.enumerate().filter(|(_, place)| *place < places) {
            let next = &mut starts[place + 1];
            things[*next as usize] = thing as u32;
            *next += 1;
        }
        Self { starts, things }
    }

    fn at(&self, place: usize) -> &[u32] {
        &self.things[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

/// Which moments lie in any of some ranges.
struct Marks(Vec<i32>);

impl Marks {
    fn new(moments: usize) -> Self {
        Self(vec![0; moments + 1])
    }

    fn add(&mut self, range: &Range<usize>) {
        self.0[range.start] += 1;
        self.0[range.end] -= 1;
    }

    fn into_flags(self) -> Vec<bool> {
        let mut depth = 0;
        let depths = self.0[..self.0.len() - 1].iter();
        depths
            .map(|change| {
                depth += change;
                depth > 0
            })
            .collect()
    }
}
