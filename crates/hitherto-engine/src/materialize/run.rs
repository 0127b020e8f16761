//! One run over one view: what to read, into which generation, and the commit.

use std::thread;

use hitherto_api::{MaterializeMode, MaterializeRequest, Materialized, Progress, Stage, TimeRange};
use hitherto_core::catalog::{AppliedView, Catalog, Generation, PublishedView, Reads};
use hitherto_core::rule::{ALWAYS, Moment};
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use hitherto_offline::sorted::SortedFacts;
use hitherto_offline::source::Shape;
use hitherto_online::{Beneath, GenerationId, Loaded, Reach};

use super::consumed::{Consumed, News};
use super::merge::{Merge, Merged};
use super::watermark::Watermark;
use crate::Engine;
use crate::local::{forget_consumed, keep_believed, keep_consumed};
use crate::push::{CaughtUp, Paused};

/// One run over one view.
pub(super) struct Run<'r> {
    pub view: &'r AppliedView,
    /// What lookups read of it when the run begins.
    reads: Reads<'r>,
    pub mode: MaterializeMode,
    pub now: i64,
    /// What will be read.
    pub files: Vec<SourceFile>,
    /// What will have been consumed after the run.
    consumed: Consumed,
    /// Whether facts are left out by their event time.
    is_restricted: bool,
    pub generation: GenerationId,
    pub horizon: i64,
    /// Whether the latest row alone is enough of an entity whose newest fact is visible: of
    /// a view that keeps no history, when no row from the future can come above it.
    pub is_latest_enough: bool,
}

/// The event times that are asked for; what has none is always among them.
pub fn window_of(view: &AppliedView, request: &MaterializeRequest) -> Option<TimeRange> {
    request.window.filter(|_| !view.definition.source.is_timeless())
}

impl<'r> Run<'r> {
    /// Decides what to read, and into which generation.
    pub async fn plan(
        engine: &Engine,
        catalog: &'r Catalog,
        view: &'r AppliedView,
        request: &MaterializeRequest,
        now: i64,
    ) -> Result<Self> {
        let before = engine.local().consumed(view.id)?;
        let reads = catalog.published.reads(view);
        let published = reads.own();
        let all = engine.offline.list_files(&view.definition)?;
        let News { new, has_lost, consumed } = before.compare(&all)?;
        let is_first = published.is_none();
        // Facts that depend on several rows cannot be computed from some alone.
        let window = window_of(view, request);
        let is_whole = (window.is_some() || !new.is_empty())
            && engine.offline.fact_query(view, &all, None).await?.shape == Shape::WholeSource;
        let is_restricted = window.is_some();
        if is_restricted && (is_whole || request.mode == MaterializeMode::Full) {
            let why = match is_whole {
                true => "its SQL looks at several rows",
                false => "a full build takes everything",
            };
            return Err(Error::invalid(format!(
                "feature view {:?} cannot be restricted by event time, because {why}; leave --from \
                 (in Python start=) and --to (in Python end=) out",
                view.name()
            )));
        }
        let is_asked = has_lost || is_whole || request.mode == MaterializeMode::Full;
        let is_full = is_first || is_asked && !is_restricted;
        let mode = if is_full { MaterializeMode::Full } else { MaterializeMode::Incremental };
        let files = if is_full || is_restricted { all } else { new };
        let consumed = match is_restricted {
            true => consumed.restricted(&before),
            false => consumed,
        };
        let number = match published {
            Some(published) if !is_full => published.generation.number,
            // The previous one may be the greater: it can have been gone back from.
            _ => {
                let kept = published.into_iter().flat_map(PublishedView::generations);
                kept.map(|generation| generation.number).max().unwrap_or(0) + 1
            }
        };
        let horizon = match (published, view.definition.online.history_micros) {
            _ if view.definition.source.is_always_visible() => ALWAYS,
            (Some(published), Some(_)) if !is_full => published.generation.horizon,
            // A clock that was set ahead takes no history away.
            (_, Some(history)) => engine.hear(now).saturating_sub(history),
            (_, None) => now,
        };
        let generation = GenerationId { view: view.id, number };
        let is_latest_enough = view.definition.online.history_micros.is_none()
            && view.definition.aggregates.is_none()
            && (is_full || engine.pause_if_settled(generation, now)?.is_some());
        Ok(Self {
            view,
            reads,
            mode,
            now,
            files,
            consumed,
            is_restricted,
            generation,
            horizon,
            is_latest_enough,
        })
    }

    /// The present, as lookups of the view see it.
    pub fn moment(&self) -> Moment {
        Moment::new(self.now, self.view.known())
    }

    pub fn up_to_date(&self) -> Materialized {
        let generation = self.reads.own().map(|published| &published.generation);
        Materialized {
            view: self.view.name().to_owned(),
            mode: self.mode,
            is_up_to_date: true,
            files: 0,
            facts: 0,
            facts_without_time: 0,
            facts_without_key: 0,
            entities: 0,
            history_rows: 0,
            file_bytes: 0,
            watermark: generation.and_then(Generation::newest_event),
            generation: generation.map_or(0, |generation| generation.number),
            warnings: Vec::new(),
        }
    }

    /// Moves sorted facts into the store, on all threads. `None` and nothing done if a row
    /// from the future was pushed meanwhile, for which they need their history.
    pub async fn load(
        &mut self,
        engine: &Engine,
        facts: &mut SortedFacts,
        progress: &dyn Progress,
    ) -> Result<Option<(Merged, Loaded)>> {
        let beneath = match self.mode {
            MaterializeMode::Incremental => Beneath::Rows,
            MaterializeMode::Full => {
                // Rows of a full run that was killed before its commit.
                engine.store.rows.drop_generation(self.generation)?;
                Beneath::Nothing
            }
        };
        let load = engine.store.rows.load(self.generation, beneath)?;
        let merge = |run| {
            let snapshot = engine.store.rows.snapshot(Reach::Disk, &[self.generation]);
            Merge::new(&*self, &*snapshot, load.part()?).take(run)
        };
        let mut merged = Merged::default();
        let parts = facts.parts_left();
        progress.stage(self.view.name(), Stage::Sorting);
        loop {
            let runs = facts.next_runs();
            if runs.is_empty() {
                break;
            }
            merged = thread::scope(|scope| {
                let threads: Vec<_> =
                    runs.into_iter().map(|run| scope.spawn(|| merge(run))).collect();
                let broken = |_| Err(Error::internal("a merge broke off, with the words above"));
                threads.into_iter().try_fold(merged, |merged, thread| {
                    Ok::<_, Error>(merged.and(&thread.join().unwrap_or_else(broken)?))
                })
            })?;
            let done = parts - facts.parts_left();
            progress.stage(self.view.name(), Stage::Writing { done, parts });
            // Whoever wants it to end can have it dropped here.
            tokio::task::yield_now().await;
        }
        if self.mode == MaterializeMode::Full {
            return Ok(Some((merged, load.finish()?)));
        }
        let paused = match self.is_latest_enough {
            true => engine.pause_if_settled(self.generation, self.now)?,
            false => None,
        };
        if let Some(paused) = &paused {
            // What was pushed meanwhile was not visible when the run began.
            self.horizon = self.horizon.max(paused.visible_by());
        } else if std::mem::take(&mut self.is_latest_enough) {
            return Ok(None);
        }
        self.move_horizon(engine)?;
        Ok(Some((merged, load.finish()?)))
    }

    /// Lets nobody ask any more for moments that the rows to come do not answer.
    fn move_horizon(&self, engine: &Engine) -> Result<()> {
        match self.reads.own() {
            Some(old) if old.generation.horizon < self.horizon => {
                let mut moved = old.clone();
                moved.generation.horizon = self.horizon;
                engine.commit(engine.catalog().publish([moved]), Vec::new()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Says whether what was loaded may replace what readers see.
    ///
    /// # Errors
    /// `Conflict` when it differs by more than the view's definition allows.
    pub fn check(&self, engine: &Engine, merged: &Merged) -> Result<()> {
        if self.mode == MaterializeMode::Incremental {
            return Ok(());
        }
        merged.figures.check(&self.consumed.figures, self.view).inspect_err(|_| {
            let dropped = engine.store.rows.drop_generation(self.generation);
            dropped.unwrap_or_else(|error| tracing::warn!(%error, "refused rows stay for now"));
        })
    }

    /// Makes what was loaded the view's copy. A new generation has all pushes, which
    /// are `paused` until then, and the one before it stays to be gone back to.
    pub fn commit(
        mut self,
        engine: &Engine,
        facts: &SortedFacts,
        (merged, loaded): (Merged, Loaded),
        paused: Option<Paused<'_, CaughtUp>>,
    ) -> Result<Materialized> {
        let count = facts.count();
        let generation = Generation {
            number: self.generation.number,
            horizon: self.horizon,
            watermark: merged.watermark.time(),
            // Those of a range are counted by the run that consumes their files.
            facts: if self.is_restricted { 0 } else { count.facts() },
            entities: merged.entities_new,
            materialized_at: self.now,
            pushed: 0,
        };
        self.consumed.figures = match self.mode {
            MaterializeMode::Full => merged.figures,
            MaterializeMode::Incremental => merged.figures.and(&self.consumed.figures),
        };
        let mut changes =
            vec![keep_consumed(self.view.id, &self.consumed)?, keep_believed(engine.believed())?];
        if paused.is_some() {
            changes.push(engine.local().consumed_before(self.view.id)?);
        }
        // What an earlier definition had has been read until now.
        let earlier = self.reads.earlier();
        changes.extend(earlier.into_iter().flat_map(|earlier| forget_consumed(earlier.view.id)));
        let published = self.published(generation, paused.as_ref().map(Paused::end));
        let watermark = published.generation.newest_event();
        engine.commit(engine.catalog().publish([published]), changes)?;
        earlier.map_or(Ok(()), |earlier| engine.drop_generations(earlier))?;
        if let Some(paused) = paused {
            paused.flipped();
            if let Some(older) = self.reads.own().and_then(|own| own.previous.as_ref()) {
                let older = GenerationId { view: self.view.id, number: older.number };
                engine.store.rows.drop_generation(older)?;
            }
        }
        engine.reclaim_history();
        Ok(Materialized {
            is_up_to_date: false,
            files: self.files.len() as u64,
            facts: count.facts(),
            facts_without_time: count.without_time(),
            facts_without_key: count.without_key(),
            entities: merged.entities,
            history_rows: loaded.history_rows + loaded.event_rows,
            file_bytes: loaded.file_bytes,
            watermark,
            generation: self.generation.number,
            ..self.up_to_date()
        })
    }

    /// What is published after the run, of which a new generation has the pushed batches up
    /// to `pushed`.
    fn published(&self, generation: Generation, pushed: Option<u64>) -> PublishedView {
        let (generation, previous) = match (pushed, self.reads.own().cloned()) {
            (Some(pushed), old) => {
                let old = old.map(|old| Generation { pushed, ..old.generation });
                (Generation { pushed, ..generation }, old)
            }
            (None, Some(PublishedView { generation: old, previous, .. })) => {
                let mut watermark = Watermark::default();
                watermark.add(generation.watermark, self.now);
                watermark.add(old.watermark, self.now);
                let grown = Generation {
                    watermark: watermark.time(),
                    facts: generation.facts + old.facts,
                    entities: generation.entities + old.entities,
                    pushed: old.pushed,
                    ..generation
                };
                (grown, previous)
            }
            (None, None) => (generation, None),
        };
        PublishedView { view: self.view.clone(), generation, previous }
    }
}
