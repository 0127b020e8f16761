//! Lookups: entity keys in, feature columns out.

use std::sync::Arc;

use hitherto_core::catalog::AppliedView;
use hitherto_core::column::Column;
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::Times;

use crate::selection::Selection;

/// One lookup.
#[derive(Clone, Debug)]
pub struct LookupRequest {
    /// What is asked for.
    pub selection: Selection,
    /// One column for each join key, all of one length.
    pub keys: Vec<KeyColumn>,
    /// One column for each field of the request that on-demand views read, as long as those of
    /// keys. Values are PRESENT or NULL, of the field's type.
    pub request: Vec<Column>,
    /// Microseconds UTC; `None` is now.
    pub as_of: Option<i64>,
    /// Whether event and known times are returned.
    pub with_times: bool,
}

impl LookupRequest {
    /// Entities that are asked about.
    pub fn entities(&self) -> usize {
        let keys = self.keys.iter().map(|column| column.parts.len());
        keys.chain(self.request.iter().map(Column::len)).max().unwrap_or_default()
    }
}

/// The values of one join key, one for each entity; `None` is null.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// The join key's name.
    pub name: String,
    /// One part for each entity.
    pub parts: Vec<Option<OwnedPart>>,
}

/// An entity that a request asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedEntity {
    /// The entity's name.
    pub entity: String,
    /// Its join keys, by name.
    pub keys: Vec<AskedKey>,
}

/// A join key, and which of a request's columns has its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedKey {
    /// The join key's own name.
    pub name: String,
    /// What the request calls it.
    pub column: String,
}

impl AskedEntity {
    /// The entity of a view, if it has one, whose join keys are in these columns.
    pub fn of<'v>(view: &'v AppliedView, column: impl Fn(&'v str) -> &'v str) -> Option<Self> {
        let entity = view.definition.entity.clone()?;
        let key = |key: &'v Field| AskedKey {
            name: key.name.clone(),
            column: column(&key.name).to_owned(),
        };
        let mut keys: Vec<AskedKey> = view.keys.iter().map(key).collect();
        keys.sort();
        Some(Self { entity, keys })
    }
}

/// The answer: columns of one length, in the order of the request.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The moment that was answered for, microseconds UTC.
    pub at: i64,
    /// Entities.
    pub rows: usize,
    /// Features, named `view:feature`.
    pub columns: Vec<Column>,
    /// One for each view, if asked for.
    pub times: Vec<ViewTimes>,
    /// The catalog that answered.
    pub catalog_version: u64,
    /// Whom it is about; not known of a server's answer.
    pub entities: Arc<[AskedEntity]>,
}

/// When the facts that answered, or were too old to, happened and were known.
#[derive(Clone, Debug)]
pub struct ViewTimes {
    /// The view's name.
    pub view: String,
    /// One for each entity; `None` where no fact answered and none has expired.
    pub times: Vec<Option<Times>>,
}
