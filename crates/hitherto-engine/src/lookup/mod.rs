//! LOOKUP: entity keys in, feature columns out.
//!
//! ```text
//! request -> plan          names to views, offsets and positions; a service's
//!                          plan is compiled when the catalog changes
//!         -> keys          each entity encoded once for each set of join keys
//!         -> read_latest   one batch over all views, from one snapshot
//!         -> the rule      the latest row answers if the moment sees it;
//!                          otherwise one seek into its history
//!         -> events        of views whose features are computed of them: those in the
//!                          windows, one seek an entity, shown to the rule
//!         -> columns       values copied at their offsets, a status each
//!         -> on demand     what is computed of them and of what the request brings
//! ```
//!
//! A latest row is the greatest fact of its entity. A moment that does not see
//! it (an `as_of` in the past, or a fact that becomes known tomorrow) is
//! answered from history, which keeps every fact that can still answer between
//! the generation's horizon and now. Before the horizon nothing is complete,
//! so that is refused rather than guessed.
//!
//! A view whose definition changed so that its rows are built anew is answered from the copy
//! that it had, under the definition of that copy, until it has another.
//!
//! | module     | what it owns                                            |
//! | ---------- | -------------------------------------------------------- |
//! | `snapshot` | what readers see: one catalog and its compiled plans     |
//! | `plan`     | names turned into ids, layouts and positions             |
//! | `read`     | the store's rows for one request, and the rule on them   |
//! | `compute`  | the same where features are computed of events           |
//! | `counts`   | what was found, view by view                             |

mod compute;
mod counts;
mod plan;
mod read;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hitherto_api::{AskedEntity, Grant, KeyColumn, Lookup, LookupRequest, Selection, ViewTimes};
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::Column;
use hitherto_core::definition::Field;
use hitherto_core::limits::LOOKUP_TEXT_BYTES_MAX;
use hitherto_core::row::Gather;
use hitherto_core::rule::{Absence, Answer, Times};
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_online::{GenerationId, Reach, Snapshot as StoreSnapshot};

use self::plan::{LookupPlan, ViewPlan};
use self::read::Reader;
use crate::Engine;
use crate::on_demand::{Compiled, ask};
use crate::selection::Resolved;

pub use counts::{AGE_SECONDS, AllCounts, OnDemandCounters, ViewCounts};
pub use snapshot::Snapshot;

impl Engine {
    /// Looks up features of many entities, at `request.as_of` or else `now`.
    ///
    /// Blocks for storage I/O on a cache miss. One unknown entity, or one with
    /// a null key, never fails the others.
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature; `Invalid` for wrong
    /// keys, too much at once, or an `as_of` before a view's history begins;
    /// `Unavailable` for what is not online yet; `Corrupt` or `Unavailable` from the
    /// store.
    pub fn lookup(&self, grant: &Grant, request: &LookupRequest, now: i64) -> Result<Lookup> {
        self.lookup_until(grant, request, now, &AtomicBool::new(false))
    }

    /// As [`Engine::lookup`], but ends soon after `is_over` turns true: nobody
    /// waits for the answer any more.
    ///
    /// # Errors
    /// As [`Engine::lookup`]; `Unavailable` when it ended so.
    pub fn lookup_until(
        &self,
        _: &Grant,
        request: &LookupRequest,
        now: i64,
        is_over: &AtomicBool,
    ) -> Result<Lookup> {
        loop {
            let moment = self.moment(Reach::Disk, &request.selection)?;
            let answer = moment.lookup(request, now, is_over)?;
            if self.still_has(&moment) {
                return Ok(answer);
            }
        }
    }

    /// As [`Engine::lookup`], but never waits for a disk and looks up no more than
    /// `values_max` values: `None` when a row is not in memory, or they are more.
    ///
    /// # Errors
    /// As [`Engine::lookup`].
    pub fn lookup_in_memory(
        &self,
        _: &Grant,
        request: &LookupRequest,
        now: i64,
        values_max: usize,
    ) -> Result<Option<Lookup>> {
        let moment = self.moment(Reach::Memory, &request.selection)?;
        if moment.plan.layout.columns().saturating_mul(request.entities()) > values_max {
            return Ok(None);
        }
        match moment.lookup(request, now, &AtomicBool::new(false)) {
            Err(_) if moment.store.is_out_of_reach() => Ok(None),
            Ok(_) if !self.still_has(&moment) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// How many values a request asks for: entities times features.
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature.
    pub fn count_values(&self, _: &Grant, request: &LookupRequest) -> Result<usize> {
        let plan = self.catalog.load().plan(&request.selection)?;
        Ok(plan.layout.columns().saturating_mul(request.entities()))
    }

    /// What lookups of a selection bring beside join keys.
    ///
    /// # Errors
    /// As [`Engine::count_values`].
    pub fn request_fields(&self, _: &Grant, selection: &Selection) -> Result<Vec<Field>> {
        let catalog = self.catalog.load();
        match catalog.catalog.registry.on_demand.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(catalog.plan(selection)?.layout.request.clone()),
        }
    }

    /// What lookups have found in a view since the engine was opened.
    pub fn view_counts(&self, view: &AppliedView) -> ViewCounts {
        let catalog = self.catalog();
        let published = catalog.published.of(view.name());
        self.counts.read(published.map_or(view, |published| &published.view).id)
    }

    /// Values that lookups did not have of on-demand features since the engine was opened, by
    /// view and feature.
    pub fn on_demand_counts(&self) -> BTreeMap<(String, String), Arc<OnDemandCounters>> {
        self.counts.on_demand()
    }

    /// How lookups of a selection are answered, for a log: views with what is read
    /// of them, no keys and no values.
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature.
    pub fn describe_lookup(&self, _: &Grant, selection: &Selection) -> Result<String> {
        Ok(self.catalog.load().plan(selection)?.to_string())
    }

    /// Whom a training set of a selection is about.
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature.
    pub fn entities_of(&self, _: &Grant, selection: &Selection) -> Result<Vec<AskedEntity>> {
        Ok(Resolved::new(&self.catalog().registry, selection)?.entities())
    }

    /// Plan and store of one moment. A generation is complete before a catalog names
    /// it and goes after the last that did, so the store of a moment has all that
    /// its catalog names.
    fn moment(&self, reach: Reach, selection: &Selection) -> Result<At<'_>> {
        loop {
            let catalog = self.catalog.load();
            let plan = catalog.plan(selection)?;
            let store = self.store.rows.snapshot(reach, &plan.generations);
            if Arc::ptr_eq(&catalog, &self.catalog.load()) {
                return Ok(At { plan, store, catalog_version: catalog.catalog.version });
            }
        }
    }
}

impl Engine {
    /// Whether the store had all rows of a moment to the end. Whole files go when the last
    /// catalog that named them has gone, whoever still reads them.
    fn still_has(&self, moment: &At<'_>) -> bool {
        let now = &self.catalog.load().catalog;
        let is_named = |id: &GenerationId| {
            let mut views = now.published.views().filter(|published| published.view.id == id.view);
            views.any(|published| published.generations().any(|one| one.number == id.number))
        };
        now.version == moment.catalog_version || moment.plan.generations.iter().all(is_named)
    }
}

/// What one lookup reads: a plan, and the store that has what it names.
struct At<'e> {
    plan: Arc<LookupPlan>,
    store: Box<dyn StoreSnapshot + 'e>,
    catalog_version: u64,
}

impl At<'_> {
    fn lookup(&self, request: &LookupRequest, now: i64, is_over: &AtomicBool) -> Result<Lookup> {
        let plan = &*self.plan;
        let (entities, rows) = plan.encode(&request.keys, &request.request)?;
        let at = request.as_of.unwrap_or(now);
        let asked = ask(&plan.layout, &request.request, at, rows)?;
        check_online(plan, request.as_of)?;

        let mut columns: Vec<Column> =
            plan.layout.stored.iter().map(|output| output.column(rows)).collect();
        let mut times = Vec::new();
        let mut counts = vec![ViewCounts::default(); plan.views.len()];
        let reader = Reader { plan, entities: &entities, store: &*self.store, at, is_over };
        reader.read_all(rows, |index, answers, of_facts| {
            let view = &plan.views[index];
            counts[index].count(answers, at, &view.asked)?;
            if request.with_times {
                record_times(&mut times, &plan.views, index, of_facts);
            }
            push_answers(&mut columns, view, answers)?;
            check_size(&columns)
        })?;
        for (index, view) in plan.views.iter().enumerate() {
            let Some(how) = view.computed.as_ref().filter(|_| !view.features.is_empty()) else {
                continue;
            };
            let computed = reader.compute(view, how, rows, check_size)?;
            counts[index].count_computed(&computed);
            if request.with_times {
                record_times(&mut times, &plan.views, index, &vec![None; rows]);
            }
            for ((_, output), column) in view.features.iter().zip(computed.columns) {
                let name = std::mem::take(&mut columns[*output].name);
                columns[*output] = Column { name, ..column };
            }
        }
        for (column, output) in columns.iter_mut().zip(&plan.layout.stored) {
            output.default.iter().try_for_each(|default| column.fill(default))?;
        }
        if !plan.layout.is_plain() {
            columns = asked.answer(&plan.layout, columns, |step, reasons| {
                plan.on_demand[step].add(reasons);
            })?;
        }
        check_size(&columns)?;
        let times = shown(times, &plan.views);
        plan.views.iter().zip(&counts).for_each(|(view, counts)| view.counters.add(counts));
        let (catalog_version, entities) = (self.catalog_version, Arc::clone(&plan.asked));
        Ok(Lookup { at, rows, columns, times, catalog_version, entities })
    }
}

/// Checks join keys as a lookup of these features does, and counts the entities
/// that they name.
///
/// # Errors
/// `Invalid` for keys that a lookup refuses.
pub(crate) fn check_keys(resolved: &Resolved, keys: &[KeyColumn]) -> Result<usize> {
    let plan = LookupPlan::new(resolved, &AllCounts::default(), &Compiled::default())?;
    Ok(plan.encode(keys, &[])?.1)
}

/// Refuses a view of which nothing is online, and a moment before its history:
/// a model that is fed nulls in silence is worse off than one that is told.
fn check_online(plan: &LookupPlan, as_of: Option<i64>) -> Result<()> {
    for ViewPlan { view, online, .. } in &plan.views {
        let Some((_, horizon)) = online else {
            return Err(Error::unavailable(format!(
                "nothing of feature view {view:?} is online yet; run `hitherto materialize {view}` \
                 (in Python store.materialize([{view:?}]))"
            )));
        };
        if let Some(at) = as_of.filter(|at| at < horizon) {
            return Err(Error::invalid(format!(
                "feature view {view:?} keeps history back to {} and cannot answer as of {}; ask \
                 later, or lengthen online.history, apply and materialize",
                format_timestamp(*horizon),
                format_timestamp(at)
            )));
        }
    }
    Ok(())
}

/// Refuses an answer whose text has grown beyond what is sent: values of fixed
/// width are bounded by their number, text is not.
fn check_size(columns: &[Column]) -> Result<()> {
    let bytes: usize = columns.iter().map(Column::varlen_bytes).sum();
    if bytes > LOOKUP_TEXT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the answer has more than {LOOKUP_TEXT_BYTES_MAX} bytes of strings, binaries and \
             lists; ask for fewer entities or features at a time"
        )));
    }
    Ok(())
}

/// Copies answers column by column: the offset is found once for all rows.
fn push_answers(columns: &mut [Column], view: &ViewPlan, answers: &[Answer<'_>]) -> Result<()> {
    let mut rows = Gather::with_capacity(&view.schema, answers.len());
    for answer in answers {
        rows.push(answer.map_err(Absence::status))?;
    }
    view.features.iter().try_for_each(|(feature, output)| columns[*output].extend(&rows, *feature))
}

/// Times of views of which nothing is asked for are not told.
fn shown(times: Vec<ViewTimes>, views: &[ViewPlan]) -> Vec<ViewTimes> {
    let times = times.into_iter().zip(views).filter(|(_, view)| view.is_shown);
    times.map(|(times, _)| times).collect()
}

fn record_times(
    times: &mut Vec<ViewTimes>,
    views: &[ViewPlan],
    view: usize,
    of_facts: &[Option<Times>],
) {
    while times.len() <= view {
        times.push(ViewTimes { view: views[times.len()].name.clone(), times: Vec::new() });
    }
    times[view].times.extend_from_slice(of_facts);
}
