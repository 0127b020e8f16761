//! Facts that are pushed instead of read from a source: batches in, files out.
//!
//! ```text
//! batch   join keys and features under their own names; times, the mark of deletions,
//!         and what features are computed of under the names that the source has for them
//!      -> facts: entity key, row bytes            (for the online store and its log)
//!      -> files: the columns of facts, by position, and when each arrived
//! ```
//!
//! **A fact whose known time the batch does not say was known when it arrived**, also
//! where a source's facts are known by their event time: nobody can have known it before
//! it was told; but what is timeless and has no known times always was known. That time is
//! part of the fact and stored with it. When a fact arrived is kept beside the known time
//! that a batch claims for it, so that backdating shows. Unlike a source, which may hold
//! anything, whoever pushes is there to be told: a fact that could never answer is refused.
//!
//! Files have two forms, told by their names. Those of the first, which earlier releases
//! wrote, have known times only where the view's source has, and no arrivals.
//!
//! | module    | what it owns                                        |
//! | --------- | ---------------------------------------------------- |
//! | `batch`   | batches on their way in: checked and encoded         |
//! | `carried` | files rewritten for another definition of their view |

mod batch;
mod carried;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use ::arrow::datatypes::{Field as ArrowField, Schema};
use datafusion::physical_plan::ExecutionPlan;
use hitherto_api::arrow::micros::{Micros, Rounding};
use hitherto_api::arrow::to_array;
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::{Column, Status};
use hitherto_core::{Error, Result, key, row};
use parquet::arrow::ArrowWriter;

use crate::Offline;
use crate::error::from_writer;
use crate::facts::FactLayout;
use crate::files::{Checksums, SourceFile, SummedFile};
use crate::optimize::layout;
use crate::pairs::key_column;
use crate::source::{FactQuery, Shape};

pub use self::batch::KnownFrom;
pub use self::carried::Carried;

/// A fact on its way to a file.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'f> {
    /// The encoded entity key.
    pub entity_key: &'f [u8],
    /// The row.
    pub row: &'f [u8],
    /// When it arrived; `None` if nobody kept it.
    pub at: Option<i64>,
}

/// How the names of files end that have known times and arrivals of all facts.
pub const FILE_SUFFIX: &str = ".v2.parquet";
/// How those of the form before end.
pub const OLD_FILE_SUFFIX: &str = ".parquet";
/// The column of arrivals.
const ARRIVED: &str = "arrived";

fn to_times(micros: Vec<i64>) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(micros).with_timezone("UTC")
}

/// Writes facts as a file at `path` and its checksums beside it, durably; the caller makes
/// their names so, which end with [`FILE_SUFFIX`] and what
/// [`sums_path`](crate::files::sums_path) adds.
///
/// # Errors
/// `Corrupt` when the bytes are no facts of this view, `Unavailable` when the file
/// cannot be written.
pub fn write_file(view: &AppliedView, facts: &[Arrived<'_>], path: &Path) -> Result<()> {
    write_batch(view, &to_batch(view, facts)?, path)
}

fn write_batch(view: &AppliedView, batch: &RecordBatch, path: &Path) -> Result<()> {
    let unwritable = |cause: std::io::Error| Error::unwritable(path.display(), cause);
    let unencodable = |cause| from_writer(path.display(), cause);
    let file = SummedFile::create(path).map_err(unwritable)?;
    let properties = layout::properties(batch, view.keys.len()).map_err(unencodable)?;
    let writer = ArrowWriter::try_new(file, batch.schema(), Some(properties));
    let mut writer = writer.map_err(unencodable)?;
    writer.write(batch).map_err(unencodable)?;
    writer.into_inner().map_err(unencodable)?.finish().map_err(unwritable)?;
    Ok(())
}

/// Facts as the columns of pushed facts, named by their position, and their arrivals.
fn to_batch(view: &AppliedView, facts: &[Arrived<'_>]) -> Result<RecordBatch> {
    let definition = &view.definition;
    let schema = view.row_schema();
    let entities = facts.iter().map(|fact| key::decode(fact.entity_key, &view.keys));
    let entities = entities.collect::<Result<Vec<_>>>()?;
    let times = facts.iter().map(|fact| row::times(fact.row)).collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (index, key) in view.keys.iter().enumerate() {
        let column = key_column(key, entities.iter().map(|parts| parts.get(index)));
        let column = column.ok_or_else(|| Error::internal("a join key cannot be written"))?;
        columns.push(to_array(column)?);
    }
    columns.push(Arc::new(to_times(times.iter().map(|times| times.event).collect())));
    columns.push(Arc::new(to_times(times.iter().map(|times| times.known).collect())));
    if definition.source.deleted.is_some() {
        let marks = facts.iter().map(|fact| Some(row::is_deletion(fact.row)));
        columns.push(Arc::new(marks.collect::<BooleanArray>()));
    }
    let is_of_events = definition.aggregates.is_some();
    for (index, data_type) in schema.types().iter().enumerate() {
        let mut column = Column::with_capacity(String::new(), data_type.clone(), facts.len());
        for Arrived { row, .. } in facts {
            match row::is_deletion(row) && !is_of_events {
                true => column.push_absent(Status::NotFound),
                false => column.push_row(&schema.read(row)?, index)?,
            }
        }
        columns.push(to_array(column)?);
    }
    let arrived = facts.iter().map(|fact| fact.at).collect::<TimestampMicrosecondArray>();
    to_record_batch(columns, Some(Arc::new(arrived.with_timezone("UTC"))))
}

/// Columns under their positions as names, and arrivals.
fn to_record_batch(mut columns: Vec<ArrayRef>, arrived: Option<ArrayRef>) -> Result<RecordBatch> {
    let mut names: Vec<String> = (0..columns.len()).map(|index| index.to_string()).collect();
    if let Some(arrived) = arrived {
        names.push(ARRIVED.to_owned());
        columns.push(arrived);
    }
    let fields = names.into_iter().zip(&columns);
    let fields = fields.map(|(name, array)| ArrowField::new(name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns)
        .map_err(|cause| Error::internal("pushed facts are no record batch").with_source(cause))
}

/// The file of pushed facts at `path`.
///
/// # Errors
/// `Unavailable` when it cannot be looked at, `Corrupt` when it is not as it was written or
/// lacks its checksums.
pub fn describe_file(root: &Path, path: PathBuf) -> Result<SourceFile> {
    let is_new = path.to_string_lossy().ends_with(FILE_SUFFIX);
    let checksums = if is_new { Checksums::Needed } else { Checksums::IfThere };
    SourceFile::describe_own(root, path, checksums)
}

/// Whether a file has a known time of each fact, and when it arrived.
fn has_arrivals(file: &SourceFile) -> bool {
    file.name.ends_with(FILE_SUFFIX)
}

/// The columns of the facts in a file of pushed facts.
fn layout_of(view: &AppliedView, file: &SourceFile) -> FactLayout {
    match has_arrivals(file) {
        true => FactLayout::landed(view),
        false => FactLayout::new(view),
    }
}

/// When the facts of a batch arrived, if it says.
pub(crate) fn arrivals(layout: &FactLayout, batch: &RecordBatch) -> Result<Option<Micros>> {
    let arrived = batch.columns().get(layout.columns());
    arrived.map(|arrived| Micros::read(arrived, Rounding::Up)).transpose()
}

/// Files of each form, those of a form that has any.
fn by_form(files: &[SourceFile]) -> Vec<Vec<SourceFile>> {
    let (new, old): (Vec<_>, Vec<_>) = files.iter().cloned().partition(has_arrivals);
    [new, old].into_iter().filter(|files| !files.is_empty()).collect()
}

impl Offline {
    /// Queries over files that [`write_file`] wrote, now or in an earlier release; none if
    /// there is none. Arrivals follow the columns of facts, where they were kept.
    ///
    /// # Errors
    /// `Corrupt` when they are no such files, `Unavailable` when they are gone.
    pub fn pushed_queries(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
    ) -> Result<Vec<FactQuery>> {
        let queries = by_form(files).into_iter().map(|files| {
            let layout = layout_of(view, &files[0]);
            let beside: &[&str] = if has_arrivals(&files[0]) { &[ARRIVED] } else { &[] };
            let plan = self.own_facts(layout.clone(), &files, beside)?;
            Ok(FactQuery { plan, layout, shape: Shape::RowWise, files, window: None })
        });
        queries.collect()
    }

    /// The facts in such files, without arrivals.
    ///
    /// # Errors
    /// As [`Offline::pushed_queries`].
    pub(crate) fn pushed_plans(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
    ) -> Result<Vec<(FactLayout, Arc<dyn ExecutionPlan>)>> {
        let plans = by_form(files).into_iter().map(|files| {
            let layout = layout_of(view, &files[0]);
            Ok((layout.clone(), self.own_facts(layout, &files, &[])?))
        });
        plans.collect()
    }
}
