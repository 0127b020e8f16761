//! What the engine says of the disk.

use std::path::Path;

use hitherto_core::Error;

/// A file or folder that cannot be written.
pub(crate) fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be written", path.display())).with_source(cause)
}

/// What to say of a file of text that is in another encoding, such as UTF-16.
pub(crate) fn not_utf8(path: &Path, cause: std::io::Error) -> Error {
    Error::invalid(format!("{} is not UTF-8 text; save it as UTF-8", path.display()))
        .with_source(cause)
}
