//! What the footers of Parquet files say: rows, columns, and whether the files
//! of one source agree; and which file is damaged when a scan breaks off.
//!
//! Every reader of a file, our own and DataFusion's, goes by the footer that is read
//! here, so that it is decided once what is believed of it (`trust`), how INT96 is read
//! (as microseconds: nanoseconds would wrap in the year 2262), and what the files of a
//! source have in common (`agree`). A column that a file lacks is no column of nulls:
//! for a feature store that would be a silent change of meaning, so a source whose files
//! lack a column that is read is refused.

mod agree;
mod partitions;
mod trust;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use ::arrow::array::ArrayRef;
use ::arrow::datatypes::{Schema, SchemaRef, TimeUnit};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use futures::{FutureExt, Stream, StreamExt};
use hitherto_core::definition::{FactValue, FeatureView, Field};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Kind, Result};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;

use self::agree::{agree, convert};
use self::partitions::constants;
use crate::arrow::doubled;
use crate::files::SourceFile;
use crate::shared::map;

pub(crate) use partitions::{Constant, called};

/// Footers that are asked for at the same time where each is a request to another machine.
const REMOTE_FOOTERS: usize = 16;

/// Rows in a file.
///
/// # Errors
/// `Unavailable` or `Corrupt`, naming the file.
pub fn count_rows(file: &SourceFile) -> Result<u64> {
    let metadata = read(file)?;
    let groups = metadata.metadata().row_groups().iter();
    Ok(groups.map(|group| group.num_rows().max(0) as u64).sum())
}

/// A source file with its footer.
pub struct Footer {
    /// The file.
    pub file: SourceFile,
    /// What its footer says, without what is not believed; page indexes are not read.
    pub metadata: ArrowReaderMetadata,
    /// All columns of the source's files, of the types that they agreed on.
    pub agreed: SchemaRef,
    /// Columns that its path names.
    pub constants: Vec<Constant>,
    /// The same with page indexes, once somebody needs them.
    indexed: OnceLock<ArrowReaderMetadata>,
}

impl Footer {
    /// The footer with page indexes, where the file has them.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, naming the file.
    pub fn read_indexed(&self) -> Result<&ArrowReaderMetadata> {
        if let Some(indexed) = self.indexed.get() {
            return Ok(indexed);
        }
        let content = self.file.open()?;
        let read = || {
            let plain = self.metadata.metadata().as_ref().clone();
            let mut reader = ParquetMetaDataReader::new_with_metadata(plain)
                .with_page_index_policy(PageIndexPolicy::Optional);
            reader.read_page_indexes(&content)?;
            let metadata = trust::believed_pages(reader.finish()?);
            let options = ArrowReaderOptions::new().with_schema(Arc::clone(self.metadata.schema()));
            ArrowReaderMetadata::try_new(Arc::new(metadata), options)
        };
        let indexed = unwound(read).map_err(|cause| self.file.broken(DAMAGED, cause))?;
        Ok(self.indexed.get_or_init(|| indexed))
    }

    /// Whether it has a column, or its path names it.
    fn has(&self, column: &str) -> bool {
        self.metadata.schema().index_of(column).is_ok() || self.constant(column).is_some()
    }

    /// A column that its path names.
    pub fn constant(&self, column: &str) -> Option<&Constant> {
        self.constants.iter().find(|constant| constant.field.name() == column)
    }

    /// A column's values as the source has them.
    ///
    /// # Errors
    /// Those of [`convert`].
    pub fn convert(&self, name: &str, array: &ArrayRef) -> Result<ArrayRef> {
        match self.agreed.column_with_name(name) {
            Some((_, field)) => convert(array, field, &self.file),
            None => Ok(Arc::clone(array)),
        }
    }
}

/// What a view says of its source's columns.
#[derive(Clone, Default)]
pub struct Declared<'v> {
    types: Vec<(&'v str, &'v DataType)>,
    partitions: &'v [Field],
}

impl<'v> Declared<'v> {
    /// What a view says. The types of one with SQL are those of what that gives.
    pub fn by(view: &'v FeatureView, keys: &'v [Field]) -> Self {
        let source = &view.source;
        let keys = keys.iter().map(|key| (source.column(&key.name), &key.data_type));
        let values = view.fact_values().into_iter().filter_map(|value| match value {
            FactValue::Column { name, data_type } => Some((view.column(name), data_type)),
            FactValue::Id(_) | FactValue::Condition(_) => None,
        });
        let types = keys.chain(values).filter(|_| source.sql.is_none());
        Self { types: types.collect(), partitions: &source.partitions }
    }
}

/// The footers of one source's files.
pub struct Footers {
    footers: Vec<Arc<Footer>>,
    /// Columns of files.
    agreed: SchemaRef,
    /// Those and the columns that paths name.
    schema: SchemaRef,
    /// Columns on whose types files do not agree, and why not.
    conflicts: BTreeMap<String, String>,
}

impl Footers {
    /// Reads the footer of every file.
    ///
    /// # Errors
    /// `Invalid` naming a file with two columns of one name, or whose path does not name
    /// what is declared; `Unavailable` or `Corrupt`.
    pub fn read(files: &[SourceFile], declared: &Declared<'_>) -> Result<Self> {
        let mut footers: Vec<Footer> = Vec::with_capacity(files.len());
        for (file, metadata) in files.iter().zip(read_all(files)?) {
            let constants = constants(file, declared.partitions)?;
            check_names(file, &metadata, &constants)?;
            let (agreed, indexed) = (Arc::clone(metadata.schema()), OnceLock::new());
            footers.push(Footer { file: file.clone(), metadata, agreed, constants, indexed });
        }
        let agreed = agree(&footers, &declared.types);
        for footer in &mut footers {
            footer.agreed = Arc::clone(&agreed.schema);
        }
        let named = footers.first().into_iter().flat_map(|footer| &footer.constants);
        let named = named.map(|constant| Arc::new(constant.field.clone()));
        let fields = agreed.schema.fields().iter().cloned().chain(named);
        Ok(Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            footers: footers.into_iter().map(Arc::new).collect(),
            agreed: agreed.schema,
            conflicts: agreed.conflicts,
        })
    }

    /// Checks that every file has all columns that are `read`, of one type.
    ///
    /// # Errors
    /// `Invalid` naming file, column and types.
    pub fn check(&self, read: &[String]) -> Result<()> {
        self.check_types(read)?;
        for footer in &self.footers {
            if let Some(missing) = read.iter().find(|name| !footer.has(name)) {
                return Err(Error::invalid(format!(
                    "source file {} lacks the column {missing:?} that other files of the source \
                     have; write it with that column, or keep it out of source.parquet",
                    footer.file.name
                )));
            }
        }
        Ok(())
    }

    /// Checks that files agree on the types of columns that are `read`.
    ///
    /// # Errors
    /// `Invalid` naming files, column and types.
    pub fn check_types(&self, read: &[String]) -> Result<()> {
        let conflict = read.iter().find_map(|name| self.conflicts.get(name));
        conflict.map_or(Ok(()), |conflict| Err(Error::invalid(conflict.as_str())))
    }

    /// All columns that any file has, each once, of the types that the files agree on; then
    /// those that paths name.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Those of files alone.
    pub fn file_schema(&self) -> &SchemaRef {
        &self.agreed
    }

    /// The footers, file by file.
    pub fn files(&self) -> &[Arc<Footer>] {
        &self.footers
    }
}

/// Refuses a file of whose columns one would be taken for another.
fn check_names(
    file: &SourceFile,
    metadata: &ArrowReaderMetadata,
    constants: &[Constant],
) -> Result<()> {
    let both = constants.iter().find(|one| metadata.schema().index_of(one.field.name()).is_ok());
    if let Some(Constant { field, .. }) = both {
        return Err(Error::invalid(format!(
            "source file {} has a column {name:?}, and its path names one; take {name:?} out of \
             source.partitions",
            file.name,
            name = field.name()
        )));
    }
    match doubled(metadata.schema()) {
        None => Ok(()),
        Some(both) => Err(Error::invalid(format!(
            "file {} has {both}; write it with a name for each",
            file.name
        ))),
    }
}

fn read_all(files: &[SourceFile]) -> Result<Vec<ArrowReaderMetadata>> {
    let threads = if files.iter().any(SourceFile::is_remote) { REMOTE_FOOTERS } else { 1 };
    map(threads, files.len(), |index| read(&files[index]))
}

fn read(file: &SourceFile) -> Result<ArrowReaderMetadata> {
    file.footer_or(|| read_again(file))
}

fn read_again(file: &SourceFile) -> Result<ArrowReaderMetadata> {
    let mut content = file.open()?;
    content.read_end_ahead()?;
    unwound(|| load(&content))
        .map_err(|cause| file.broken("is not a whole Parquet file; write it again", cause))
}

/// What the footer of any Parquet file says, without what is not believed.
///
/// # Errors
/// The reader's, on bytes that are none.
pub fn load(content: &impl ChunkReader) -> parquet::errors::Result<ArrowReaderMetadata> {
    let metadata: ParquetMetaData = ParquetMetaDataReader::new().parse_and_finish(content)?;
    let metadata = Arc::new(trust::believed(metadata)?);
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())?;
    let (parquet, unit) = (plain.parquet_schema(), TimeUnit::Microsecond);
    match Int96Coercer::new(parquet, plain.schema(), &unit).coerce() {
        None => Ok(plain),
        Some(schema) => {
            let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
            ArrowReaderMetadata::try_new(metadata, options)
        }
    }
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
    let (content, metadata) = (file.open()?, read_again(file)?);
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

#[cfg(test)]
mod tests;
