//! Which files a source has, and how to tell that one changed.
//!
//! A source is a file, a folder (every `*.parquet` below it) or a glob,
//! relative to the repository. Files are listed in path order. A file is known
//! by its content: the fingerprint is XXH3 over all bytes, so a copied or
//! touched file is the same file, and an edited one never is.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hitherto_core::time::micros_since_epoch;
use hitherto_core::{Error, Result};
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes read at a time for a fingerprint.
const CHUNK_BYTES: usize = 1 << 20;

/// One Parquet file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// As shown to people and kept in the catalog: relative to the repository
    /// if it lies in it.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// When it was last written, microseconds UTC; 0 if the system cannot say.
    pub modified: i64,
}

impl SourceFile {
    /// The file at `path`, as it is now.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be looked at.
    pub fn describe(root: &Path, path: PathBuf) -> Result<Self> {
        let metadata = fs::metadata(&path).map_err(|cause| {
            Error::unavailable(format!("source file {} cannot be read", path.display()))
                .with_source(cause)
        })?;
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            name: path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned(),
            bytes: metadata.len(),
            modified: modified.map_or(0, micros_since_epoch),
            path,
        })
    }

    /// XXH3-128 of the content, in hexadecimal. Reads the whole file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn read_fingerprint(&self) -> Result<String> {
        let unreadable = |cause| {
            Error::unavailable(format!("source file {} cannot be read", self.name))
                .with_source(cause)
        };
        let mut file = File::open(&self.path).map_err(unreadable)?;
        let mut hash = Xxh3Default::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk).map_err(unreadable)? {
                0 => return Ok(format!("{:032x}", hash.digest128())),
                count => hash.update(&chunk[..count]),
            }
        }
    }
}

/// Lists the files of a source, in path order.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` for a malformed glob or a URL of a
/// scheme that this build cannot read, `Unavailable` when a folder cannot be read.
pub fn list(root: &Path, parquet: &str) -> Result<Vec<SourceFile>> {
    let local = match parquet.split_once("://") {
        Some(("file", path)) => path,
        Some((scheme, _)) => {
            return Err(Error::invalid(format!(
                "source {parquet:?}: this build reads local files and file://, not {scheme}://"
            )));
        }
        None => parquet,
    };
    let location = root.join(local);
    let mut paths = Vec::new();
    if location.is_dir() {
        collect(&location, &mut paths)?;
    } else if location.is_file() {
        paths.push(location);
    } else if local.contains(['*', '?', '[']) {
        let pattern = glob::glob(&location.to_string_lossy()).map_err(|cause| {
            Error::invalid(format!("source {parquet:?} is not a glob")).with_source(cause)
        })?;
        for path in pattern {
            let path = path.map_err(|cause| {
                Error::unavailable(format!("source {parquet:?} cannot be listed"))
                    .with_source(cause)
            })?;
            paths.push(path);
        }
        paths.retain(|path| path.is_file());
    }
    if paths.is_empty() {
        return Err(Error::not_found(format!(
            "source {parquet:?} has no Parquet file ({} was looked at)",
            root.join(local).display()
        )));
    }
    paths.sort();
    paths.into_iter().map(|path| SourceFile::describe(root, path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |cause| {
        Error::unavailable(format!("folder {} cannot be read", folder.display())).with_source(cause)
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            paths.push(path);
        }
    }
    Ok(())
}
