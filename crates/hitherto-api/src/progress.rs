//! Who is told how a run gets on.
//!
//! ```text
//! begin(view, rows) -> stage, advance, stage, ... -> end(view, facts)
//! ```
//!
//! Rows are those of the files to be read. A view's SQL makes any number of facts of them,
//! so how many facts there are is known when reading ends, and not before.

use std::fmt;

/// Who is told how a run gets on. Calls come from the run's own thread.
pub trait Progress: Send + Sync {
    /// A view is begun, with this many rows in the files to be read; 0 if there is nothing
    /// to do.
    fn begin(&self, view: &str, rows: u64);
    /// What is done with the view from now on. It may be read again.
    fn stage(&self, _view: &str, _stage: Stage) {}
    /// Facts read so far; of a copy, facts written so far.
    fn advance(&self, view: &str, facts: u64);
    /// A view is done, and this many facts there were.
    fn end(&self, view: &str, facts: u64);
}

/// What is done with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Facts are read.
    Reading,
    /// Facts are put in order.
    Sorting,
    /// Facts are written, part by part of the key space.
    Writing {
        /// Parts that are written.
        done: u32,
        /// All of them; 0 where facts are counted instead.
        parts: u32,
    },
    /// What was written is made what readers see.
    Committing,
}

impl Stage {
    /// Its name, as people are told.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Reading => "reading",
            Stage::Sorting => "sorting",
            Stage::Writing { .. } => "writing",
            Stage::Committing => "committing",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Writing { done, parts } if *parts > 0 => {
                write!(f, "writing, part {} of {parts}", (done + 1).min(*parts))
            }
            _ => f.write_str(self.name()),
        }
    }
}
