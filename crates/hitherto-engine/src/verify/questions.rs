//! Which entities are asked about, and when.

use hitherto_api::VerifyRequest;
use hitherto_core::Result;
use hitherto_core::catalog::PublishedView;
use hitherto_core::key::{self, OwnedPart};
use hitherto_core::limits::VERIFY_STRANGERS;
use hitherto_core::sample::{Sample, Span};

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
    let span = Span {
        ttl_micros: view.definition.ttl_micros,
        known: view.known(),
        horizon: generation.horizon,
        now,
    };
    let mut questions = Questions { entities: Vec::new(), times: Vec::new() };
    let mut strangers = Vec::new();
    for drawn in sample.into_facts() {
        let entity = key::decode(&drawn.key, &view.keys)?;
        if strangers.len() < VERIFY_STRANGERS {
            strangers.push((entity.iter().map(other).collect(), drawn.moment(span)));
        }
        questions.times.push(drawn.moment(span));
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
