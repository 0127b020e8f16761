//! What a view's online copy was made of, as one store keeps it ([`crate::local`]).

use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use serde::{Deserialize, Serialize};

use super::figures::Figures;

/// The files that were consumed, and what their latest rows look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumed {
    files: Vec<ConsumedFile>,
    #[serde(default)]
    pub figures: Figures,
    /// Files of which the copy has some facts, by runs that were restricted in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partial: Vec<ConsumedFile>,
}

/// One consumed file. Size and time tell at a glance that a file on disk did not change;
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
        file.is_untouched(self.bytes, self.modified, &self.fingerprint)
    }
}

/// What a run finds.
pub(crate) struct News {
    /// Files that were never consumed.
    pub new: Vec<SourceFile>,
    /// Whether a consumed file changed or is gone: facts that came from it may
    /// be facts no more, so that new files alone do not tell what is.
    pub has_lost: bool,
    /// What will have been consumed after the run.
    pub consumed: Consumed,
}

impl Consumed {
    /// Reads the stored form; nothing was consumed where there is none.
    ///
    /// # Errors
    /// `Corrupt` when it is anything else.
    pub fn from_json(json: Option<Vec<u8>>) -> Result<Self> {
        let Some(json) = json else { return Ok(Self::default()) };
        serde_json::from_slice(&json).map_err(|cause| {
            Error::corrupt("the list of consumed files cannot be read; materialize with --full")
                .with_source(cause)
        })
    }

    /// What is consumed by a run that was restricted in time: nothing whole.
    pub fn restricted(self, before: &Self) -> Self {
        let is_known = |file: &ConsumedFile| before.files.iter().any(|old| old.name == file.name);
        let partial = self.files.into_iter().filter(|file| !is_known(file)).collect();
        Self { files: before.files.clone(), figures: self.figures, partial }
    }

    /// The consumed files among `all`, as they were consumed, or a sentence that
    /// names the first that is not.
    pub(crate) fn intact(&self, all: &[SourceFile]) -> Result<Result<Vec<SourceFile>, String>> {
        if !self.partial.is_empty() {
            let reason = "a run with --from or --to left its copy incomplete; materialize it once \
                          without them";
            return Ok(Err(String::from(reason)));
        }
        let mut intact = Vec::with_capacity(self.files.len());
        for consumed in &self.files {
            let Some(file) = all.iter().find(|file| file.name == consumed.name) else {
                return Ok(Err(format!("{} is gone", consumed.name)));
            };
            if !consumed.is_untouched(file) && consumed.fingerprint != file.read_fingerprint()? {
                return Ok(Err(format!("{} has changed", consumed.name)));
            }
            intact.push(file.clone());
        }
        Ok(Ok(intact))
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

    /// What the source's files are beside those that were consumed.
    pub fn compare(&self, all: &[SourceFile]) -> Result<News> {
        let mut new = Vec::new();
        let is_there = |known: &ConsumedFile| all.iter().any(|file| file.name == known.name);
        let mut has_lost = !self.files.iter().chain(&self.partial).all(is_there);
        let mut files = Vec::with_capacity(all.len());
        for file in all {
            let known = self.files.iter().find(|known| known.name == file.name);
            let fingerprint = match known {
                Some(known) if known.is_untouched(file) => known.fingerprint.clone(),
                _ => file.read_fingerprint()?,
            };
            let partial = self.partial.iter().find(|partial| partial.name == file.name);
            has_lost |= partial.is_some_and(|partial| partial.fingerprint != fingerprint);
            match known {
                Some(known) if known.fingerprint == fingerprint => {}
                Some(_) => has_lost = true,
                None => new.push(file.clone()),
            }
            files.push(ConsumedFile {
                name: file.name.clone(),
                bytes: file.bytes,
                modified: file.modified,
                fingerprint,
            });
        }
        let figures = self.figures.clone();
        let consumed = Consumed { files, figures, partial: Vec::new() };
        Ok(News { new, has_lost, consumed })
    }
}
