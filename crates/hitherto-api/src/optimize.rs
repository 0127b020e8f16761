//! Copies of sources that read fastest: when they are written, and what was.

use serde::{Deserialize, Serialize};

/// When a copy is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptimizeMode {
    /// Unless the one that is there covers the source as it is.
    #[default]
    IfChanged,
    /// In any case.
    Full,
}

/// What happened to one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptimizeReport {
    /// The view's name.
    pub view: String,
    /// Whether there was nothing to do.
    pub is_up_to_date: bool,
    /// Files of the source.
    pub source_files: u64,
    /// Their size.
    pub source_bytes: u64,
    /// Facts in the copy.
    pub rows: u64,
    /// Files of the copy.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}
