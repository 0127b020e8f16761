//! A derived copy of a view's facts, in the layout that reads fastest.
//!
//! The copy holds what a training set reads of a source: the columns of facts
//! ([`crate::facts`]), after the view's SQL if it has any, in the source's own
//! types and under their positions as names ("0", "1", ...). Every fact is kept,
//! also those that answer nothing, so that reports count the same.
//!
//! ```text
//! facts -> sort: period, join keys, event time (spilling)
//!       -> one file a period -> row groups -> pages
//! ```
//!
//! A *period* is a span of event time with about [`PERIOD_ROWS`] facts. A join
//! reads the newest periods first and stops where every answer is newer; within a
//! period an entity's facts lie together, so that a small spine reads a few pages.
//!
//! | module     | what it owns                                     |
//! | ---------- | ------------------------------------------------ |
//! | `periods`  | which period a fact belongs to                   |
//! | `layout`   | how columns are encoded, and why                 |
//! | `write`    | sort, row groups, files                          |

pub(crate) mod layout;
mod periods;
mod write;

use crate::source::Shape;

/// Facts of one period: enough that a file is worth opening, few enough that one
/// entity's facts of a period fill about a page or less.
pub(crate) const PERIOD_ROWS: u64 = 2_000_000;

/// What was written.
#[derive(Clone, Debug)]
pub struct OptimizedCopy {
    /// The files, oldest period first.
    pub files: Vec<OptimizedFile>,
    /// Facts in all of them.
    pub rows: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Whether files of the source that come later can be read beside the copy.
    pub shape: Shape,
}

/// One file of a copy.
#[derive(Clone, Debug)]
pub struct OptimizedFile {
    /// Its name in the copy's folder.
    pub name: String,
    /// Facts in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Where its pages end and its indexes and footer begin.
    pub pages_end: u64,
}
