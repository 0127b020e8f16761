//! What a request asks for: a service or a feature list, resolved against the
//! catalog into views and features in the order of the answer.
//!
//! Training sets mean what is applied. Lookups mean what is published: of a view whose
//! changed definition has no copy yet that is the definition before.

use std::collections::{HashMap, HashSet};

use hitherto_core::catalog::{AppliedView, Catalog};
use hitherto_core::definition::Field;
use hitherto_core::limits::{REQUEST_FEATURES_MAX, REQUEST_VIEWS_MAX};
use hitherto_core::reference::{FeatureRef, ViewRef};
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
    pub views: Vec<ResolvedView>,
    /// The features, in the order of the answer.
    pub features: Vec<ResolvedFeature>,
}

/// Which definition of a view is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    Applied,
    Published,
}

/// One view as the request uses it.
#[derive(Clone, Debug)]
pub struct ResolvedView {
    /// The view.
    pub view: AppliedView,
    /// How the request names it and where its join keys come from.
    pub reference: ViewRef,
    /// Its join keys under the names of the columns that they come from.
    pub keys: Vec<Field>,
}

impl ResolvedView {
    fn new(catalog: &Catalog, reference: &ViewRef, meant: Meant) -> Result<Self> {
        let applied = catalog.view(&reference.view)?;
        let view = match meant {
            Meant::Applied => applied.clone(),
            Meant::Published => applied.published().unwrap_or(applied).clone(),
        };
        reference.check_keys(view.keys.iter().map(|key| key.name.as_str()))?;
        let column =
            |key: &Field| Field { name: reference.column(&key.name).to_owned(), ..key.clone() };
        let keys = view.keys.iter().map(column).collect();
        Ok(Self { view, reference: reference.clone(), keys })
    }
}

/// One feature of the answer.
#[derive(Clone, Debug)]
pub struct ResolvedFeature {
    /// Index into [`Resolved::views`].
    pub view: usize,
    /// Index into that view's features.
    pub feature: usize,
    /// One feature, no wildcard.
    pub reference: FeatureRef,
}

impl Resolved {
    /// Finds every name of `selection` in `catalog`, as it is applied.
    ///
    /// # Errors
    /// `NotFound` with a suggestion; `Invalid` when nothing, too much or
    /// something twice is asked for.
    pub fn new(catalog: &Catalog, selection: &Selection) -> Result<Self> {
        Self::find(catalog, selection, Meant::Applied)
    }

    /// The same, as lookups read it.
    ///
    /// # Errors
    /// As [`Resolved::new`]; `Unavailable` for a feature that is applied and of which
    /// nothing is online yet.
    pub fn published(catalog: &Catalog, selection: &Selection) -> Result<Self> {
        Self::find(catalog, selection, Meant::Published)
    }

    fn find(catalog: &Catalog, selection: &Selection, meant: Meant) -> Result<Self> {
        let references = match selection {
            Selection::Service(name) => &catalog.service(name)?.features,
            Selection::Features(references) => references,
        };
        let mut resolved = Self { views: Vec::new(), features: Vec::new() };
        let mut seen = Seen { meant, views: HashMap::new(), features: HashSet::new() };
        for reference in references {
            resolved.add(catalog, reference, &mut seen)?;
        }
        if resolved.features.is_empty() {
            return Err(Error::invalid("no feature is asked for; name a service or view:feature"));
        }
        Ok(resolved)
    }

    fn add(&mut self, catalog: &Catalog, reference: &FeatureRef, seen: &mut Seen) -> Result<()> {
        let view = self.view(catalog, &reference.view, seen)?;
        let found = &self.views[view].view;
        let features = match reference.is_wildcard() {
            true => 0..found.definition.features.len(),
            false => match found.feature_index(&reference.feature) {
                Ok(feature) => feature..feature + 1,
                Err(unknown) => {
                    let applied = catalog.view(&reference.view.view)?;
                    let is_to_come = applied.feature_index(&reference.feature).is_ok();
                    return Err(if is_to_come { not_built(applied, reference) } else { unknown });
                }
            },
        };
        for feature in features {
            if !seen.features.insert((view, feature)) {
                return Err(Error::invalid(format!("feature {reference} is asked for twice")));
            }
            if self.features.len() >= REQUEST_FEATURES_MAX {
                return Err(Error::invalid(format!(
                    "more than {REQUEST_FEATURES_MAX} features are asked for; split the request"
                )));
            }
            let name = self.views[view].view.definition.features[feature].name.clone();
            let reference = FeatureRef { view: reference.view.clone(), feature: name };
            self.features.push(ResolvedFeature { view, feature, reference });
        }
        Ok(())
    }

    /// The index of a view, which is added if it is new.
    fn view(&mut self, catalog: &Catalog, reference: &ViewRef, seen: &mut Seen) -> Result<usize> {
        if let Some(view) = seen.views.get(reference.name()) {
            reference.check_beside(&self.views[*view].reference)?;
            return Ok(*view);
        }
        if self.views.len() >= REQUEST_VIEWS_MAX {
            return Err(Error::invalid(format!(
                "more than {REQUEST_VIEWS_MAX} feature views are asked for, each of their names \
                 counted; split the request"
            )));
        }
        self.views.push(ResolvedView::new(catalog, reference, seen.meant)?);
        let view = self.views.len() - 1;
        seen.views.insert(reference.name().to_owned(), view);
        Ok(view)
    }
}

/// A feature of a definition that lookups do not read yet.
fn not_built(view: &AppliedView, reference: &FeatureRef) -> Error {
    Error::unavailable(format!(
        "feature {reference} is not online yet: lookups read the copy of {0:?} that was built under \
         its definition before; run `hitherto materialize {0}`",
        view.name()
    ))
}

/// What a selection means, and what it has named so far: views by their names in the
/// request, and features.
struct Seen {
    meant: Meant,
    views: HashMap<String, usize>,
    features: HashSet<(usize, usize)>,
}
