//! Answers that are computed of an entity's events, of one snapshot of the store.
//!
//! Events come as the store has them and are shown to [`Instant`], which is the rule for them:
//! all of an entity that has few, and else what tiles do not tell. Nothing is gathered.

use std::ops::ControlFlow;

use hitherto_core::Result;
use hitherto_core::aggregate::{
    EventSource, Instant, InstantPlan, Moments, TileId, VersionVisitor,
};
use hitherto_core::column::{Column, Status};
use hitherto_core::rule::Moment;
use hitherto_online::{Amount, Events};

use super::plan::ViewPlan;
use super::read::Reader;

/// The answers of one view, computed.
pub(super) struct Computed {
    /// A column for each of the plan's features of the view, in their order.
    pub columns: Vec<Column>,
    /// Per entity, whether an event counts in any window.
    pub has_events: Vec<bool>,
}

impl Reader<'_> {
    /// Computes the answers of so many entities in one view, which says how. `check` is shown
    /// the columns whenever they have grown.
    ///
    /// # Errors
    /// Those of the store and of [`Instant`]; what `check` returns.
    pub fn compute(
        &self,
        view: &ViewPlan,
        plan: &InstantPlan,
        rows: usize,
        check: impl Fn(&[Column]) -> Result<()>,
    ) -> Result<Computed> {
        let mut computed =
            Computed { columns: plan.columns(rows), has_events: Vec::with_capacity(rows) };
        let Some((generation, _)) = view.online else { return Ok(computed) };
        let entities = &self.entities[view.entity];
        let mut instant = Instant::new(plan, Moment::new(self.at, view.known));
        let (mut events, mut entity) = (self.store.events()?, Vec::new());
        for row in 0..rows {
            self.check_wanted()?;
            if !entities.read_into(row, &mut entity) {
                let columns = computed.columns.iter_mut();
                columns.for_each(|column| column.push_absent(Status::NotFound));
                computed.has_events.push(false);
                continue;
            }
            match events.begin(generation, &entity)? {
                Amount::Few => show_all(&mut *events, &mut instant)?,
                Amount::Many => instant.take(&mut Wanted { by: self, events: &mut *events })?,
            }
            computed.has_events.push(instant.finish(&mut computed.columns)?);
            check(&computed.columns)?;
        }
        Ok(computed)
    }
}

/// Many events, as long as somebody waits for what they answer: those of an entity that was
/// never asked about are all read at the first time.
struct Wanted<'w, 'a> {
    by: &'w Reader<'a>,
    events: &'w mut dyn Events,
}

impl EventSource for Wanted<'_, '_> {
    fn scan(&mut self, times: Moments, visit: &mut VersionVisitor<'_>) -> Result<()> {
        self.by.check_wanted()?;
        self.events.scan(times, visit)
    }

    fn recall(&mut self, tile: TileId, bytes: &mut Vec<u8>) -> Result<bool> {
        self.events.recall(tile, bytes)
    }

    fn remember(&mut self, tile: TileId, bytes: &[u8]) {
        self.events.remember(tile, bytes);
    }

    fn finest(&mut self) -> Option<u32> {
        self.events.finest()
    }

    fn set_finest(&mut self, shift: u32) {
        self.events.set_finest(shift);
    }
}

/// Shows all events of an entity that can count.
fn show_all(events: &mut dyn Events, instant: &mut Instant<'_>) -> Result<()> {
    let Some(asked) = instant.events() else { return Ok(()) };
    let mut shown = Ok(ControlFlow::Continue(()));
    events.scan(asked, &mut |times, row| {
        shown = instant.show(times, row);
        match shown {
            Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })?;
    shown.map(drop)
}
