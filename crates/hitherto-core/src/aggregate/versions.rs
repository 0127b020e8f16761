//! The versions of one event, and how long each is the current one.
//!
//! Facts of one identity supersede each other by known time: the current one at moment `t` is
//! the greatest by `(n, deletion, bytes)` with `n <= min(t, K)`. That is the one rule with `e`
//! equal ([`crate::rule`]). So each version is current from its own known time until the next
//! one's, and the versions that are there divide the moments among them:
//!
//! ```text
//! known times       09:00          10:10              12:00
//! moments     ------|==============|==================|=============>
//! current     none    990.00         99.00              deleted
//! ```
//!
//! Of versions with one known time only the greatest is ever current. A version that is known
//! after the cutoff is not there. Where known time is ignored, the greatest of all is current
//! always.

use std::cmp::Ordering;

use super::window::Moments;
use crate::definition::Known;
use crate::rule::{NEVER, Says};

/// One fact of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// When it could first be known, in microseconds UTC; [`NEVER`] is never.
    pub known: i64,
    /// Whether it says that the event is gone.
    pub says: Says,
    /// Whether its values are such as the aggregate asks for (`where`).
    pub passes: bool,
    /// The fact's bytes, which decide between versions of one known time.
    pub row: &'a [u8],
}

impl Version<'_> {
    /// Whether it counts while it is current.
    pub fn counts(&self) -> bool {
        self.says == Says::Values && self.passes
    }

    /// The order in which versions of one event supersede each other.
    pub fn rank(&self, other: &Self) -> Ordering {
        let is_deletion = |version: &Self| version.says == Says::Deletion;
        let times = self.known.cmp(&other.known);
        times.then(is_deletion(self).cmp(&is_deletion(other))).then(self.row.cmp(other.row))
    }
}

/// Which versions are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The knowledge cutoff `K`; `i64::MAX` is none.
    pub known_by: i64,
    /// Whether known time counts.
    pub known: Known,
}

/// Brings the versions of one event into their order. A fact that is there twice is so once.
pub fn sort(versions: &mut Vec<Version<'_>>) {
    versions.sort_unstable_by(Version::rank);
    versions.dedup_by(|a, b| a.rank(b).is_eq());
}

/// The moments at which the version at `index` is current, of one event's versions as
/// [`sort`] left them.
///
/// # Panics
/// When there is no such version: a broken caller.
pub fn current(versions: &[Version<'_>], index: usize, terms: Terms) -> Option<Moments> {
    let (version, later) = (&versions[index], &versions[index + 1..]);
    if terms.known == Known::Ignore {
        return later.is_empty().then_some(Moments::ALL);
    }
    let is_there =
        |version: &Version<'_>| version.known <= terms.known_by && version.known != NEVER;
    if !is_there(version) {
        return None;
    }
    match later.first().filter(|next| is_there(next)) {
        // A version of the same known time leaves no moment: its first would be its last.
        Some(next) if next.known == version.known => None,
        Some(next) => Moments::between(version.known, next.known - 1),
        None => Moments::between(version.known, i64::MAX),
    }
}
