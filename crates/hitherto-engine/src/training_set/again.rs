//! The files of a training set as its manifest has them: as they are read, and found again.

use hitherto_api::Manifest;
use hitherto_api::manifest::FileRecord;
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;

use crate::files::ViewFiles;

/// A source file that is about to be read, and its fingerprint if the online
/// store consumed it as it is.
#[derive(Clone, Debug)]
pub struct ReadFile {
    pub file: SourceFile,
    pub fingerprint: Option<String>,
}

impl ReadFile {
    /// The file's record, once it was read.
    ///
    /// # Errors
    /// `Conflict` when it changed meanwhile, `Unavailable` when it is gone.
    pub fn record(&self) -> Result<FileRecord> {
        let SourceFile { name, bytes, .. } = &self.file;
        if self.file.describe_again()? != self.file {
            return Err(Error::conflict(format!(
                "source file {name} changed while the training set was read; build it again"
            )));
        }
        let fingerprint = match &self.fingerprint {
            Some(fingerprint) => fingerprint.clone(),
            None => self.file.read_fingerprint()?,
        };
        Ok(FileRecord { name: name.clone(), bytes: *bytes, fingerprint })
    }
}

/// The files of the view that `manifest` calls `name` that were read and are still there, found
/// again among those that its source has now.
pub fn files_again(manifest: &Manifest, name: &str, now: ViewFiles) -> ViewFiles {
    let view = manifest.views.iter().find(|view| view.name == name);
    let is_named = |file: &SourceFile| {
        view.is_some_and(|view| view.files.iter().any(|read| read.name == file.name))
    };
    now.filter(is_named)
}
