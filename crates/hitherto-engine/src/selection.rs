//! What a request asks for: a service or a feature list, resolved against the
//! catalog into views and features in the order of the answer.
//!
//! Training sets mean what is applied. Lookups mean what is published: of a view whose
//! changed definition has no copy yet that is the definition before.

use std::collections::{HashMap, HashSet};

use hitherto_api::{FeatureNames, Selection};
use hitherto_core::catalog::{AppliedView, Catalog, Generation, Registry};
use hitherto_core::definition::Field;
use hitherto_core::limits::{REQUEST_FEATURES_MAX, REQUEST_VIEWS_MAX};
use hitherto_core::output::Output;
use hitherto_core::reference::{FeatureRef, ViewRef};
use hitherto_core::{Error, Result};

/// A selection with every name found.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The views, in the order of their first feature.
    pub views: Vec<ResolvedView>,
    /// The features, in the order of the answer.
    pub features: Vec<ResolvedFeature>,
}

/// Which definition of a view is meant.
#[derive(Clone, Copy)]
enum Meant<'c> {
    Applied(&'c Registry),
    Published(&'c Catalog),
}

impl<'c> Meant<'c> {
    fn registry(self) -> &'c Registry {
        match self {
            Meant::Applied(registry) => registry,
            Meant::Published(catalog) => &catalog.registry,
        }
    }
}

/// One view as the request uses it.
#[derive(Clone, Debug)]
pub struct ResolvedView {
    /// The view.
    pub view: AppliedView,
    /// What lookups read of it; `None` where nothing is online, or none is meant.
    pub generation: Option<Generation>,
    /// How the request names it and where its join keys come from.
    pub reference: ViewRef,
    /// Its join keys under the names of the columns that they come from.
    pub keys: Vec<Field>,
}

impl ResolvedView {
    fn new(meant: Meant<'_>, reference: &ViewRef) -> Result<Self> {
        let applied = meant.registry().view(&reference.view)?;
        let published = match meant {
            Meant::Applied(_) => None,
            Meant::Published(catalog) => catalog.published.of(applied.name()),
        };
        let view = published.map_or(applied, |published| &published.view).clone();
        let generation = published.map(|published| published.generation.clone());
        reference.check_keys(view.keys.iter().map(|key| key.name.as_str()))?;
        let column =
            |key: &Field| Field { name: reference.column(&key.name).to_owned(), ..key.clone() };
        let keys = view.keys.iter().map(column).collect();
        Ok(Self { view, generation, reference: reference.clone(), keys })
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
    /// Finds every name of `selection`, as it is applied.
    ///
    /// # Errors
    /// `NotFound` with a suggestion; `Invalid` when nothing, too much or
    /// something twice is asked for.
    pub fn new(registry: &Registry, selection: &Selection) -> Result<Self> {
        Self::find(Meant::Applied(registry), selection)
    }

    /// The same, as lookups read it: a service goes on with those of its features that are
    /// online.
    ///
    /// # Errors
    /// As [`Resolved::new`]; `Unavailable` for a feature, or a service, that is applied and
    /// of which nothing is online yet.
    pub fn published(catalog: &Catalog, selection: &Selection) -> Result<Self> {
        Self::find(Meant::Published(catalog), selection)
    }

    /// The columns of the answer.
    pub fn outputs(&self, names: FeatureNames) -> Vec<Output> {
        let outputs = self.features.iter().map(|ResolvedFeature { view, feature, reference }| {
            let of = &self.views[*view].view.definition.features[*feature];
            Output {
                name: match names {
                    FeatureNames::Short => of.name.clone(),
                    FeatureNames::Full => reference.column(),
                },
                of: of.name.clone(),
                view: *view,
                feature: *feature,
                data_type: of.data_type.clone(),
                default: of.default_values(),
            }
        });
        outputs.collect()
    }

    fn find(meant: Meant<'_>, selection: &Selection) -> Result<Self> {
        let (references, is_service) = match selection {
            Selection::Service(name) => (&meant.registry().service(name)?.features, true),
            Selection::Features(references) => (references, false),
        };
        let mut resolved = Self { views: Vec::new(), features: Vec::new() };
        let mut seen = Seen { meant, views: HashMap::new(), features: HashSet::new() };
        let mut to_come = None;
        for reference in references {
            if let Meant::Published(catalog) = meant
                && is_to_come(catalog, reference)?
            {
                let error = not_built(reference);
                match is_service {
                    true => to_come = Some(error),
                    false => return Err(error),
                }
            } else {
                resolved.add(reference, &mut seen)?;
            }
        }
        match resolved.features.is_empty() {
            true => Err(to_come.unwrap_or_else(|| {
                Error::invalid("no feature is asked for; name a service or view:feature")
            })),
            false => Ok(resolved),
        }
    }

    fn add(&mut self, reference: &FeatureRef, seen: &mut Seen<'_>) -> Result<()> {
        let view = self.view(&reference.view, seen)?;
        let found = &self.views[view].view;
        let features = match reference.is_wildcard() {
            true => 0..found.definition.features.len(),
            false => {
                let feature = found.feature_index(&reference.feature)?;
                feature..feature + 1
            }
        };
        for feature in features {
            if !seen.features.insert((view, feature)) {
                return Err(Error::invalid(format!(
                    "feature {reference} is asked for twice; ask for it once"
                )));
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
    fn view(&mut self, reference: &ViewRef, seen: &mut Seen<'_>) -> Result<usize> {
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
        self.views.push(ResolvedView::new(seen.meant, reference)?);
        let view = self.views.len() - 1;
        seen.views.insert(reference.name().to_owned(), view);
        Ok(view)
    }
}

/// Whether only the definition has this feature that lookups of its view do not read yet.
fn is_to_come(catalog: &Catalog, reference: &FeatureRef) -> Result<bool> {
    let applied = catalog.registry.view(&reference.view.view)?;
    let has = |view: &AppliedView| view.feature_index(&reference.feature).is_ok();
    let published = catalog.published.of(applied.name());
    Ok(published.is_some_and(|published| !has(&published.view)) && has(applied))
}

fn not_built(reference: &FeatureRef) -> Error {
    let view = &reference.view.view;
    Error::unavailable(format!(
        "feature {reference} is not online yet: lookups read the copy of {view:?} that was built \
         under its definition before; run `hitherto materialize {view}` (in Python \
         store.materialize([{view:?}]))"
    ))
}

/// What a selection means, and what it has named so far: views by their names in the
/// request, and features.
struct Seen<'c> {
    meant: Meant<'c>,
    views: HashMap<String, usize>,
    features: HashSet<(usize, usize)>,
}
