//! Hitherto's answer: [`Offline::join`] from the call to the last batch, with
//! all batches held, as a user holds a training set.
//!
//! The definitions are applied to an empty catalog and no repository is opened:
//! what is measured is the join, not the bookkeeping around it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::sum;
use arrow::datatypes::{Float64Type, SchemaRef};
use hitherto_core::catalog::AppliedView;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::output::Output;
use hitherto_core::slots;
use hitherto_offline::Offline;
use hitherto_offline::join::{JoinRequest, JoinSource};
use hitherto_offline::spine::SpinePlan;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use super::labels::TIMESTAMP;
use super::views::Terms;
use crate::{Result, peak};

/// What rounding alone may change in a sum of features, each of which is about 1.
const SUM_ERROR_MAX: f64 = 1e-6;

/// What to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Join {
    /// The folder of each view.
    pub views: Vec<PathBuf>,
    /// The folder of each view's optimized copy, which is read in the place of
    /// all of its files; none, and the files are read.
    pub copies: Vec<PathBuf>,
    /// What the views have in common.
    pub terms: Terms,
    /// The spine's file.
    pub spine: PathBuf,
    /// How many of its rows; `None` is all.
    pub labels_max: Option<u64>,
    /// What the join may hold.
    pub memory_bytes_max: usize,
    /// Threads of the runtime, and partitions of each scan.
    pub threads: usize,
    /// Whether the plan is shown afterwards, with its metrics.
    pub explain: bool,
}

/// What came out of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joined {
    /// From the call, listing of files included, to the complete result.
    pub seconds: f64,
    /// The most memory that the process held, spine and result included.
    pub peak_rss_bytes: u64,
    /// Bytes of the result's values and null bits, shared buffers not counted
    /// beyond what the result refers to.
    pub result_bytes: u64,
    /// Rows of the result.
    pub rows: u64,
    /// Facts read, over all views.
    pub facts: u64,
    /// Rows that a fact answers, for each view.
    pub matched: Vec<u64>,
    /// The sum of each view's first feature: equal sums are equal answers.
    pub sum_f0: Vec<f64>,
}

impl Joined {
    /// Whether this is what `other` found, as far as sums tell. Batches may end
    /// elsewhere, so sums may differ in their last digits.
    pub fn is_same_answer(&self, other: &Joined) -> bool {
        let mut sums = self.sum_f0.iter().zip(&other.sum_f0);
        self.rows == other.rows
            && self.matched == other.matched
            && self.sum_f0.len() == other.sum_f0.len()
            && sums.all(|(this, that)| (this - that).abs() < SUM_ERROR_MAX)
    }
}

/// Joins.
///
/// # Errors
/// When the spine cannot be read or the join fails.
pub fn run(join: &Join) -> Result<Joined> {
    let (spine_schema, spine) = read_spine(&join.spine, join.labels_max)?;
    let views = join.terms.applied(&join.views);
    let spine_columns = spine_schema.fields().len();
    let offline = Offline::new(Path::new("/"), join.memory_bytes_max, join.threads)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(join.threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let request = request(&offline, join, &views, spine, spine_schema)?;
        let mut stream = offline.join(request).await?;
        let mut result = Vec::new();
        while let Some(batch) = stream.next().await {
            result.push(batch?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let peak_rss_bytes = peak::read_peak_rss_bytes()?;
        if join.explain {
            eprintln!("{}", stream.explain());
        }
        let report = stream.report();
        let first = |view: usize| spine_columns + view * join.terms.features;
        Ok(Joined {
            seconds,
            peak_rss_bytes,
            result_bytes: logical_bytes(&result)?,
            rows: result.iter().map(|batch| batch.num_rows() as u64).sum(),
            facts: report.views.iter().map(|view| view.facts).sum(),
            matched: report.views.iter().map(|view| view.present).collect(),
            sum_f0: (0..views.len()).map(|view| sum_column(&result, first(view))).collect(),
        })
    })
}

/// The first rows of a spine's file, or all of them.
///
/// # Errors
/// When it cannot be read.
pub fn read_spine(path: &Path, labels_max: Option<u64>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS);
    if let Some(labels_max) = labels_max {
        reader = reader.with_limit(usize::try_from(labels_max)?);
    }
    let schema = reader.schema().clone();
    Ok((schema, reader.build()?.collect::<std::result::Result<_, _>>()?))
}

fn request(
    offline: &Offline,
    join: &Join,
    views: &[AppliedView],
    spine: Vec<RecordBatch>,
    spine_schema: SchemaRef,
) -> Result<JoinRequest> {
    let known = join.terms.known;
    let terms = slots::Terms { ttl_micros: None, known_by: i64::MAX, known };
    let mut sources = Vec::with_capacity(views.len());
    let mut outputs = Vec::with_capacity(views.len() * join.terms.features);
    for (view, applied) in views.iter().enumerate() {
        let files = offline.list_files(&applied.definition)?;
        let (files, copy) = match join.copies.get(view) {
            Some(copy) => (Vec::new(), offline.list(&copy.to_string_lossy())?),
            None => (files, Vec::new()),
        };
        sources.push(JoinSource {
            view: applied.clone(),
            name: applied.name().to_owned(),
            keys: applied.keys.clone(),
            terms,
            files,
            copy,
            pushed: Vec::new(),
        });
        let features = applied.definition.features.iter().enumerate();
        outputs.extend(features.map(|(feature, of)| Output {
            name: format!("{}:{}", applied.name(), of.name),
            of: of.name.clone(),
            view,
            feature,
            data_type: of.data_type.clone(),
            default: None,
        }));
    }
    let timestamp = TIMESTAMP.to_owned();
    let spine = SpinePlan::of_rows(spine, &spine_schema)?;
    Ok(JoinRequest { spine, timestamp, timezone: None, views: sources, outputs })
}

/// What the values take, whatever buffers they lie in: batches may be slices of
/// one large buffer.
fn logical_bytes(batches: &[RecordBatch]) -> Result<u64> {
    let columns = batches.iter().flat_map(RecordBatch::columns);
    let bytes = columns.map(|column| column.to_data().get_slice_memory_size());
    Ok(bytes.sum::<std::result::Result<usize, _>>()? as u64)
}

fn sum_column(batches: &[RecordBatch], column: usize) -> f64 {
    let sums = batches.iter().map(|batch| sum(batch.column(column).as_primitive::<Float64Type>()));
    sums.map(Option::unwrap_or_default).sum()
}
