//! Definition files on disk: every `*.yaml` and `*.yml` below the root, except
//! the configuration file and hidden folders.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hitherto_core::definition::{self, Loaded};
use hitherto_core::limits::{
    DEFINITION_DEPTH_MAX, DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, NAMES_SHOWN_MAX,
};
use hitherto_core::{Error, Result};

use crate::config;
use crate::disk::{self, not_utf8, unreadable, unwritable};

/// Loads and checks all definitions of the repository in `root`, as if `replaced` were
/// written already.
///
/// # Errors
/// `NotFound` when `root` is not a folder, `Invalid` with every problem and
/// its place, `Unavailable` when a file cannot be read.
pub fn load(root: &Path, replaced: Option<&DefinitionFile>) -> Result<Loaded> {
    if !root.is_dir() {
        return Err(Error::not_found(format!(
            "there is no repository at {}; create one with `hitherto init {0}`",
            root.display()
        )));
    }
    let mut found = Found::default();
    collect(root, root, 0, &mut found)?;
    check_repositories(root, &found.repositories)?;
    let mut files = found.files;
    if let Some(DefinitionFile { name, text }) = replaced {
        check_size(name, text.len() as u64)?;
        files.retain(|(file, _)| file != name);
        files.push((name.clone(), text.clone()));
    }
    files.sort();
    definition::load(&files)
}

/// A definition file of the root folder, and what it is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFile {
    /// Its name, which ends in `.yaml`.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl DefinitionFile {
    /// Puts it in its place, whole or not at all. What was there before comes back when
    /// the result is dropped and was not kept.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be written.
    pub fn write(&self, root: &Path) -> Result<Written> {
        let path = root.join(&self.name);
        let before = match fs::read(&path) {
            Ok(before) => Some(before),
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            Err(cause) => return Err(unwritable(&path, cause)),
        };
        replace(&path, self.text.as_bytes()).map_err(|cause| unwritable(&path, cause))?;
        Ok(Written { path, before, is_kept: false })
    }
}

/// A definition file that was written, and not yet to stay.
pub struct Written {
    path: PathBuf,
    before: Option<Vec<u8>>,
    is_kept: bool,
}

impl Written {
    /// Lets it stay.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let undone = match &self.before {
            Some(before) => replace(&self.path, before),
            None => fs::remove_file(&self.path),
        };
        if let Err(cause) = undone {
            tracing::error!(%cause, path = %self.path.display(), "a file is not as it was before");
        }
    }
}

/// Writes beside the place, under a name that is no definition's, and moves it there.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let mut file = File::create(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    disk::put_in_place(&partial, path).map_err(std::io::Error::other)
}

fn check_size(file: &str, bytes: u64) -> Result<()> {
    match bytes > DEFINITION_FILE_BYTES_MAX {
        false => Ok(()),
        true => Err(Error::invalid(format!(
            "{file} has {bytes} bytes, and {DEFINITION_FILE_BYTES_MAX} is the limit; split it"
        ))),
    }
}

/// What lies below a root.
#[derive(Default)]
struct Found {
    /// Definition files: names from the root, and texts.
    files: Vec<(String, String)>,
    /// Folders with a configuration of their own.
    repositories: Vec<String>,
}

/// Refuses a folder with repositories below it: their definitions are not its own.
fn check_repositories(root: &Path, below: &[String]) -> Result<()> {
    if below.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<&str> = below.iter().map(String::as_str).collect();
    shown.sort_unstable();
    shown.truncate(NAMES_SHOWN_MAX);
    let (found, what) = match root.join(config::FILE_NAME).exists() {
        true => ("a repository with others", "move them out of it"),
        false => (
            "no repository, but has some",
            "name one of them with --repo PATH (in Python hitherto.connect(PATH))",
        ),
    };
    Err(Error::invalid(format!(
        "{} is {found} below it: {}; {what}",
        root.display(),
        shown.join(", ")
    )))
}

fn collect(root: &Path, folder: &Path, depth: usize, found: &mut Found) -> Result<()> {
    if depth > DEFINITION_DEPTH_MAX {
        return Err(Error::invalid(format!(
            "{} is more than {DEFINITION_DEPTH_MAX} folders below the repository's root; move it \
             up",
            folder.display()
        )));
    }
    for entry in fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))? {
        let entry = entry.map_err(|cause| unreadable(folder, cause))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let file_type = entry.file_type().map_err(|cause| unreadable(&path, cause))?;
        let of_root =
            |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if name == config::FILE_NAME {
            found.repositories.extend((depth > 0).then(|| of_root(folder)));
        } else if file_type.is_dir() {
            collect(root, &path, depth + 1, found)?;
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            let size = entry.metadata().map_err(|cause| unreadable(&path, cause))?.len();
            check_size(&path.to_string_lossy(), size)?;
            if found.files.len() >= DEFINITION_FILES_MAX {
                return Err(Error::invalid(format!(
                    "{} is one definition file of more than {DEFINITION_FILES_MAX}; put more \
                     definitions into one file",
                    path.display()
                )));
            }
            let text = fs::read_to_string(&path).map_err(|cause| match cause.kind() {
                ErrorKind::InvalidData => not_utf8(&path, cause),
                _ => unreadable(&path, cause),
            })?;
            found.files.push((of_root(&path), text));
        }
    }
    Ok(())
}
