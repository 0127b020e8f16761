//! Files and folders that appear whole and stay: the online layer's, which engine and
//! binaries use too.

use std::path::Path;

use hitherto_core::Error;
pub use hitherto_online::disk::{
    create, make_folders, make_private, private, put_in_place, remove, sync_folders, unwritable,
    with_suffix, write_whole,
};

/// What to say of a file of text that is in another encoding, such as UTF-16.
pub(crate) fn not_utf8(path: &Path, cause: std::io::Error) -> Error {
    Error::invalid(format!("{} is not UTF-8 text; save it as UTF-8", path.display()))
        .with_source(cause)
}
