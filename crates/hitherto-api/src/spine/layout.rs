//! Where a spine's columns are, and its times.

use ::arrow::array::RecordBatch;
use ::arrow::buffer::ScalarBuffer;
use ::arrow::datatypes::{DataType as ArrowType, SchemaRef};
use hitherto_core::limits::NAMES_SHOWN_MAX;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use crate::arrow::micros::{Micros, Rounding, is_zoneless};
use crate::arrow::type_name;

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
    pub fn within(self, within: Option<(i64, i64)>) -> Self {
        Self { within, ..self }
    }

    /// Whether its times are local times that statistics know nothing of.
    pub fn is_local(&self, schema: &SchemaRef) -> bool {
        self.timezone.is_some() && is_zoneless(schema.field(self.timestamp).data_type())
    }

    /// What to say of times without a zone that nobody has said anything of.
    pub fn read_as_utc(&self, schema: &SchemaRef) -> Option<String> {
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

/// The earliest and latest time in batches.
///
/// # Errors
/// `Invalid` when a time is null or out of range.
pub fn time_range(spine: &[RecordBatch], layout: &SpineLayout) -> Result<Option<(i64, i64)>> {
    let mut range: Option<(i64, i64)> = None;
    for batch in spine {
        for at in layout.times(batch)?.iter() {
            range = Some(range.map_or((*at, *at), |(from, to)| (from.min(*at), to.max(*at))));
        }
    }
    Ok(range)
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
