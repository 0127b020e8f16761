//! What the footers of Parquet files say: rows, columns, and whether the files
//! of one source agree; and which file is damaged when a scan breaks off.
//!
//! DataFusion reads files that differ as one table: a column that a file lacks
//! is null in it. For a feature store that is a silent change of meaning, so a
//! source whose files lack a column that is read, or have one of another type,
//! is refused.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::arrow::datatypes::{Schema, SchemaRef};
use futures::{FutureExt, Stream, StreamExt};
use hitherto_core::{Error, Kind, Result};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use crate::files::SourceFile;
use crate::shared::map;

/// Footers that are asked for at the same time where each is a request to another machine.
const REMOTE_FOOTERS: usize = 16;

/// Rows in a file.
///
/// # Errors
/// `Unavailable` or `Corrupt`, naming the file.
pub fn count_rows(file: &SourceFile) -> Result<u64> {
    Ok(read(file)?.metadata().file_metadata().num_rows().max(0) as u64)
}

/// A source file with its footer.
pub struct Footer {
    /// The file.
    pub file: SourceFile,
    /// What its footer says; page indexes are not read.
    pub metadata: ArrowReaderMetadata,
}

/// The footers of one source's files, which agree on the types of columns.
pub struct Footers {
    footers: Vec<Footer>,
}

impl Footers {
    /// Reads the footer of every file.
    ///
    /// # Errors
    /// `Invalid` naming file, column and types where two files differ;
    /// `Unavailable` or `Corrupt`.
    pub fn read(files: &[SourceFile]) -> Result<Self> {
        let mut footers: Vec<Footer> = Vec::with_capacity(files.len());
        for (file, metadata) in files.iter().zip(read_all(files)?) {
            if let Some(first) = footers.first() {
                check_types(&first.file, first.metadata.schema(), file, metadata.schema())?;
            }
            footers.push(Footer { file: file.clone(), metadata });
        }
        Ok(Self { footers })
    }

    /// Checks that every file has all columns that are `read`.
    ///
    /// # Errors
    /// `Invalid` naming file and column.
    pub fn check(&self, read: &[String]) -> Result<()> {
        for Footer { file, metadata } in &self.footers {
            let schema = metadata.schema();
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

    /// All columns that any file has, each once.
    pub fn schema(&self) -> Result<SchemaRef> {
        let schemas = self.footers.iter().map(|footer| footer.metadata.schema().as_ref().clone());
        let schemas = schemas.map(|schema| schema.with_metadata(HashMap::new()));
        Schema::try_merge(schemas).map(Arc::new).map_err(|cause| {
            Error::invalid("the source's files cannot be read together").with_source(cause)
        })
    }

    /// Each file and what its footer says.
    pub fn files(&self) -> impl Iterator<Item = (&SourceFile, &ArrowReaderMetadata)> {
        self.footers.iter().map(|footer| (&footer.file, &footer.metadata))
    }

    /// The footers, file by file.
    pub fn into_files(self) -> Vec<Footer> {
        self.footers
    }
}

fn check_types(a: &SourceFile, known: &Schema, b: &SourceFile, found: &Schema) -> Result<()> {
    for field in found.fields() {
        let Ok(other) = known.field_with_name(field.name()) else { continue };
        // Whatever the names inside lists are.
        if !other.data_type().equals_datatype(field.data_type()) {
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

fn read_all(files: &[SourceFile]) -> Result<Vec<ArrowReaderMetadata>> {
    let threads = if files.iter().any(SourceFile::is_remote) { REMOTE_FOOTERS } else { 1 };
    map(threads, files.len(), |index| read(&files[index]))
}

fn read(file: &SourceFile) -> Result<ArrowReaderMetadata> {
    let mut content = file.open()?;
    content.read_end_ahead()?;
    let load = || ArrowReaderMetadata::load(&content, ArrowReaderOptions::default());
    unwound(load).map_err(|cause| file.broken("is not a whole Parquet file; write it again", cause))
}

/// What is wrong with a file whose footer can be read.
pub const DAMAGED: &str = "is damaged; write it again or restore it";

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
    let (content, metadata) = (file.open()?, read(file)?);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(content, metadata);
    let read = || reader.build()?.try_for_each(|batch| batch.map(drop).map_err(Into::into));
    unwound(read).map_err(|cause| file.broken(DAMAGED, cause))
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
