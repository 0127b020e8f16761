//! Definitions: what entities, feature views and feature services there are.
//!
//! The types here are checked: a value of [`Definitions`] that came out of
//! [`load`] has unique names, references that resolve, legal types and
//! durations. They are what the catalog stores and every path reads.
//!
//! | module        | what it owns                                               |
//! | ------------- | ---------------------------------------------------------- |
//! | [`form`]      | the written form: which fields a document may have         |
//! | `view`        | feature views: as written, checked, and described          |
//! | `source`      | their sources, in the same way                             |
//! | `feature`     | their features, in the same way                            |
//! | `aggregate`   | features that are computed from events, in the same way        |
//! | `on_demand`   | features that are computed when they are asked for, in the same way |
//! | `fact`        | the values of a view's facts, which features are or are made of |
//! | `online`      | what the online store keeps of them, in the same way       |
//! | [`describe`]  | what there is to say of a resource, field by field         |
//! | [`schema`]    | the JSON Schema of the written form                        |
//! | [`yaml`]      | files to documents of that form                            |
//! | [`place`]     | where in which file something was written                  |
//! | [`check`]     | written form to checked types, every problem with its place |
//! | `default`     | what stands where a feature has no value                   |
//! | `index`       | what references can refer to                               |
//! | `subject`     | what checks of every kind share                            |
//! | [`diff`]      | what applying one set of definitions over another changes  |
//! | `share`       | shares of something, such as 5%                            |
//! | `fingerprint` | what a view is, in one number                              |

pub mod aggregate;
pub mod check;
mod default;
pub mod describe;
pub mod diff;
mod fact;
mod feature;
mod fingerprint;
pub mod form;
mod index;
pub mod on_demand;
mod online;
mod period;
pub mod place;
pub mod schema;
mod share;
mod source;
mod subject;
mod view;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reference::FeatureRef;
use crate::types::DataType;

pub use aggregate::{Aggregate, Aggregates};
pub use check::{Loaded, load};
pub use default::DefaultValue;
pub use fact::FactValue;
pub use feature::Feature;
pub use on_demand::{OnDemandFeature, OnDemandView};
pub use online::{MaxChange, Online};
pub use period::Period;
pub use place::{Place, Places};
pub use share::Share;
pub use source::{Origin, Source};
pub use view::{FeatureView, Known};

/// The `apiVersion` that this release writes and reads.
pub const API_VERSION: &str = "hitherto/v1";

/// What a definition can define. Serialized as written in `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    /// An [`Entity`].
    Entity,
    /// A [`FeatureView`].
    FeatureView,
    /// An [`OnDemandView`].
    OnDemandView,
    /// A [`FeatureService`].
    FeatureService,
}

impl ResourceKind {
    /// All kinds, each after what it refers to.
    pub const ALL: [ResourceKind; 4] = [
        ResourceKind::Entity,
        ResourceKind::FeatureView,
        ResourceKind::OnDemandView,
        ResourceKind::FeatureService,
    ];

    /// The kind as it is written in YAML.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResourceKind::Entity => "Entity",
            ResourceKind::FeatureView => "FeatureView",
            ResourceKind::OnDemandView => "OnDemandView",
            ResourceKind::FeatureService => "FeatureService",
        }
    }
}

/// The kind in a sentence, such as `feature view`.
impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceKind::Entity => "entity",
            ResourceKind::FeatureView => "feature view",
            ResourceKind::OnDemandView => "on-demand view",
            ResourceKind::FeatureService => "feature service",
        })
    }
}

/// All definitions of a repository, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Entities.
    pub entities: Vec<Entity>,
    /// Feature views.
    pub views: Vec<FeatureView>,
    /// On-demand views.
    pub on_demand: Vec<OnDemandView>,
    /// Feature services.
    pub services: Vec<FeatureService>,
}

impl Definitions {
    /// The entity of that name.
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.metadata.name == name)
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<&FeatureView> {
        self.views.iter().find(|view| view.metadata.name == name)
    }

    /// The on-demand view of that name.
    pub fn on_demand_view(&self, name: &str) -> Option<&OnDemandView> {
        self.on_demand.iter().find(|view| view.metadata.name == name)
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&FeatureService> {
        self.services.iter().find(|service| service.metadata.name == name)
    }
}

/// What every resource carries beside its spec. Nothing here changes an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Unique among resources of one kind.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Free labels, such as `phi: "true"`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The thing a feature describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// Join keys, in the order in which they are encoded; at least one.
    pub keys: Vec<Field>,
}

/// A name with a type: a join key, or a column that paths name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Unique among its siblings.
    pub name: String,
    /// Kept exactly from source to reader.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A named list of features: the contract of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureService {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// Features in the order of the answer, wildcards expanded.
    pub features: Vec<FeatureRef>,
}
