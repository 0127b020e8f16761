//! WHY: which fact answers for an entity at a moment, and why others do not.
//!
//! ```text
//! request -> keys       checked as a lookup checks them; exactly one entity
//!         -> facts      all of the entity's, from the source, pruned by key
//!         -> the rule   with its reasons (hitherto_core::why)
//!         -> online     the same question as a lookup, and whether it agrees
//! ```
//!
//! The source and the files of pushed facts are read and not the online store: they are
//! the truth, have facts that the store no longer keeps, and know no horizon.

use hitherto_api::why::{Online, OnlineAnswer, ShownFact};
use hitherto_api::{Explanation, Grant, KeyColumn, LookupRequest, Selection, WhyRequest};
use hitherto_core::catalog::{AppliedView, Reads};
use hitherto_core::column::{Column, Status};
use hitherto_core::key::OwnedPart;
use hitherto_core::reference::{FeatureRef, ViewRef};
use hitherto_core::row;
use hitherto_core::rule::{Absence, Moment, Times};
use hitherto_core::why::{Candidate, Finding, Inquiry, Verdict};
use hitherto_core::{Error, Result};
use hitherto_offline::entity::EntityScan;

use crate::Engine;
use crate::files::ViewFiles;
use crate::lookup::check_keys;
use crate::selection::Resolved;

impl Engine {
    /// Explains one view's answer for one entity. Reads the view's source; that
    /// costs a scan of what its statistics cannot rule out.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or a source without files; `Invalid` for
    /// keys that a lookup refuses or that are not those of one entity, or when
    /// the source no longer fits its definition; `Corrupt` or `Unavailable`
    /// from files and store.
    pub async fn why(&self, grant: &Grant, request: &WhyRequest, now: i64) -> Result<Explanation> {
        let all = FeatureRef { view: ViewRef::new(&request.view), feature: String::from("*") };
        let selection = Selection::Features(vec![all]);
        let resolved = Resolved::new(&self.catalog().registry, &selection)?;
        let view = &resolved.views[0].view;
        view.check_stored("explained")?;
        let parts = entity(&resolved, &request.keys)?;
        let moment = Moment {
            at: request.at.unwrap_or(now),
            known_by: request.known_by.unwrap_or(i64::MAX),
            known: request.known.unwrap_or(view.known()),
        };
        let mut inquiry = Inquiry::new(moment, view.definition.ttl_micros);
        let scan = match &parts {
            None => EntityScan::default(),
            Some(parts) => {
                let ViewFiles { source, pushed } = self.view_files(view)?;
                let show = |times: Times, row: &[u8], arrived: Option<i64>| {
                    inquiry.show_pushed(times, row, arrived);
                };
                self.offline.scan_entity(view, &source, &pushed, parts, show).await?
            }
        };
        let Finding { answer, candidates, counts } = inquiry.finish();
        let mut explanation = Explanation {
            view: view.name().to_owned(),
            at: moment.at,
            known_by: request.known_by,
            known: moment.known,
            ttl_micros: view.definition.ttl_micros,
            absence: if parts.is_none() { Some(Absence::NullKey) } else { answer.err() },
            columns: columns(&resolved, &candidates)?,
            candidates: candidates.iter().map(ShownFact::from).collect(),
            counts,
            facts_without_time: scan.without_time,
            online: Online::NotAsked,
        };
        if request.known_by.is_none() && moment.known == view.known() {
            let lookup = LookupRequest {
                selection,
                keys: request.keys.clone(),
                as_of: request.at,
                with_times: true,
            };
            explanation.online = self.ask_online(grant, view, &lookup, &explanation, now)?;
        }
        Ok(explanation)
    }

    fn ask_online(
        &self,
        grant: &Grant,
        view: &AppliedView,
        lookup: &LookupRequest,
        explanation: &Explanation,
        now: i64,
    ) -> Result<Online> {
        let horizon = match self.catalog().published.reads(view) {
            Reads::Own(published) => published.generation.horizon,
            Reads::Earlier(_) => return Ok(Online::EarlierDefinition),
            Reads::Nothing => return Ok(Online::Nothing),
        };
        if lookup.as_of.is_some_and(|at| at < horizon) {
            return Ok(Online::BeforeHorizon { horizon });
        }
        // `now` again, so that both sides answer for one moment.
        let found = self.lookup(grant, lookup, now)?;
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
