//! What references can refer to.
//!
//! Built from the written form, not from checked types, so that one wrong
//! resource does not make every reference to it look wrong too.

use std::collections::{BTreeMap, BTreeSet};

use super::form::{Spec, TypedForm};
use super::yaml::Reading;

/// What references can refer to.
pub(super) struct Index<'a> {
    /// Names of join keys, by entity.
    pub entities: BTreeMap<&'a str, Vec<&'a str>>,
    /// Names of features in declared order, each once, by view.
    pub views: BTreeMap<&'a str, Vec<&'a str>>,
    /// Names of entities, by view; views without one are not here.
    entity_of: BTreeMap<&'a str, &'a str>,
    reading: &'a Reading<'a>,
}

impl<'a> Index<'a> {
    /// Indexes all documents that could be read; of two with one name, the
    /// first.
    pub fn new(reading: &'a Reading<'a>) -> Self {
        let (entities, views, entity_of) = Default::default();
        let mut index = Self { entities, views, entity_of, reading };
        for document in &reading.documents {
            let (names, fields) = match &document.spec {
                Spec::Entity(form) => (&mut index.entities, names(&form.keys.value)),
                Spec::FeatureView(form) => (&mut index.views, names(&form.features.value)),
                Spec::FeatureService(_) => continue,
            };
            if let Spec::FeatureView(form) = &document.spec
                && let Some(entity) = &form.entity
            {
                let view = document.metadata.name.value.as_str();
                index.entity_of.entry(view).or_insert(entity.value.trim());
            }
            names.entry(&document.metadata.name.value).or_insert(fields);
        }
        index
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

/// Names in written order, each once.
fn names(fields: &[impl TypedForm]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = fields.iter().map(|field| field.name().value.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}
