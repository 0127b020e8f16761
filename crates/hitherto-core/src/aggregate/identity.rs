//! What makes two facts one event: equal entity key, event time and id.
//!
//! | the source names | the id is | for |
//! | --- | --- | --- |
//! | columns | their values | a transaction number, a specimen number |
//! | the event time | empty | measurements: one value a moment, corrected in place |
//! | nothing | all values of the fact | logs: an equal row is the same event |
//!
//! Known time and the deletion mark are in no id: they are what versions differ in. So under the
//! last row of the table a deletion of equal values takes the event away.
//!
//! An id is its values' bytes side by side ([`Value::encode`]): they sort like the values and
//! say where they end, so ("a", "bc") is not ("ab", "c"). A null is a value of its own, both
//! zeros are one, and so are all NaN. Facts that differ in one of the three are different
//! events, whatever else they share; who moves an event in time deletes it where it was.

use std::fmt::Write as _;

use super::value::Value;
use crate::catalog::AppliedView;
use crate::limits::EVENT_ID_BYTES_MAX;
use crate::row::RowSchema;
use crate::{Error, Result};

/// Where the ids of a view's events are: in the rows of its facts.
#[derive(Clone, Debug)]
pub struct EventIds {
    schema: RowSchema,
    /// The value of a row that is its event's id; none where its time says who it is.
    value: Option<usize>,
}

impl EventIds {
    /// Those of a view; `None` of one whose facts are no events.
    pub fn of(view: &AppliedView) -> Option<Self> {
        let value = view.definition.aggregates.as_ref()?.id_value();
        Some(Self { schema: view.row_schema(), value })
    }

    /// The id of a fact's event.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are no row of the view.
    pub fn read<'r>(&'r self, row: &'r [u8]) -> Result<&'r [u8]> {
        self.value.map_or(Ok(&[]), |value| self.schema.read(row)?.varlen(value))
    }
}

/// An id for people: its values, one after the other. Times and dates are counts of their units,
/// decimals whole.
pub fn shown(mut id: &[u8]) -> String {
    let mut shown = String::new();
    while let Some(value) = Value::decode(&mut id) {
        if !shown.is_empty() {
            shown.push_str(", ");
        }
        // Writing to text cannot fail.
        let _ = write!(shown, "{value}");
    }
    shown
}

/// Appends one value of an id.
///
/// # Errors
/// `Invalid` when the id becomes longer than the limit.
pub fn encode_part(out: &mut Vec<u8>, value: &Value<'_>) -> Result<()> {
    value.normal().encode(out);
    if out.len() > EVENT_ID_BYTES_MAX {
        return Err(Error::invalid(format!(
            "an event's id is longer than {EVENT_ID_BYTES_MAX} bytes; name columns in source.id \
             that identify an event in fewer"
        )));
    }
    Ok(())
}
