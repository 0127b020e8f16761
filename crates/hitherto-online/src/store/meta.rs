//! Metadata: the small values that say which rows and batches count.

use hitherto_core::Result;

use crate::keys::MetaKey;

/// What a value of the metadata becomes; `None` removes it.
pub type MetaChange = (MetaKey, Option<Vec<u8>>);

/// A small map, changed many keys at once.
pub trait Meta: Send + Sync {
    /// Reads one value.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    fn read_meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>>;

    /// Writes values at once, all or none, durably.
    ///
    /// # Errors
    /// `Unavailable` for I/O, `Invalid` on a store opened for reading.
    fn commit_meta(&self, changes: &[MetaChange]) -> Result<()>;
}
