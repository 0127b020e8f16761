//! What references can refer to.
//!
//! Built from the written form, not from checked types, so that one wrong
//! resource does not make every reference to it look wrong too.

use std::collections::{BTreeMap, BTreeSet};

use super::form::Spec;
use super::yaml::Reading;

/// What references can refer to.
pub(super) struct Index<'a> {
    /// Names of join keys, by entity.
    pub entities: BTreeMap<&'a str, Vec<&'a str>>,
    /// Names of features in declared order, each once, by view.
    pub views: BTreeMap<&'a str, Vec<&'a str>>,
    reading: &'a Reading<'a>,
}

impl<'a> Index<'a> {
    /// Indexes all documents that could be read; of two with one name, the
    /// first.
    pub fn new(reading: &'a Reading<'a>) -> Self {
        let mut index = Self { entities: BTreeMap::new(), views: BTreeMap::new(), reading };
        for document in &reading.documents {
            let (names, fields) = match &document.spec {
                Spec::Entity(form) => (&mut index.entities, &form.keys.value),
                Spec::FeatureView(form) => (&mut index.views, &form.features.value),
                Spec::FeatureService(_) => continue,
            };
            let mut seen = BTreeSet::new();
            let once = fields.iter().map(|field| field.name.value.as_str());
            let once = once.filter(|name| seen.insert(*name)).collect();
            names.entry(&document.metadata.name.value).or_insert(once);
        }
        index
    }

    /// Whether a document that could not be read may define that name.
    pub fn may_be_unread(&self, name: &str) -> bool {
        self.reading.unread_nameless || self.reading.unread_names.contains(name)
    }
}
