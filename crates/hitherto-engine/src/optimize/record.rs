//! What a copy says of itself: `copy.json` in its folder.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use hitherto_core::catalog::AppliedView;
use hitherto_core::{Error, Result};
use hitherto_offline::files::{Checksums, SourceFile};
use hitherto_offline::optimize::OptimizedCopy;
use hitherto_offline::source::Shape;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::entries;
use crate::disk;

/// The form of copies that this release writes. 2 has checksums beside each file.
const FORMAT: u32 = 2;
/// The first form with checksums.
const FORMAT_WITH_SUMS: u32 = 2;

/// The record's name in a copy's folder.
const RECORD_FILE: &str = "copy.json";

/// The record of one copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The form of record and files; a newer one is refused.
    format: u32,
    pub view: String,
    view_id: u32,
    /// Changes with everything that decides a fact.
    definition: String,
    /// Whether each fact depends on one row of the source alone.
    is_row_wise: bool,
    pub sources: Vec<SourceRecord>,
    pub files: Vec<FileRecord>,
}

/// One file of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceRecord {
    pub name: String,
    pub bytes: u64,
    modified: i64,
    /// XXH3-128 of its content.
    pub fingerprint: String,
}

/// One file of the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    name: String,
    pub rows: u64,
    pub bytes: u64,
    /// Where its pages end.
    pages_end: u64,
    /// XXH3-128 of what follows them: a wrong statistic would hide facts.
    footer: String,
}

/// A copy on disk.
#[derive(Clone, Debug)]
pub(super) struct StoredCopy {
    pub folder: PathBuf,
    pub record: Record,
}

impl SourceRecord {
    /// Reads the whole file.
    pub fn read(file: &SourceFile) -> Result<Self> {
        let SourceFile { name, bytes, modified, .. } = file.clone();
        Ok(Self { name, bytes, modified, fingerprint: file.read_fingerprint()? })
    }

    /// Whether this is the file as it was copied. Size and time tell at a glance;
    /// a file that was only touched is read.
    pub fn is_same(&self, file: &SourceFile) -> Result<bool> {
        Ok(self.is_untouched(file)
            || self.bytes == file.bytes && self.fingerprint == file.read_fingerprint()?)
    }

    fn is_untouched(&self, file: &SourceFile) -> bool {
        file.is_untouched(self.bytes, self.modified, &self.fingerprint)
    }
}

impl Record {
    pub fn new(
        view: &AppliedView,
        sources: Vec<SourceRecord>,
        written: &OptimizedCopy,
        folder: &Path,
    ) -> Result<Self> {
        let files = written.files.iter().map(|file| {
            let (name, rows, bytes) = (file.name.clone(), file.rows, file.bytes);
            let footer = read_footer(&folder.join(&name), file.pages_end)?;
            Ok(FileRecord { name, rows, bytes, pages_end: file.pages_end, footer })
        });
        Ok(Self {
            format: FORMAT,
            view: view.name().to_owned(),
            view_id: view.id,
            definition: definition(view),
            is_row_wise: written.shape == Shape::RowWise,
            sources,
            files: files.collect::<Result<_>>()?,
        })
    }

    /// Writes the record and its folder durably.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(RECORD_FILE);
        let json = serde_json::to_vec_pretty(self).map_err(|cause| {
            Error::internal("the record of a copy cannot be written").with_source(cause)
        })?;
        disk::write_whole(&path, &json)
    }
}

impl StoredCopy {
    /// The copy in this folder; `None` if it went meanwhile.
    ///
    /// # Errors
    /// `Invalid` when a newer release wrote it, `Corrupt` when its record is no
    /// record.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(json) = read_record(folder)? else { return Ok(None) };
        let record = serde_json::from_slice(&json).map_err(|cause| damaged(folder, cause))?;
        Ok(Some(Self { folder: folder.to_owned(), record }))
    }

    /// Whether it holds facts as this view means them.
    pub fn is_of(&self, view: &AppliedView) -> bool {
        self.record.view_id == view.id && self.record.definition == definition(view)
    }

    /// Whether it covers exactly these files as they are.
    pub fn covers_all(&self, view: &AppliedView, files: &[SourceFile]) -> Result<bool> {
        let rest = self.beside(view, files)?;
        Ok(rest.is_some_and(|rest| rest.is_empty()))
    }

    /// Those of `files` that it does not cover, or `None` if it cannot stand for
    /// the others.
    pub fn beside(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
    ) -> Result<Option<Vec<SourceFile>>> {
        if !self.is_of(view) {
            return Ok(None);
        }
        for source in &self.record.sources {
            let file = files.iter().find(|file| file.name == source.name);
            if !file.map_or(Ok(false), |file| source.is_same(file))? {
                return Ok(None);
            }
        }
        let is_new =
            |file: &&SourceFile| !self.record.sources.iter().any(|source| source.name == file.name);
        let rest: Vec<SourceFile> = files.iter().filter(is_new).cloned().collect();
        Ok((self.record.is_row_wise || rest.is_empty()).then_some(rest))
    }

    /// Its files, their footers checked.
    ///
    /// # Errors
    /// `Corrupt` naming the first that is not as it was written.
    pub fn files(&self, root: &Path) -> Result<Vec<SourceFile>> {
        let files = self.record.files.iter().map(|record| {
            let path = self.folder.join(&record.name);
            let checksums = match self.record.format >= FORMAT_WITH_SUMS {
                true => Checksums::Needed,
                false => Checksums::IfThere,
            };
            let file = SourceFile::describe_own(root, path.clone(), checksums);
            let is_whole = file.as_ref().is_ok_and(|file| file.bytes == record.bytes)
                && read_footer(&path, record.pages_end).is_ok_and(|read| read == record.footer);
            match file {
                Ok(file) if is_whole => Ok(file),
                file => Err(corrupt(&path, &self.record.view, file.err())),
            }
        });
        files.collect()
    }

    /// The fingerprint of a source file that is as it was copied.
    pub fn fingerprint_of(&self, file: &SourceFile) -> Option<&str> {
        let known = self.record.sources.iter().find(|known| known.name == file.name)?;
        known.is_untouched(file).then_some(&known.fingerprint)
    }
}

/// The greatest number of a copy in a view's folder.
pub(super) fn newest(folder: &Path) -> Result<Option<u64>> {
    let number = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    Ok(entries(folder)?.and_then(|paths| paths.into_iter().filter_map(number).max()))
}

/// Refuses a copy that a newer release wrote; what is no record passes.
pub(super) fn check_format(folder: &Path) -> Result<()> {
    match read_record(folder) {
        Err(error) if error.kind() == hitherto_core::Kind::Corrupt => Ok(()),
        read => read.map(drop),
    }
}

fn read_record(folder: &Path) -> Result<Option<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    let path = folder.join(RECORD_FILE);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !folder.is_dir() => {
            return Ok(None);
        }
        Err(cause) => return Err(damaged(folder, cause)),
    };
    let Form { format } = serde_json::from_slice(&json).map_err(|cause| damaged(folder, cause))?;
    match format > FORMAT {
        false => Ok(Some(json)),
        true => Err(Error::invalid(format!(
            "the optimized copy {} has format {format}, this release reads up to {FORMAT}; use the \
             release that wrote it or a newer one, or remove that folder (nothing was changed)",
            folder.display()
        ))),
    }
}

/// XXH3-128 of what follows a file's pages.
fn read_footer(path: &Path, pages_end: u64) -> Result<String> {
    let read = || {
        let (mut file, mut bytes) = (File::open(path)?, Vec::new());
        file.seek(SeekFrom::Start(pages_end))?;
        file.read_to_end(&mut bytes)?;
        Ok(format!("{:032x}", xxh3_128(&bytes)))
    };
    read().map_err(|cause: std::io::Error| disk::unreadable(path, cause))
}

/// What decides a view's facts.
fn definition(view: &AppliedView) -> String {
    format!("{:016x}", view.fingerprint)
}

fn damaged(folder: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let path = folder.join(RECORD_FILE);
    Error::corrupt(format!(
        "{} is not the record of an optimized copy; write the copy again with `hitherto optimize \
         --full`",
        path.display()
    ))
    .with_source(cause)
}

fn corrupt(path: &Path, view: &str, cause: Option<Error>) -> Error {
    let error = Error::corrupt(format!(
        "{} is not as it was written; write the copy again with `hitherto optimize {view} --full`",
        path.display()
    ));
    match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}
