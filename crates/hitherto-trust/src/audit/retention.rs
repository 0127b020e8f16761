//! What goes after its time, and what must not.
//!
//! Whole files go, the oldest first, once all of their records are older than the retention;
//! their checkpoints stay, so that what is left can be checked. A hold, a file of its name,
//! keeps everything from a moment on, whatever its age.
//!
//! ```text
//! <folder>/holds/<name>    from <time> by <who>: <reason>
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hitherto_core::limits::NAME_BYTES_MAX;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::{Error, Result};
use serde::Serialize;

use super::file;

const FOLDER: &str = "holds";

/// What keeps records beyond their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its name, such as that of a case.
    pub name: String,
    /// From when on records are kept, microseconds UTC.
    pub from: i64,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Hold {
    /// What there is to say of it, on a line.
    pub fn text(&self) -> String {
        let Self { from, by, reason, .. } = self;
        format!("from {} by {by}: {reason}", format_timestamp(*from))
    }

    /// Puts it into a log's folder; whoever writes the log notes it there.
    ///
    /// # Errors
    /// `Invalid` for what is no name, or a reason of several lines; `Conflict` when there is
    /// one of that name; `Unavailable` when it cannot be written.
    pub fn place(&self, folder: &Path) -> Result<()> {
        let is_line = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if !is_line(&self.reason) || !is_line(&self.by) || self.by.contains(": ") {
            return Err(Error::invalid("a hold has a reason of one line; give it with --reason"));
        }
        let path = path_of(folder, &self.name)?;
        if path.exists() {
            return Err(Error::conflict(format!(
                "there is a hold {:?} already; lift it first, or choose another name",
                self.name
            )));
        }
        file::make_folder(&folder.join(FOLDER))?;
        file::write_new(&path, format!("{}\n", self.text()).as_bytes())
    }

    /// Takes it out again.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name, `Unavailable` when it cannot be removed.
    pub fn lift(folder: &Path, name: &str) -> Result<()> {
        let path = path_of(folder, name)?;
        fs::remove_file(&path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => Error::not_found(format!(
                "there is no hold {name:?}; see with `hitherto audit hold` which there are"
            )),
            _ => Error::unwritable(path.display(), cause),
        })?;
        file::sync_folder_of(&path).map_err(|cause| Error::unwritable(path.display(), cause))
    }

    /// All that are in a log's folder, by name.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be read, `Corrupt` for one that was not written here: what
    /// it holds is not known, so that nothing may go.
    pub fn all(folder: &Path) -> Result<Vec<Hold>> {
        let folder = folder.join(FOLDER);
        let unreadable = |cause| Error::unreadable(folder.display(), cause);
        let entries = match fs::read_dir(&folder) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut holds = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(text) = file::read_if_any(&path)? else { continue };
            holds.push(parse(name, &text).ok_or_else(|| {
                Error::corrupt(format!(
                    "{} is no hold, and nothing is retired while it is there; see what it is, or \
                     remove it",
                    path.display()
                ))
            })?);
        }
        holds.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(holds)
    }
}

fn parse(name: String, text: &str) -> Option<Hold> {
    let (from, rest) = text.strip_prefix("from ")?.strip_suffix('\n')?.split_once(" by ")?;
    let (by, reason) = rest.split_once(": ")?;
    let from = parse_timestamp(from).ok()?;
    Some(Hold { name, from, by: by.to_owned(), reason: reason.to_owned() })
}

fn path_of(folder: &Path, name: &str) -> Result<PathBuf> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(is_plain);
    match is_name {
        true => Ok(folder.join(FOLDER).join(name)),
        false => Err(Error::invalid(format!(
            "{name:?} is no name for a hold; use letters, digits, -, _ and ., such as CASE-7"
        ))),
    }
}

/// Whether records up to a moment may go: they are older than the retention, and no hold is from
/// before it.
pub fn may_go(until: i64, now: i64, retention: i64, holds: &[Hold]) -> bool {
    until < now.saturating_sub(retention) && holds.iter().all(|hold| hold.from > until)
}
