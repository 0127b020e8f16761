//! What a request asks for: a service or a feature list, resolved against the
//! catalog into views and features in the order of the answer.

use hitherto_core::catalog::{AppliedView, Catalog};
use hitherto_core::limits::REQUEST_FEATURES_MAX;
use hitherto_core::name::FeatureRef;
use hitherto_core::{Error, Result};

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

/// A selection with every name found.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The views, in the order of their first feature.
    pub views: Vec<AppliedView>,
    /// The features, in the order of the answer.
    pub features: Vec<ResolvedFeature>,
}

/// One feature of the answer.
#[derive(Clone, Debug)]
pub struct ResolvedFeature {
    /// Index into [`Resolved::views`].
    pub view: usize,
    /// Index into that view's features.
    pub feature: usize,
    /// `view:feature`.
    pub reference: FeatureRef,
}

impl Resolved {
    /// Finds every name of `selection` in `catalog`.
    ///
    /// # Errors
    /// `NotFound` with a suggestion; `Invalid` when nothing, too much or
    /// something twice is asked for.
    pub fn new(catalog: &Catalog, selection: &Selection) -> Result<Self> {
        let references = match selection {
            Selection::Service(name) => &catalog.service(name)?.features,
            Selection::Features(references) => references,
        };
        let mut resolved = Self { views: Vec::new(), features: Vec::new() };
        for reference in references {
            resolved.add(catalog, reference)?;
        }
        if resolved.features.is_empty() {
            return Err(Error::invalid("no feature is asked for; name a service or view:feature"));
        }
        Ok(resolved)
    }

    fn add(&mut self, catalog: &Catalog, reference: &FeatureRef) -> Result<()> {
        let view = match self.views.iter().position(|view| view.name() == reference.view) {
            Some(view) => view,
            None => {
                self.views.push(catalog.view(&reference.view)?.clone());
                self.views.len() - 1
            }
        };
        let features = match reference.is_wildcard() {
            true => 0..self.views[view].definition.features.len(),
            false => {
                let feature = self.views[view].feature_index(&reference.feature)?;
                feature..feature + 1
            }
        };
        for feature in features {
            if self.features.iter().any(|known| known.view == view && known.feature == feature) {
                return Err(Error::invalid(format!("feature {reference} is asked for twice")));
            }
            if self.features.len() >= REQUEST_FEATURES_MAX {
                return Err(Error::invalid(format!(
                    "more than {REQUEST_FEATURES_MAX} features are asked for; split the request"
                )));
            }
            let name = self.views[view].definition.features[feature].name.clone();
            let reference = FeatureRef { view: reference.view.clone(), feature: name };
            self.features.push(ResolvedFeature { view, feature, reference });
        }
        Ok(())
    }
}
