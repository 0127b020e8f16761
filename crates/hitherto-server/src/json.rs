//! Lookups as JSON: what `POST /v1/lookup` reads and writes, and what
//! `hitherto get --output json` prints.
//!
//! JSON is for people and scripts: one object an entity, every value beside its
//! status. Whoever asks often asks over gRPC, where a column is a packed array.

use std::collections::BTreeMap;
use std::fmt;

use hitherto_api::cells::{Cells, part_json};
use hitherto_api::{KeyColumn, Lookup, LookupRequest, Selection, fields};
use hitherto_core::column::Status;
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::Times;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What is asked for, and of which entities: either `service` or `features`, and
/// the values of every join key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupBody {
    /// A feature service by its name.
    pub service: Option<String>,
    /// Features, each `view:feature` or `view:*`.
    pub features: Option<Vec<String>>,
    /// For each join key its values, one for each entity: bool, integer, string or
    /// null. All of one length.
    #[serde(default, deserialize_with = "unique")]
    pub keys: BTreeMap<String, Vec<Value>>,
    /// For each field of the request that on-demand views read its values, one for each
    /// entity: of its type, or null.
    #[serde(default, deserialize_with = "unique")]
    pub request: BTreeMap<String, Vec<Value>>,
    /// The moment to answer for, RFC 3339. Now if it is absent.
    pub as_of: Option<String>,
    /// Also tell when each fact happened and when it was known.
    #[serde(default)]
    pub with_times: bool,
}

/// What was answered: one item for each entity, in the order of the request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LookupAnswer<'l> {
    /// The moment that was answered for, RFC 3339.
    #[serde(serialize_with = "moment")]
    #[schemars(with = "String")]
    pub as_of: i64,
    /// Counts changes to what is applied and online.
    pub catalog_version: u64,
    /// One for each entity asked for.
    pub entities: Vec<EntityAnswer<'l>>,
}

/// What was answered for one entity.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EntityAnswer<'l> {
    /// Its join keys, as they were given.
    #[serde(serialize_with = "as_map")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub keys: Vec<(&'l str, Value)>,
    /// By `view:feature`, in the order of the request.
    #[serde(serialize_with = "as_map")]
    #[schemars(with = "BTreeMap<String, FeatureAnswer>")]
    pub features: Vec<(&'l str, FeatureAnswer)>,
}

/// What was answered for one feature of one entity.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeatureAnswer {
    /// The value: bool, number, string or array; if there is none the feature's default,
    /// or null. Dates, timestamps, decimals, NaN and infinities are strings.
    pub value: Value,
    /// Why there is a value or none: PRESENT, NULL (the fact has none), NOT_FOUND
    /// (no fact is known), EXPIRED (the newest one is older than the view's ttl).
    #[serde(serialize_with = "name")]
    #[schemars(with = "String")]
    pub status: Status,
    /// When the fact that answered, or has expired, happened and when it was known, if
    /// that was asked for and there is one.
    #[serde(flatten, serialize_with = "written")]
    #[schemars(with = "FactTimes")]
    pub times: Option<Times>,
}

/// When a fact happened and when it was known, RFC 3339.
#[derive(JsonSchema)]
#[allow(dead_code)]
pub struct FactTimes {
    /// When it happened.
    event_time: Option<String>,
    /// When it was known.
    known_time: Option<String>,
}

/// Why a request was not answered.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorAnswer {
    /// The one field.
    pub error: ErrorDetail,
}

/// The kind of an error and its message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorDetail {
    /// invalid, not_found, conflict, denied, forbidden, unavailable, corrupt or internal.
    pub kind: &'static str,
    /// What is wrong and what to do next.
    pub message: String,
}

impl LookupBody {
    /// The request; what it names is the engine's to find. `fields_of` says what a selection
    /// takes from the request.
    ///
    /// # Errors
    /// `Invalid` when it asks for nothing or for two things, or a reference, a
    /// moment or a value is malformed; those of `fields_of`.
    pub fn into_request(
        self,
        fields_of: impl FnOnce(&Selection) -> Result<Vec<Field>>,
    ) -> Result<LookupRequest> {
        let selection = match (self.service, self.features) {
            (Some(service), None) => Selection::Service(service),
            (None, Some(features)) => Selection::features(&features)?,
            (None, None) => {
                return Err(Error::invalid("the lookup asks for nothing; set service or features"));
            }
            (Some(_), Some(_)) => {
                return Err(Error::invalid("the lookup has service and features; set one of them"));
            }
        };
        let keys = self.keys.into_iter().map(|(name, values)| {
            let parts = values.into_iter().map(|value| part(&name, value));
            Ok(KeyColumn { parts: parts.collect::<Result<_>>()?, name })
        });
        let keys = keys.collect::<Result<_>>()?;
        let request = match self.request.is_empty() {
            true => Vec::new(),
            false => fields::from_map(&fields_of(&selection)?, self.request)?,
        };
        Ok(LookupRequest {
            selection,
            keys,
            request,
            as_of: self.as_of.as_deref().map(parse_timestamp).transpose()?,
            with_times: self.with_times,
        })
    }
}

/// Reads one value of a join key.
fn part(name: &str, value: Value) -> Result<Option<OwnedPart>> {
    let integer = value.as_i64().map(OwnedPart::Int).or(value.as_u64().map(OwnedPart::UInt));
    match (value, integer) {
        (_, Some(integer)) => Ok(Some(integer)),
        (Value::Null, _) => Ok(None),
        (Value::Bool(value), _) => Ok(Some(OwnedPart::Bool(value))),
        (Value::String(text), _) => Ok(Some(OwnedPart::Bytes(text.into_bytes()))),
        (odd, _) => Err(Error::invalid(format!(
            "join key {name:?} has {}; send a bool, an integer, a string or null",
            kind(&odd)
        ))),
    }
}

/// What a value is, and not which: errors are logged.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "a null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number that is no integer of 64 bits",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads an object of arrays whose names are all different: of two alone one could be
/// meant.
pub(crate) fn unique<'de, D>(deserializer: D) -> Result<BTreeMap<String, Vec<Value>>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Unique)
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = BTreeMap<String, Vec<Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of arrays, one for each name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((name, array)) = map.next_entry::<String, Vec<Value>>()? {
            if values.insert(name, array).is_some() {
                return Err(A::Error::custom("a name is given twice"));
            }
        }
        Ok(values)
    }
}

impl<'l> LookupAnswer<'l> {
    /// Reads a lookup entity by entity. `keys` are those of the request.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(keys: &'l [KeyColumn], lookup: &'l Lookup) -> Result<Self> {
        let cells = Cells::new(lookup)?;
        let times: Vec<_> =
            lookup.columns.iter().map(|column| times_of(lookup, &column.name)).collect();
        let entity = |row: usize| {
            let features = lookup.columns.iter().enumerate().map(|(index, column)| {
                let answer = FeatureAnswer {
                    value: cells.json(index, row)?,
                    status: column.status(row),
                    times: times[index].and_then(|times| times[row]),
                };
                Ok((column.name.as_str(), answer))
            });
            let keys = keys
                .iter()
                .map(|key| (key.name.as_str(), key.parts.get(row).map_or(Value::Null, part_json)));
            Ok(EntityAnswer { keys: keys.collect(), features: features.collect::<Result<_>>()? })
        };
        Ok(Self {
            as_of: lookup.at,
            catalog_version: lookup.catalog_version,
            entities: (0..lookup.rows).map(entity).collect::<Result<_>>()?,
        })
    }
}

impl FeatureAnswer {
    /// The value as text; empty where there is none.
    pub fn text(&self) -> String {
        match &self.value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }
}

impl ErrorAnswer {
    /// Of an error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { error: ErrorDetail { kind: kind.name(), message: message.into() } }
    }
}

/// The times of the facts that answered for a feature's view, one an entity.
fn times_of<'l>(lookup: &'l Lookup, feature: &str) -> Option<&'l [Option<Times>]> {
    let (view, _) = feature.split_once(':')?;
    let of_view = lookup.times.iter().find(|times| times.view == view)?;
    Some(&of_view.times)
}

/// Pairs as one JSON object that keeps their order.
fn as_map<T: Serialize, S: Serializer>(
    pairs: &[(&str, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn moment<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_timestamp(*micros))
}

fn name<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.name())
}

/// Two fields, or none where there is no time.
fn written<S: Serializer>(times: &Option<Times>, serializer: S) -> Result<S::Ok, S::Error> {
    let fields = times.map(|Times { event, known }| {
        [("event_time", format_timestamp(event)), ("known_time", format_timestamp(known))]
    });
    serializer.collect_map(fields.into_iter().flatten())
}
