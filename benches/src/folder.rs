//! Folders of generated data, which are there whole or not at all.
//!
//! Data are written once and read by many runs. A folder gets its name when it
//! is complete, so an interrupted run leaves nothing that looks finished.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Where generated data and peers are kept between runs.
///
/// # Errors
/// When the environment names no home.
pub fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set; name a folder with --data")?;
    Ok(Path::new(&home).join(".cache").join("hitherto"))
}

/// Makes sure that `folder` is there: if not, `write` fills a folder beside it,
/// which then gets its name.
///
/// # Errors
/// Those of `write` and of the file system; nothing is left then.
pub fn complete(folder: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or("generated data need a folder above them")?;
    fs::create_dir_all(parent)?;
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(parent)?;
    write(unfinished.path())?;
    fs::rename(unfinished.path(), folder)?;
    // The name that would be removed is no longer there.
    let _ = unfinished.keep();
    Ok(())
}

/// Reads every file of `folder` once, so that the system has it in memory.
///
/// # Errors
/// When a file cannot be read.
pub fn warm(folder: &Path) -> Result<()> {
    for file in list(folder)? {
        std::io::copy(&mut fs::File::open(file)?, &mut std::io::sink())?;
    }
    Ok(())
}

/// The files of `folder`, in the order of their names.
///
/// # Errors
/// When it cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
