//! Explanations of an answer.

use super::key;
use crate::v1::{self, why_response::Online as Wire};
use hitherto_api::why::{ExplainedAggregate, Online, OnlineAnswer, ShownFact};
use hitherto_api::{Explanation, KeyColumn, WhyRequest};
use hitherto_core::aggregate::{EventCounts, Reason};
use hitherto_core::column::Column;
use hitherto_core::definition::Known;
use hitherto_core::rule::Absence;
use hitherto_core::why::{Counts, Verdict};
use hitherto_core::{Error, Result};

use super::known;

/// Reads a request that a caller sent. What it names is the engine's to find.
///
/// # Errors
/// `Invalid` when a key column is malformed or `known_time` is none.
pub fn decode_request(request: v1::WhyRequest) -> Result<WhyRequest> {
    let keys = request.keys.into_iter().map(|column| {
        let (name, parts) = key::decode(column)?;
        Ok(KeyColumn { name, parts })
    });
    Ok(WhyRequest {
        keys: keys.collect::<Result<_>>()?,
        view: request.view,
        at: request.at_micros,
        known_by: request.known_by_micros,
        known: known::decode(request.known_time)?,
        feature: request.feature,
        facts: request.facts.map(|facts| facts as usize),
    })
}

/// Writes a request.
///
/// # Errors
/// `Invalid` when a key column has values of different types.
pub fn encode_request(request: &WhyRequest) -> Result<v1::WhyRequest> {
    let keys = request.keys.iter().map(|column| key::encode(&column.name, &column.parts));
    Ok(v1::WhyRequest {
        view: request.view.clone(),
        keys: keys.collect::<Result<_>>()?,
        at_micros: request.at,
        known_by_micros: request.known_by,
        known_time: known::encode(request.known).into(),
        feature: request.feature.clone(),
        // More than the wire can say is more than any server lists.
        facts: request.facts.map(|facts| u32::try_from(facts).unwrap_or(u32::MAX)),
    })
}

/// Writes an explanation; values move.
pub fn encode_answer(answer: Explanation) -> v1::WhyResponse {
    let Counts { seen, not_yet_known, after_cutoff, not_yet_happened } = answer.counts;
    v1::WhyResponse {
        view: answer.view,
        at_micros: answer.at,
        known_by_micros: answer.known_by,
        ignore_known_time: answer.known == Known::Ignore,
        ttl_micros: answer.ttl_micros,
        absence: encode_absence(answer.absence).into(),
        candidates: answer.candidates.iter().map(encode_fact).collect(),
        columns: answer.columns.into_iter().map(Into::into).collect(),
        counts: Some(v1::FactCounts { seen, not_yet_known, after_cutoff, not_yet_happened }),
        aggregate: answer.aggregate.map(encode_aggregate),
        facts_without_time: answer.facts_without_time,
        online: Some(encode_online(answer.online)),
    }
}

/// Reads an explanation that a server sent; values move.
///
/// # Errors
/// `Internal` when it is malformed or its parts differ in length.
pub fn decode_answer(answer: v1::WhyResponse) -> Result<Explanation> {
    let counts = answer.counts.ok_or_else(|| malformed("it has no counts"))?;
    let v1::FactCounts { seen, not_yet_known, after_cutoff, not_yet_happened } = counts;
    let absence = v1::Absence::try_from(answer.absence)
        .map_err(|_| malformed("its absence is none of Absence"))?;
    let candidates: Vec<ShownFact> =
        answer.candidates.iter().map(decode_fact).collect::<Result<_>>()?;
    let online = answer.online.ok_or_else(|| malformed("it says nothing of the online store"))?;
    Ok(Explanation {
        view: answer.view,
        at: answer.at_micros,
        known_by: answer.known_by_micros,
        known: if answer.ignore_known_time { Known::Ignore } else { Known::Honor },
        ttl_micros: answer.ttl_micros,
        absence: decode_absence(absence),
        columns: decode_columns(answer.columns, candidates.len())?,
        candidates,
        counts: Counts { seen, not_yet_known, after_cutoff, not_yet_happened },
        aggregate: answer.aggregate.map(decode_aggregate).transpose()?,
        facts_without_time: answer.facts_without_time,
        online: decode_online(online)?,
    })
}

fn encode_aggregate(aggregate: ExplainedAggregate) -> v1::ExplainedAggregate {
    let EventCounts { counts, superseded, deleted, filtered, left_window, not_yet_in_window } =
        aggregate.counts;
    v1::ExplainedAggregate {
        feature: aggregate.feature,
        computed: aggregate.computed,
        first_micros: aggregate.window.map(|(first, _)| first),
        last_micros: aggregate.window.map(|(_, last)| last),
        answer: Some(aggregate.answer.into()),
        reason: encode_reason(aggregate.reason).into(),
        training_set_agrees: aggregate.training_set_agrees,
        counts: Some(v1::EventCounts {
            counts,
            superseded,
            deleted,
            filtered,
            left_window,
            not_yet_in_window,
        }),
    }
}

fn decode_aggregate(aggregate: v1::ExplainedAggregate) -> Result<ExplainedAggregate> {
    let counts = aggregate.counts.ok_or_else(|| malformed("its events are not counted"))?;
    let v1::EventCounts { counts, superseded, deleted, filtered, left_window, not_yet_in_window } =
        counts;
    let reason = v1::AggregateReason::try_from(aggregate.reason)
        .map_err(|_| malformed("its reason is none of AggregateReason"))?;
    let answer = decode_columns(aggregate.answer.into_iter().collect(), 1)?.pop();
    Ok(ExplainedAggregate {
        feature: aggregate.feature,
        computed: aggregate.computed,
        window: aggregate.first_micros.zip(aggregate.last_micros),
        answer: answer.ok_or_else(|| malformed("it has no answer"))?,
        reason: Reason::ALL.into_iter().find(|one| encode_reason(Some(*one)) == reason),
        training_set_agrees: aggregate.training_set_agrees,
        counts: EventCounts {
            counts,
            superseded,
            deleted,
            filtered,
            left_window,
            not_yet_in_window,
        },
    })
}

fn encode_reason(reason: Option<Reason>) -> v1::AggregateReason {
    match reason {
        None => v1::AggregateReason::None,
        Some(Reason::EmptyWindow) => v1::AggregateReason::EmptyWindow,
        Some(Reason::AllNull) => v1::AggregateReason::AllNull,
        Some(Reason::TooFewValues) => v1::AggregateReason::TooFewValues,
        Some(Reason::TooManyValues) => v1::AggregateReason::TooManyValues,
        Some(Reason::Overflow) => v1::AggregateReason::Overflow,
    }
}

fn encode_fact(fact: &ShownFact) -> v1::CandidateFact {
    v1::CandidateFact {
        event_micros: fact.event,
        known_micros: fact.known,
        is_deletion: fact.is_deletion,
        verdict: encode_verdict(fact.verdict).into(),
        missed_by_micros: fact.missed_by_micros,
        arrived_micros: fact.arrived,
    }
}

fn decode_fact(fact: &v1::CandidateFact) -> Result<ShownFact> {
    let is_of = |verdict: &Verdict| i32::from(encode_verdict(*verdict)) == fact.verdict;
    let verdict = Verdict::ALL.into_iter().find(is_of);
    Ok(ShownFact {
        event: fact.event_micros,
        known: fact.known_micros,
        is_deletion: fact.is_deletion,
        verdict: verdict.ok_or_else(|| malformed("a verdict is none of Verdict"))?,
        missed_by_micros: fact.missed_by_micros,
        arrived: fact.arrived_micros,
    })
}

fn encode_verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Answers => v1::Verdict::Answers,
        Verdict::Superseded => v1::Verdict::Superseded,
        Verdict::NotYetKnown => v1::Verdict::NotYetKnown,
        Verdict::AfterCutoff => v1::Verdict::AfterCutoff,
        Verdict::NotYetHappened => v1::Verdict::NotYetHappened,
        Verdict::Expired => v1::Verdict::Expired,
        Verdict::Deleted => v1::Verdict::Deleted,
        Verdict::Counts => v1::Verdict::Counts,
        Verdict::Filtered => v1::Verdict::Filtered,
        Verdict::LeftWindow => v1::Verdict::LeftWindow,
        Verdict::NotYetInWindow => v1::Verdict::NotYetInWindow,
    }
}

fn encode_absence(absence: Option<Absence>) -> v1::Absence {
    match absence {
        None => v1::Absence::None,
        Some(Absence::NeverSeen) => v1::Absence::NeverSeen,
        Some(Absence::NotYetKnown) => v1::Absence::NotYetKnown,
        Some(Absence::Expired) => v1::Absence::Expired,
        Some(Absence::Deleted) => v1::Absence::Deleted,
        Some(Absence::NullKey) => v1::Absence::NullKey,
    }
}

fn decode_absence(wire: v1::Absence) -> Option<Absence> {
    Absence::ALL.into_iter().find(|absence| encode_absence(Some(*absence)) == wire)
}

fn encode_online(online: Online) -> Wire {
    match online {
        Online::Nothing => Wire::Nothing(v1::OnlineNothing {}),
        Online::EarlierDefinition => Wire::EarlierDefinition(v1::OnlineEarlierDefinition {}),
        Online::BeforeHorizon { horizon } => {
            Wire::BeforeHorizon(v1::OnlineBeforeHorizon { horizon_micros: horizon })
        }
        Online::NotAsked => Wire::NotAsked(v1::OnlineNotAsked {}),
        Online::Answers(answer) => Wire::Answer(v1::OnlineAnswer {
            event_micros: answer.event,
            known_micros: answer.known,
            columns: answer.columns.into_iter().map(Into::into).collect(),
            agrees: answer.agrees,
        }),
    }
}

fn decode_online(online: Wire) -> Result<Online> {
    Ok(match online {
        Wire::Nothing(_) => Online::Nothing,
        Wire::EarlierDefinition(_) => Online::EarlierDefinition,
        Wire::BeforeHorizon(before) => Online::BeforeHorizon { horizon: before.horizon_micros },
        Wire::NotAsked(_) => Online::NotAsked,
        Wire::Answer(answer) => Online::Answers(OnlineAnswer {
            event: answer.event_micros,
            known: answer.known_micros,
            columns: decode_columns(answer.columns, 1)?,
            agrees: answer.agrees,
        }),
    })
}

fn decode_columns(columns: Vec<v1::FeatureColumn>, rows: usize) -> Result<Vec<Column>> {
    let columns: Vec<Column> = columns.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
    match columns.iter().all(|column| column.len() == rows) {
        true => Ok(columns),
        false => Err(malformed("its columns differ in length from its facts")),
    }
}

fn malformed(what: &str) -> Error {
    Error::internal(format!(
        "the server's explanation is malformed: {what}; use a client of the server's release"
    ))
}
