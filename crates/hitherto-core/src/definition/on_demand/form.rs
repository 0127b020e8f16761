//! How on-demand views are written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::super::feature::Scalar;
use super::super::form::{FieldForm, TypedForm};
use super::super::schema::NAME_PATTERN;

/// What an on-demand view is: features that are computed when they are asked for, of other
/// features and of what only the request has. Nothing of it is stored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OnDemandViewSpec")]
pub struct OnDemandViewForm {
    /// The entities whose features are read together, if there are several: every request then
    /// brings the join keys of all of them.
    #[schemars(with = "Option<Vec<String>>", extend("minItems" = 1))]
    pub entities: Option<Spanned<Vec<Spanned<String>>>>,
    /// What the request brings, one value a row, such as the amount of the payment in question.
    /// In a training set these are columns of the spine, of the same name and type.
    #[schemars(with = "Option<Vec<FieldForm>>", extend("minItems" = 1))]
    pub request: Option<Spanned<Vec<FieldForm>>>,
    /// Features that expressions can read: view:feature or view:*, of feature views and of
    /// other on-demand views.
    #[schemars(with = "Option<Vec<String>>", extend("minItems" = 1))]
    pub inputs: Option<Spanned<Vec<Spanned<String>>>>,
    /// Features, in the order of the answer; at least one.
    #[schemars(with = "Vec<OnDemandFeatureForm>", extend("minItems" = 1))]
    pub features: Spanned<Vec<OnDemandFeatureForm>>,
}

/// A feature that is computed of one row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OnDemandFeature")]
pub struct OnDemandFeatureForm {
    /// The feature's name, unique among its siblings.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Spanned<String>,
    /// The type of its expression, exactly: as for the features of a feature view.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub data_type: Spanned<String>,
    /// SQL over one row: inputs as view.feature (or feature, where only one is called so),
    /// fields of the request by their names (or as request.field), and request_time().
    #[schemars(with = "String", extend("minLength" = 1))]
    pub expr: Spanned<String>,
    /// What stands where it has no value; null without it.
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
}

impl TypedForm for OnDemandFeatureForm {
    fn name(&self) -> &Spanned<String> {
        &self.name
    }

    fn data_type(&self) -> &Spanned<String> {
        &self.data_type
    }
}
