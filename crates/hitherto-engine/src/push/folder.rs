//! Files of pushed facts, by their names.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};
use hitherto_offline::files::sums_path;
use hitherto_offline::pushed::{FILE_SUFFIX, OLD_FILE_SUFFIX};

use crate::disk;

/// The name of a file that is not whole yet.
pub(super) const WRITING: &str = "writing";

/// Takes a folder of facts out of the way, by a name that nothing else has.
pub(super) fn put_aside(folder: &Path) -> Result<()> {
    let asides = (1_u64..).map(|number| folder.with_extension(format!("before-{number}")));
    match asides.into_iter().find(|aside| !aside.exists()) {
        Some(aside) => disk::put_in_place(folder, &aside),
        None => Ok(()),
    }
}

/// The folders in a folder; none if it is not there.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = inside(folder)?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

/// What is in a folder, in no order; nothing if it is not there.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    paths.map_err(|cause| disk::unreadable(folder, cause))
}

/// Gives a file of pushed facts its place, after its checksums.
pub(super) fn put_in_place(written: &Path, place: &Path) -> Result<()> {
    disk::put_in_place(&sums_path(written), &sums_path(place))?;
    disk::put_in_place(written, place)
}

/// A file of pushed facts.
pub(super) struct Landed {
    /// The numbers of the batches that it has.
    pub batches: Range<u64>,
    pub path: PathBuf,
}

/// The files in a folder with the batches that they have, in order and without a gap.
pub(super) fn files(folder: &Path) -> Result<Vec<Landed>> {
    let ranges = inside(folder)?.into_iter().filter_map(|path| {
        let (from, to) = range(&path)?;
        Some(Landed { batches: from..to, path })
    });
    let mut files: Vec<Landed> = ranges.collect();
    files.sort_by_key(|file| file.batches.start);
    let mut end = 0;
    for Landed { batches, path } in &files {
        if batches.start != end {
            return Err(Error::corrupt(format!(
                "pushed facts are missing: there is no file before {}; restore a backup",
                path.display()
            )));
        }
        end = batches.end;
    }
    Ok(files)
}

/// The batches that a file has, by its name.
pub(super) fn range(path: &Path) -> Option<(u64, u64)> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(FILE_SUFFIX).or_else(|| name.strip_suffix(OLD_FILE_SUFFIX))?;
    let (from, to) = name.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}
