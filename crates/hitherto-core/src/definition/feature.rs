//! A feature: how it is written, what it is once checked, and what there is to say of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::DefaultValue;
use super::describe::{Aspects, Effect, aspect};
use super::form::TypedForm;
use super::schema::NAME_PATTERN;
use super::subject::Subject;
use crate::column::Values;
use crate::types::DataType;

/// A feature as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Feature")]
pub struct FeatureForm {
    /// The column's name, unique among its siblings.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Spanned<String>,
    /// bool, int8 to int64, uint8 to uint64, float32, float64, string, binary,
    /// date32, decimal128(10, 2), timestamp(us, UTC), list(float32) or, of a
    /// fixed length, list(float32, 768).
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub data_type: Spanned<String>,
    /// What stands where it has no value, in lookups and training sets alike; null
    /// without it. The status still says why there is none.
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
}

/// A default, for the schema: YAML tells bools, numbers and text apart.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is read as text")]
pub(super) enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl TypedForm for FeatureForm {
    fn name(&self) -> &Spanned<String> {
        &self.name
    }

    fn data_type(&self) -> &Spanned<String> {
        &self.data_type
    }
}

/// What a view says of an entity: a column of its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Unique among its siblings.
    pub name: String,
    /// Kept exactly from source to reader.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What stands where it has no value; `None` is null.
    #[serde(skip)] // stored beside all features, see `stored`
    pub default: Option<DefaultValue>,
}

impl Feature {
    /// One of which no more is said.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, description: String::new(), default: None }
    }

    /// Its default, as the values of a column with one row.
    pub fn default_values(&self) -> Option<Values> {
        self.default.as_ref()?.values(&self.data_type)
    }

    pub(super) fn check(
        subject: &mut Subject<'_>,
        form: &FeatureForm,
        data_type: DataType,
    ) -> Self {
        let name = &form.name.value;
        let default = Self::default_of(subject, name, form.default.as_ref(), &data_type);
        let description = form.description.clone().unwrap_or_default();
        Self { name: name.clone(), data_type, description, default }
    }

    /// A feature's default, if it was written and is one.
    pub(super) fn default_of(
        subject: &mut Subject<'_>,
        name: &str,
        found: Option<&Spanned<String>>,
        data_type: &DataType,
    ) -> Option<DefaultValue> {
        let found = found?;
        subject.note(&format!("features.{name}.default"), found.referenced);
        let parsed = DefaultValue::parse(&found.value, data_type);
        parsed
            .map_err(|why| {
                subject.refuse(found.referenced, format_args!("feature {name:?}: {why}"));
            })
            .ok()
    }

    pub(super) fn describe(&self, to: &mut Aspects) {
        let Self { name, data_type, description, default } = self;
        let path = |field| format!("features.{name}.{field}");
        to.push(aspect(format!("features.{name}"), data_type, Effect::Rematerialize));
        if !description.is_empty() {
            to.push(aspect(path("description"), description, Effect::None));
        }
        let default = default.iter();
        to.extend(default.map(|default| aspect(path("default"), default, Effect::Serving)));
    }
}

/// Features as they are stored in a view: defaults are a map beside them, because they came
/// after the stores of earlier releases.
pub(super) mod stored {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, DefaultValue, Deserialize, Feature, Serialize};

    #[derive(Serialize)]
    struct Written<'f> {
        features: &'f [Feature],
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        defaults: BTreeMap<&'f str, &'f DefaultValue>,
    }

    #[derive(Deserialize)]
    struct Read {
        features: Vec<Feature>,
        #[serde(default)]
        defaults: BTreeMap<String, DefaultValue>,
    }

    pub fn serialize<S: Serializer>(features: &[Feature], to: S) -> Result<S::Ok, S::Error> {
        Written { features, defaults: super::defaults(features) }.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Feature>, D::Error> {
        let Read { mut features, mut defaults } = Read::deserialize(from)?;
        for feature in &mut features {
            feature.default = defaults.remove(&feature.name);
        }
        Ok(features)
    }
}

/// Defaults by the name of their feature.
pub(super) fn defaults<'f>(features: &'f [Feature]) -> BTreeMap<&'f str, &'f DefaultValue> {
    let named = |feature: &'f Feature| Some((feature.name.as_str(), feature.default.as_ref()?));
    features.iter().filter_map(named).collect()
}
