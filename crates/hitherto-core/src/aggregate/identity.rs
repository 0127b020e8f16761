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

use super::value::Value;
use crate::limits::EVENT_ID_BYTES_MAX;
use crate::{Error, Result};

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
