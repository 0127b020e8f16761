//! Where in which file something was written.
//!
//! Checked definitions carry no places, because they are also stored and
//! compared, and because a moved line is not a change. [`Places`] keeps them
//! beside: later checks, such as whether a column is in its Parquet file, point
//! at a line too.

use std::collections::BTreeMap;
use std::fmt;

use super::ResourceKind;

/// A place in a definition file, written `views/labs.yaml:12:5`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path relative to the repository's root.
    pub file: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something wrong, and where. Problems sort by file, then line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong and what to do about it; lower case, no full stop.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The places of all resources and of their fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    of: BTreeMap<(ResourceKind, String), BTreeMap<String, Place>>,
}

impl Places {
    /// The place of a field, or of the nearest thing around it that has one: at
    /// last the resource itself, whose place is its name's.
    ///
    /// `field` is a path as in YAML, lists by name: `source.eventTime`,
    /// `features.lactate_mmol_l`, `keys.stay_id`, `ttl`, or empty for the
    /// resource. `None` when no such resource was read.
    pub fn of(&self, kind: ResourceKind, name: &str, field: &str) -> Option<&Place> {
        let fields = self.of.get(&(kind, name.to_owned()))?;
        let mut path = field;
        loop {
            if let Some(place) = fields.get(path) {
                return Some(place);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rsplit_once('.').map_or("", |(around, _)| around);
        }
    }

    /// [`Places::of`] for a feature view.
    pub fn of_view(&self, name: &str, field: &str) -> Option<&Place> {
        self.of(ResourceKind::FeatureView, name, field)
    }

    /// Notes a place. The first of two resources of one name keeps its own,
    /// since the second is what gets reported.
    pub(super) fn note(&mut self, kind: ResourceKind, name: &str, field: &str, place: Place) {
        let fields = self.of.entry((kind, name.to_owned())).or_default();
        fields.entry(field.to_owned()).or_insert(place);
    }
}
