//! Files and folders that are their owner's: nobody else may read who asked for what.
//!
//! Nothing here is replaced or renamed: files are made once, and appended to. A write that a
//! full disk broke off is taken back, so that the next one follows what is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result as IoResult, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use hitherto_core::{Error, Result};

/// Makes a folder and those above it that are not there.
pub fn make_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| Error::unwritable(folder.display(), cause))
}

/// Makes a file that is not there yet, and is appended to.
pub fn make(path: &Path) -> IoResult<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file to append to, which is made if it is not there.
pub fn append(path: &Path) -> IoResult<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// A file that is appended to: what is written to it is there whole, or not at all.
#[derive(Debug)]
pub struct Appended {
    pub file: Arc<File>,
    /// What is whole in it.
    pub bytes: u64,
    /// Whether more than that is in it.
    is_torn: bool,
}

impl Appended {
    /// A file of which so much is whole; whatever follows goes before the next write.
    pub fn new(file: File, bytes: u64) -> Self {
        Self { file: Arc::new(file), bytes, is_torn: true }
    }

    /// Writes to the kernel. What is written in part is taken back, at the latest before the
    /// next write.
    pub fn put(&mut self, content: &[u8]) -> IoResult<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        let written = (&*self.file).write_all(content);
        match &written {
            Ok(()) => self.bytes += content.len() as u64,
            Err(_) => self.is_torn = self.file.set_len(self.bytes).is_err(),
        }
        written
    }
}

/// Makes a file with this content, durably.
pub fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let written = make(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let written = written.and_then(|()| sync_folder_of(path));
    written.map_err(|cause| Error::unwritable(path.display(), cause))
}

/// Makes the entries of the folder that a file is in durable.
pub fn sync_folder_of(path: &Path) -> IoResult<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Reads a file; `None` if there is none.
pub fn read_if_any(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::unreadable(path.display(), cause)),
    }
}
