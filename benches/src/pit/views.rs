//! The views of a question, as a user would have applied them.

use std::path::{Path, PathBuf};

use hitherto_core::catalog::{AppliedView, Published, Registry};
use hitherto_core::definition::{
    Definitions, Entity, Feature, FeatureView, Field, Known, Metadata, Online, Origin, Source,
};
use hitherto_core::types::DataType;
use serde::{Deserialize, Serialize};

use super::entities::KeyType;
use super::lake::{KEY_COLUMNS, feature_name};

/// What the views of a question have in common.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// Features of each view, all of which are asked for.
    pub features: usize,
    /// The type of the join key.
    pub key: KeyType,
    /// Whether known time counts.
    pub known: Known,
}

impl Terms {
    /// A view of each folder, in their order.
    pub fn applied(self, folders: &[PathBuf]) -> Vec<AppliedView> {
        let views = folders.iter().enumerate().map(|(index, folder)| self.view(index, folder));
        let definitions = Definitions {
            entities: vec![Entity {
                metadata: named("entity"),
                keys: vec![field(KEY_COLUMNS[0], self.key.declared())],
            }],
            views: views.collect(),
            on_demand: Vec::new(),
            services: Vec::new(),
        };
        Registry::default().apply(&definitions, &Published::default(), 0).views
    }

    fn view(self, index: usize, folder: &Path) -> FeatureView {
        let [_, event_time, known_time] = KEY_COLUMNS;
        let features = (0..self.features).map(feature_name);
        FeatureView {
            metadata: named(&format!("v{index}")),
            entity: Some("entity".to_owned()),
            source: Source {
                origin: Origin::Parquet(folder.to_string_lossy().into_owned()),
                partitioned_by: None,
                partitions: Vec::new(),
                sql: None,
                event_time: Some(event_time.to_owned()),
                known_time: Some(known_time.to_owned()),
                delay_micros: 0,
                timezone: None,
                deleted: None,
                columns: Default::default(),
            },
            ttl_micros: None,
            known: self.known,
            features: features.map(|name| Feature::new(name, DataType::Float64)).collect(),
            aggregates: None,
            online: Online::default(),
        }
    }
}

fn named(name: &str) -> Metadata {
    Metadata { name: name.to_owned(), ..Metadata::default() }
}

fn field(name: &str, data_type: DataType) -> Field {
    Field { name: name.to_owned(), data_type, description: String::new() }
}
