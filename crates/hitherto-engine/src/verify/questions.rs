//! Which entities are asked about, and when.

use hitherto_api::VerifyRequest;
use hitherto_core::Result;
use hitherto_core::aggregate::{AggregatePlan, Window};
use hitherto_core::catalog::PublishedView;
use hitherto_core::key::{self, OwnedPart};
use hitherto_core::limits::VERIFY_STRANGERS;
use hitherto_core::sample::{Drawn, Sample, Span};

use crate::Engine;
use crate::files::ViewFiles;

/// Entities and moments, side by side.
pub(super) struct Questions {
    /// One part for each join key, in the view's order.
    pub entities: Vec<Vec<OwnedPart>>,
    /// Microseconds UTC.
    pub times: Vec<i64>,
}

/// Draws questions from the facts in `files`.
///
/// # Errors
/// Those of [`Offline::fact_query`](hitherto_offline::Offline::fact_query) and of reading
/// the files.
pub(super) async fn draw(
    engine: &Engine,
    published: &PublishedView,
    files: &ViewFiles,
    request: &VerifyRequest,
    now: i64,
) -> Result<Questions> {
    let PublishedView { view, generation, .. } = published;
    let mut sample = Sample::new(request.samples, request.seed);
    if !files.is_empty() {
        let offer = |key: &[u8], times| sample.offer(key, times);
        let queries = engine.fact_queries(view, files).await?;
        engine.offline.scan_facts(view, queries, offer).await?;
    }
    let whole = Span {
        offset_micros: 0,
        ttl_micros: view.definition.ttl_micros,
        known: view.known(),
        horizon: generation.horizon,
        now,
    };
    // Where answers are computed of events, they change at both ends of a window.
    let windows: Vec<Window> =
        AggregatePlan::of_all(view).iter().flat_map(AggregatePlan::windows).collect();
    let span_of = |drawn: &Drawn| match windows.get(drawn.draw as usize % windows.len().max(1)) {
        Some(window) => {
            Span { offset_micros: window.offset, ttl_micros: window.last_age(), ..whole }
        }
        None => whole,
    };
    let mut questions = Questions { entities: Vec::new(), times: Vec::new() };
    let mut strangers = Vec::new();
    for drawn in sample.into_facts() {
        let entity = key::decode(&drawn.key, &view.keys)?;
        let at = drawn.moment(span_of(&drawn));
        if strangers.len() < VERIFY_STRANGERS {
            strangers.push((entity.iter().map(other).collect(), at));
        }
        questions.times.push(at);
        questions.entities.push(entity);
    }
    for (entity, at) in strangers {
        questions.entities.push(entity);
        questions.times.push(at);
    }
    Ok(questions)
}

/// Another key of the same type. Should somebody have it, the question is as
/// good as any.
fn other(part: &OwnedPart) -> OwnedPart {
    match part {
        OwnedPart::Bool(value) => OwnedPart::Bool(!value),
        OwnedPart::Int(value) => OwnedPart::Int(value ^ 1),
        OwnedPart::UInt(value) => OwnedPart::UInt(value ^ 1),
        OwnedPart::Bytes(bytes) => OwnedPart::Bytes([bytes.as_slice(), b"?"].concat()),
    }
}
