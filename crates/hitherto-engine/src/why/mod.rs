//! WHY: which fact answers for an entity at a moment, or which events count, and why others
//! do not.
//!
//! ```text
//! request -> keys       checked as a lookup checks them; exactly one entity
//!         -> facts      all of the entity's, from the source, pruned by key
//!         -> the rule   with its reasons: of a fact  (hitherto_core::why)
//!                                         of events  (hitherto_core::aggregate)
//!         -> online     the same question as a lookup, and whether it agrees
//! ```
//!
//! The source and the files of pushed facts are read and not the online store: they are
//! the truth, have facts that the store no longer keeps, and know no horizon.

mod events;

use hitherto_api::why::{Online, OnlineAnswer, ShownFact};
use hitherto_api::{Explanation, Grant, KeyColumn, LookupRequest, Selection, WhyRequest};
use hitherto_core::aggregate::AggregatePlan;
use hitherto_core::catalog::{AppliedView, Reads, Registry};
use hitherto_core::column::{Column, Status};
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::{WHY_CANDIDATES_DEFAULT, WHY_CANDIDATES_MAX};
use hitherto_core::reference::{FeatureRef, ViewRef};
use hitherto_core::row;
use hitherto_core::rule::{Absence, Moment, Times};
use hitherto_core::why::{Candidate, Counts, Finding, Inquiry, Verdict};
use hitherto_core::{Error, Result};

use crate::Engine;
use crate::files::ViewFiles;
use crate::lookup::check_keys;
use crate::selection::{Resolved, Source};

impl Engine {
    /// Explains one view's answer for one entity. Reads the view's source; that
    /// costs a scan of what its statistics cannot rule out.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or feature or a source without files; `Invalid` for
    /// keys that a lookup refuses or that are not those of one entity, for a view whose
    /// features are explained one by one when none is named, or when the source no longer
    /// fits its definition; `Corrupt` or `Unavailable` from files and store.
    pub async fn why(&self, grant: &Grant, request: &WhyRequest, now: i64) -> Result<Explanation> {
        let asked = Asked::new(&self.catalog().registry, request, now)?;
        let mut explanation = match asked.plan() {
            None => self.explain_fact(&asked).await?,
            Some(plan) => self.explain_events(&asked, &plan).await?,
        };
        if asked.parts.is_none() {
            explanation.absence = Some(Absence::NullKey);
        }
        if request.known_by.is_none() && asked.moment.known == asked.view().known() {
            explanation.online = self.ask_online(grant, &asked, &explanation, now)?;
        }
        Ok(explanation)
    }

    /// Which fact answers.
    async fn explain_fact(&self, asked: &Asked<'_>) -> Result<Explanation> {
        let ttl_micros = asked.view().definition.ttl_micros;
        let mut inquiry = Inquiry::new(asked.moment, ttl_micros, asked.most);
        let facts_without_time = self
            .show_facts(asked, |times, row, arrived| {
                inquiry.show(times, row, arrived);
                Ok(())
            })
            .await?;
        let Finding { answer, candidates, counts } = inquiry.finish();
        Ok(Explanation {
            absence: answer.err(),
            columns: columns(&asked.resolved, &candidates)?,
            candidates: candidates.iter().map(ShownFact::from).collect(),
            counts,
            facts_without_time,
            ..asked.explanation()
        })
    }

    /// Shows every fact of the entity, and says how many have no event time.
    async fn show_facts(
        &self,
        asked: &Asked<'_>,
        show: impl FnMut(Times, &[u8], Option<i64>) -> Result<()>,
    ) -> Result<u64> {
        let Some(parts) = &asked.parts else { return Ok(0) };
        let ViewFiles { source, pushed } = self.view_files(asked.view())?;
        let scan = self.offline.scan_entity(asked.view(), &source, &pushed, parts, show);
        Ok(scan.await?.without_time)
    }

    fn ask_online(
        &self,
        grant: &Grant,
        asked: &Asked<'_>,
        explanation: &Explanation,
        now: i64,
    ) -> Result<Online> {
        let horizon = match self.catalog().published.reads(asked.view()) {
            Reads::Own(published) => published.generation.horizon,
            Reads::Earlier(_) => return Ok(Online::EarlierDefinition),
            Reads::Nothing => return Ok(Online::Nothing),
        };
        let WhyRequest { keys, at, .. } = asked.request;
        if at.is_some_and(|at| at < horizon) {
            return Ok(Online::BeforeHorizon { horizon });
        }
        let lookup = LookupRequest {
            selection: asked.selection.clone(),
            keys: keys.clone(),
            request: Vec::new(),
            as_of: *at,
            with_times: true,
        };
        // `now` again, so that both sides answer for one moment.
        let found = self.lookup(grant, &lookup, now)?;
        let times = found.times.first().and_then(|view| view.times.first().copied().flatten());
        let is_expired = |column: &Column| column.status(0) == Status::Expired;
        let answered = times.filter(|_| !found.columns.iter().any(is_expired));
        Ok(Online::Answers(OnlineAnswer {
            event: answered.map(|times| times.event),
            known: answered.map(|times| times.known),
            agrees: agrees(explanation, times, &found.columns),
            columns: found.columns,
        }))
    }
}

/// A request with every name found.
struct Asked<'r> {
    request: &'r WhyRequest,
    /// All features of the view, or the one that is computed.
    selection: Selection,
    resolved: Resolved,
    /// The entity, a part for each join key in declared order; `None` if one is null.
    parts: Option<Vec<OwnedPart>>,
    moment: Moment,
    /// Facts of each sort that are listed.
    most: usize,
}

impl<'r> Asked<'r> {
    fn new(registry: &Registry, request: &'r WhyRequest, now: i64) -> Result<Self> {
        let most = request.facts.unwrap_or(WHY_CANDIDATES_DEFAULT);
        if !(1..=WHY_CANDIDATES_MAX).contains(&most) {
            return Err(Error::invalid(format!(
                "{most} facts of each sort cannot be listed; ask for 1 to {WHY_CANDIDATES_MAX}"
            )));
        }
        let view = registry.view(&request.view)?;
        let feature = match view.definition.aggregates {
            None => String::from("*"),
            Some(_) => events::feature(view, request.feature.as_deref())?,
        };
        let reference = FeatureRef { view: ViewRef::new(&request.view), feature };
        let selection = Selection::Features(vec![reference]);
        let resolved = Resolved::new(registry, &selection)?;
        let moment = Moment {
            at: request.at.unwrap_or(now),
            known_by: request.known_by.unwrap_or(i64::MAX),
            known: request.known.unwrap_or(view.known()),
        };
        let parts = entity(&resolved, &request.keys)?;
        Ok(Self { request, selection, resolved, parts, moment, most })
    }

    fn view(&self) -> &AppliedView {
        &self.resolved.views[0].view
    }

    /// How the one feature is computed, if it is.
    fn plan(&self) -> Option<AggregatePlan> {
        let Source::View { feature, .. } = self.resolved.features[0].source else { return None };
        AggregatePlan::new(self.view(), &[feature])
    }

    /// An explanation of what was asked, without an answer.
    fn explanation(&self) -> Explanation {
        Explanation {
            view: self.view().name().to_owned(),
            at: self.moment.at,
            known_by: self.request.known_by,
            known: self.moment.known,
            ttl_micros: self.view().definition.ttl_micros,
            absence: None,
            candidates: Vec::new(),
            columns: Vec::new(),
            counts: Counts::default(),
            aggregate: None,
            facts_without_time: 0,
            online: Online::NotAsked,
        }
    }
}

/// The one entity that `keys` name, its parts in the view's order; `None` if
/// one is null.
fn entity(resolved: &Resolved, keys: &[KeyColumn]) -> Result<Option<Vec<OwnedPart>>> {
    let entities = check_keys(resolved, keys)?;
    if entities != 1 {
        return Err(Error::invalid(format!(
            "the keys name {entities} entities; one answer is explained at a time, so give each \
             join key one value"
        )));
    }
    let part = |name: &str| keys.iter().find(|key| key.name == name)?.parts[0].clone();
    Ok(resolved.views[0].keys.iter().map(|key| part(&key.name)).collect())
}

/// The values of candidates, a row each. A deletion has none.
fn columns(resolved: &Resolved, candidates: &[Candidate]) -> Result<Vec<Column>> {
    let view = &resolved.views[0].view;
    let schema = view.row_schema();
    let features = resolved.features.iter().zip(&view.definition.features);
    let mut columns: Vec<Column> = features
        .map(|(feature, field)| {
            let name = feature.reference.column();
            Column::with_capacity(name, field.data_type.clone(), candidates.len())
        })
        .collect();
    for candidate in candidates {
        let row = schema.read(&candidate.row)?;
        for (feature, column) in columns.iter_mut().enumerate() {
            match row::is_deletion(&candidate.row) {
                true => column.push_absent(Status::NotFound),
                false => column.push_row(&row, feature)?,
            }
        }
    }
    Ok(columns)
}

/// Whether a lookup's answer is the explained one.
fn agrees(explanation: &Explanation, times: Option<Times>, online: &[Column]) -> bool {
    if let Some(aggregate) = &explanation.aggregate {
        return aggregate.answer.is_same(0, &online[0], 0);
    }
    let absence = explanation.absence.map(Absence::status);
    let Some(answer) = explanation.answer() else {
        let is_absent = |column: &Column| Some(column.status(0)) == absence;
        let has_expired = |times: Times| {
            explanation.candidates.iter().any(|fact| {
                fact.verdict == Verdict::Expired
                    && (Times { event: fact.event, known: fact.known }) == times
            })
        };
        return times.is_none_or(has_expired) && online.iter().all(is_absent);
    };
    let ShownFact { event, known, .. } = explanation.candidates[answer];
    let mut pairs = explanation.columns.iter().zip(online);
    times == Some(Times { event, known })
        && pairs.all(|(offline, online)| offline.is_same(answer, online, 0))
}
