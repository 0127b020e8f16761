//! `--service` and `--features`: which features a command is about.

use clap::Args;
use hitherto_core::name::FeatureRef;
use hitherto_engine::Selection;

/// Which features; one of the two.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Selected {
    /// Every feature of this feature service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// These features: view:feature, or view:* for all of a view
    #[arg(long, value_name = "VIEW:FEATURE,...", value_delimiter = ',')]
    features: Vec<FeatureRef>,
}

impl Selected {
    /// The same as the engine takes it. Whether it exists is the engine's to say.
    pub fn selection(&self) -> Selection {
        match &self.service {
            Some(service) => Selection::Service(service.clone()),
            None => Selection::Features(self.features.clone()),
        }
    }
}
