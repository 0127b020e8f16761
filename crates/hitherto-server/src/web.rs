//! Plain HTTP beside gRPC, on the same port: for scrapers, for probes, and for
//! callers who are lost.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use tonic::Status;

use crate::lifecycle::Stopping;
use crate::metrics::{self, Metrics};

/// `/metrics` and `/healthz`.
pub fn routes(metrics: Arc<Metrics>, stopping: Stopping) -> Router {
    Router::new()
        .route("/metrics", get(scrape).with_state(metrics))
        .route("/healthz", get(healthz).with_state(stopping))
}

/// Answers a path that nobody serves, in the caller's own protocol.
pub async fn lost(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/grpc") {
        let message = format!("{path} is not served here; hitherto.v1 and Arrow Flight are");
        return Status::unimplemented(message).into_http::<Body>();
    }
    let message = format!(
        "nothing is at {path}; over HTTP there are /metrics and /healthz, features are served over \
         gRPC and Arrow Flight on this port\n"
    );
    (StatusCode::NOT_FOUND, message).into_response()
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(stopping): State<Stopping>) -> (StatusCode, &'static str) {
    match stopping.has_begun() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        false => (StatusCode::OK, "ok\n"),
    }
}
