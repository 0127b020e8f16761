//! What references can refer to.
//!
//! Built from the written form, not from checked types, so that one wrong
//! resource does not make every reference to it look wrong too.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::Spanned;

use super::aggregate;
use super::form::{Spec, TypedForm};
use super::on_demand::OnDemandViewForm;
use super::subject::Subject;
use super::view::FeatureViewForm;
use super::yaml::Reading;
use crate::name::suggestion;

/// What references can refer to.
pub(super) struct Index<'a> {
    /// Names of join keys, by entity.
    pub entities: BTreeMap<&'a str, Vec<&'a str>>,
    /// Names of features in declared order, each once, by view.
    pub views: BTreeMap<&'a str, Vec<Cow<'a, str>>>,
    /// The same of on-demand views.
    pub on_demand: BTreeMap<&'a str, Vec<Cow<'a, str>>>,
    /// Names of entities, by view; views without one are not here.
    entity_of: BTreeMap<&'a str, &'a str>,
    reading: &'a Reading<'a>,
}

impl<'a> Index<'a> {
    /// Indexes all documents that could be read; of two with one name, the
    /// first.
    pub fn new(reading: &'a Reading<'a>) -> Self {
        let (entities, views, on_demand, entity_of) = Default::default();
        let mut index = Self { entities, views, on_demand, entity_of, reading };
        for document in &reading.documents {
            let name = document.metadata.name.value.as_str();
            match &document.spec {
                Spec::Entity(form) => {
                    let keys = form.keys.value.iter().map(|key| key.name().value.as_str());
                    index.entities.entry(name).or_insert_with(|| distinct(keys));
                }
                Spec::FeatureView(form) => {
                    index.views.entry(name).or_insert_with(|| features(form));
                    if let Some(entity) = &form.entity {
                        index.entity_of.entry(name).or_insert(entity.value.trim());
                    }
                }
                Spec::OnDemandView(form) => {
                    index.on_demand.entry(name).or_insert_with(|| computed(form));
                }
                Spec::FeatureService(_) => {}
            }
        }
        index
    }

    /// Names of the features of a view of either kind.
    pub fn features_of(&self, view: &str) -> Option<&[Cow<'a, str>]> {
        self.views.get(view).or_else(|| self.on_demand.get(view)).map(Vec::as_slice)
    }

    /// Names of all views.
    pub fn view_names(&self) -> impl Iterator<Item = &'a str> {
        self.views.keys().chain(self.on_demand.keys()).copied()
    }

    /// The name of an entity that must be there.
    pub fn known_entity(
        &self,
        subject: &mut Subject<'_>,
        path: &str,
        found: &Spanned<String>,
    ) -> String {
        let entity = subject.text(path, found);
        let is_known = self.entities.contains_key(entity.as_str());
        if !is_known && !entity.is_empty() && !self.may_be_unread(&entity) {
            let there = suggestion(&entity, self.entities.keys().copied());
            let message = format_args!("entity {entity:?} is not defined{there}");
            subject.refuse(found.referenced, message);
        }
        entity
    }

    /// Names of a view's join keys; `None` when its entity was not read.
    pub fn keys_of(&self, view: &str) -> Option<&[&'a str]> {
        match self.entity_of.get(view) {
            None => Some(&[]),
            Some(entity) => self.entities.get(entity).map(Vec::as_slice),
        }
    }

    /// Whether a document that could not be read may define that name.
    pub fn may_be_unread(&self, name: &str) -> bool {
        self.reading.unread_nameless || self.reading.unread_names.contains(name)
    }
}

/// Names of a view's features in written order, each once.
fn features(form: &FeatureViewForm) -> Vec<Cow<'_, str>> {
    let columns = form.features.iter().flat_map(|features| &features.value);
    let columns = columns.map(|feature| Cow::Borrowed(feature.name().value.as_str()));
    let aggregates = form.aggregates.iter().flat_map(|aggregates| &aggregates.value);
    let computed = aggregates.flat_map(aggregate::names).map(Cow::Owned);
    distinct(columns.chain(computed))
}

/// Names of an on-demand view's features in written order, each once.
fn computed(form: &OnDemandViewForm) -> Vec<Cow<'_, str>> {
    let features = form.features.value.iter();
    distinct(features.map(|feature| Cow::Borrowed(feature.name().value.as_str())))
}

/// Each once, in their order.
fn distinct<T: Clone + Ord>(names: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}
