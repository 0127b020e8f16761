//! `GET /openapi.json`: what is served over plain HTTP, for tools that read OpenAPI.
//!
//! Bodies are described by the types that read and write them; paths and what each
//! status means are written here.

use axum::Json;
use hitherto_core::limits::HTTP_BODY_BYTES_MAX;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::ARROW;
use super::feast::{FeastAnswer, FeastBody};
use crate::json::{ErrorAnswer, LookupAnswer, LookupBody};

/// The description as JSON.
pub async fn describe() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut lookup = json!({
        "summary": "Look up features of entities, at now or as of an earlier moment",
        "requestBody": required(body::<LookupBody>(&mut schemas)),
        "responses": responses::<LookupAnswer<'static>, ErrorAnswer>(&mut schemas),
    });
    // To callers who accept only that.
    lookup["responses"]["200"]["content"][ARROW] =
        json!({ "schema": { "type": "string", "format": "binary" } });
    let feast = json!({
        "summary": "Look up features at now, as Feast's feature server does",
        "requestBody": required(body::<FeastBody>(&mut schemas)),
        // JSON in a string, which Feast's client raises again.
        "responses": responses::<FeastAnswer<'static>, String>(&mut schemas),
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hitherto",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Feature values up to a point in time. Whoever asks often asks over \
                            gRPC, package hitherto.v1 on the same port.",
        },
        "paths": {
            "/v1/lookup": { "post": lookup },
            "/get-online-features": { "post": feast },
            "/metrics": { "get": {
                "summary": "What is counted, for Prometheus",
                "responses": { "200": { "description": "OpenMetrics text" } },
            } },
            "/healthz": { "get": {
                "summary": "Whether the server takes requests",
                "responses": {
                    "200": { "description": "it does; the text says if pushes are refused" },
                    "503": { "description": "it is stopping" },
                },
            } },
        },
        "components": { "schemas": schemas.take_definitions(true) },
    })
}

/// JSON of a type.
fn body<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({ "content": { "application/json": { "schema": schemas.subschema_for::<T>() } } })
}

fn required(mut body: Value) -> Value {
    body["required"] = Value::Bool(true);
    body
}

/// An answer, and errors by status.
fn responses<T: JsonSchema, E: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    let described = |mut body: Value, description: &str| {
        body["description"] = Value::from(description);
        body
    };
    let too_large = format!("the body has more than {HTTP_BODY_BYTES_MAX} bytes");
    let mut error = |description: &str| described(body::<E>(schemas), description);
    let mut responses = json!({
        "400": error("the request is wrong"),
        "404": error("no such service, view or feature"),
        "413": error(&too_large),
        "429": error("the server is full; come back after Retry-After"),
        "503": error("not now; come back after Retry-After"),
    });
    responses["200"] = described(body::<T>(schemas), "what was known");
    responses
}
