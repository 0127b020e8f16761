//! `POST /get-online-features`: what Feast's feature server answers, as it does.
//!
//! The body becomes the message that `ServingService` takes, so that HTTP and gRPC
//! say the same; the message that it answers becomes Feast's JSON:
//!
//! ```text
//! value       bool, number, string or array as they are; null if there is none
//!             bytes in base64; NaN, Infinity and -Infinity as strings
//!             date32, timestamp as whole seconds
//! status      PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE
//! timestamp   RFC 3339 in UTC; 1970 where no fact answered
//! error       a string that holds JSON with module, class and message, which
//!             Feast's client raises again
//! ```

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_proto::convert::feast as convert;
use hitherto_proto::feast::serving::get_online_features_request::Kind;
use hitherto_proto::feast::serving::get_online_features_response::FeatureVector;
use hitherto_proto::feast::serving::{
    FeatureList, FieldStatus, GetOnlineFeaturesRequest, GetOnlineFeaturesResponse,
};
use hitherto_proto::feast::types::value::Val;
use hitherto_proto::feast::types::{RepeatedValue, Value};
use http::Extensions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::{Content, JSON, call, failure, read, retry_later};
use crate::feast;
use crate::json::{kind, unique};
use crate::lookup::{Admitted, Lookups};
use crate::metrics::Method;
use crate::served::Failed;

/// What Feast's clients ask. Fields that Feast's server does not know are passed over,
/// as it does.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FeastBody {
    /// For each join key its values, one for each entity.
    #[serde(deserialize_with = "unique")]
    entities: BTreeMap<String, Vec<serde_json::Value>>,
    /// A feature service by its name; goes before `features`.
    feature_service: Option<String>,
    /// Features, each `view:feature`.
    features: Option<Vec<String>>,
    /// Name the features of the answer `view__feature`.
    #[serde(default)]
    full_feature_names: bool,
    /// Refused: there are no versions of views here.
    #[serde(default)]
    include_feature_view_version_metadata: bool,
}

/// What Feast's server answers. Join keys come first.
#[derive(Serialize, JsonSchema)]
pub struct FeastAnswer<'m> {
    metadata: FeastMetadata<'m>,
    results: Vec<FeastVector<'m>>,
    status: bool,
}

/// The names of the results.
#[derive(Serialize, JsonSchema)]
pub struct FeastMetadata<'m> {
    feature_names: &'m [String],
}

/// One join key or feature: values, statuses and event times, each one an entity.
#[derive(Serialize, JsonSchema)]
pub struct FeastVector<'m> {
    #[schemars(with = "Vec<serde_json::Value>")]
    values: Vec<Cell<'m>>,
    statuses: Vec<&'static str>,
    event_timestamps: Vec<String>,
}

/// Looks up features at now, as Feast's feature server does.
pub async fn answer(
    State(lookups): State<Lookups>,
    extensions: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    call((lookups, extensions), Method::HttpGetOnlineFeatures, body, refuse, look_up).await
}

async fn look_up(
    lookups: Lookups,
    admitted: Admitted,
    body: Bytes,
) -> Result<(Content, OwnedSemaphorePermit), Failed> {
    let request = read(&body).and_then(request)?;
    let answer = feast::look_up(&lookups, admitted, request, |answer| {
        serde_json::to_vec(&FeastAnswer::new(&answer))
            .map_err(|cause| Error::internal("an answer cannot be written").with_source(cause))
    });
    let (bytes, permit) = answer.await?;
    Ok(((JSON, bytes), permit))
}

/// An error in the form that Feast's client raises again.
fn refuse(status: &Status) -> Response {
    let (code, failure) = failure(status);
    let detail = json!({
        "module": "feast.errors",
        "class": "FeastError",
        "message": failure.to_string(),
    });
    let mut answer = (code, Json(detail.to_string())).into_response();
    retry_later(&mut answer, code);
    answer
}

/// The body as the message that it stands for.
fn request(body: FeastBody) -> Result<GetOnlineFeaturesRequest> {
    let kind = match (body.feature_service, body.features) {
        (Some(service), _) => Some(Kind::FeatureService(service)),
        (None, Some(val)) => Some(Kind::Features(FeatureList { val })),
        (None, None) => None,
    };
    let entities =
        body.entities.into_iter().map(|(name, values)| Ok((name.clone(), list(&name, values)?)));
    Ok(GetOnlineFeaturesRequest {
        entities: entities.collect::<Result<_>>()?,
        full_feature_names: body.full_feature_names,
        request_context: Default::default(),
        include_feature_view_version_metadata: body.include_feature_view_version_metadata,
        kind,
    })
}

/// The values of a join key, or of a field of the request.
fn list(name: &str, values: Vec<serde_json::Value>) -> Result<RepeatedValue> {
    let val = values.into_iter().map(|value| one(name, value)).collect::<Result<_>>()?;
    Ok(RepeatedValue { val })
}

fn one(name: &str, value: serde_json::Value) -> Result<Value> {
    use serde_json::Value as Json;
    let val = match value {
        Json::Null => None,
        Json::Bool(value) => Some(Val::BoolVal(value)),
        Json::String(text) => Some(Val::StringVal(text)),
        Json::Number(number) if number.is_i64() => {
            Some(Val::Int64Val(number.as_i64().unwrap_or_default()))
        }
        Json::Number(number) if number.is_f64() => number.as_f64().map(Val::DoubleVal),
        Json::Array(items) => Some(Val::ListVal(list(name, items)?)),
        odd => {
            return Err(Error::invalid(format!(
                "{name:?} has {}; send a bool, a number, a string, an array of numbers or null",
                kind(&odd)
            )));
        }
    };
    Ok(Value { val })
}

impl<'m> FeastAnswer<'m> {
    fn new(message: &'m GetOnlineFeaturesResponse) -> Self {
        let names = message.metadata.as_ref().and_then(|found| found.feature_names.as_ref());
        Self {
            metadata: FeastMetadata { feature_names: names.map_or(&[], |names| &names.val) },
            results: message.results.iter().map(FeastVector::new).collect(),
            status: message.status,
        }
    }
}

impl<'m> FeastVector<'m> {
    fn new(vector: &'m FeatureVector) -> Self {
        let status =
            |number: &i32| FieldStatus::try_from(*number).map_or("INVALID", |s| s.as_str_name());
        let written = |at| format_timestamp(convert::micros(at));
        Self {
            values: vector.values.iter().map(Cell).collect(),
            statuses: vector.statuses.iter().map(status).collect(),
            event_timestamps: vector.event_timestamps.iter().map(written).collect(),
        }
    }
}

/// A value of Feast's as its JSON.
struct Cell<'m>(&'m Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.val {
            None | Some(Val::NullVal(_)) => serializer.serialize_none(),
            Some(Val::BoolVal(value)) => serializer.serialize_bool(*value),
            Some(Val::Int32Val(value)) => serializer.serialize_i32(*value),
            Some(Val::Int64Val(value) | Val::UnixTimestampVal(value)) => {
                serializer.serialize_i64(*value)
            }
            // As the number of 64 bits that it is, which is what Python makes of it.
            Some(Val::FloatVal(value)) => float(f64::from(*value), serializer),
            Some(Val::DoubleVal(value)) => float(*value, serializer),
            Some(Val::StringVal(text) | Val::DecimalVal(text)) => serializer.serialize_str(text),
            Some(Val::BytesVal(bytes)) => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
            Some(Val::FloatListVal(list)) => {
                serializer.collect_seq(list.val.iter().map(|value| Float(f64::from(*value))))
            }
            Some(Val::DoubleListVal(list)) => {
                serializer.collect_seq(list.val.iter().map(|value| Float(*value)))
            }
            Some(Val::Int64ListVal(list)) => list.val.serialize(serializer),
            Some(Val::Int32ListVal(list)) => list.val.serialize(serializer),
            Some(Val::ListVal(list)) => serializer.collect_seq(list.val.iter().map(Cell)),
            // No feature of ours is of another kind.
            Some(_) => Err(serde::ser::Error::custom("a value of a kind that is not written")),
        }
    }
}

/// A number, or its name where JSON has no number.
struct Float(f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        float(self.0, serializer)
    }
}

fn float<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        _ if value.is_finite() => serializer.serialize_f64(value),
        _ if value.is_nan() => serializer.serialize_str("NaN"),
        _ if value > 0.0 => serializer.serialize_str("Infinity"),
        _ => serializer.serialize_str("-Infinity"),
    }
}
