//! What is published: of each view the generation that lookups read, the definition under
//! which it was built, and the generation before.
//!
//! One leader writes it. What is *applied* is not always what is *published*: a view whose
//! rows have to be built anew keeps the generation that it had, with the definition under
//! which that was built, until the new one has a generation.
//!
//! ```text
//! applied    a        b                     b                 b, another ttl
//! published  a, 1     a, 1                  b, 1              b, another ttl, 1
//!            apply b: a's rows are read     materialize:      apply: the rows are as they
//!            until b has some               a's rows go       were, so b's are read by it
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppliedView, Registry};

/// What is published, a view each, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published(BTreeMap<String, PublishedView>);

/// One view as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedView {
    /// The definition by which its rows are read.
    pub view: AppliedView,
    /// The complete online copy that readers see.
    pub generation: Generation,
    /// The one that it replaced, which can be gone back to.
    pub previous: Option<Generation>,
}

/// One complete online copy of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Names the copy's rows, with the view's id.
    pub number: u32,
    /// `as_of` can ask back to here, in microseconds UTC, and no further.
    pub horizon: i64,
    /// The greatest event time that was consumed, of what had happened by then; of all if
    /// nothing had. `i64::MIN` if no fact was.
    pub watermark: i64,
    /// Facts consumed.
    pub facts: u64,
    /// Entities with a latest row.
    pub entities: u64,
    /// When the copy last changed, in microseconds UTC.
    pub materialized_at: i64,
    /// The end of the pushed batches that it had when it became the one that readers
    /// see, and when it ceased to be.
    #[serde(default)]
    pub pushed: u64,
}

impl Generation {
    /// The watermark, if it is one: a view of no facts has none.
    pub fn newest_event(&self) -> Option<i64> {
        (self.watermark > i64::MIN).then_some(self.watermark)
    }
}

/// What lookups of an applied view read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads<'p> {
    /// Nothing: it was never materialized.
    Nothing,
    /// What was published under an earlier definition, until there is something of this.
    Earlier(&'p PublishedView),
    /// What is published under this definition.
    Own(&'p PublishedView),
}

impl<'p> Reads<'p> {
    /// What is published under its own definition.
    pub fn own(self) -> Option<&'p PublishedView> {
        match self {
            Reads::Own(own) => Some(own),
            Reads::Earlier(_) | Reads::Nothing => None,
        }
    }

    /// What is published under an earlier one.
    pub fn earlier(self) -> Option<&'p PublishedView> {
        match self {
            Reads::Earlier(earlier) => Some(earlier),
            Reads::Own(_) | Reads::Nothing => None,
        }
    }
}

impl PublishedView {
    /// The generations that are kept: the one that readers see, and the one before.
    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.generation).chain(&self.previous)
    }
}

impl Published {
    /// What is published of the view of that name.
    pub fn of(&self, name: &str) -> Option<&PublishedView> {
        self.0.get(name)
    }

    /// What lookups of an applied view read.
    pub fn reads(&self, view: &AppliedView) -> Reads<'_> {
        match self.of(view.name()) {
            None => Reads::Nothing,
            Some(published) if published.view.id == view.id => Reads::Own(published),
            Some(published) => Reads::Earlier(published),
        }
    }

    /// All of it, by the views' names.
    pub fn views(&self) -> impl Iterator<Item = &PublishedView> {
        self.0.values()
    }

    /// The same with other generations of one view.
    pub(super) fn with(mut self, published: PublishedView) -> Self {
        self.0.insert(published.view.name().to_owned(), published);
        self
    }

    /// What of it stays under another registry: what a deleted view had goes, and rows that
    /// mean the same are read by the new definition.
    pub(super) fn under(&self, registry: &Registry) -> Self {
        let stays = |view: &AppliedView| {
            let published = self.of(view.name())?;
            let is_own = published.view.id == view.id;
            let read_by = if is_own { view } else { &published.view };
            Some(PublishedView { view: read_by.clone(), ..published.clone() })
        };
        registry.views.iter().filter_map(stays).collect()
    }
}

impl FromIterator<PublishedView> for Published {
    fn from_iter<I: IntoIterator<Item = PublishedView>>(views: I) -> Self {
        views.into_iter().fold(Self::default(), Self::with)
    }
}
