//! Facts that are pushed instead of read from a source: batches in, files out.
//!
//! ```text
//! batch   join keys and features under their own names; times and the mark of
//!         deletions under the names that the source has for them
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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchReader, TimestampMicrosecondArray,
    new_null_array,
};
use ::arrow::compute::concat_batches;
use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema};
use ::arrow::error::ArrowError;
use datafusion::physical_plan::ExecutionPlan;
use hitherto_api::arrow::micros::{Micros, Rounding};
use hitherto_api::arrow::{from_arrow, to_array, to_arrow, type_name};
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::{Column, Status};
use hitherto_core::definition::Feature;
use hitherto_core::key;
use hitherto_core::name::suggestion;
use hitherto_core::rule::{ALWAYS, NEVER};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result, row};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::Offline;
use crate::arrow::doubled;
use crate::error::from_writer;
use crate::facts::FactLayout;
use crate::files::{Checksums, SourceFile, SummedFile};
use crate::optimize::layout;
use crate::pairs::key_column;
use crate::source::{FactQuery, Shape};

/// Where the known times of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFrom {
    /// The batch says, or its view: that it always was.
    Batch,
    /// Its arrival.
    Arrival,
}

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

/// Shows the facts of a batch that arrived at `now` to `visit`: encoded entity key and
/// row bytes.
///
/// # Errors
/// `Invalid` naming column or row: a column that is missing, unknown or of another
/// type, a null join key or time, a row that is too large.
pub fn read_batch(
    view: &AppliedView,
    batch: &RecordBatch,
    now: i64,
    mut visit: impl FnMut(&[u8], &[u8]),
) -> Result<KnownFrom> {
    let layout = FactLayout::pushed(view);
    let source = &view.definition.source;
    let (known_from, columns) = fact_columns(view, batch, now).map_err(|problem| {
        Error::invalid(format!("facts for feature view {:?}: {problem}", view.name()))
    })?;
    let facts = layout.read(&columns, batch.num_rows())?;
    let (mut entity, mut bytes) = (Vec::new(), Vec::new());
    for index in 0..facts.heads.len() {
        let refuse = |what: &str| {
            Error::invalid(format!("fact {index} for feature view {:?} has {what}", view.name()))
        };
        if !facts.heads.keys.read_into(index, &mut entity) {
            return Err(refuse("a null join key; name the entity that it is about"));
        }
        let mut times = facts
            .heads
            .times(index)
            .ok_or_else(|| refuse("no event time; say when it happened"))?;
        if times.known == NEVER {
            return Err(refuse("no known time; leave that column out to mean the time of arrival"));
        }
        if source.known_time.is_none() {
            // What the source's facts wait for, pushed ones wait for too.
            times.known = times.known.max(times.event.saturating_add(source.delay_micros));
        }
        facts.encode(index, times, &mut bytes).map_err(|cause| {
            let view = view.name();
            Error::new(cause.kind(), format!("fact {index} for feature view {view:?}: {cause}"))
        })?;
        visit(&entity, &bytes);
    }
    Ok(known_from)
}

/// The batch's columns in the order of pushed facts.
fn fact_columns(
    view: &AppliedView,
    batch: &RecordBatch,
    now: i64,
) -> Result<(KnownFrom, Vec<ArrayRef>), String> {
    let source = &view.definition.source;
    let schema = batch.schema_ref();
    if let Some(both) = doubled(schema) {
        return Err(format!("there are {both}; push a name for each"));
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    let find = |name: &str| match schema.index_of(name) {
        Ok(index) => Ok(batch.column(index)),
        Err(_) => {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            Err(format!("there is no column {name:?}{}", suggestion(name, names)))
        }
    };
    let value = |name: &str, declared: &DataType| {
        let column = find(name)?;
        match column.data_type() {
            // Nothing but nulls, of a column whose type nobody could see.
            ArrowType::Null => Ok(new_null_array(&to_arrow(declared), column.len())),
            found if from_arrow(found).as_ref() == Some(declared) => Ok(Arc::clone(column)),
            found => Err(format!(
                "column {name:?} has type {} where {declared} is declared; push it as {declared}",
                type_name(found)
            )),
        }
    };
    let time = |name: &str| {
        let column = find(name)?;
        match column.data_type() {
            ArrowType::Timestamp(..) | ArrowType::Date32 | ArrowType::Null => {
                Ok(Arc::clone(column))
            }
            other => {
                let found = type_name(other);
                Err(format!("column {name:?} has type {found}; push it as a timestamp or date"))
            }
        }
    };
    for key in &view.keys {
        columns.push(value(&key.name, &key.data_type)?);
    }
    columns.push(match &source.event_time {
        Some(event) => time(event)?,
        None => Arc::new(to_times(vec![ALWAYS; batch.num_rows()])),
    });
    let times = [&source.event_time, &source.known_time];
    let mut names: Vec<&str> = times.into_iter().filter_map(|time| time.as_deref()).collect();
    let told = source.known_time.as_deref().filter(|known| schema.index_of(known).is_ok());
    let (known_from, known) = match told {
        Some(_) => (KnownFrom::Batch, now),
        None if source.is_always_visible() => (KnownFrom::Batch, ALWAYS),
        None => (KnownFrom::Arrival, now),
    };
    columns.push(match told {
        Some(known) => time(known)?,
        None => Arc::new(to_times(vec![known; batch.num_rows()])),
    });
    if let Some(deleted) = &source.deleted {
        columns.push(match schema.index_of(deleted) {
            Ok(index) if *batch.column(index).data_type() == ArrowType::Boolean => {
                Arc::clone(batch.column(index))
            }
            Ok(index) if *batch.column(index).data_type() == ArrowType::Null => {
                new_null_array(&ArrowType::Boolean, batch.num_rows())
            }
            Ok(index) => {
                let found = type_name(batch.column(index).data_type());
                return Err(format!("column {deleted:?} has type {found}; push it as a bool"));
            }
            Err(_) => Arc::new(BooleanArray::from(vec![false; batch.num_rows()])),
        });
        names.push(deleted);
    }
    for feature in &view.definition.features {
        columns.push(value(&feature.name, &feature.data_type)?);
    }
    names.extend(view.keys.iter().map(|key| key.name.as_str()));
    names.extend(view.definition.features.iter().map(|feature| feature.name.as_str()));
    match schema.fields().iter().find(|field| !names.contains(&field.name().as_str())) {
        None => Ok((known_from, columns)),
        Some(unknown) => {
            let name = unknown.name();
            Err(format!("it has no column {name:?}{}", suggestion(name, names.iter().copied())))
        }
    }
}

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
    for (index, Feature { name, data_type, .. }) in definition.features.iter().enumerate() {
        let mut column = Column::with_capacity(name.clone(), data_type.clone(), facts.len());
        for Arrived { row, .. } in facts {
            match row::is_deletion(row) {
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

/// How facts of one definition of a view become those of another.
pub struct Carried<'v> {
    old: &'v AppliedView,
    new: &'v AppliedView,
    /// For each feature its number before, or of what type it is null.
    features: Vec<Result<usize, ArrowType>>,
}

impl<'v> Carried<'v> {
    /// From one definition to another.
    ///
    /// # Errors
    /// What differs that facts cannot be carried over.
    pub fn new(old: &'v AppliedView, new: &'v AppliedView) -> Result<Self, String> {
        let heads = |view: &AppliedView| {
            let keys = view.keys.iter().map(|key| (key.name.clone(), key.data_type.clone()));
            let source = &view.definition.source;
            let marks =
                [source.is_timeless(), source.is_always_visible(), source.deleted.is_some()];
            (keys.collect::<Vec<_>>(), marks)
        };
        if heads(old) != heads(new) {
            return Err(String::from(
                "its join keys, or whether it has deletions or is timeless, are to change",
            ));
        }
        let mut features = Vec::new();
        let before = &old.definition.features;
        for feature in &new.definition.features {
            match before.iter().position(|other| other.name == feature.name) {
                Some(index) if before[index].data_type != feature.data_type => {
                    return Err(format!(
                        "the type of its feature {:?} is to change from {} to {}",
                        feature.name, before[index].data_type, feature.data_type
                    ));
                }
                Some(index) => features.push(Ok(index)),
                None => features.push(Err(to_arrow(&feature.data_type))),
            }
        }
        Ok(Self { old, new, features })
    }

    /// Writes a file's facts as the new definition has them, in the form that they are in.
    ///
    /// # Errors
    /// `Invalid` for facts of the first form if the view is to gain or lose known times,
    /// `Corrupt` when it is no such file, `Unavailable` for I/O.
    pub fn rewrite(&self, file: &SourceFile, path: &Path) -> Result<()> {
        let [old, new] = [self.old, self.new].map(|view| layout_of(view, file));
        if old.heads() != new.heads() {
            return Err(Error::invalid(format!(
                "feature view {:?} has facts that were pushed to an earlier release, which kept \
                 no known time of them, and whether it has known times is to change; give the \
                 view another name to begin without them",
                self.new.name()
            )));
        }
        let damaged = |cause: ParquetError| {
            Error::corrupt(format!("{} is damaged; restore a backup", file.name)).with_source(cause)
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.open()?);
        let reader = reader.and_then(ParquetRecordBatchReaderBuilder::build).map_err(damaged)?;
        let schema = reader.schema();
        let facts = reader.collect::<Result<Vec<_>, ArrowError>>();
        let facts = facts.and_then(|facts| concat_batches(&schema, &facts));
        let facts = facts.map_err(|cause| damaged(cause.into()))?;
        let missing = || Error::corrupt(format!("{} lacks a column; restore a backup", file.name));
        let column = |index: usize| facts.column_by_name(&index.to_string()).cloned();
        let heads = (0..old.heads()).map(|index| column(index).ok_or_else(missing));
        let features = self.features.iter().map(|feature| match feature {
            Ok(index) => column(old.heads() + index).ok_or_else(missing),
            Err(data_type) => Ok(new_null_array(data_type, facts.num_rows())),
        });
        let columns = heads.chain(features).collect::<Result<_>>()?;
        let batch = to_record_batch(columns, facts.column_by_name(ARRIVED).cloned())?;
        write_batch(self.new, &batch, path)
    }
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
        true => FactLayout::pushed(view),
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
