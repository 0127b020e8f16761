//! Why features that are computed of one row have no value.

use std::collections::BTreeMap;

/// Why a row has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Something that the expression reads has none.
    NullInput,
    /// An integer or decimal divided by zero.
    DivisionByZero,
    /// A number that its type cannot hold.
    Overflow,
    /// A cast of what the other type has no value for.
    Cast,
    /// A function that has no value for what it was given.
    Failed,
    /// The expression says null, as NULLIF and a CASE without ELSE do.
    Null,
}

impl Reason {
    /// All reasons, by number.
    pub const ALL: [Reason; 6] = [
        Reason::NullInput,
        Reason::DivisionByZero,
        Reason::Overflow,
        Reason::Cast,
        Reason::Failed,
        Reason::Null,
    ];

    /// As written in reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::NullInput => "null_input",
            Reason::DivisionByZero => "division_by_zero",
            Reason::Overflow => "overflow",
            Reason::Cast => "cast",
            Reason::Failed => "failed",
            Reason::Null => "null",
        }
    }
}

/// Rows without a value, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons([u64; Reason::ALL.len()]);

impl Reasons {
    /// Counts rows more.
    pub fn add(&mut self, reason: Reason, rows: u64) {
        self.0[reason as usize] += rows;
    }

    /// Counts what another counted, too.
    pub fn extend(&mut self, other: &Reasons) {
        self.0.iter_mut().zip(other.0).for_each(|(rows, more)| *rows += more);
    }

    /// Each reason with its rows.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0)
    }

    /// Rows without a value.
    pub fn rows(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those reasons that there are, by name.
    pub fn named(&self) -> BTreeMap<String, u64> {
        let counted = self.iter().filter(|(_, rows)| *rows > 0);
        counted.map(|(reason, rows)| (reason.name().to_owned(), rows)).collect()
    }
}
