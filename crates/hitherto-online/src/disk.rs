//! Files and folders that appear whole or not at all, and stay when power is lost.
//!
//! ```text
//! write beside its place    sync the file    rename    sync the folder
//! ```
//!
//! A rename is on the disk when its folder is, not before; and a folder that was made is
//! there after a loss of power once the one that it is in was synced. This is the one place
//! where files are put into their places.
//!
//! What is written here is its owner's: nobody else may read facts of people.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Result as IoResult, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hitherto_core::error::Cause;
use hitherto_core::{Error, Result};

/// Who may do what with a folder: its owner everything.
const FOLDER_MODE: u32 = 0o700;
/// The same of a file.
const FILE_MODE: u32 = 0o600;

/// A file or folder that cannot be read.
pub fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::unreadable(path.display(), cause)
}

/// A file or folder that cannot be written.
pub fn unwritable(path: &Path, cause: impl Into<Cause>) -> Error {
    Error::unwritable(path.display(), cause)
}

/// Makes a folder and those above it that are not there, durably and its owner's.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn make_folders(folder: &Path) -> Result<()> {
    make(folder).map_err(|cause| unwritable(folder, cause))
}

fn make(folder: &Path) -> IoResult<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent(folder);
    make(parent)?;
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }?;
    sync(parent)
}

/// Who may do what with a folder that is made: its owner everything, nobody else anything.
pub fn private() -> Permissions {
    Permissions::from_mode(FOLDER_MODE)
}

/// Takes from everybody else what they may do with a folder. One that is somebody else's
/// stays as it is.
pub fn make_private(folder: &Path) {
    let Ok(found) = fs::metadata(folder) else { return };
    if found.permissions().mode() & 0o077 != 0
        && let Err(cause) = fs::set_permissions(folder, private())
    {
        tracing::debug!(folder = %folder.display(), %cause, "a folder stays as it is");
    }
}

/// A new file in the place of any that is there, its owner's.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn create(path: &Path) -> Result<File> {
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(true).mode(FILE_MODE);
    how.open(path).map_err(|cause| unwritable(path, cause))
}

/// Gives a file or folder that is durable its place, durably.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn put_in_place(written: &Path, place: &Path) -> Result<()> {
    fs::rename(written, place)
        .and_then(|()| sync(parent(place)))
        .map_err(|cause| unwritable(place, cause))
}

/// Writes a file that appears whole or not at all: beside its place first.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let written = path.with_file_name(name);
    let mut file = create(&written)?;
    let done = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|cause| unwritable(path, cause))
        .and_then(|()| put_in_place(&written, path));
    done.inspect_err(|_| drop(fs::remove_file(&written)))
}

/// Makes the entries of a folder durable, and those of all folders below it.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn sync_folders(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<IoResult<Vec<_>>>());
    for entry in entries.map_err(|cause| unwritable(folder, cause))? {
        if entry.path().is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync(folder).map_err(|cause| unwritable(folder, cause))
}

/// Removes a folder, if it is there, with all it holds.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(unwritable(folder, cause)),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> IoResult<()> {
    File::open(folder)?.sync_all()
}

/// The folder that something is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// The path with a suffix behind its name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}
