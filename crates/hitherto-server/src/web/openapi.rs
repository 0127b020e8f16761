//! `GET /openapi.json`: what is served over plain HTTP, for tools that read OpenAPI.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi;

use super::{feast, lookup};

/// Every path with its bodies, collected from where they are served.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hitherto",
        description = "Feature values up to a point in time. Whoever asks often asks over gRPC, \
                       package hitherto.v1 on the same port."
    ),
    paths(lookup::answer, feast::answer, super::scrape, super::healthz)
)]
struct Description;

/// The description as JSON.
pub async fn describe() -> Response {
    match Description::openapi().to_json() {
        Ok(description) => ([(CONTENT_TYPE, "application/json")], description).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
