//! Files on this machine.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hitherto_core::time::micros_since_epoch;
use hitherto_core::{Error, Result};
use xxhash_rust::xxh3::Xxh3Default;

use super::{SourceFile, no_glob};

/// Bytes read at a time for a fingerprint.
const CHUNK_BYTES: usize = 1 << 20;

/// Size of a file in bytes, and when it was last written.
pub fn look_at(path: &Path) -> Result<(u64, i64)> {
    let metadata = fs::metadata(path).map_err(|cause| {
        Error::unavailable(format!("source file {} cannot be read", path.display()))
            .with_source(cause)
    })?;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), modified.map_or(0, micros_since_epoch)))
}

/// XXH3-128 of the content, in hexadecimal.
pub fn read_fingerprint(name: &str, path: &Path) -> Result<String> {
    let unreadable =
        |cause| Error::unavailable(format!("source file {name} cannot be read")).with_source(cause);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hash = Xxh3Default::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(unreadable)? {
            0 => return Ok(format!("{:032x}", hash.digest128())),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// The files of a source; none if there is none.
pub fn list(root: &Path, parquet: &str) -> Result<Vec<SourceFile>> {
    let location = root.join(parquet);
    let mut paths = Vec::new();
    if location.is_dir() {
        collect(&location, &mut paths)?;
    } else if location.is_file() {
        paths.push(location);
    } else if parquet.contains(['*', '?', '[']) {
        let pattern =
            glob::glob(&location.to_string_lossy()).map_err(|cause| no_glob(parquet, cause))?;
        for path in pattern {
            let path = path.map_err(|cause| {
                Error::unavailable(format!("source {parquet:?} cannot be listed"))
                    .with_source(cause)
            })?;
            paths.push(path);
        }
        paths.retain(|path| path.is_file());
    }
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
