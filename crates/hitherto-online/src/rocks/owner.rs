//! Who has a store open for writing: a note beside its lock.
//!
//! ```text
//! process 4711
//! http://127.0.0.1:7411        if it is a server
//! ```
//!
//! The note is read only where it is held, so that what a process
//! left behind that was killed misleads nobody.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};

use crate::disk;

/// A store's folder, locked for whoever writes.
pub struct Locked(File);

impl Locked {
    /// Locks the folder; `None` where the disk knows no such locks.
    ///
    /// # Errors
    /// `Conflict` when another holds it, `Unavailable` when it cannot be read.
    pub fn take(folder: &Path) -> Result<Option<Self>> {
        let opened = File::open(folder).map_err(|cause| super::io_failed(folder, cause))?;
        disk::make_private(folder);
        match opened.try_lock() {
            Ok(()) => Ok(Some(Self(opened))),
            Err(TryLockError::WouldBlock) => Err(in_use(folder)),
            Err(TryLockError::Error(cause)) => {
                tracing::debug!(folder = %folder.display(), %cause, "the folder cannot be locked");
                Ok(None)
            }
        }
    }
}

impl Drop for Locked {
    /// Closing the file is not enough: a process that was forked off this one has it open,
    /// too, and would keep the lock.
    fn drop(&mut self) {
        if let Err(cause) = self.0.unlock() {
            tracing::debug!(%cause, "the folder stays locked until this process ends");
        }
    }
}

/// The file on which whoever writes holds a lock that the system can be asked for.
pub fn lock(folder: &Path) -> PathBuf {
    folder.join("rocksdb").join("LOCK")
}

/// Notes this process, and where it answers if it is a server.
///
/// # Errors
/// `Unavailable` when the folder cannot be written.
pub fn write(folder: &Path, url: Option<&str>) -> Result<()> {
    let note = format!("process {}\n{}", std::process::id(), url.unwrap_or_default());
    disk::write_whole(&folder.join("owner"), note.as_bytes())
}

/// Who wrote the note: a process, and the URL of its server if it is one. `None` where there
/// is no note.
pub fn read(folder: &Path) -> Option<(String, Option<String>)> {
    let note = fs::read_to_string(folder.join("owner")).ok()?;
    let mut lines = note.lines().map(str::trim).filter(|line| !line.is_empty());
    let owner = lines.next()?.to_owned();
    Some((owner, lines.next().map(str::to_owned)))
}

/// Why nobody else can write: a `Conflict` that says who holds the store, and what to do.
pub fn in_use(folder: &Path) -> Error {
    let another = || (String::from("another process"), None);
    let (owner, url) = read(folder).unwrap_or_else(another);
    let store = folder.display();
    Error::conflict(match url {
        Some(url) => format!(
            "the store {store} is in use by {owner}, a server at {url}; go through it with \
             --server {url} (in Python hitherto.connect({url:?})), or stop it"
        ),
        None => format!(
            "the store {store} is in use by {owner}; if that is a server, go through it with \
             --server URL (in Python hitherto.connect(URL)), otherwise wait until it is done"
        ),
    })
}

#[cfg(test)]
mod tests;
