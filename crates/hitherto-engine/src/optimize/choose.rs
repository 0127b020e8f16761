//! Whether a copy can be read, and which of the source's files beside it.

use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;
use hitherto_offline::files::SourceFile;

use super::record::{self, StoredCopy};
use crate::Engine;

/// Whether a training set may read copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Where they stand for the source as it is.
    Read,
    /// The source itself, whatever there is.
    Leave,
}

/// What is read of a view.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Files of the source.
    pub files: Vec<SourceFile>,
    /// Files of a copy that stands for all others.
    pub copy: Vec<SourceFile>,
    /// The copy, which knows fingerprints.
    of: Option<StoredCopy>,
}

impl Reading {
    /// The fingerprint of a source file that is as it was copied.
    pub fn fingerprint_of(&self, file: &SourceFile) -> Option<&str> {
        self.of.as_ref()?.fingerprint_of(file)
    }
}

impl Engine {
    /// What is to be read in the place of these files of a view.
    ///
    /// # Errors
    /// `Invalid` when a newer release wrote the copy, `Corrupt` when it is
    /// damaged.
    pub(crate) fn choose(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        copies: Copies,
    ) -> Result<Reading> {
        let folder = self.copies.join(view.name());
        let newest = match copies {
            Copies::Read => record::newest(&folder)?,
            Copies::Leave => None,
        };
        let copy = newest.map(|number| StoredCopy::read(&folder.join(number.to_string())));
        let copy = copy.transpose()?.flatten();
        let beside = copy.as_ref().map(|copy| copy.beside(view, files)).transpose()?.flatten();
        Ok(match (copy, beside) {
            (Some(of), Some(beside)) => {
                Reading { files: beside, copy: of.files(&self.root)?, of: Some(of) }
            }
            _ => Reading { files: files.to_vec(), copy: Vec::new(), of: None },
        })
    }
}
