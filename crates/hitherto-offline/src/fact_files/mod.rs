//! A view's facts straight from its Parquet files, in two steps.
//!
//! A view without SQL needs nothing of DataFusion to be read: its columns lie in
//! files. They are read here by parquet's readers on the threads of whoever
//! asks, one row group at a time, because a point-in-time join knows more than a
//! scan can be told by a filter:
//!
//! ```text
//! footers --> units (row groups), newest events first
//!               |  none of the spine's entities, or only later events: dropped
//!               |  every answer already newer than its events:          dropped
//!               v
//!             heads: keys, times, deletions --> compete for slots
//!               |  nobody leads: features are not read
//!               v
//!             features, of all rows or of the few that lead --> rows of winners
//! ```
//!
//! | module | what it owns |
//! | --- | --- |
//! | `file` | one file and its columns |
//! | `paths` | which files no question concerns, by the day that their path names |
//! | `bounds` | what statistics say of a row group or page |
//! | `prune` | pages and bloom filters, for small spines |
//! | `units` | row groups in the order of reading, and which need none |
//! | `values` | numbers of chosen rows, straight out of pages |
//! | `read` | heads first, features of those that lead |
//! | `open` | from a view and its files to a leaf of a plan |
//! | `exec` | the same as an ordinary leaf of a DataFusion plan |

mod bounds;
mod exec;
mod file;
mod open;
mod paths;
mod prune;
mod read;
mod units;
mod values;

pub use exec::FactFilesExec;
pub(crate) use paths::check_paths;
pub(crate) use read::Scratch;
pub(crate) use units::{FactFiles, Unit};
