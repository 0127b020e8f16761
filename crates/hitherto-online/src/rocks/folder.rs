//! The folder of a store before its database is opened: its layout's version, whether the
//! database is there, and whether its log is as long as it was.

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};

use super::{acknowledged, io_failed};
use crate::{Access, disk};

/// The version of the folder's layout that this release writes. 2 has the log of
/// pushed facts and rows to be merged, 3 what batches say and when they arrived, 4 events.
/// An older one becomes one of 4 when it is opened for writing.
const FORMAT: u32 = 4;
/// The oldest that can be read as it is: an earlier one has no family of events.
const FORMAT_READ_MIN: u32 = 4;

/// The file that tells a store's layout; where it is, there is a store.
pub fn format_file(folder: &Path) -> PathBuf {
    folder.join("FORMAT")
}

/// Reads the file that tells the layout's version, and says whether there is a store; for
/// writing, makes a folder for one that is not there yet.
pub fn check_format(folder: &Path, access: Access) -> Result<bool> {
    let path = format_file(folder);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return match access {
                Access::ReadOnly => Err(Error::not_found(format!(
                    "there is no store at {}; apply definitions first",
                    folder.display()
                ))),
                Access::ReadWrite => disk::make_folders(folder).map(|()| false),
            };
        }
        Err(cause) => return Err(io_failed(&path, cause)),
    };
    match text.trim().parse::<u32>() {
        Ok(FORMAT) => Ok(true),
        Ok(format) if format > FORMAT => Err(Error::invalid(format!(
            "the store {} has format {format}, this release reads up to {FORMAT}; use the release \
             that wrote it or a newer one (nothing was changed)",
            folder.display()
        ))),
        Ok(format) if access == Access::ReadOnly && format < FORMAT_READ_MIN => {
            Err(Error::invalid(format!(
                "the store {} has format {format}; open it for writing once to bring it to format \
             {FORMAT}, for example with `hitherto materialize`",
                folder.display()
            )))
        }
        Ok(_) => Ok(true),
        Err(_) => Err(Error::corrupt(format!(
            "{} does not hold a format number; restore a backup",
            path.display()
        ))),
    }
}

/// Says that the store has this release's layout, if it does not say so yet.
pub fn write_format(folder: &Path) -> Result<()> {
    let path = format_file(folder);
    let text = format!("{FORMAT}\n");
    if fs::read_to_string(&path).is_ok_and(|said| said == text) {
        return Ok(());
    }
    disk::write_whole(&path, text.as_bytes())
}

/// Refuses a store whose database is gone: it would be made anew, empty.
pub fn check_database(database: &Path, has_store: bool) -> Result<()> {
    if !has_store || database.join("CURRENT").exists() {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the database {} is missing, or not whole; restore a backup, or move {} away to begin \
         anew, without what was pushed and is in no file yet",
        database.display(),
        database.parent().unwrap_or(database).display()
    )))
}

/// Refuses a store whose log ends before what was acknowledged.
pub fn check_log(folder: &Path, acknowledged: Option<u64>, there: u64) -> Result<()> {
    let missing = acknowledged.unwrap_or(0).saturating_sub(there);
    if missing == 0 {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the store {} lacks its last {missing} writes, which were acknowledged: its log was cut \
         or is gone; restore a backup, or delete {} to go on without them",
        folder.display(),
        acknowledged::path(folder).display()
    )))
}
