//! Files and folders that appear whole and stay: the online layer's, which engine and
//! binaries use too.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hitherto_core::{Error, Result};
pub use hitherto_online::disk::{
    create, make_folders, make_private, private, put_in_place, remove, sync_folders, unreadable,
    unwritable, with_suffix, write_whole,
};

/// What to say of a file of text that is in another encoding, such as UTF-16.
pub(crate) fn not_utf8(path: &Path, cause: std::io::Error) -> Error {
    Error::invalid(format!("{} is not UTF-8 text; save it as UTF-8", path.display()))
        .with_source(cause)
}

/// Refuses a file with a secret that anybody on the machine can read. One that is not there
/// is missed by whoever reads it.
///
/// # Errors
/// `Invalid` when others than its owner and group can read it.
pub fn check_secret(file: &Path) -> Result<()> {
    let Ok(found) = std::fs::metadata(file) else { return Ok(()) };
    let mode = found.permissions().mode() & 0o777;
    match mode & 0o007 {
        0 => Ok(()),
        _ => Err(Error::invalid(format!(
            "{0} holds a secret and has mode {mode:04o}, so that every user of this machine can \
             use it; run `chmod 600 {0}`",
            file.display()
        ))),
    }
}
