//! What was read of a file and is kept with it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hitherto_core::Result;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// A file's footer, read by whoever needs it first and shared by all copies of one listing:
/// those who plan, count rows and read go by the same, and the file is opened once for it.
#[derive(Clone, Default)]
pub(super) struct KeptFooter(Arc<OnceLock<ArrowReaderMetadata>>);

impl KeptFooter {
    /// The footer, or what `read` gives.
    pub fn get_or_read(
        &self,
        read: impl FnOnce() -> Result<ArrowReaderMetadata>,
    ) -> Result<ArrowReaderMetadata> {
        match self.0.get() {
            Some(footer) => Ok(footer.clone()),
            None => read().map(|footer| self.0.get_or_init(|| footer).clone()),
        }
    }
}

/// What is known of a file does not make it another.
impl PartialEq for KeptFooter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for KeptFooter {}

impl fmt::Debug for KeptFooter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "read" } else { "unread" })
    }
}
