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
use ::arrow::datatypes::{DataType as ArrowType, SchemaRef};
use hitherto_api::arrow::{from_arrow, type_name};
use hitherto_core::definition::Field;
use hitherto_core::key::batch::KeyBatch;
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Result};

use crate::keys::encode_keys;

pub use plan::SpinePlan;
pub use scan::ScannedView;
pub use sql::SpineQuery;
pub(crate) use sql::read_only;

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
