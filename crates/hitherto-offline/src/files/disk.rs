//! Files on this machine.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glob::Pattern;
use hitherto_core::time::micros_since_epoch;
use hitherto_core::{Error, Result};
use xxhash_rust::xxh3::Xxh3Default;

use super::names::{is_hidden, is_matched_hidden, is_parquet, refuse_tables};
use super::{SourceFile, no_glob};

/// Bytes read at a time for a fingerprint.
const CHUNK_BYTES: usize = 1 << 20;

/// Size of a file in bytes, and when it was last written.
pub fn look_at(path: &Path) -> Result<(u64, i64)> {
    let metadata = fs::metadata(path).map_err(|cause| {
        Error::unreadable(format_args!("source file {}", path.display()), cause)
    })?;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), modified.map_or(0, micros_since_epoch)))
}

/// XXH3-128 of the content, in hexadecimal.
pub fn read_fingerprint(name: &str, path: &Path) -> Result<String> {
    let unreadable = |cause| Error::unreadable(format_args!("source file {name}"), cause);
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
    let paths = if location.is_dir() {
        Walk::new(parquet).below(location)?
    } else if location.is_file() {
        vec![location]
    } else if parquet.contains(['*', '?', '[']) {
        matches(root, parquet)?
    } else {
        Vec::new()
    };
    paths.into_iter().map(|path| SourceFile::describe(root, path)).collect()
}

/// The files that a pattern matches, each once.
fn matches(root: &Path, parquet: &str) -> Result<Vec<PathBuf>> {
    // What is special in the name of the repository's own folder is not meant so.
    let pattern = match Path::new(parquet).is_absolute() {
        true => parquet.to_owned(),
        false => format!("{}/{parquet}", Pattern::escape(&root.to_string_lossy())),
    };
    let fixed = parquet.split(['*', '?', '[']).next().unwrap_or_default();
    let fixed = root.join(fixed.rsplit_once('/').map_or("", |(folder, _)| folder));
    let (mut paths, mut seen, mut folders) = (Vec::new(), HashSet::new(), HashSet::new());
    for path in glob::glob(&pattern).map_err(|cause| no_glob(parquet, cause))? {
        let path = path.map_err(|cause| {
            Error::unavailable(format!(
                "source {parquet:?} cannot be listed; see that this user may read its folders"
            ))
            .with_source(cause)
        })?;
        let below = path.strip_prefix(&fixed).unwrap_or(&path).to_string_lossy().into_owned();
        if !path.is_file() || is_matched_hidden(parquet, &below) {
            continue;
        }
        let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&fixed));
        for folder in above {
            if folders.insert(folder.to_owned()) {
                refuse_table(parquet, folder)?;
            }
        }
        if seen.insert(real(&path)?) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The Parquet files below a folder. Links are followed after everything else, and only
/// to what was not seen: what lies there under its own name is not there twice.
struct Walk<'s> {
    parquet: &'s str,
    seen: HashSet<PathBuf>,
    links: Vec<PathBuf>,
    paths: Vec<PathBuf>,
}

impl<'s> Walk<'s> {
    fn new(parquet: &'s str) -> Self {
        Self { parquet, seen: HashSet::new(), links: Vec::new(), paths: Vec::new() }
    }

    fn below(mut self, folder: PathBuf) -> Result<Vec<PathBuf>> {
        self.folder(&folder)?;
        while !self.links.is_empty() {
            let mut links = std::mem::take(&mut self.links);
            links.sort();
            for link in links {
                self.entry(link)?;
            }
        }
        Ok(self.paths)
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        if !self.seen.insert(real(folder)?) {
            return Ok(());
        }
        refuse_table(self.parquet, folder)?;
        let unreadable =
            |cause| Error::unreadable(format_args!("folder {}", folder.display()), cause);
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if is_hidden(&entry.file_name().to_string_lossy()) {
                continue;
            }
            match entry.file_type().map_err(unreadable)?.is_symlink() {
                true => self.links.push(entry.path()),
                false => self.entry(entry.path())?,
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            self.folder(&path)?;
        } else if is_parquet(&name) && self.seen.insert(real(&path)?) {
            self.paths.push(path);
        }
        Ok(())
    }
}

/// A path without links.
fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|cause| Error::unreadable(path.display(), cause))
}

/// Refuses a folder that is a table, of whose files only some count.
fn refuse_table(parquet: &str, folder: &Path) -> Result<()> {
    let mut inside = Vec::new();
    for mark in ["_delta_log", ".hoodie"] {
        if folder.join(mark).is_dir() {
            inside.push(mark.to_owned());
        }
    }
    if let Ok(files) = fs::read_dir(folder.join("metadata")) {
        let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
        inside.extend(names.map(|name| format!("metadata/{name}")));
    }
    let shown = folder.display().to_string();
    refuse_tables(parquet, &shown, inside.iter().map(String::as_str), |_| true)
}

/// The first files below a folder whose names are not those of Parquet, for a source that
/// has no other.
pub fn other_file(root: &Path, parquet: &str) -> Option<String> {
    let entries = fs::read_dir(root.join(parquet)).ok()?.flatten();
    let names = entries.filter(|entry| entry.path().is_file());
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !is_hidden(name)).min()
}
