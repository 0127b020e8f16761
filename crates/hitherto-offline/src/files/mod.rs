//! Which files a source has, how to tell that one changed, and their bytes.
//!
//! A source is a file, a folder (every Parquet file below it, by its name) or a glob: on
//! disk, relative to the repository, or in an object store. Files are listed in path
//! order. A file is known by its content: on disk the fingerprint is XXH3 over all
//! bytes, so a copied or touched file is the same file, and an edited one never is.
//! In an object store it is the object's ETag, which changes whenever the object
//! does; bytes are asked for under that ETag, so no answer mixes two versions.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `disk` | files on this machine |
//! | `names` | which names are data |
//! | `bucket` | objects in S3, Google Cloud Storage and Azure |
//! | `content` | the bytes of either, as Parquet's readers ask for them |
//! | `kept` | the footer of a file, once it was read |
//! | `sums` | checksums of the files that Hitherto writes itself |

mod bucket;
mod content;
mod disk;
mod kept;
mod names;
mod sums;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hitherto_core::{Error, Result};
use hitherto_objects::Stores;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use bucket::Object;
pub(crate) use content::Content;
use kept::KeptFooter;
pub(crate) use sums::SummedFile;
use sums::Sums;
pub use sums::sums_path;

/// One Parquet file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As shown to people and kept in the catalog: relative to the repository
    /// if it lies in it; the URL of an object.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// When it was last written, microseconds UTC; 0 if the system cannot say.
    pub modified: i64,
    place: Place,
    /// What its bytes are compared with when they are read, if Hitherto wrote it.
    sums: Option<Arc<Sums>>,
    footer: KeptFooter,
}

/// Whether a file that Hitherto wrote has checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// It has: without them it is damaged.
    Needed,
    /// An earlier release wrote it, perhaps.
    IfThere,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Disk(PathBuf),
    Object(Object),
}

impl SourceFile {
    /// The file at `path`, as it is now.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be looked at.
    pub fn describe(root: &Path, path: PathBuf) -> Result<Self> {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let (bytes, modified) = disk::look_at(&path)?;
        let (place, footer) = (Place::Disk(path), KeptFooter::default());
        Ok(Self { name, bytes, modified, place, sums: None, footer })
    }

    /// The file at `path`, which Hitherto wrote itself, with its checksums.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be looked at; `Corrupt` when it has another size than
    /// it had, or when its checksums are damaged or missing.
    pub fn describe_own(root: &Path, path: PathBuf, checksums: Checksums) -> Result<Self> {
        let sums = Sums::read(&path).map_err(|cause| {
            let sums = sums_path(&path);
            match cause.kind() {
                std::io::ErrorKind::InvalidData => {
                    Error::corrupt(format!("{} is damaged; restore a backup", sums.display()))
                        .with_source(cause)
                }
                _ => Error::unreadable(sums.display(), cause),
            }
        })?;
        let file = Self::describe(root, path)?;
        match &sums {
            Some(sums) if sums.bytes() != file.bytes => Err(Error::corrupt(format!(
                "{} has {} bytes where {} were written; restore a backup",
                file.name,
                file.bytes,
                sums.bytes()
            ))),
            None if checksums == Checksums::Needed => Err(Error::corrupt(format!(
                "the checksums of {} are missing; restore a backup",
                file.name
            ))),
            _ => Ok(Self { sums: sums.map(Arc::new), ..file }),
        }
    }

    /// The same file as it is now.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be looked at.
    pub fn describe_again(&self) -> Result<Self> {
        match &self.place {
            Place::Disk(path) => {
                let (bytes, modified) = disk::look_at(path)?;
                let footer = KeptFooter::default();
                Ok(Self { bytes, modified, footer, ..self.clone() })
            }
            Place::Object(object) => object.describe_again(),
        }
    }

    /// Whether it is, at a glance, still the file that was known so: on disk size and time
    /// tell, in an object store the ETag, since times there are whole seconds.
    pub fn is_untouched(&self, bytes: u64, modified: i64, fingerprint: &str) -> bool {
        match &self.place {
            Place::Disk(_) => self.bytes == bytes && self.modified == modified,
            Place::Object(object) => object.fingerprint(self) == fingerprint,
        }
    }

    /// Its footer, which is read once however often it is asked for of this listing.
    pub(crate) fn footer_or(
        &self,
        read: impl FnOnce() -> Result<ArrowReaderMetadata>,
    ) -> Result<ArrowReaderMetadata> {
        self.footer.get_or_read(read)
    }

    /// Its path, if it is on this machine.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Disk(path) => Some(path),
            Place::Object(_) => None,
        }
    }

    /// What tells that the content is another: on disk XXH3-128 over all of it, in
    /// hexadecimal, for which the whole file is read; the ETag of an object.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn read_fingerprint(&self) -> Result<String> {
        match &self.place {
            Place::Disk(path) => disk::read_fingerprint(&self.name, path),
            Place::Object(object) => Ok(object.fingerprint(self)),
        }
    }
}

/// Lists the files of a source, in path order.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` for a malformed glob or a URL of a
/// scheme that this build cannot read, `Unavailable` when a folder cannot be read.
pub(crate) fn list(root: &Path, stores: &Stores, parquet: &str) -> Result<Vec<SourceFile>> {
    let mut files = match parquet.split_once("://") {
        None => disk::list(root, parquet),
        Some(("file", path)) => disk::list(root, path),
        Some(_) => bucket::list(stores, parquet),
    }?;
    if files.is_empty() {
        let (place, other) = match parquet.split_once("://") {
            None => (root.join(parquet).display().to_string(), disk::other_file(root, parquet)),
            Some(("file", path)) => (path.to_owned(), disk::other_file(root, path)),
            Some(_) => (format!("{parquet}: is the name right, and its end .parquet?"), None),
        };
        let advice = match other {
            Some(name) => {
                format!("{name:?} ends otherwise: name such files with a glob, as in {parquet}/*")
            }
            None => String::from("put one there, or name another in source.parquet"),
        };
        return Err(Error::not_found(format!(
            "source {parquet:?} has no Parquet file ({place} was looked at); {advice}"
        )));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn no_glob(parquet: &str, cause: glob::PatternError) -> Error {
    Error::invalid(format!("source {parquet:?} is not a glob; write one such as data/**/*.parquet"))
        .with_source(cause)
}
