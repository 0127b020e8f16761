//! A Parquet file that appears whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_core::{Error, Result};
use hitherto_engine::disk::{self, unwritable};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Writes beside the file's place and moves it there at the end. Dropped
/// before that, it leaves nothing behind.
pub struct Sink {
    writer: Option<ArrowWriter<File>>,
    partial: PathBuf,
    path: PathBuf,
}

impl Sink {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses, `Invalid` when Parquet cannot hold
    /// a column's type.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|cause| unwritable(path, cause))?;
        let mut sink = Self { writer: None, partial, path: path.to_owned() };
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|cause| {
            Error::invalid(format!(
                "{} cannot hold these columns; take the one that is named here out of the spine",
                path.display()
            ))
            .with_source(cause)
        })?;
        sink.writer = Some(writer);
        Ok(sink)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer.write(batch).map_err(|cause| unwritable(&self.path, cause)),
            None => Ok(()),
        }
    }

    /// Completes the file, puts it in its place and gives its size in bytes.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn finish(mut self) -> Result<u64> {
        let Some(writer) = self.writer.take() else { return Ok(0) };
        let path = &self.path;
        let file = writer.into_inner().map_err(|cause| unwritable(path, cause))?;
        file.sync_all().map_err(|cause| unwritable(path, cause))?;
        disk::put_in_place(&self.partial, path)?;
        Ok(fs::metadata(path).map_err(|cause| unwritable(path, cause))?.len())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // After `finish` there is nothing by that name.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Writes a small file that appears whole or not at all.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()
    };
    let written = write().map_err(|cause| unwritable(path, cause));
    written
        .and_then(|()| disk::put_in_place(&partial, path))
        .inspect_err(|_| drop(fs::remove_file(&partial)))
}
