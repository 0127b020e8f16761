//! Sort facts, and write them period by period.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::arrow::array::{ArrayRef, AsArray, RecordBatch};
use ::arrow::compute::SortOptions;
use ::arrow::datatypes::{DataType as ArrowType, Field, Int64Type, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use hitherto_core::catalog::AppliedView;
use hitherto_core::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::periods::Periods;
use super::{OptimizedCopy, OptimizedFile, layout};
use crate::Offline;
use crate::error::{from_datafusion, from_writer};
use crate::files::{SourceFile, SummedFile};
use crate::footer::{Declared, Footers, blame_if_broken, next_unwound};
use crate::order::ordered;
use crate::source::FactQuery;

impl Offline {
    /// Writes a copy of the facts in these files of a view into an empty folder,
    /// durably. `progress` is told the facts written so far. Sorts within the
    /// memory limit, spilling.
    ///
    /// # Errors
    /// Those of [`Offline::fact_query`]; `Unavailable` when the folder cannot be
    /// written.
    pub async fn write_optimized(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        folder: &Path,
        mut progress: impl FnMut(u64),
    ) -> Result<OptimizedCopy> {
        let query = self.fact_query(view, files, None).await?;
        let footers = Footers::read(files, &Declared::by(&view.definition, &view.keys))?;
        let periods = Periods::new(&footers, &view.definition.source);
        let mut facts = self.by_period(&query, view.keys.len(), periods)?;
        let mut copy = CopyWriter::new(folder, query.plan.schema(), view.keys.len());
        loop {
            let batch = match next_unwound(&mut facts).await {
                Ok(None) => break,
                Ok(Some(Ok(batch))) => batch,
                Ok(Some(Err(cause))) => {
                    let error = from_datafusion("the source's facts cannot be sorted", cause);
                    return Err(blame_if_broken(files, error));
                }
                Err(error) => return Err(blame_if_broken(files, error)),
            };
            copy.add(&batch)?;
            progress(copy.rows);
        }
        copy.finish(query.shape)
    }

    /// A view's facts with a last column, their period, in the order of the copy.
    fn by_period(
        &self,
        query: &FactQuery,
        keys: usize,
        periods: Periods,
    ) -> Result<SendableRecordBatchStream> {
        let failed = |cause| from_datafusion("the source's facts cannot be sorted", cause);
        let mut fields = query.plan.schema().fields().to_vec();
        fields.push(Arc::new(Field::new("period", ArrowType::Int64, false)));
        let schema = Arc::new(Schema::new(fields));
        let by = |index: usize| {
            let column = Column::new(schema.field(index).name(), index);
            let options = SortOptions { descending: false, nulls_first: false };
            PhysicalSortExpr::new(Arc::new(column), options)
        };
        let order = std::iter::once(schema.fields().len() - 1).chain(0..=keys).map(by);
        let ordering = LexOrdering::new(order)
            .ok_or_else(|| Error::internal("a copy's order has no columns"))?;
        let output = Arc::clone(&schema);
        let date = move |facts: &RecordBatch| {
            let period = periods.of(facts.column(keys));
            let period = period.map_err(|cause| DataFusionError::External(Box::new(cause)))?;
            let mut columns = facts.columns().to_vec();
            columns.push(Arc::new(period) as ArrayRef);
            Ok(RecordBatch::try_new(Arc::clone(&output), columns)?)
        };
        let context = self.session().task_ctx();
        ordered([&query.plan], schema, ordering, context, date).map_err(failed)
    }
}

/// A copy that is being written.
struct CopyWriter<'f> {
    folder: &'f Path,
    schema: SchemaRef,
    keys: usize,
    /// Facts of one period that are not yet a row group.
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    group_rows: usize,
    period: Option<i64>,
    file: Option<CopyFile>,
    files: Vec<OptimizedFile>,
    rows: u64,
}

impl<'f> CopyWriter<'f> {
    fn new(folder: &'f Path, schema: SchemaRef, keys: usize) -> Self {
        Self {
            folder,
            schema,
            keys,
            pending: Vec::new(),
            pending_rows: 0,
            group_rows: 0,
            period: None,
            file: None,
            files: Vec::new(),
            rows: 0,
        }
    }

    /// Adds facts in order; their last column is the period.
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let facts = self.schema.fields().len();
        let periods = batch.column(facts).as_primitive::<Int64Type>().values();
        let mut columns = batch.columns().to_vec();
        columns.truncate(facts);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|cause| Error::internal("facts cannot be copied").with_source(cause))?;
        let mut start = 0;
        while start < batch.num_rows() {
            if self.period != Some(periods[start]) {
                self.end_period()?;
                self.period = Some(periods[start]);
            }
            if self.pending.is_empty() {
                self.group_rows = layout::group_rows(&batch);
            }
            let same = periods[start..].iter().take_while(|one| Some(**one) == self.period);
            let count = same.count().min(self.group_rows - self.pending_rows);
            self.pending.push(batch.slice(start, count));
            self.pending_rows += count;
            self.rows += count as u64;
            start += count;
            if self.pending_rows == self.group_rows {
                self.write_group()?;
            }
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        let group = ::arrow::compute::concat_batches(&self.schema, &pending)
            .map_err(|cause| Error::internal("facts cannot be copied").with_source(cause))?;
        if self.file.is_none() {
            self.file = Some(CopyFile::create(self.folder, self.files.len(), &group, self.keys)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write(&group))
    }

    fn end_period(&mut self) -> Result<()> {
        self.write_group()?;
        if let Some(file) = self.file.take() {
            self.files.push(file.close()?);
        }
        Ok(())
    }

    fn finish(mut self, shape: crate::source::Shape) -> Result<OptimizedCopy> {
        self.end_period()?;
        if self.files.is_empty() {
            // A view without facts has columns all the same.
            let none = RecordBatch::new_empty(Arc::clone(&self.schema));
            self.files.push(CopyFile::create(self.folder, 0, &none, self.keys)?.close()?);
        }
        let folder = File::open(self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|cause| unwritable(self.folder, cause))?;
        let bytes = self.files.iter().map(|file| file.bytes).sum();
        Ok(OptimizedCopy { rows: self.rows, bytes, shape, files: self.files })
    }
}

/// One file of a copy that is being written.
struct CopyFile {
    name: String,
    path: PathBuf,
    writer: ArrowWriter<SummedFile>,
    rows: u64,
}

impl CopyFile {
    fn create(folder: &Path, number: usize, sample: &RecordBatch, keys: usize) -> Result<Self> {
        let name = format!("{number:06}.parquet");
        let path = folder.join(&name);
        let file = SummedFile::create(&path).map_err(|cause| unwritable(&path, cause))?;
        let properties = layout::properties(sample, keys).map_err(unencodable)?;
        let writer = ArrowWriter::try_new(file, sample.schema(), Some(properties));
        Ok(Self { name, path, writer: writer.map_err(unencodable)?, rows: 0 })
    }

    /// Writes a row group.
    fn write(&mut self, group: &RecordBatch) -> Result<()> {
        self.rows += group.num_rows() as u64;
        self.writer.write(group).and_then(|()| self.writer.flush()).map_err(unencodable)
    }

    fn close(mut self) -> Result<OptimizedFile> {
        self.writer.flush().map_err(unencodable)?;
        let pages_end = self.writer.bytes_written() as u64;
        let file = self.writer.into_inner().map_err(unencodable)?;
        let bytes = file.finish().map_err(|cause| unwritable(&self.path, cause))?;
        Ok(OptimizedFile { name: self.name, rows: self.rows, bytes, pages_end })
    }
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::unwritable(format_args!("the copy {}", path.display()), cause)
}

fn unencodable(cause: ParquetError) -> Error {
    from_writer("the copy", cause)
}
