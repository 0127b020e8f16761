//! The written form of definitions: what a YAML document may hold.
//!
//! These types say only which fields there are and whether each is text, a list
//! or a mapping; what the text means is not known yet, so every durable detail
//! (a name, a type, a duration) is still a string with its location. They are
//! also the source of the published JSON Schema, for which the comments on
//! fields are written: editors show them. Those of views and their parts stand beside what
//! they become once checked ([`view`](super::view), `source`, `feature`, `online`, `on_demand`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::on_demand::OnDemandViewForm;
use super::schema::NAME_PATTERN;
use super::view::FeatureViewForm;

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

/// A join key, or a column that paths name.
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
    /// A feature's alone: read so that the refusal can say so.
    #[schemars(skip)]
    pub default: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
}

/// What is written of anything that has a name and a type.
pub(super) trait TypedForm {
    /// Its name.
    fn name(&self) -> &Spanned<String>;
    /// Its type.
    fn data_type(&self) -> &Spanned<String>;
}

impl TypedForm for FieldForm {
    fn name(&self) -> &Spanned<String> {
        &self.name
    }

    fn data_type(&self) -> &Spanned<String> {
        &self.data_type
    }
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
    /// Of an on-demand view.
    OnDemandView(Box<OnDemandViewForm>),
    /// Of a feature service.
    FeatureService(FeatureServiceForm),
}
