//! `--service` and `--features`: which features a command is about.

use clap::Args;
use hitherto_api::Selection;
use hitherto_core::reference::FeatureRef;
use hitherto_core::{Error, Result};

/// Which features; one of the two.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct Selected {
    /// Every feature of this feature service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// These features: view:feature, view:* for all of a view, or alias=view[key=column]:* for a
    /// view under another name, with a join key from another column
    #[arg(long, value_name = "VIEW:FEATURE,...", value_delimiter = ',')]
    features: Vec<FeatureRef>,
}

impl Selected {
    /// The same as the engine takes it. Whether it exists is the engine's to say.
    ///
    /// # Errors
    /// `Invalid` when nothing is named.
    pub fn selection(&self) -> Result<Selection> {
        match &self.service {
            Some(service) => Ok(Selection::Service(service.clone())),
            None if self.features.is_empty() => Err(Error::invalid(
                "nothing is asked for; name it with --service NAME or --features \
                 VIEW:FEATURE,...",
            )),
            None => Ok(Selection::Features(self.features.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_must_be_asked_for() {
        let neither = Selected { service: None, features: Vec::new() };
        let error = neither.selection().expect_err("nothing is named");
        assert!(error.to_string().contains("--service NAME or --features"), "{error}");
        let one = Selected { service: Some(String::from("s")), features: Vec::new() };
        assert!(one.selection().is_ok());
    }
}
