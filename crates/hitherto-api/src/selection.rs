//! What a request asks for: a service or a feature list.

use hitherto_core::Result;
use hitherto_core::reference::FeatureRef;

/// A service by name, or features by reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All features of a feature service.
    Service(String),
    /// These features, wildcards allowed.
    Features(Vec<FeatureRef>),
}

impl Selection {
    /// Reads feature references such as `lactate:*`.
    ///
    /// # Errors
    /// `Invalid` when one is malformed.
    pub fn features<S: AsRef<str>>(references: impl IntoIterator<Item = S>) -> Result<Self> {
        let references: Result<_> =
            references.into_iter().map(|reference| reference.as_ref().parse()).collect();
        Ok(Selection::Features(references?))
    }
}

/// How feature columns are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureNames {
    /// `feature`; refused when two views have one of that name.
    #[default]
    Short,
    /// `view:feature`.
    Full,
}
