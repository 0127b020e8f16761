//! Plain HTTP beside gRPC, on the same port: for curl and scripts, for clients of
//! Feast's feature server, for scrapers and probes, and for callers who are lost.
//!
//! | module      | what it owns                                              |
//! | ----------- | --------------------------------------------------------- |
//! | `lookup`    | `POST /v1/lookup`                                         |
//! | `feast`     | `POST /get-online-features`, as Feast's server answers it |
//! | `openapi`   | `GET /openapi.json`, which describes both                 |
//!
//! A body is JSON whatever its content type says, because curl sends another one
//! unless told. Every bound of a gRPC lookup holds here too: the same places, the
//! same limits, one for the bytes of a body.

mod feast;
mod lookup;
mod openapi;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use hitherto_core::limits::HTTP_BODY_BYTES_MAX;
use hitherto_core::{Error, Kind, Result};
use hitherto_proto::convert::status::{RETRY_AFTER, from_status, refused, to_status};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER as RETRY_AFTER_HEADER, WWW_AUTHENTICATE};
use http::{Extensions, HeaderMap, StatusCode, Uri};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status};

use crate::json::ErrorAnswer;
use crate::lookup::{Admitted, Lookups};
use crate::metrics::{self, Method};
use crate::port::Kept;
use crate::served::Failed;

/// The content types of answers.
const JSON: &str = "application/json";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// An answer's content type and bytes.
type Content = (&'static str, Vec<u8>);

/// Everything that is answered over plain HTTP.
pub fn routes(lookups: Lookups) -> Router {
    let router = table().into_iter().fold(Router::new(), |all, (path, at)| all.route(path, at));
    router.layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX)).with_state(lookups)
}

/// Every path, and who answers there. Tests go through the list.
pub fn table() -> [(&'static str, MethodRouter<Lookups>); 6] {
    [
        ("/v1/lookup", post(lookup::answer).fallback(use_post)),
        ("/get-online-features", post(feast::answer).fallback(use_post)),
        ("/openapi.json", get(openapi::describe)),
        ("/metrics", get(scrape)),
        ("/healthz", get(healthz)),
        ("/health", get(healthz)),
    ]
}

/// Answers a path that nobody serves, in the caller's own protocol.
pub async fn lost(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if is_grpc(&headers) {
        let message = format!("{path} is not served here; hitherto.v1 and Arrow Flight are");
        return Status::unimplemented(message).into_http::<Body>();
    }
    let message = format!(
        "nothing is at {path}; over HTTP there are POST /v1/lookup, POST /get-online-features, \
         /openapi.json, /metrics and /healthz, gRPC and Arrow Flight are on this port too"
    );
    error(StatusCode::NOT_FOUND, Kind::NotFound, message)
}

/// Answers a caller who has not shown what the server asks for, in their own protocol.
pub fn denied(headers: &HeaderMap, denial: &Error) -> Response {
    if is_grpc(headers) {
        return to_status(denial).into_http::<Body>();
    }
    let answer = error(StatusCode::UNAUTHORIZED, denial.kind(), denial.to_string());
    ([(WWW_AUTHENTICATE, "Bearer")], answer).into_response()
}

/// Answers a caller for whom there is no room, in their own protocol.
pub fn full(headers: &HeaderMap, message: &str) -> Response {
    let status = refused(message);
    match is_grpc(headers) {
        true => status.into_http::<Body>(),
        false => refuse(&status),
    }
}

/// Answers a request over HTTP/1 that does not name its host, or two.
pub fn hostless() -> Response {
    let message = "a request over HTTP/1.1 has exactly one header Host; send it";
    error(StatusCode::BAD_REQUEST, Kind::Invalid, message)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    content_type.starts_with(b"application/grpc")
}

/// Answers another method where only POST is served.
async fn use_post(uri: Uri) -> Response {
    let message = format!("{} takes POST with a body of JSON; see /openapi.json", uri.path());
    let answer = error(StatusCode::METHOD_NOT_ALLOWED, Kind::Invalid, message);
    ([(ALLOW, "POST")], answer).into_response()
}

/// Reads the JSON of a body.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|cause| {
        let cause = without_value(&cause.to_string());
        Error::invalid(format!("the body is not what is expected: {cause}; see /openapi.json"))
    })
}

/// What is wrong with JSON, without the value that is: errors are logged.
fn without_value(cause: &str) -> String {
    let wrong =
        ["invalid type: ", "invalid value: "].into_iter().find(|begin| cause.starts_with(begin));
    match (wrong, cause.rfind(", expected ")) {
        (Some(wrong), Some(expected)) => {
            format!("{}{}", wrong.trim_end_matches(": "), &cause[expected..])
        }
        _ => cause.to_owned(),
    }
}

/// Counts a request, and answers it if there is a place and its body can be had:
/// with what was looked up, or as `refuse` says why there is none.
async fn call<F: Future<Output = Result<(Content, OwnedSemaphorePermit), Failed>>>(
    (lookups, asked): (Lookups, Extensions),
    method: Method,
    body: Result<Bytes, BytesRejection>,
    refuse: fn(&Status) -> Response,
    look_up: impl FnOnce(Lookups, Admitted, Bytes) -> F,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return without_body(&rejection, refuse),
    };
    let admit = async { lookups.admit(&asked) };
    let answer =
        |grant, permit, note| look_up(lookups.clone(), Admitted::new(grant, permit, note), body);
    match lookups.served.serve(method, &asked, admit, answer).await {
        Ok(((content_type, bytes), permit)) => {
            let mut answer = ([(CONTENT_TYPE, content_type)], bytes).into_response();
            answer.extensions_mut().insert(Kept::new(permit));
            answer
        }
        Err(status) => refuse(&status),
    }
}

/// The answer to a caller whose body cannot be had.
fn without_body(rejection: &BytesRejection, refuse: fn(&Status) -> Response) -> Response {
    if let Some(status) = status_inside(rejection) {
        return refuse(status);
    }
    let message = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            format!("the body has more than {HTTP_BODY_BYTES_MAX} bytes; split the request")
        }
        _ => rejection.body_text(),
    };
    error(rejection.status(), Kind::Invalid, message)
}

/// Why the port gave no more of a body.
fn status_inside(rejection: &BytesRejection) -> Option<&Status> {
    let first: &(dyn std::error::Error + 'static) = rejection;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref())
}

/// The response of a call that failed.
fn refuse(status: &Status) -> Response {
    let (code, failure) = failure(status);
    let mut answer = error(code, failure.kind(), failure.to_string());
    retry_later(&mut answer, code);
    answer
}

/// The HTTP status of a call that failed, and its error.
fn failure(status: &Status) -> (StatusCode, Error) {
    let failure = from_status(status);
    let code = match status.code() {
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::from_u16(failure.kind().http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    (code, failure)
}

/// Tells a caller who should come back when that may be.
fn retry_later(answer: &mut Response, code: StatusCode) {
    if matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        // Whole seconds are all that the header can say.
        let seconds = RETRY_AFTER.as_millis().div_ceil(1_000) as u64;
        answer.headers_mut().insert(RETRY_AFTER_HEADER, seconds.into());
    }
}

fn error(status: StatusCode, kind: Kind, message: impl Into<String>) -> Response {
    (status, axum::Json(ErrorAnswer::new(kind, message))).into_response()
}

/// What is counted, for Prometheus.
async fn scrape(State(lookups): State<Lookups>) -> Response {
    match lookups.served.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the server takes requests. `/health` is the same, where clients of Feast's
/// server look. One whose disk is full answers lookups, and is not to be restarted for that.
async fn healthz(State(lookups): State<Lookups>) -> (StatusCode, &'static str) {
    let served = &lookups.served;
    if served.audit.as_ref().is_some_and(|audit| audit.is_in_the_way()) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written\n");
    }
    match (served.stopping.has_begun(), served.takes_pushes.now()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (false, true) => (StatusCode::OK, "ok\n"),
        (false, false) => (StatusCode::OK, "ok, but for pushes: not serving\n"),
    }
}
