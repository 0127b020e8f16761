//! Definitions: what entities, feature views and feature services there are.
//!
//! The types here are checked: a value of [`Definitions`] that came out of
//! [`load`] has unique names, references that resolve, legal types and
//! durations. They are what the catalog stores and every path reads.
//!
//! | module        | what it owns                                               |
//! | ------------- | ---------------------------------------------------------- |
//! | [`form`]      | the written form: which fields a document may have         |
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

pub mod check;
mod default;
pub mod diff;
mod fingerprint;
pub mod form;
mod index;
mod period;
pub mod place;
pub mod schema;
mod share;
mod subject;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::Values;
use crate::reference::FeatureRef;
use crate::types::DataType;

pub use check::{Loaded, load};
pub use default::DefaultValue;
pub use period::Period;
pub use place::{Place, Places};
pub use share::Share;

/// The `apiVersion` that this release writes and reads.
pub const API_VERSION: &str = "hitherto/v1";

/// What a definition can define. Serialized as written in `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    /// An [`Entity`].
    Entity,
    /// A [`FeatureView`].
    FeatureView,
    /// A [`FeatureService`].
    FeatureService,
}

impl ResourceKind {
    /// All kinds, each after what it refers to.
    pub const ALL: [ResourceKind; 3] =
        [ResourceKind::Entity, ResourceKind::FeatureView, ResourceKind::FeatureService];

    /// The kind as it is written in YAML.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResourceKind::Entity => "Entity",
            ResourceKind::FeatureView => "FeatureView",
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

/// A name with a type: a join key or a feature.
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

/// Whether the known-time condition of the rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// No fact answers before it was known.
    #[default]
    Honor,
    /// Event time alone decides: only for reproducing an older system.
    Ignore,
}

/// A named, versioned set of features computed from one source for one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// The entity's name; `None` is a view without join keys, whose facts are
    /// about everything there is.
    pub entity: Option<String>,
    /// Where facts come from.
    pub source: Source,
    /// How long a fact answers, in microseconds; `None` is for ever.
    pub ttl_micros: Option<i64>,
    /// Whether known time counts.
    pub known: Known,
    /// Features, in declared order; at least one.
    pub features: Vec<Field>,
    /// What stands where a feature has no value, by its name: what is not here is null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, DefaultValue>,
    /// What the online store keeps.
    pub online: Online,
}

impl FeatureView {
    /// The default of one of its features, as the values of a column with one row.
    pub fn default_of(&self, feature: &Field) -> Option<Values> {
        self.defaults.get(&feature.name)?.values(&feature.data_type)
    }
}

/// Where a view's facts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// A file, a folder or a glob, relative to the repository's root, or an
    /// object-store URL.
    pub parquet: String,
    /// The period whose facts a file holds, by event time, if its path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitioned_by: Option<Period>,
    /// Columns that no file has because the paths of files name them, as `region=EU/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Field>,
    /// DataFusion SQL over the table `source`.
    pub sql: Option<String>,
    /// The column of event times; `None` is a timeless source, whose facts always were.
    // Stored as the empty name: an older release then opens the store and finds no such
    // column in the source, instead of taking the catalog for damaged.
    #[serde(with = "empty_if_none")]
    pub event_time: Option<String>,
    /// The column of known times; without it a fact is known `delay_micros`
    /// after its event.
    pub known_time: Option<String>,
    /// Microseconds from event to knowledge where no column says so.
    pub delay_micros: i64,
    /// The boolean column that marks deletions: such a fact says that the
    /// entity's values are gone. Without one no fact does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// The column of a join key or feature that is called otherwise here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

impl Source {
    /// The column that holds a join key or feature.
    pub fn column<'s>(&'s self, field: &'s str) -> &'s str {
        self.columns.get(field).map_or(field, String::as_str)
    }

    /// Whether its facts have no event time: they always were.
    pub fn is_timeless(&self) -> bool {
        self.event_time.is_none()
    }

    /// Whether every moment sees every fact, so that the latest of an entity answers them
    /// all.
    pub fn is_always_visible(&self) -> bool {
        self.is_timeless() && self.known_time.is_none()
    }
}

/// A name that is not there, stored as the empty one.
mod empty_if_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(name: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
        name.as_deref().unwrap_or_default().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        let name = String::deserialize(from)?;
        Ok((!name.is_empty()).then_some(name))
    }
}

/// What the online store keeps of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    /// How far back `as_of` can ask, in microseconds; `None` is not at all.
    pub history_micros: Option<i64>,
    /// By how much a new generation may differ from the one that it replaces; `None` is
    /// by anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<MaxChange>,
}

/// By how much a new generation may differ from the one that it replaces; what is `None`
/// may differ by anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxChange {
    /// The number of entities with values: of the old number.
    pub entities: Option<Share>,
    /// How many values of a feature are null: of all, up or down.
    pub nulls: Option<Share>,
    /// How far a feature's numbers reach beyond the old range: of that range.
    pub range: Option<Share>,
}

/// A named list of features: the contract of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureService {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// Features in the order of the answer, wildcards expanded.
    pub features: Vec<FeatureRef>,
}
