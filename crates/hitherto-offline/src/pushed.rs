//! Facts that are pushed instead of read from a source: batches in, files out.
//!
//! ```text
//! batch   join keys and features under their own names; times and the mark of
//!         deletions under the names that the source has for them
//!      -> facts: entity key, row bytes            (for the online store and its log)
//!      -> files: the columns of facts, by position, as in an optimized copy
//! ```
//!
//! A fact whose known time the batch does not say was known when it arrived. Unlike a
//! source, which may hold anything, whoever pushes is there to be told: a fact that
//! could never answer is refused.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchReader, TimestampMicrosecondArray,
    new_null_array,
};
use ::arrow::compute::concat_batches;
use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema};
use ::arrow::error::ArrowError;
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::{Column, Status};
use hitherto_core::definition::Field;
use hitherto_core::key;
use hitherto_core::name::suggestion;
use hitherto_core::rule::{NEVER, Times};
use hitherto_core::{Error, Result, row};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::Offline;
use crate::arrow::{from_arrow, to_array, to_arrow};
use crate::facts::FactLayout;
use crate::files::SourceFile;
use crate::optimize::layout;
use crate::pairs::key_column;
use crate::source::{FactQuery, Shape};

/// Shows the facts of a batch that arrived at `now` to `visit`: encoded entity key,
/// times and row bytes.
///
/// # Errors
/// `Invalid` naming column or row: a column that is missing, unknown or of another
/// type, a null join key or time, a row that is too large.
pub fn read_batch(
    view: &AppliedView,
    batch: &RecordBatch,
    now: i64,
    mut visit: impl FnMut(&[u8], Times, &[u8]),
) -> Result<()> {
    let layout = FactLayout::new(view);
    let columns = fact_columns(view, batch, now).map_err(|problem| {
        Error::invalid(format!("facts for feature view {:?}: {problem}", view.name()))
    })?;
    let facts = layout.read(&columns, batch.num_rows())?;
    let (mut entity, mut bytes) = (Vec::new(), Vec::new());
    for index in 0..facts.heads.len() {
        let refuse = |what: &str| {
            Error::invalid(format!("fact {index} for feature view {:?} has {what}", view.name()))
        };
        if !facts.heads.keys.read_into(index, &mut entity) {
            return Err(refuse("a null join key"));
        }
        let times = facts.heads.times(index).ok_or_else(|| refuse("no event time"))?;
        if times.known == NEVER {
            return Err(refuse("no known time; leave that column out to mean the time of arrival"));
        }
        facts.encode(index, times, &mut bytes).map_err(|cause| {
            let view = view.name();
            Error::new(cause.kind(), format!("fact {index} for feature view {view:?}: {cause}"))
        })?;
        visit(&entity, times, &bytes);
    }
    Ok(())
}

/// The batch's columns in the order of facts.
fn fact_columns(
    view: &AppliedView,
    batch: &RecordBatch,
    now: i64,
) -> Result<Vec<ArrayRef>, String> {
    let source = &view.definition.source;
    let schema = batch.schema_ref();
    let mut columns = Vec::with_capacity(schema.fields().len());
    let find = |name: &str| match schema.index_of(name) {
        Ok(index) => Ok(batch.column(index)),
        Err(_) => {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            Err(format!("there is no column {name:?}{}", suggestion(name, names)))
        }
    };
    let value = |field: &Field| {
        let column = find(&field.name)?;
        match column.data_type() {
            // Nothing but nulls, of a column whose type nobody could see.
            ArrowType::Null => Ok(new_null_array(&to_arrow(&field.data_type), column.len())),
            found if from_arrow(found).as_ref() == Some(&field.data_type) => Ok(Arc::clone(column)),
            found => Err(format!(
                "column {:?} has type {found} where {} is declared; push it as {}",
                field.name, field.data_type, field.data_type
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
                Err(format!("column {name:?} has type {other}; a timestamp or date is needed"))
            }
        }
    };
    for key in &view.keys {
        columns.push(value(key)?);
    }
    columns.push(time(&source.event_time)?);
    let mut names: Vec<&str> = vec![&source.event_time];
    if let Some(known) = &source.known_time {
        columns.push(match schema.index_of(known) {
            Ok(_) => time(known)?,
            Err(_) => Arc::new(to_times(vec![now; batch.num_rows()])),
        });
        names.push(known);
    }
    if let Some(deleted) = &source.deleted {
        columns.push(match schema.index_of(deleted) {
            Ok(index) if *batch.column(index).data_type() == ArrowType::Boolean => {
                Arc::clone(batch.column(index))
            }
            Ok(index) if *batch.column(index).data_type() == ArrowType::Null => {
                new_null_array(&ArrowType::Boolean, batch.num_rows())
            }
            Ok(index) => {
                let found = batch.column(index).data_type();
                return Err(format!("column {deleted:?} has type {found}; a boolean is needed"));
            }
            Err(_) => Arc::new(BooleanArray::from(vec![false; batch.num_rows()])),
        });
        names.push(deleted);
    }
    for feature in &view.definition.features {
        columns.push(value(feature)?);
    }
    let fields = view.keys.iter().chain(&view.definition.features);
    names.extend(fields.map(|field| field.name.as_str()));
    match schema.fields().iter().find(|field| !names.contains(&field.name().as_str())) {
        None => Ok(columns),
        Some(unknown) => {
            let name = unknown.name();
            Err(format!("it has no column {name:?}{}", suggestion(name, names.iter().copied())))
        }
    }
}

fn to_times(micros: Vec<i64>) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(micros).with_timezone("UTC")
}

/// Writes facts, encoded entity key and row each, as a file at `path`, durably; the
/// caller makes its name so.
///
/// # Errors
/// `Corrupt` when the bytes are no facts of this view, `Unavailable` when the file
/// cannot be written.
pub fn write_file(view: &AppliedView, facts: &[(&[u8], &[u8])], path: &Path) -> Result<()> {
    write_batch(view, &to_batch(view, facts)?, path)
}

fn write_batch(view: &AppliedView, batch: &RecordBatch, path: &Path) -> Result<()> {
    let unwritable = |cause: std::io::Error| {
        Error::unavailable(format!("{} cannot be written", path.display())).with_source(cause)
    };
    let unencodable = |cause: ParquetError| match cause {
        ParquetError::External(inner) if inner.is::<std::io::Error>() => {
            Error::unavailable(format!("{} cannot be written", path.display())).with_source(inner)
        }
        cause => Error::internal("pushed facts cannot be written").with_source(cause),
    };
    let file = File::create(path).map_err(unwritable)?;
    let properties = layout::properties(batch, view.keys.len()).map_err(unencodable)?;
    let writer = ArrowWriter::try_new(file, batch.schema(), Some(properties));
    let mut writer = writer.map_err(unencodable)?;
    writer.write(batch).map_err(unencodable)?;
    writer.into_inner().map_err(unencodable)?.sync_all().map_err(unwritable)
}

/// Facts as the columns of facts, named by their position.
fn to_batch(view: &AppliedView, facts: &[(&[u8], &[u8])]) -> Result<RecordBatch> {
    let definition = &view.definition;
    let schema = view.row_schema();
    let entities = facts.iter().map(|(entity, _)| key::decode(entity, &view.keys));
    let entities = entities.collect::<Result<Vec<_>>>()?;
    let times = facts.iter().map(|(_, bytes)| row::times(bytes)).collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (index, key) in view.keys.iter().enumerate() {
        let column = key_column(key, entities.iter().map(|parts| parts.get(index)));
        let column = column.ok_or_else(|| Error::internal("a join key cannot be written"))?;
        columns.push(to_array(column)?);
    }
    columns.push(Arc::new(to_times(times.iter().map(|times| times.event).collect())));
    if definition.source.known_time.is_some() {
        columns.push(Arc::new(to_times(times.iter().map(|times| times.known).collect())));
    }
    if definition.source.deleted.is_some() {
        let marks = facts.iter().map(|(_, bytes)| Some(row::is_deletion(bytes)));
        columns.push(Arc::new(marks.collect::<BooleanArray>()));
    }
    for (index, Field { name, data_type, .. }) in definition.features.iter().enumerate() {
        let mut column = Column::with_capacity(name.clone(), data_type.clone(), facts.len());
        for (_, bytes) in facts {
            match row::is_deletion(bytes) {
                true => column.push_absent(Status::NotFound),
                false => column.push_row(&schema.read(bytes)?, index)?,
            }
        }
        columns.push(to_array(column)?);
    }
    to_record_batch(columns)
}

/// Columns under their positions as names.
fn to_record_batch(columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let fields = columns.iter().enumerate();
    let fields = fields
        .map(|(index, array)| ArrowField::new(index.to_string(), array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns)
        .map_err(|cause| Error::internal("pushed facts are no record batch").with_source(cause))
}

/// How facts of one definition of a view become those of another.
pub struct Carried<'v> {
    new: &'v AppliedView,
    /// For each column of a fact where it was, or of what type it is null.
    columns: Vec<Result<usize, ArrowType>>,
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
            (keys.collect::<Vec<_>>(), source.known_time.is_some(), source.deleted.is_some())
        };
        if heads(old) != heads(new) {
            return Err(String::from(
                "its join keys, or whether it has known times or deletions, are to change",
            ));
        }
        let first = FactLayout::new(new).heads();
        let mut columns: Vec<_> = (0..first).map(Ok).collect();
        let before = &old.definition.features;
        for feature in &new.definition.features {
            match before.iter().position(|other| other.name == feature.name) {
                Some(index) if before[index].data_type != feature.data_type => {
                    return Err(format!(
                        "the type of its feature {:?} is to change from {} to {}",
                        feature.name, before[index].data_type, feature.data_type
                    ));
                }
                Some(index) => columns.push(Ok(first + index)),
                None => columns.push(Err(to_arrow(&feature.data_type))),
            }
        }
        Ok(Self { new, columns })
    }

    /// Writes a file's facts in their new form.
    ///
    /// # Errors
    /// `Corrupt` when it is no such file, `Unavailable` for I/O.
    pub fn rewrite(&self, file: &SourceFile, path: &Path) -> Result<()> {
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
        let columns = self.columns.iter().map(|column| match column {
            Ok(index) => facts.column_by_name(&index.to_string()).cloned().ok_or_else(missing),
            Err(data_type) => Ok(new_null_array(data_type, facts.num_rows())),
        });
        write_batch(self.new, &to_record_batch(columns.collect::<Result<_>>()?)?, path)
    }
}

impl Offline {
    /// A query over files that [`write_file`] wrote; none if there is none.
    ///
    /// # Errors
    /// `Corrupt` when they are no such files, `Unavailable` when they are gone.
    pub fn pushed_query(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
    ) -> Result<Option<FactQuery>> {
        if files.is_empty() {
            return Ok(None);
        }
        let plan = self.own_facts(view, files)?;
        let files = files.to_vec();
        Ok(Some(FactQuery { plan, shape: Shape::RowWise, files, window: None }))
    }
}
