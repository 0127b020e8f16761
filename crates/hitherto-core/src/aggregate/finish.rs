//! What an aggregate answers: a value, a list, or why there is none.

use serde::Serialize;

use super::value::Value;
use crate::Error;
use crate::column::Status;

/// The answer of one function.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This value.
    Value(Value<'static>),
    /// These values, in the order that the function says.
    List(Vec<Value<'static>>),
    /// No value.
    Absent(Reason),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No event counts.
    EmptyWindow,
    /// Events count, and none has a value.
    AllNull,
    /// Too few of them do: a sample of one has no variance.
    TooFewValues,
    /// More differ than are told apart.
    TooManyValues,
    /// The type of the answer cannot hold it.
    Overflow,
}

impl Reason {
    /// All reasons, in the order of reports.
    pub const ALL: [Reason; 5] = [
        Reason::EmptyWindow,
        Reason::AllNull,
        Reason::TooFewValues,
        Reason::TooManyValues,
        Reason::Overflow,
    ];

    /// As written in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::EmptyWindow => "empty_window",
            Reason::AllNull => "all_null",
            Reason::TooFewValues => "too_few_values",
            Reason::TooManyValues => "too_many_values",
            Reason::Overflow => "overflow",
        }
    }
}

impl Outcome {
    /// The status of the feature.
    pub const fn status(&self) -> Status {
        match self {
            Outcome::Value(_) | Outcome::List(_) => Status::Present,
            Outcome::Absent(Reason::EmptyWindow) => Status::NotFound,
            Outcome::Absent(_) => Status::Null,
        }
    }
}

/// A state from which more was taken than it can tell: its events have to be read instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// Where all events were told to it, that cannot be.
impl From<Lost> for Error {
    fn from(_: Lost) -> Self {
        Error::internal("a state was lost that is told all its events")
    }
}
