//! MATERIALIZE: source files to rows in the online store.
//!
//! ```text
//! files    listed and fingerprinted; an incremental run takes new ones; where a
//!          consumed one changed or is gone, as on request, all are taken into a
//!          new generation
//! facts    scanned, encoded, sorted by entity, newest first (offline::sorted)
//! latest   the first fact of each entity, if it is greater than the one stored
//! history  every fact visible after the horizon, and the one that answers at it
//! load     sorted files, ingested
//! commit   one write: generation, watermark, consumed files
//! ```
//!
//! A new generation is also given every fact that was pushed ([`crate::push`]), and the
//! one that it replaces stays, so that one can go back to it at once.
//!
//! **Order does not matter.** A row replaces another only if the rule ranks it
//! higher, so any files in any order, any number of times, give one state. A
//! run that is killed before its commit is simply run again.
//!
//! **The horizon** is `now - online.history` when a generation is built (`now`
//! for a view that keeps none). Between horizon and now every answer is exact:
//! a moment's winner is either the fact that answered at the horizon or one
//! that became visible after it, and history keeps both. Facts that are not
//! yet visible are kept with the one that answers until they are. Of a view whose features are
//! computed of events, every event is kept that is in a window of a moment from the horizon on,
//! with those of its versions that answer.
//!
//! | module     | what it owns                                            |
//! | ---------- | -------------------------------------------------------- |
//! | `consumed` | which files a view's online copy holds                   |
//! | `run`      | one run over one view: what to read, and the commit      |
//! | `merge`    | which facts of an entity are stored                      |
//! | `figures`  | by how much two generations differ                       |
//! | `watermark` | how far facts go                                        |

mod consumed;
mod figures;
mod merge;
mod run;
mod watermark;

use hitherto_api::{
    Grant, MaterializeMode, MaterializeRequest, Materialized, Progress, RolledBack, Stage,
    TimeRange,
};
use hitherto_core::aggregate::AggregatePlan;
use hitherto_core::catalog::{AppliedView, Catalog, Generation, PublishedView};
use hitherto_core::key::EventKey;
use hitherto_core::limits::PUSH_GROUP_BYTES_MAX;
use hitherto_core::{Error, Result};
use hitherto_offline::sorted::SortedRun;
use hitherto_offline::source::FactQuery;
use hitherto_online::GenerationId;

use self::run::Run;
use crate::Engine;
use crate::push::{FactBytes, read};

pub(crate) use consumed::Consumed;

impl Engine {
    /// Materializes views, one after the other.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or a source without files; `Invalid`
    /// when a source no longer fits its definition or cannot be restricted in time;
    /// `Conflict` when a new generation
    /// differs by more than its definition allows; `Corrupt` or `Unavailable` from
    /// files and store. Views done before the error stay done.
    pub async fn materialize(
        &self,
        _: &Grant,
        request: &MaterializeRequest,
        now: i64,
        progress: &dyn Progress,
    ) -> Result<Vec<Materialized>> {
        let _writer = self.writer.lock().await;
        let catalog = self.catalog();
        if catalog.registry.views.is_empty() {
            return Err(Error::not_found(
                "no feature view is applied; run `hitherto apply` (in Python store.apply()) first",
            ));
        }
        let views: Vec<&AppliedView> = match request.views.as_slice() {
            [] => catalog.registry.views.iter().collect(),
            names => names.iter().map(|name| catalog.registry.view(name)).collect::<Result<_>>()?,
        };
        let mut done = Vec::with_capacity(views.len());
        for view in views {
            let materialized =
                self.materialize_view(&catalog, view, request, now, progress).await?;
            progress.end(view.name(), materialized.facts);
            done.push(materialized);
        }
        Ok(done)
    }

    async fn materialize_view(
        &self,
        catalog: &Catalog,
        view: &AppliedView,
        request: &MaterializeRequest,
        now: i64,
        progress: &dyn Progress,
    ) -> Result<Materialized> {
        let mut run = Run::plan(self, catalog, view, request, now).await?;
        if run.files.is_empty() {
            progress.begin(view.name(), 0);
            return Ok(run.up_to_date());
        }
        // What was pushed is in the generation that an incremental run adds to.
        let kept = match run.mode {
            MaterializeMode::Full => Some(self.keep_pushes(view)?),
            MaterializeMode::Incremental => None,
        };
        let pushed = kept.as_ref().map_or(&[][..], |kept| &kept.files);
        let rows = self.offline.count_rows(&run.files)? + self.offline.count_rows(pushed)?;
        progress.begin(view.name(), rows);
        let first = first_event(view, run.horizon);
        let window = run::window_of(view, request).unwrap_or(TimeRange::ALL);
        let window = TimeRange { from: window.from.max(first), ..window };
        let mut queries = vec![self.offline.all_facts(view, &run.files).await?.within(window)];
        queries.extend(self.offline.pushed_queries(view, pushed)?);
        let warnings = queries.iter().find_map(FactQuery::read_as_utc).into_iter().collect();
        let advance = |facts| progress.advance(view.name(), facts);
        let (facts, merged) = loop {
            progress.stage(view.name(), Stage::Reading);
            let mut facts = self.offline.sort_facts(view, &queries, run.horizon, advance).await?;
            if let Some(merged) = run.load(self, &mut facts, progress).await? {
                break (facts, merged);
            }
        };
        progress.stage(view.name(), Stage::Committing);
        if !request.force {
            run.check(self, &merged.0)?;
        }
        let paused =
            kept.as_ref().map(|kept| self.pause_caught_up(view, run.generation.number, kept.from));
        let done = run.commit(self, &facts, merged, paused.transpose()?)?;
        Ok(Materialized { warnings, ..done })
    }

    /// Goes back to the generation before the one that readers see, which becomes the
    /// previous one. What was pushed since is in both.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or one without a previous generation; `Corrupt` or
    /// `Unavailable` from the store.
    pub async fn rollback(&self, _: &Grant, name: &str) -> Result<RolledBack> {
        let _writer = self.writer.lock().await;
        let catalog = self.catalog();
        let view = catalog.registry.view(name)?;
        let published = catalog.published.reads(view).own();
        let Some((published, to)) = published.and_then(|one| Some((one, one.previous.as_ref()?)))
        else {
            return Err(Error::not_found(format!(
                "feature view {name:?} has no previous generation; only a build of a new one, as \
                 with `hitherto materialize --full`, leaves one behind"
            )));
        };
        let kept = self.keep_pushes(view)?;
        let missed = self.offline.pushed_queries(view, &kept.files_since(to.pushed))?;
        if !missed.is_empty() {
            let mut facts = self.offline.sort_facts(view, &missed, i64::MIN, |_| {}).await?;
            loop {
                let runs = facts.next_runs();
                if runs.is_empty() {
                    break;
                }
                runs.into_iter().try_for_each(|run| self.put_run(view, to.number, run))?;
            }
        }
        let paused = self.pause_caught_up(view, to.number, kept.from)?;
        let pushed = paused.end();
        let [from, to] =
            [&published.generation, to].map(|one| Generation { pushed, ..one.clone() });
        let rolled_back = RolledBack { view: name.to_owned(), from: from.number, to: to.number };
        let changes = self.local().exchanged(view.id)?.into();
        let back = PublishedView { view: view.clone(), generation: to, previous: Some(from) };
        self.commit(catalog.publish([back]), changes)?;
        paused.flipped();
        Ok(rolled_back)
    }

    /// Puts sorted facts, many at a time.
    fn put_run(&self, view: &AppliedView, number: u32, run: SortedRun) -> Result<()> {
        let mut pending = FactBytes::default();
        let is_of_events = view.definition.aggregates.is_some();
        run.visit(&mut |key, _, row| {
            let event = EventKey::split(key).filter(|_| is_of_events);
            pending.push(event.map_or(key, |event| event.entity), row);
            if pending.as_bytes().len() < PUSH_GROUP_BYTES_MAX {
                return Ok(());
            }
            let full = std::mem::take(&mut pending);
            self.put(view, number, &read(full.as_bytes())?.facts)
        })?;
        self.put(view, number, &read(pending.as_bytes())?.facts)
    }

    /// Removes all rows of a view that is published no more.
    pub(crate) fn drop_generations(&self, published: &PublishedView) -> Result<()> {
        published.generations().try_for_each(|generation| {
            let id = GenerationId { view: published.view.id, number: generation.number };
            self.store.rows.drop_generation(id)
        })
    }
}

/// The earliest event time that counts at any moment from `moment` on, of a view whose features
/// are computed of events.
pub(crate) fn first_event(view: &AppliedView, moment: i64) -> i64 {
    let plan = AggregatePlan::of_all(view);
    let reach = plan.and_then(|plan| plan.reach_micros());
    reach.map_or(i64::MIN, |reach| moment.saturating_sub(reach))
}
