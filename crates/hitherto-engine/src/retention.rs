//! RETENTION: history that a view no longer promises is given up.
//!
//! A view promises answers as far back as its `online.history`. Its horizon is where
//! that began when its generation was built; from time to time it is moved up to where
//! it begins now. First the catalog says so, and lookups before the horizon are refused;
//! then the store may reclaim what answered only those.

use hitherto_core::Result;
use hitherto_core::catalog::{Generation, PublishedView};
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_online::{GenerationId, Horizon};

use crate::Engine;
use crate::local::keep_believed;
use crate::materialize::first_event;

/// Lookups that began before a horizon was moved have ended after so many microseconds.
const LOOKUPS_END_MICROS: i64 = 60_000_000;
/// A horizon is not moved for less.
const STEP_MICROS_MIN: i64 = 60_000_000;
/// Nor for less than this part of the history: each move is a new catalog.
const STEP_SHARE: i64 = 20;

impl Engine {
    /// Moves horizons up to what views promise at `now`; returns how many moved.
    ///
    /// # Errors
    /// `Unavailable` from the store.
    pub async fn retain(&self, now: i64) -> Result<u64> {
        let _writer = self.writer.lock().await;
        let catalog = self.catalog();
        let (clock, now) = (now, self.hear(now));
        if now < clock {
            tracing::warn!(
                behind_seconds = (clock - now) / MICROS_PER_SECOND,
                "the clock has jumped ahead: no history is given up until it has stood there for \
                 a day",
            );
        }
        let move_up = |published: &PublishedView| {
            let horizon = self.promised(published, now)?;
            let mut moved = published.clone();
            let generations = std::iter::once(&mut moved.generation).chain(&mut moved.previous);
            generations.for_each(|one| one.horizon = one.horizon.max(horizon));
            Some(moved)
        };
        let moved: Vec<PublishedView> = catalog.built().filter_map(move_up).collect();
        let count = moved.len() as u64;
        if count > 0 {
            self.commit(catalog.publish(moved), vec![keep_believed(self.believed())?])?;
            self.reclaim_history();
        } else {
            self.keep_believed()?;
        }
        Ok(count)
    }

    /// Keeps what is believed of the clock from time to time: a process that begins must not
    /// take a day's rest for a jump.
    fn keep_believed(&self) -> Result<()> {
        let (believed, local) = (self.believed(), self.local());
        if !self.store.is_writable() || !believed.is_news_after(local.believed()?) {
            return Ok(());
        }
        local.commit(&[keep_believed(believed)?])
    }

    /// Where a view's horizon is to be at `now`, if that is far enough from where it is.
    fn promised(&self, published: &PublishedView, now: i64) -> Option<i64> {
        let PublishedView { view, generation, .. } = published;
        let history = match view.definition.online.history_micros {
            // Its latest rows answer every moment.
            _ if view.definition.source.is_always_visible() => return None,
            Some(history) => history,
            // What it has of history came with pushes.
            None if self.has_pushes(view.id) => 0,
            // Events leave their windows.
            None if view.definition.aggregates.is_some() => 0,
            None => return None,
        };
        let promised = now.saturating_sub(history);
        let step = STEP_MICROS_MIN.max(history / STEP_SHARE);
        (promised.saturating_sub(generation.horizon) >= step).then_some(promised)
    }

    /// Lets the store reclaim what is before every horizon.
    pub(crate) fn reclaim_history(&self) {
        for published in self.catalog().built() {
            for Generation { number, horizon, .. } in published.generations() {
                let id = GenerationId { view: published.view.id, number: *number };
                let moment = horizon.saturating_sub(LOOKUPS_END_MICROS);
                let event = first_event(&published.view, moment);
                self.store.rows.retain(id, Horizon { moment, event });
            }
        }
    }
}
