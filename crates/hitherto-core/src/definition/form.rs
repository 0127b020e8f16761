//! The written form of definitions: what a YAML document may hold.
//!
//! These types say only which fields there are and whether each is text, a list
//! or a mapping; what the text means is not known yet, so every durable detail
//! (a name, a type, a duration) is still a string with its location. They are
//! also the source of the published JSON Schema, for which the comments on
//! fields are written: editors show them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::schema::{DURATION_PATTERN, KNOWN, NAME_PATTERN, SHARE_PATTERN};

/// Name, description, owner and tags. Nothing here changes an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Metadata")]
pub struct MetadataForm {
    /// Unique among resources of one kind.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Spanned<String>,
    /// For people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Free labels, such as `phi: "true"`.
    pub tags: Option<BTreeMap<String, String>>,
}

/// What an entity is: its join keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EntitySpec")]
pub struct EntityForm {
    /// Join keys, in the order in which they are encoded; at least one.
    #[schemars(with = "Vec<FieldForm>", extend("minItems" = 1))]
    pub keys: Spanned<Vec<FieldForm>>,
}

/// A default, for the schema: YAML tells bools, numbers and text apart.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is read as text")]
enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// A join key or a feature.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Field")]
pub struct FieldForm {
    /// The column's name, unique among its siblings.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Spanned<String>,
    /// bool, int8 to int64, uint8 to uint64, float32, float64, string, binary,
    /// date32, decimal128(10, 2), timestamp(us, UTC), list(float32) or, of a
    /// fixed length, list(float32, 768).
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub data_type: Spanned<String>,
    /// Of a feature: what stands where it has no value, in lookups and training sets
    /// alike; null without it. The status still says why there is none.
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
}

/// What a feature view is: features of one entity from one source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FeatureViewSpec")]
pub struct FeatureViewForm {
    /// The entity's name; without it the features are about everything there
    /// is, and are looked up and joined without keys.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "written")]
    pub entity: Option<Spanned<String>>,
    /// Where facts come from.
    pub source: SourceForm,
    /// How long a fact answers, such as 24h or 10y (a year is 365 days); for ever without
    /// it.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub ttl: Option<Spanned<String>>,
    /// Whether known time counts: honor (the default), or ignore to reproduce
    /// an older system.
    #[schemars(with = "Option<String>", extend("enum" = KNOWN))]
    pub known: Option<Spanned<String>>,
    /// Features, in the order of the answer; at least one.
    #[schemars(with = "Vec<FieldForm>", extend("minItems" = 1))]
    pub features: Spanned<Vec<FieldForm>>,
    /// What the online store keeps beyond the latest fact.
    pub online: Option<OnlineForm>,
}

/// Text that is not there, or there: a field without a value is neither.
fn written<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Spanned<String>>, D::Error> {
    Spanned::deserialize(reader).map(Some)
}

/// Where facts come from: with `eventTime`, or `timeless`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Source")]
#[schemars(extend("oneOf" = [{ "required": ["eventTime"] }, { "required": ["timeless"] }]))]
pub struct SourceForm {
    /// A file, folder or glob relative to the repository's root, or an
    /// object-store URL.
    #[schemars(with = "String", extend("minLength" = 1))]
    pub parquet: Spanned<String>,
    /// The period, in UTC, whose facts a file holds, by event time, if its path names it,
    /// as `day=2026-01-05/` does. Files of later periods than are asked for are then not
    /// opened.
    #[schemars(with = "Option<String>", extend("enum" = ["year", "month", "day", "hour"]))]
    pub partitioned_by: Option<Spanned<String>>,
    /// Columns that no file has because the paths of files name them, as `region=EU/`:
    /// the name as it is there, and the type of its values.
    #[schemars(with = "Option<Vec<FieldForm>>", extend("minItems" = 1))]
    pub partitions: Option<Spanned<Vec<FieldForm>>>,
    /// DataFusion SQL over the table `source`.
    #[schemars(with = "Option<String>")]
    pub sql: Option<Spanned<String>>,
    /// The column that says when a thing happened.
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub event_time: Option<Spanned<String>>,
    /// In the place of eventTime: true for attributes that have no time, such as a
    /// patient's sex. They always were: every moment sees them, they have no age, and
    /// neither a ttl nor online.history. What can change has a knownTime.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub timeless: Option<Spanned<String>>,
    /// The column that says when it could first be known.
    #[schemars(with = "Option<String>")]
    pub known_time: Option<Spanned<String>>,
    /// How long after its event a fact is known, where no column says so.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub delay: Option<Spanned<String>>,
    /// The boolean column that marks deletions: from such a fact on the entity
    /// has no values, until a later fact gives it new ones.
    #[schemars(with = "Option<String>")]
    pub deleted: Option<Spanned<String>>,
    /// The columns of join keys and features that are called otherwise in the
    /// source, such as `heart_rate: HR`.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub columns: Option<BTreeMap<String, Spanned<String>>>,
}

/// What the online store keeps beyond the latest fact.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Online")]
pub struct OnlineForm {
    /// How far back an online lookup can ask, such as 7d; not at all without it.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub history: Option<Spanned<String>>,
    /// By how much a new generation may differ from the one that it replaces; if it
    /// differs by more, readers go on seeing the old one.
    pub max_change: Option<MaxChangeForm>,
}

/// By how much a new generation may differ from the one that it replaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "MaxChange")]
pub struct MaxChangeForm {
    /// The number of entities with values may grow or shrink by this share of it.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub entities: Option<Spanned<String>>,
    /// The share of nulls among a feature's values may rise or fall by this.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub nulls: Option<Spanned<String>>,
    /// A feature's numbers may reach beyond the old range by this share of it.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub range: Option<Spanned<String>>,
}

/// What a feature service is: the features of one model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FeatureServiceSpec")]
pub struct FeatureServiceForm {
    /// Features in the order of the answer: `view:feature`, or `view:*` for all
    /// of a view in its own order. `home=airport[airport_id=home_id]:*` takes the
    /// join key airport_id from the column home_id and names the view home.
    #[schemars(with = "Vec<String>", extend("minItems" = 1))]
    pub features: Spanned<Vec<Spanned<String>>>,
}

/// The spec of a document, by its kind.
#[derive(Debug)]
pub enum Spec {
    /// Of an entity.
    Entity(EntityForm),
    /// Of a feature view.
    FeatureView(Box<FeatureViewForm>),
    /// Of a feature service.
    FeatureService(FeatureServiceForm),
}
