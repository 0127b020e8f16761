//! On-demand views: features that are computed when they are asked for, by expressions over
//! other features and over what only the request has. What they are once checked, and what
//! there is to say of them.
//!
//! Nothing of them is stored. What an expression means and whether its type is the declared
//! one is not known here: that takes the types of its inputs and an engine for SQL.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `form` | how they are written |
//! | `check` | from the written form to the checked, every problem with its place |
//! | `graph` | what reads what: no circle, and entities that belong together |

mod check;
mod form;
mod graph;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::describe::{Aspects, Effect, ORDER, aspect, columns};
use super::{DefaultValue, Field, Metadata};
use crate::column::Values;
use crate::name::suggestion;
use crate::reference::FeatureRef;
use crate::types::DataType;
use crate::{Error, Result};

pub(super) use self::form::OnDemandViewForm;
pub(super) use self::graph::check as check_graph;

/// What expressions call the request, where they say where a field is from.
pub const REQUEST: &str = "request";

/// Features that are computed when they are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandView {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// The entities whose features are read together; none is written where they are of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// What the request brings, one value a row; in training columns of the spine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<Field>,
    /// Features of other views that expressions can read, wildcards expanded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<FeatureRef>,
    /// Features, in declared order; at least one.
    pub features: Vec<OnDemandFeature>,
}

/// A feature that is computed of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandFeature {
    /// Unique among its siblings.
    pub name: String,
    /// The type of its expression, exactly.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// SQL over the view's inputs, what the request brings and `request_time()`.
    pub expr: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What stands where it has no value; `None` is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultValue>,
}

impl OnDemandFeature {
    /// Its default, as the values of a column with one row.
    pub fn default_values(&self) -> Option<Values> {
        self.default.as_ref()?.values(&self.data_type)
    }
}

impl OnDemandView {
    /// The view's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The index of one of its features.
    ///
    /// # Errors
    /// `NotFound` with a suggestion.
    pub fn feature_index(&self, name: &str) -> Result<usize> {
        self.features.iter().position(|feature| feature.name == name).ok_or_else(|| {
            let names = self.features.iter().map(|feature| feature.name.as_str());
            Error::not_found(format!(
                "on-demand view {:?} has no feature {name:?}{}",
                self.name(),
                suggestion(name, names)
            ))
        })
    }

    /// The type of one of its features.
    pub fn type_of(&self, name: &str) -> Option<&DataType> {
        let feature = self.features.iter().find(|feature| feature.name == name)?;
        Some(&feature.data_type)
    }

    /// The views that it reads, each once, by the names that its expressions call them.
    pub fn views(&self) -> Vec<&str> {
        let mut views: Vec<&str> = Vec::new();
        for name in self.inputs.iter().map(|input| input.view.name()) {
            if !views.contains(&name) {
                views.push(name);
            }
        }
        views
    }

    /// What there is to say of it.
    pub fn describe(&self) -> Aspects {
        let Self { metadata, entities, request, inputs, features } = self;
        let mut to = Aspects::new();
        metadata.describe(&mut to);
        to.push(aspect("entities", entities.join(", "), Effect::Serving));
        to.push(aspect("request", columns(request), Effect::Serving));
        let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        to.push(aspect("inputs", inputs.join(", "), Effect::Serving));
        let order: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
        to.push(aspect(ORDER, order.join(", "), Effect::Serving));
        features.iter().for_each(|feature| feature.describe(&mut to));
        to
    }

    /// A hash over everything that can change its answers.
    pub fn definition_hash(&self) -> u64 {
        let aspects = self.describe();
        let counts = aspects.iter().filter(|aspect| aspect.effect != Effect::None);
        let said: Vec<(&str, &str)> =
            counts.map(|aspect| (aspect.path.as_str(), aspect.value.as_str())).collect();
        xxh3_64(&serde_json::to_vec(&said).expect("text is JSON"))
    }
}

impl OnDemandFeature {
    fn describe(&self, to: &mut Aspects) {
        let Self { name, data_type, expr, description, default } = self;
        let path = |field| format!("features.{name}.{field}");
        to.push(aspect(format!("features.{name}"), data_type, Effect::Serving));
        to.push(aspect(path("expr"), expr, Effect::Serving));
        if !description.is_empty() {
            to.push(aspect(path("description"), description, Effect::None));
        }
        let default = default.iter();
        to.extend(default.map(|default| aspect(path("default"), default, Effect::Serving)));
    }
}

#[cfg(test)]
mod tests;
