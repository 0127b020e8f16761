//! `POST /v1/lookup`: a lookup in JSON, answered in JSON or as Arrow data.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use hitherto_api::arrow_columns::to_ipc_stream;
use hitherto_api::{KeyColumn, Lookup};
use hitherto_core::{Error, Result};
use http::header::ACCEPT;
use http::{Extensions, HeaderMap};
use tokio::sync::OwnedSemaphorePermit;

use super::{ARROW, Content, JSON, call, read, refuse};
use crate::json::{LookupAnswer, LookupBody};
use crate::lookup::{Admitted, Lookups, Written};
use crate::metrics::Method;
use crate::served::Failed;

/// Looks up features of entities, at now or as of an earlier moment.
pub async fn answer(
    State(lookups): State<Lookups>,
    extensions: Extensions,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let accepted = headers.get(ACCEPT).map_or(&b""[..], |value| value.as_bytes());
    let written = match accepted == ARROW.as_bytes() {
        true => Written::InColumns,
        false => Written::CellByCell,
    };
    let look_up = |lookups, admitted, body| look_up(lookups, admitted, body, written);
    call((lookups, extensions), Method::HttpLookup, body, refuse, look_up).await
}

async fn look_up(
    lookups: Lookups,
    admitted: Admitted,
    body: Bytes,
    written: Written,
) -> Result<(Content, OwnedSemaphorePermit), Failed> {
    let engine = &lookups.served.engine;
    let request = read(&body).and_then(|body: LookupBody| {
        body.into_request(|selection| engine.request_fields(&admitted.grant, selection))
    })?;
    let keys = request.keys.clone();
    let write = move |answer: Lookup| match written {
        Written::InColumns => Ok((ARROW, to_ipc_stream(&answer)?)),
        Written::CellByCell => Ok((JSON, encode(&keys, &answer)?)),
    };
    lookups.look_up(admitted, request, written, write).await
}

fn encode(keys: &[KeyColumn], answer: &Lookup) -> Result<Vec<u8>> {
    let answer = LookupAnswer::new(keys, answer)?;
    serde_json::to_vec(&answer)
        .map_err(|cause| Error::internal("an answer cannot be written").with_source(cause))
}
