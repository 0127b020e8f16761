//! What the footers of Parquet files say: rows, columns, and whether the files
//! of one source agree; and which file is damaged when a scan breaks off.
//!
//! DataFusion reads files that differ as one table: a column that a file lacks
//! is null in it. For a feature store that is a silent change of meaning, so a
//! source whose files lack a column that is read, or have one of another type,
//! is refused.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use futures::{FutureExt, Stream, StreamExt};
use hitherto_core::{Error, Kind, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::files::SourceFile;

/// Rows in a file.
///
/// # Errors
/// `Unavailable` or `Corrupt`, naming the file.
pub fn count_rows(file: &SourceFile) -> Result<u64> {
    Ok(open(file)?.metadata().file_metadata().num_rows().max(0) as u64)
}

/// The columns of one source's files, which agree on their types.
pub struct Columns<'f> {
    files: Vec<(&'f SourceFile, SchemaRef)>,
}

impl<'f> Columns<'f> {
    /// Reads the footer of every file.
    ///
    /// # Errors
    /// `Invalid` naming file, column and types where two files differ;
    /// `Unavailable` or `Corrupt`.
    pub fn read(files: &'f [SourceFile]) -> Result<Self> {
        let mut columns = Columns { files: Vec::with_capacity(files.len()) };
        for file in files {
            let schema = Arc::clone(open(file)?.schema());
            if let Some((first, known)) = columns.files.first() {
                check_types(first, known, file, &schema)?;
            }
            columns.files.push((file, schema));
        }
        Ok(columns)
    }

    /// Checks that every file has all columns that are `read`.
    ///
    /// # Errors
    /// `Invalid` naming file and column.
    pub fn check(&self, read: &[String]) -> Result<()> {
        for (file, schema) in &self.files {
            if let Some(missing) = read.iter().find(|name| schema.index_of(name).is_err()) {
                return Err(Error::invalid(format!(
                    "source file {} lacks the column {missing:?} that other files of the source \
                     have; write it with that column, or keep it out of source.parquet",
                    file.name
                )));
            }
        }
        Ok(())
    }
}

fn check_types(a: &SourceFile, known: &Schema, b: &SourceFile, found: &Schema) -> Result<()> {
    for field in found.fields() {
        let Ok(other) = known.field_with_name(field.name()) else { continue };
        if !is_same(other.data_type(), field.data_type()) {
            return Err(Error::invalid(format!(
                "column {:?} has type {} in source file {} and {} in {}; write both with one type",
                field.name(),
                other.data_type(),
                a.name,
                field.data_type(),
                b.name
            )));
        }
    }
    Ok(())
}

/// Whether two types are one, whatever the names inside lists are.
fn is_same(a: &ArrowType, b: &ArrowType) -> bool {
    a.equals_datatype(b)
}

fn open(file: &SourceFile) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let opened = File::open(&file.path).map_err(|cause| {
        Error::unavailable(format!("source file {} cannot be read", file.name)).with_source(cause)
    })?;
    let read = || ParquetRecordBatchReaderBuilder::try_new(opened);
    unwound(read).map_err(|cause| {
        Error::corrupt(format!(
            "source file {} is not a whole Parquet file; write it again",
            file.name
        ))
        .with_source(cause)
    })
}

/// The file that made a scan break off: `Corrupt` naming the first one that
/// cannot be read to its end, or else the error itself. Reads the files again,
/// unless the error has nothing to do with them.
pub fn blame_if_broken<'f>(files: impl IntoIterator<Item = &'f SourceFile>, error: Error) -> Error {
    if matches!(error.kind(), Kind::Unavailable | Kind::Conflict | Kind::NotFound) {
        return error;
    }
    let mut files = files.into_iter();
    let damage = files.find_map(|file| read_whole(file).err());
    damage.unwrap_or(error)
}

fn read_whole(file: &SourceFile) -> Result<()> {
    let reader = open(file)?;
    let read = || reader.build()?.try_for_each(|batch| batch.map(drop).map_err(Into::into));
    unwound(read).map_err(|cause| {
        Error::corrupt(format!(
            "source file {} is damaged; write it again or restore it",
            file.name
        ))
        .with_source(cause)
    })
}

/// Runs a read of bytes that may be anything. The reader can panic on them.
fn unwound<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> parquet::errors::Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(parquet::errors::ParquetError::General(String::from("the reader gave up")))
    })
}

/// The next item of a stream that reads files. A panic on damaged bytes is an
/// error like any other.
pub async fn next_unwound<S: Stream + Unpin>(stream: &mut S) -> Result<Option<S::Item>> {
    AssertUnwindSafe(stream.next()).catch_unwind().await.map_err(|_| {
        Error::internal("the Parquet reader gave up on a source file, with the words above")
    })
}
