//! The label rows of a training set, or where they come from.
//!
//! | module   | what it owns                                  |
//! | -------- | --------------------------------------------- |
//! | `layout` | where a spine's columns are, and its times    |

mod layout;

use std::fmt;
use std::path::PathBuf;

use ::arrow::array::{RecordBatch, RecordBatchReader};
use ::arrow::datatypes::SchemaRef;
use hitherto_core::Result;
use hitherto_core::zone::Zone;

pub use self::layout::{SpineLayout, time_range};

/// Where the label rows of a training set come from.
pub enum Spine {
    /// Rows in memory.
    Rows {
        /// The rows, in order.
        batches: Vec<RecordBatch>,
        /// Their columns, also when there is no batch.
        schema: SchemaRef,
    },
    /// What a reader gives, read once and as there is room for it.
    Reader {
        /// The rows, in order.
        rows: Box<dyn RecordBatchReader + Send>,
        /// The earliest and latest of their times in microseconds UTC, if somebody knows
        /// them: views with SQL are then read for these alone.
        times: Option<(i64, i64)>,
    },
    /// A Parquet file, read as there is room for it.
    File(PathBuf),
    /// A query over the source files of the views that are applied.
    Sql {
        /// One statement of DataFusion SQL that begins with SELECT or WITH.
        query: String,
        /// Whether it may read other files.
        files: LabelFiles,
        /// What it may take; anything if left out.
        bounds: Option<QueryBounds>,
    },
    /// No label rows: the facts say which there are.
    Scan(Scan),
}

impl fmt::Debug for Spine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spine::Rows { schema, .. } => f.debug_tuple("Rows").field(schema).finish(),
            Spine::Reader { rows, .. } => f.debug_tuple("Reader").field(&rows.schema()).finish(),
            Spine::File(path) => f.debug_tuple("File").field(path).finish(),
            Spine::Sql { query, .. } => f.debug_tuple("Sql").field(query).finish(),
            Spine::Scan(scan) => f.debug_tuple("Scan").field(scan).finish(),
        }
    }
}

impl From<(Vec<RecordBatch>, SchemaRef)> for Spine {
    fn from((batches, schema): (Vec<RecordBatch>, SchemaRef)) -> Self {
        Self::Rows { batches, schema }
    }
}

impl From<RecordBatch> for Spine {
    fn from(rows: RecordBatch) -> Self {
        Self::Rows { schema: rows.schema(), batches: vec![rows] }
    }
}

impl Spine {
    /// The earliest and latest time, where they are known or rows in memory show them.
    ///
    /// # Errors
    /// `Invalid` when rows in memory have no such column of times, or a null in it.
    pub fn times(&self, timestamp: &str, timezone: Option<&Zone>) -> Result<Option<(i64, i64)>> {
        match self {
            Spine::Rows { batches, schema } => {
                time_range(batches, &SpineLayout::new(schema, timestamp, timezone.cloned())?)
            }
            Spine::Reader { times, .. } => Ok(*times),
            Spine::File(_) | Spine::Sql { .. } | Spine::Scan(_) => Ok(None),
        }
    }
}

/// Whether a query may read files that no view names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFiles {
    /// Any Parquet file of this machine: the query is its owner's.
    Readable,
    /// None: the query came from elsewhere.
    Closed,
}

/// What a query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryBounds {
    /// Rows that it may give.
    pub rows_max: u64,
    /// Seconds that it may compute.
    pub seconds_max: u64,
}

/// Whose rows a scan gives. Times are microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// One row for every entity with a fact that is seen by then.
    At(i64),
    /// One row for every fact that is first seen later than `after` and not later
    /// than `until`.
    Between {
        /// Not in the window.
        after: i64,
        /// In the window.
        until: i64,
    },
}
