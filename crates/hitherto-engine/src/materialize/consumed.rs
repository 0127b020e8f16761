//! Which files a view's online copy holds, as kept in the store's metadata.

use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use hitherto_online::OnlineStore;
use serde::{Deserialize, Serialize};

/// The files that were consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consumed {
    files: Vec<ConsumedFile>,
}

/// One consumed file. Size and time tell at a glance that nothing changed;
/// the fingerprint decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ConsumedFile {
    name: String,
    bytes: u64,
    modified: i64,
    fingerprint: String,
}

impl ConsumedFile {
    fn is_untouched(&self, file: &SourceFile) -> bool {
        self.bytes == file.bytes && self.modified == file.modified
    }
}

/// The metadata key of a view's consumed files.
pub(crate) fn consumed_key(view_id: u32) -> String {
    format!("consumed/{view_id}")
}

impl Consumed {
    /// What a view has consumed so far.
    pub fn read(store: &dyn OnlineStore, view_id: u32) -> Result<Self> {
        let Some(json) = store.read_meta(&consumed_key(view_id))? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&json).map_err(|cause| {
            Error::corrupt("the list of consumed files cannot be read; materialize with --full")
                .with_source(cause)
        })
    }

    /// The stored form.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|cause| {
            Error::internal("the list of consumed files cannot be written").with_source(cause)
        })
    }

    /// The fingerprint of a file that was consumed and not touched since.
    pub fn fingerprint_of(&self, file: &SourceFile) -> Option<&str> {
        let known = self.files.iter().find(|known| known.name == file.name)?;
        known.is_untouched(file).then_some(&known.fingerprint)
    }

    /// Which of the source's files are new or changed, and what will have been
    /// consumed once they are read.
    pub fn compare(&self, all: &[SourceFile]) -> Result<(Vec<SourceFile>, Consumed)> {
        let mut new = Vec::new();
        let mut files = Vec::with_capacity(all.len());
        for file in all {
            let known = self.files.iter().find(|known| known.name == file.name);
            let fingerprint = match known {
                Some(known) if known.is_untouched(file) => known.fingerprint.clone(),
                _ => file.read_fingerprint()?,
            };
            if known.is_none_or(|known| known.fingerprint != fingerprint) {
                new.push(file.clone());
            }
            files.push(ConsumedFile {
                name: file.name.clone(),
                bytes: file.bytes,
                modified: file.modified,
                fingerprint,
            });
        }
        Ok((new, Consumed { files }))
    }
}
