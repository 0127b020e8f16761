//! Definition files on disk: every `*.yaml` and `*.yml` below the root, except
//! the configuration file and hidden folders.

use std::fs;
use std::path::Path;

use hitherto_core::definition::{self, Loaded};
use hitherto_core::limits::{
    DEFINITION_DEPTH_MAX, DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX,
};
use hitherto_core::{Error, Result};

use crate::config;

/// Loads and checks all definitions of the repository in `root`.
///
/// # Errors
/// `NotFound` when `root` is not a folder, `Invalid` with every problem and
/// its place, `Unavailable` when a file cannot be read.
pub fn load(root: &Path) -> Result<Loaded> {
    if !root.is_dir() {
        return Err(Error::not_found(format!(
            "there is no repository at {}; create one with `hitherto init {0}`",
            root.display()
        )));
    }
    let mut files = Vec::new();
    collect(root, root, 0, &mut files)?;
    files.sort();
    definition::load(&files)
}

fn collect(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<(String, String)>,
) -> Result<()> {
    let unreadable = |path: &Path, cause: std::io::Error| {
        Error::unavailable(format!("{} cannot be read", path.display())).with_source(cause)
    };
    if depth > DEFINITION_DEPTH_MAX {
        return Err(Error::invalid(format!(
            "{} is more than {DEFINITION_DEPTH_MAX} folders below the repository's root",
            folder.display()
        )));
    }
    for entry in fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))? {
        let entry = entry.map_err(|cause| unreadable(folder, cause))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let file_type = entry.file_type().map_err(|cause| unreadable(&path, cause))?;
        if name.starts_with('.') || (depth == 0 && name == config::FILE_NAME) {
            continue;
        }
        if file_type.is_dir() {
            collect(root, &path, depth + 1, files)?;
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            let size = entry.metadata().map_err(|cause| unreadable(&path, cause))?.len();
            if size > DEFINITION_FILE_BYTES_MAX || files.len() >= DEFINITION_FILES_MAX {
                return Err(Error::invalid(format!(
                    "{} is too large a definition ({size} bytes, at most \
                     {DEFINITION_FILE_BYTES_MAX}), or one of more than {DEFINITION_FILES_MAX}",
                    path.display()
                )));
            }
            let text = fs::read_to_string(&path).map_err(|cause| unreadable(&path, cause))?;
            let shown = path.strip_prefix(root).unwrap_or(&path);
            files.push((shown.to_string_lossy().into_owned(), text));
        }
    }
    Ok(())
}
