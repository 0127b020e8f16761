//! All facts of a view in key order, whatever the size of its source.
//!
//! ```text
//! scan (one stream a thread) -> drop what a newer fact has made worthless
//!                            -> encode: key, e, n, row bytes
//!                            -> sort by key, newest first, within the memory
//!                               limit, spilling
//!                            -> merge into one stream
//! ```
//!
//! Sorting bytes that are stored as they are leaves one order for everything:
//! bytewise keys, then event and known time descending. Row bytes are no part of it:
//! a sort holds its keys a second time, and facts of equal times are few.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, Int64Array, Int64Builder, RecordBatch,
};
use ::arrow::compute::SortOptions;
use ::arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use hitherto_core::catalog::AppliedView;
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};

use crate::Offline;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::files::SourceFile;
use crate::footer::{blame_if_broken, next_unwound};
use crate::order::ordered;
use crate::source::FactQuery;
use crate::superseded::Superseded;

/// The part of the memory in which it is remembered which facts were read.
const SUPERSEDED_SHARE: usize = 8;

/// Facts counted while they are read, before they are sorted.
#[derive(Debug, Default)]
pub struct ScanCount {
    facts: AtomicU64,
    without_time: AtomicU64,
    without_key: AtomicU64,
}

impl ScanCount {
    /// Facts read so far, the ones below included.
    pub fn facts(&self) -> u64 {
        self.facts.load(Ordering::Relaxed)
    }

    /// Facts dropped because they have no event time.
    pub fn without_time(&self) -> u64 {
        self.without_time.load(Ordering::Relaxed)
    }

    /// Facts dropped because a join key is null.
    pub fn without_key(&self) -> u64 {
        self.without_key.load(Ordering::Relaxed)
    }
}

/// Facts in key order, newest first within an entity; those of equal times in any.
pub struct SortedFacts {
    stream: SendableRecordBatchStream,
    count: Arc<ScanCount>,
    files: Vec<SourceFile>,
}

impl SortedFacts {
    /// The next batch; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<SortedBatch>> {
        let error = match next_unwound(&mut self.stream).await {
            Ok(None) => return None,
            Ok(Some(Ok(batch))) => return Some(SortedBatch::new(&batch)),
            Ok(Some(Err(cause))) => from_datafusion("the source's facts cannot be read", cause),
            Err(error) => error,
        };
        Some(Err(blame_if_broken(&self.files, error)))
    }

    /// Counts of the scan; they run ahead of the sorted stream.
    pub fn count(&self) -> &Arc<ScanCount> {
        &self.count
    }
}

/// One batch of sorted facts.
pub struct SortedBatch {
    keys: BinaryArray,
    event: Int64Array,
    known: Int64Array,
    rows: BinaryArray,
}

impl SortedBatch {
    fn new(batch: &RecordBatch) -> Result<Self> {
        let broken = || Error::internal("sorted facts have unexpected columns");
        let [keys, event, known, rows] = batch.columns() else { return Err(broken()) };
        let bytes = |array: &ArrayRef| array.as_any().downcast_ref::<BinaryArray>().cloned();
        let times = |array: &ArrayRef| array.as_any().downcast_ref::<Int64Array>().cloned();
        Ok(Self {
            keys: bytes(keys).ok_or_else(broken)?,
            event: times(event).ok_or_else(broken)?,
            known: times(known).ok_or_else(broken)?,
            rows: bytes(rows).ok_or_else(broken)?,
        })
    }

    /// Each fact: encoded entity key, times, row bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Times, &[u8])> {
        (0..self.keys.len()).map(|index| {
            let times = Times { event: self.event.value(index), known: self.known.value(index) };
            (self.keys.value(index), times, self.rows.value(index))
        })
    }
}

impl Offline {
    /// Runs queries of one view, with the facts of all in key order. Facts that cannot
    /// answer any moment from `horizon` on are left out where that is seen in time.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses a plan.
    pub fn sorted_facts(
        &self,
        view: &AppliedView,
        queries: &[FactQuery],
        horizon: i64,
    ) -> Result<SortedFacts> {
        let failed = |cause| from_datafusion("the source's facts cannot be sorted", cause);
        let count = Arc::new(ScanCount::default());
        let layout = FactLayout::new(view);
        let schema = encoded_schema();
        let ordering = newest_first(&schema).map_err(failed)?;
        let (counted, output) = (Arc::clone(&count), Arc::clone(&schema));
        let superseded = Superseded::new(horizon, self.memory_bytes_max / SUPERSEDED_SHARE);
        let encode = move |batch: &RecordBatch| {
            encode(batch, &layout, &superseded, &counted, &output)
                .map_err(|cause| DataFusionError::External(Box::new(cause)))
        };
        let context = self.session().task_ctx();
        let plans = queries.iter().map(|query| &query.plan);
        let stream = ordered(plans, schema, ordering, context, encode).map_err(failed)?;
        let files = queries.iter().flat_map(|query| query.files.clone()).collect();
        Ok(SortedFacts { stream, count, files })
    }
}

fn encoded_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", ArrowType::Binary, false),
        Field::new("event", ArrowType::Int64, false),
        Field::new("known", ArrowType::Int64, false),
        Field::new("row", ArrowType::Binary, false),
    ]))
}

fn newest_first(schema: &Schema) -> datafusion::error::Result<LexOrdering> {
    let by = |name: &str, descending: bool| {
        let options = SortOptions { descending, nulls_first: false };
        Ok::<_, DataFusionError>(PhysicalSortExpr::new(col(name, schema)?, options))
    };
    let order = [by("key", false)?, by("event", true)?, by("known", true)?];
    LexOrdering::new(order)
        .ok_or_else(|| DataFusionError::Internal(String::from("an ordering has no columns")))
}

fn encode(
    batch: &RecordBatch,
    layout: &FactLayout,
    superseded: &Superseded,
    count: &ScanCount,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let facts = layout.read(batch.columns(), batch.num_rows())?;
    let heads = &facts.heads;
    let mut keys = BinaryBuilder::with_capacity(heads.len(), heads.len() * 16);
    let mut event = Int64Builder::with_capacity(heads.len());
    let mut known = Int64Builder::with_capacity(heads.len());
    let fixed_bytes = layout.row_schema().fixed_bytes();
    let mut rows = BinaryBuilder::with_capacity(heads.len(), heads.len() * fixed_bytes);
    let (mut key, mut row) = (Vec::new(), Vec::with_capacity(fixed_bytes));
    count.facts.fetch_add(heads.len() as u64, Ordering::Relaxed);
    for index in 0..heads.len() {
        if !heads.keys.read_into(index, &mut key) {
            count.without_key.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let Some(times) = heads.times(index) else {
            count.without_time.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        if superseded.is(&key, times) {
            continue;
        }
        facts.encode(index, times, &mut row)?;
        keys.append_value(&key);
        event.append_value(times.event);
        known.append_value(times.known);
        rows.append_value(&row);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys.finish()),
        Arc::new(event.finish()),
        Arc::new(known.finish()),
        Arc::new(rows.finish()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|cause| Error::internal("facts cannot be encoded").with_source(cause))
}
