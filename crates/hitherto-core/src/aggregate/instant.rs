//! The answers at one moment, of an entity's events as a store shows them: for lookups.
//!
//! Versions come by event, the newest event first, and of each event the newest known first
//! ([`crate::key::EventKey`]). So the first version of an event that is known at the moment is
//! the one that is current then, and no other of it has to be looked at ([`Currents`]).
//!
//! Event times are cut where a window begins or ends, and what counts between two cuts is taken
//! once for all windows that it is in. Of an entity of few events all are shown, one after the
//! other. Where there are many, tiles answer for what is inside of them, and events are read at
//! both ends.
//!
//! ```text
//! 30 d  |==========================================================|
//! 1 h                                                       |======|
//! cut   |--------------------------------------------------|------|
//! tiles    e  []  [      3.2 d      ]  [ ]  [ ]  []  [] e  e  [] e     e: events
//! ```

use std::ops::ControlFlow;
use std::rc::Rc;

use super::answer;
use super::ordered::Place;
use super::plan::{AggregatePlan, InstantPlan, Tiled};
use super::state::State;
use super::tile::{EventSource, SHIFT_MAX, SHIFT_MIN, SHIFT_STEP, Tile, TileId};
use super::window::Moments;
use crate::Result;
use crate::column::Column;
use crate::definition::Known;
use crate::row::{self, Row};
use crate::rule::{Moment, NEVER, Times};

/// Versions that are read faster than tiles.
const FEW: u64 = 64;
/// Versions at the end of a window from which on the next shorter tiles are worth it.
const MANY: u64 = 4 * FEW;
/// The length of tiles that is tried first.
const FINEST_FIRST: u32 = 42;

/// Computes a view's features at one moment, entity by entity.
pub struct Instant<'p> {
    plan: &'p InstantPlan,
    moment: Moment,
    /// Stretches of event times, newest first, with the groups whose windows have them.
    cuts: Rc<[(Moments, Vec<usize>)]>,
    /// Per group, a state for each that it keeps.
    states: Vec<Vec<State>>,
    /// The stretch that events are shown of, and those that were.
    cut: usize,
    inside: Tile,
    currents: Currents,
    has_events: bool,
    bytes: Vec<u8>,
}

impl<'p> Instant<'p> {
    /// Of no entity yet.
    pub fn new(plan: &'p InstantPlan, moment: Moment) -> Self {
        let groups = &plan.plan.groups;
        let windows: Vec<_> = groups.iter().map(|group| group.window.events(moment.at)).collect();
        let states = groups
            .iter()
            .map(|group| group.states.iter().map(|kept| State::new(kept.form)).collect())
            .collect();
        Self {
            plan,
            moment,
            cuts: cuts(&windows).into(),
            states,
            cut: 0,
            inside: Tile::empty(&plan.tiled),
            currents: Currents::at(moment),
            has_events: false,
            bytes: Vec::new(),
        }
    }

    /// The event times that are asked for; `None` if no event can count.
    pub fn events(&self) -> Option<Moments> {
        let (newest, oldest) = self.cuts.first().zip(self.cuts.last())?;
        Moments::between(oldest.0.first, newest.0.last)
    }

    /// Shows the next version of an entity of few events. Breaks when no further one can count.
    ///
    /// # Errors
    /// `Corrupt` when the row is none, `Invalid` when a value is too long for a function that
    /// keeps many.
    pub fn show(&mut self, times: Times, row: &[u8]) -> Result<ControlFlow<()>> {
        loop {
            match self.cuts.get(self.cut) {
                None => return Ok(ControlFlow::Break(())),
                Some((cut, _)) if times.event > cut.last => return Ok(ControlFlow::Continue(())),
                Some((cut, _)) if times.event >= cut.first => break,
                Some(_) => self.end_cut(),
            }
        }
        let InstantPlan { plan, tiled, needed, .. } = self.plan;
        if let Some(row) = self.currents.counting(plan, times, row)? {
            self.inside.versions += 1;
            let place = self.currents.place(times);
            let states = tiled.iter().zip(&mut self.inside.states).zip(needed);
            let states = states.filter(|(_, is_needed)| **is_needed).map(|(state, _)| state);
            Tiled::show(states, &row, place)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes what was shown of a stretch to the groups whose windows have it, and goes on to
    /// the next.
    fn end_cut(&mut self) {
        let Self { plan, cuts, cut, inside, states, .. } = self;
        if inside.versions > 0 {
            self.has_events |= plan.add(&cuts[*cut].1, inside, states);
            inside.clear(&plan.tiled);
        }
        *cut += 1;
    }

    /// Takes what counts of an entity of many events.
    ///
    /// # Errors
    /// Those of the source, and as [`Instant::show`].
    pub fn take(&mut self, source: &mut dyn EventSource) -> Result<()> {
        for (times, groups) in Rc::clone(&self.cuts).iter() {
            let mut inside = Tile::empty(&self.plan.tiled);
            self.cover(source, *times, SHIFT_MAX, &mut inside)?;
            self.has_events |= self.plan.add(groups, &inside, &mut self.states);
        }
        Ok(())
    }

    /// Adds the events of these times: of whole tiles what is remembered of them, or else what
    /// is inside.
    fn cover(
        &mut self,
        source: &mut dyn EventSource,
        times: Moments,
        shift: u32,
        to: &mut Tile,
    ) -> Result<()> {
        for index in times.first >> shift..=times.last >> shift {
            let tile = TileId { shift, index };
            let Some(here) = tile.times().both(&times) else { continue };
            let mut is_few = false;
            if here == tile.times() {
                let found = self.tile(source, tile)?;
                if found.known <= self.moment.at {
                    to.merge(&found);
                    continue;
                }
                is_few = found.versions <= FEW;
            }
            let finest = source.finest().unwrap_or(FINEST_FIRST);
            if !is_few && shift > finest.max(SHIFT_MIN) {
                self.cover(source, here, shift - SHIFT_STEP, to)?;
                continue;
            }
            let before = to.versions;
            read(&self.plan.plan, &self.plan.tiled, self.moment, source, here, u64::MAX, to)?;
            let versions = to.versions - before;
            if versions > MANY {
                let steps = 1 + (versions / MANY).ilog2() / SHIFT_STEP;
                source.set_finest(finest.saturating_sub(steps * SHIFT_STEP).max(SHIFT_MIN));
            }
        }
        Ok(())
    }

    /// What is to be remembered of a tile.
    fn tile(&mut self, source: &mut dyn EventSource, id: TileId) -> Result<Tile> {
        let InstantPlan { plan, tiled, .. } = self.plan;
        self.bytes.clear();
        if source.recall(id, &mut self.bytes)? {
            return Tile::decode(tiled, &self.bytes);
        }
        let always = Moment::new(i64::MAX, self.moment.known);
        let mut tile = Tile::empty(tiled);
        let most = if id.shift > SHIFT_MIN { FEW } else { u64::MAX };
        if !read(plan, tiled, always, source, id.times(), most, &mut tile)? {
            tile = Tile::empty(tiled);
            for inner in id.inside() {
                tile.merge(&self.tile(source, inner)?);
            }
        }
        if self.moment.known == Known::Ignore {
            tile.known = i64::MIN;
        }
        tile.encode(&mut self.bytes);
        source.remember(id, &self.bytes);
        Ok(tile)
    }

    /// Appends the answers of the entity whose events were shown or taken to columns, a feature
    /// each, and is ready for the next. Says whether an event counts in any window.
    ///
    /// # Errors
    /// `Internal` when a column is of another type, `Invalid` when its text passes 4 GiB.
    pub fn finish(&mut self, columns: &mut [Column]) -> Result<bool> {
        if self.cut < self.cuts.len() {
            self.end_cut();
        }
        self.cut = 0;
        let plan = &self.plan.plan;
        for (group, states) in plan.groups.iter().zip(&mut self.states) {
            for (kept, state) in group.states.iter().zip(states) {
                for feature in &kept.features {
                    let function = &plan.features[*feature].function;
                    let outcome = state.finish(function, self.moment.at)?;
                    answer::push(&outcome, &mut columns[*feature])?;
                }
                *state = State::new(kept.form);
            }
        }
        self.currents = Currents::at(self.moment);
        Ok(std::mem::take(&mut self.has_events))
    }
}

/// Adds events of these times, if they have no more than so many versions. Says whether they
/// were all read.
fn read(
    plan: &AggregatePlan,
    tiled: &[Tiled],
    moment: Moment,
    source: &mut dyn EventSource,
    times: Moments,
    versions_max: u64,
    to: &mut Tile,
) -> Result<bool> {
    let mut currents = Currents::at(moment);
    let (mut versions, mut outcome) = (0, Ok(()));
    source.scan(times, &mut |times, row| {
        versions += 1;
        if versions > versions_max {
            return ControlFlow::Break(());
        }
        if times.known != NEVER {
            to.known = to.known.max(times.known);
        }
        let shown = currents.counting(plan, times, row).and_then(|row| match row {
            Some(row) => Tiled::show(tiled.iter().zip(&mut to.states), &row, currents.place(times)),
            None => Ok(()),
        });
        match shown {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    to.versions += versions;
    outcome.map(|()| versions <= versions_max)
}

/// Event times, cut where a window begins or ends; the newest come first.
fn cuts(windows: &[Option<Moments>]) -> Vec<(Moments, Vec<usize>)> {
    let all = windows.iter().flatten();
    let mut begins: Vec<i64> =
        all.flat_map(|window| [Some(window.first), window.last.checked_add(1)]).flatten().collect();
    begins.sort_unstable();
    begins.dedup();
    let ends = begins.iter().skip(1).map(|next| next - 1).chain([i64::MAX]);
    let cut = |(first, last): (&i64, i64)| {
        let has_it = |window: &Option<Moments>| window.is_some_and(|it| it.contains(*first));
        let groups: Vec<usize> = (0..windows.len()).filter(|one| has_it(&windows[*one])).collect();
        (!groups.is_empty()).then_some((Moments { first: *first, last }, groups))
    };
    let mut cuts: Vec<_> = begins.iter().zip(ends).filter_map(cut).collect();
    cuts.reverse();
    cuts
}

/// Which versions are current at a moment, of versions as a store shows them.
struct Currents {
    moment: Moment,
    /// The last event whose current version was seen.
    event: Option<i64>,
    id: Vec<u8>,
}

impl Currents {
    fn at(moment: Moment) -> Self {
        Self { moment, event: None, id: Vec::new() }
    }

    /// The row of the next version, if it is current and no deletion.
    fn counting<'r>(
        &mut self,
        plan: &'r AggregatePlan,
        times: Times,
        row: &'r [u8],
    ) -> Result<Option<Row<'r>>> {
        if !self.moment.sees(times) {
            return Ok(None);
        }
        let read = plan.schema.read(row)?;
        let id = plan.id.map_or(Ok(&[][..]), |id| read.varlen(id))?;
        if self.event == Some(times.event) && self.id == id {
            return Ok(None);
        }
        self.event = Some(times.event);
        id.clone_into(&mut self.id);
        Ok((!row::is_deletion(row)).then_some(read))
    }

    /// Where the event of the last row stands.
    fn place(&self, times: Times) -> Place<'_> {
        Place { event: times.event, known: times.known, id: &self.id }
    }
}
