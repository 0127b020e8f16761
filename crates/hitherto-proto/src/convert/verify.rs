//! Verifications.

use crate::v1::{self, verified_view::Outcome as Wire};
use hitherto_api::verify::{Comparison, Difference, Outcome, VerifiedView};
use hitherto_api::{Verification, VerifyRequest};
use hitherto_core::{Error, Result};

/// Reads a request that a caller sent. What it names is the engine's to find.
pub fn decode_request(request: v1::VerifyRequest) -> VerifyRequest {
    let v1::VerifyRequest { views, samples, seed } = request;
    let samples = samples.map_or(VerifyRequest::default().samples, |samples| samples as usize);
    VerifyRequest { views, samples, seed }
}

/// Writes a request. More samples than 32 bits count are refused all the same.
pub fn encode_request(request: &VerifyRequest) -> v1::VerifyRequest {
    v1::VerifyRequest {
        views: request.views.clone(),
        samples: Some(request.samples.try_into().unwrap_or(u32::MAX)),
        seed: request.seed,
    }
}

/// Writes what was found.
pub fn encode_answer(answer: Verification) -> v1::VerifyResponse {
    let view = |VerifiedView { view, outcome }| {
        let outcome = match outcome {
            Outcome::Skipped => Wire::Skipped(v1::VerifySkipped {}),
            Outcome::Stale { reason } => Wire::Stale(v1::VerifyStale { reason }),
            Outcome::Compared(comparison) => Wire::Compared(encode_comparison(comparison)),
        };
        v1::VerifiedView { view, outcome: Some(outcome) }
    };
    v1::VerifyResponse { views: answer.views.into_iter().map(view).collect() }
}

/// Reads what a server found.
///
/// # Errors
/// `Internal` when a view has no outcome.
pub fn decode_answer(answer: v1::VerifyResponse) -> Result<Verification> {
    let view = |v1::VerifiedView { view, outcome }| {
        let outcome = match outcome {
            Some(Wire::Skipped(_)) => Outcome::Skipped,
            Some(Wire::Stale(stale)) => Outcome::Stale { reason: stale.reason },
            Some(Wire::Compared(comparison)) => Outcome::Compared(decode_comparison(comparison)),
            None => {
                return Err(Error::internal(format!(
                    "the server's verification is malformed: view {view:?} has no outcome; use a \
                     client of the server's release"
                )));
            }
        };
        Ok(VerifiedView { view, outcome })
    };
    Ok(Verification { views: answer.views.into_iter().map(view).collect::<Result<_>>()? })
}

fn encode_comparison(comparison: Comparison) -> v1::VerifyComparison {
    let difference = |difference: Difference| v1::VerifyDifference {
        entity: difference.entity,
        at_micros: difference.at,
        feature: difference.feature,
        offline: difference.offline,
        online: difference.online,
    };
    v1::VerifyComparison {
        horizon_micros: comparison.horizon,
        pairs: comparison.pairs,
        pairs_with_value: comparison.pairs_with_value,
        values: comparison.values,
        differences: comparison.differences,
        first: comparison.first.into_iter().map(difference).collect(),
    }
}

fn decode_comparison(comparison: v1::VerifyComparison) -> Comparison {
    let difference = |difference: v1::VerifyDifference| Difference {
        entity: difference.entity,
        at: difference.at_micros,
        feature: difference.feature,
        offline: difference.offline,
        online: difference.online,
    };
    Comparison {
        horizon: comparison.horizon_micros,
        pairs: comparison.pairs,
        pairs_with_value: comparison.pairs_with_value,
        values: comparison.values,
        differences: comparison.differences,
        first: comparison.first.into_iter().map(difference).collect(),
    }
}
