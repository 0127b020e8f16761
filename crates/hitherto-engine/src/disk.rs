//! What the engine says of the disk.

use std::path::Path;

use hitherto_core::Error;

/// A file or folder that cannot be written.
pub(crate) fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be written", path.display())).with_source(cause)
}
