//! Files of pushed facts, written anew for another definition of their view.

use std::path::Path;

use ::arrow::array::{RecordBatchReader, new_null_array};
use ::arrow::compute::concat_batches;
use ::arrow::datatypes::DataType as ArrowType;
use ::arrow::error::ArrowError;
use hitherto_api::arrow::to_arrow;
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::FactValue;
use hitherto_core::{Error, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{ARRIVED, layout_of, to_record_batch, write_batch};
use crate::files::SourceFile;

/// How facts of one definition of a view become those of another.
pub struct Carried<'v> {
    old: &'v AppliedView,
    new: &'v AppliedView,
    /// For each value of a fact its number before, or of what type it is null.
    values: Vec<Result<usize, ArrowType>>,
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
            let marks = [
                source.is_timeless(),
                source.is_always_visible(),
                source.deleted.is_some(),
                view.definition.aggregates.is_some(),
            ];
            (keys.collect::<Vec<_>>(), marks)
        };
        if heads(old) != heads(new) {
            return Err(String::from(
                "its join keys, or whether it has deletions, is timeless or computes its features, \
                 are to change",
            ));
        }
        let before = old.definition.fact_values();
        let values = new.definition.fact_values().into_iter().map(|value| {
            let same = before.iter().position(|other| other.is_called_as(&value));
            match (same.map(|index| (index, before[index].data_type())), value) {
                (Some((index, before)), value) if before == value.data_type() => Ok(Ok(index)),
                (Some((_, before)), FactValue::Column { name, data_type }) => Err(format!(
                    "the type of its column {name:?} is to change from {before} to {data_type}"
                )),
                (None, FactValue::Column { data_type, .. }) => Ok(Err(to_arrow(data_type))),
                (_, FactValue::Id(_)) => {
                    Err(String::from("what tells its events apart is to change"))
                }
                (_, FactValue::Condition(sql)) => Err(format!(
                    "it is to have the condition {sql:?}, which nobody can ask of what was pushed \
                     before"
                )),
            }
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Self { old, new, values })
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
        let values = self.values.iter().map(|value| match value {
            Ok(index) => column(old.heads() + index).ok_or_else(missing),
            Err(data_type) => Ok(new_null_array(data_type, facts.num_rows())),
        });
        let columns = heads.chain(values).collect::<Result<_>>()?;
        let batch = to_record_batch(columns, facts.column_by_name(ARRIVED).cloned())?;
        write_batch(self.new, &batch, path)
    }
}
