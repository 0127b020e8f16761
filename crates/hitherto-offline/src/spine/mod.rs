//! A spine's record batches, checked and ready to be joined.
//!
//! A spine is the label rows of a training set: join-key columns, a column of
//! times, and anything else, which passes through untouched.
//!
//! | module   | what it owns                                                   |
//! | -------- | -------------------------------------------------------------- |
//! | `plan`   | rows at hand, of a reader or of a file, to be pulled by a join  |
//! | `sql`    | rows of a query over the files of views                         |
//! | `shape`  | how long and deep a text of SQL may be                          |
//! | `callers` | what a caller's SQL may be made of, and how much of it         |
//! | `watched` | a plan whose rows somebody watches                             |
//! | `held`   | rows that a window function holds, counted                      |
//! | `bounds` | rows and seconds of a query that came from elsewhere            |
//! | `scan`   | rows that the facts make: a moment, or a window of facts        |

mod bounds;
mod callers;
mod held;
mod plan;
mod scan;
pub(crate) mod shape;
mod sql;
mod watched;

use ::arrow::array::RecordBatch;
use ::arrow::buffer::ScalarBuffer;
use ::arrow::datatypes::{DataType as ArrowType, SchemaRef};
use hitherto_core::definition::Field;
use hitherto_core::key::batch::KeyBatch;
use hitherto_core::limits::NAMES_SHOWN_MAX;
use hitherto_core::name::suggestion;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use crate::arrow::{from_arrow, type_name};
use crate::keys::encode_keys;
use crate::micros::{Micros, Rounding, is_zoneless};

pub use bounds::QueryBounds;
pub use plan::{SpinePlan, time_range};
pub use scan::{Scan, ScannedView};
pub(crate) use sql::read_only;
pub use sql::{LabelFiles, SpineQuery};

/// Where a spine's columns are.
#[derive(Clone, Debug)]
pub struct SpineLayout {
    /// Index of the column of times.
    pub timestamp: usize,
    /// Whose local times they are if they have no zone.
    timezone: Option<Zone>,
    /// No time is earlier than the first or later than the second, so facts outside of
    /// what these can see were left out.
    within: Option<(i64, i64)>,
}

impl SpineLayout {
    /// Finds the column of times, which are local times of `timezone` if they have no zone.
    ///
    /// # Errors
    /// `Invalid` when it is not there or not a time.
    pub fn new(schema: &SchemaRef, timestamp: &str, timezone: Option<Zone>) -> Result<Self> {
        let Ok(index) = schema.index_of(timestamp) else {
            return Err(Error::invalid(format!(
                "the spine has no column {timestamp:?}, the column of times; {}",
                times_there(schema)
            )));
        };
        let found = schema.field(index).data_type();
        if !is_time(found) && *found != ArrowType::Null {
            return Err(Error::invalid(format!(
                "the spine's column {timestamp:?} has type {}, which is no time; {}",
                type_name(found),
                times_there(schema)
            )));
        }
        Ok(Self { timestamp: index, timezone, within: None })
    }

    /// The same for a spine that was said to have times within these.
    pub(crate) fn within(self, within: Option<(i64, i64)>) -> Self {
        Self { within, ..self }
    }

    /// Whether its times are local times that statistics know nothing of.
    pub(crate) fn is_local(&self, schema: &SchemaRef) -> bool {
        self.timezone.is_some() && is_zoneless(schema.field(self.timestamp).data_type())
    }

    /// What to say of times without a zone that nobody has said anything of.
    pub(crate) fn read_as_utc(&self, schema: &SchemaRef) -> Option<String> {
        let field = schema.field(self.timestamp);
        (self.timezone.is_none() && is_zoneless(field.data_type())).then(|| {
            format!(
                "times of the spine's column {:?} have no zone and are read as UTC; name theirs \
                 with --timezone (in Python timezone=), such as Europe/Berlin, or UTC if that is \
                 what they are",
                field.name()
            )
        })
    }

    /// Reads the times of one batch, in microseconds UTC. Digits finer than a microsecond are
    /// cut off, and of a local time that a clock showed twice or never the earlier reading
    /// counts: the question is then asked earlier, which can hide a fact but never show one
    /// too soon.
    ///
    /// # Errors
    /// `Invalid` when one is null or out of range; `Conflict` when one is not within what
    /// was said of the spine before it was read.
    pub fn times(&self, batch: &RecordBatch) -> Result<ScalarBuffer<i64>> {
        let name = || batch.schema_ref().field(self.timestamp).name().clone();
        let zone = self.timezone.as_ref();
        let times = Micros::read_in(zone, batch.column(self.timestamp), Rounding::Down);
        let times = times.map_err(|cause| {
            Error::new(cause.kind(), format!("the spine's column {:?}: {cause}", name()))
        })?;
        if let Some(nulls) = &times.nulls {
            let row = nulls.iter().position(|is_valid| !is_valid).unwrap_or_default();
            let name = name();
            return Err(Error::invalid(format!(
                "the spine's column {name:?} is null (row {row} of a batch); leave that row out, \
                 or give it its time"
            )));
        }
        let is_told = |at: &i64| self.within.is_none_or(|(from, to)| from <= *at && *at <= to);
        match times.values.iter().all(is_told) {
            true => Ok(times.values),
            false => Err(Error::conflict(
                "the spine has other times than were found before it was read; build the training \
                 set again",
            )),
        }
    }
}

/// The spine's column index of each join key.
///
/// # Errors
/// `Invalid` when one is missing or of another type.
pub fn key_columns(schema: &SchemaRef, keys: &[Field], view: &str) -> Result<Vec<usize>> {
    keys.iter()
        .map(|key| {
            let index = schema.index_of(&key.name).map_err(|_| no_key(schema, key, view))?;
            let found = schema.field(index).data_type();
            if *found != ArrowType::Null && from_arrow(found).as_ref() != Some(&key.data_type) {
                return Err(Error::invalid(format!(
                    "the spine's column {:?} has type {}; the join key of feature view \
                     {view:?} is {}; cast the spine",
                    key.name,
                    type_name(found),
                    key.data_type
                )));
            }
            Ok(index)
        })
        .collect()
}

/// Reads the join keys of one batch, encoded.
///
/// # Errors
/// `Invalid` when a key is too long.
pub fn read_keys(batch: &RecordBatch, columns: &[usize], keys: &[Field]) -> Result<KeyBatch> {
    let arrays: Vec<_> = columns.iter().map(|index| batch.column(*index).clone()).collect();
    encode_keys(&arrays, keys, batch.num_rows())
}

fn is_time(found: &ArrowType) -> bool {
    matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32)
}

/// Which columns could be the column of times, and how one is named.
fn times_there(schema: &SchemaRef) -> String {
    let times = schema.fields().iter().filter(|field| is_time(field.data_type()));
    let times: Vec<&str> = times.map(|field| field.name().as_str()).collect();
    const ASKED: &str = "--timestamp (in Python timestamp=)";
    match times.as_slice() {
        [] => String::from(
            "a timestamp or date is needed, and none of its columns is one; add one that says as \
             of when each row asks, or leave the spine out and take every entity at one moment \
             with --at TIME (in Python at=)",
        ),
        [one] => format!("its one column of times is {one:?}; name it with {ASKED}"),
        several => {
            let shown = several.len().min(NAMES_SHOWN_MAX);
            let names = several[..shown].join(", ");
            format!("its columns of times are {names}; name one with {ASKED}")
        }
    }
}

/// Why there is no join key, and which columns of its type could be it.
fn no_key(schema: &SchemaRef, key: &Field, view: &str) -> Error {
    let (name, data_type) = (&key.name, &key.data_type);
    let is_alike = |found: &ArrowType| from_arrow(found).as_ref() == Some(data_type);
    let alike = schema.fields().iter().filter(|field| is_alike(field.data_type()));
    let alike: Vec<&str> = alike.map(|field| field.name().as_str()).collect();
    let there = match alike.is_empty() {
        true => format!("; none of its columns has its type, {data_type}"),
        false => suggestion(name, alike),
    };
    Error::invalid(format!(
        "the spine has no column {name:?}, the join key of feature view {view:?}{there}; rename \
         the column, or name it with the features, as in VIEW[KEY=COLUMN]:*"
    ))
}
