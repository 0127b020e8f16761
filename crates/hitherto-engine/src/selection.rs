//! What a request asks for: a service or a feature list, resolved against the
//! catalog into views and features in the order of the answer.
//!
//! Training sets mean what is applied. Lookups mean what is published: of a view whose
//! changed definition has no copy yet that is the definition before.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use hitherto_api::{AskedEntity, FeatureNames, Selection};
use hitherto_core::catalog::{AppliedView, Catalog, Generation, Registry};
use hitherto_core::definition::{Field, OnDemandView};
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
    /// The on-demand views that are asked for or read by others, each after those that it reads.
    pub on_demand: Vec<ResolvedOnDemand>,
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
    /// What answers.
    pub source: Source,
    /// One feature, no wildcard.
    pub reference: FeatureRef,
}

/// A feature by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A feature of a view, whose facts answer.
    View {
        /// Index into [`Resolved::views`].
        view: usize,
        /// Index into that view's features.
        feature: usize,
    },
    /// One that is computed.
    OnDemand {
        /// Index into [`Resolved::on_demand`].
        view: usize,
        /// Index into that view's features.
        feature: usize,
    },
}

/// One on-demand view, and where its inputs come from.
#[derive(Clone, Debug)]
pub struct ResolvedOnDemand {
    /// The view.
    pub view: OnDemandView,
    /// Of each of its inputs.
    pub inputs: Vec<Source>,
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

    /// Whom the request is about, each once.
    pub fn entities(&self) -> Vec<AskedEntity> {
        let mut entities = Vec::new();
        for ResolvedView { view, reference, .. } in &self.views {
            let asked = AskedEntity::of(view, |key| reference.column(key));
            entities.extend(asked.filter(|asked| !entities.contains(asked)));
        }
        entities
    }

    /// The view whose facts answer for a feature; `None` for one that is computed of others.
    pub fn view_of(&self, feature: &ResolvedFeature) -> Option<&ResolvedView> {
        match feature.source {
            Source::View { view, .. } => self.views.get(view),
            Source::OnDemand { .. } => None,
        }
    }

    /// The columns of views in the answer.
    pub fn outputs(&self, names: FeatureNames) -> Vec<Output> {
        let outputs = self.features.iter().filter_map(|ResolvedFeature { source, reference }| {
            let Source::View { view, feature } = *source else { return None };
            let name = match names {
                FeatureNames::Short => reference.feature.clone(),
                FeatureNames::Full => reference.column(),
            };
            Some(self.output(view, feature, name))
        });
        outputs.collect()
    }

    /// The column of a view that only an expression reads.
    pub(crate) fn hidden(&self, view: usize, feature: usize) -> Output {
        let of = &self.views[view].view.definition.features[feature];
        let name = format!("{}:{}", self.views[view].reference.name(), of.name);
        self.output(view, feature, name)
    }

    fn output(&self, view: usize, feature: usize, name: String) -> Output {
        let of = &self.views[view].view.definition.features[feature];
        Output {
            name,
            of: of.name.clone(),
            view,
            feature,
            data_type: of.data_type.clone(),
            default: of.default_values(),
        }
    }

    /// What a request must bring beside join keys: a type for each name, or the first of them.
    pub fn request(&self) -> impl Iterator<Item = &Field> + Clone {
        self.on_demand.iter().flat_map(|one| &one.view.request)
    }

    fn find(meant: Meant<'_>, selection: &Selection) -> Result<Self> {
        let (references, is_service) = match selection {
            Selection::Service(name) => (&meant.registry().service(name)?.features, true),
            Selection::Features(references) => (references, false),
        };
        let mut resolved = Self { views: Vec::new(), features: Vec::new(), on_demand: Vec::new() };
        let mut seen = Seen::new(meant);
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
        for (source, name) in self.sources(reference, seen)? {
            if !seen.features.insert(source) {
                return Err(Error::invalid(format!(
                    "feature {reference} is asked for twice; ask for it once"
                )));
            }
            if self.features.len() >= REQUEST_FEATURES_MAX {
                return Err(Error::invalid(format!(
                    "more than {REQUEST_FEATURES_MAX} features are asked for; split the request"
                )));
            }
            let reference = FeatureRef { view: reference.view.clone(), feature: name };
            self.features.push(ResolvedFeature { source, reference });
        }
        Ok(())
    }

    /// The features that a reference stands for, with their names.
    fn sources(
        &mut self,
        reference: &FeatureRef,
        seen: &mut Seen<'_>,
    ) -> Result<Vec<(Source, String)>> {
        let view = &reference.view;
        seen.check_name(view)?;
        if let Some(found) = seen.meant.registry().on_demand_view(&view.view) {
            view.check_whole()?;
            let of = self.on_demand(found, seen)?;
            let index = |name: &str| found.feature_index(name);
            let sources = places(reference, found.features.len(), index)?.map(|feature| {
                let name = found.features[feature].name.clone();
                (Source::OnDemand { view: of, feature }, name)
            });
            return Ok(sources.collect());
        }
        let index = self.view(view, seen)?;
        let found = &self.views[index].view;
        let features = &found.definition.features;
        let places = places(reference, features.len(), |name| found.feature_index(name))?;
        let sources = places.map(|feature| {
            let name = features[feature].name.clone();
            (Source::View { view: index, feature }, name)
        });
        Ok(sources.collect())
    }

    /// The index of an on-demand view, which is added after what it reads if it is new.
    fn on_demand(&mut self, view: &OnDemandView, seen: &mut Seen<'_>) -> Result<usize> {
        if let Some(known) = self.on_demand.iter().position(|one| one.view.name() == view.name()) {
            return Ok(known);
        }
        let mut inputs = Vec::with_capacity(view.inputs.len());
        for input in &view.inputs {
            inputs.extend(self.sources(input, seen)?.into_iter().map(|(source, _)| source));
        }
        self.on_demand.push(ResolvedOnDemand { view: view.clone(), inputs });
        Ok(self.on_demand.len() - 1)
    }

    /// The index of a view, which is added if it is new.
    fn view(&mut self, reference: &ViewRef, seen: &mut Seen<'_>) -> Result<usize> {
        if let Some(view) = seen.views.get(reference.name()) {
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

/// The places of the features that a reference stands for, among so many.
fn places(
    reference: &FeatureRef,
    count: usize,
    index: impl FnOnce(&str) -> Result<usize>,
) -> Result<Range<usize>> {
    if reference.is_wildcard() {
        return Ok(0..count);
    }
    let feature = index(&reference.feature)?;
    Ok(feature..feature + 1)
}

/// Whether only the definition has this feature that lookups of its view do not read yet.
fn is_to_come(catalog: &Catalog, reference: &FeatureRef) -> Result<bool> {
    if let Some(view) = catalog.registry.on_demand_view(&reference.view.view) {
        let mut inputs = view.inputs.iter().map(|input| is_to_come(catalog, input));
        return inputs.try_fold(false, |any, one| Ok(any | one?));
    }
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
    names: HashMap<String, ViewRef>,
    views: HashMap<String, usize>,
    features: HashSet<Source>,
}

impl<'c> Seen<'c> {
    fn new(meant: Meant<'c>) -> Self {
        let (names, views, features) = Default::default();
        Self { meant, names, views, features }
    }

    /// Refuses a view that is called as another one is.
    fn check_name(&mut self, view: &ViewRef) -> Result<()> {
        match self.names.get(view.name()) {
            Some(known) => view.check_beside(known),
            None => {
                self.names.insert(view.name().to_owned(), view.clone());
                Ok(())
            }
        }
    }
}
