//! `hitherto backup` and `hitherto restore`: a store as it is now, and back.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use hitherto_client::{BackupWork, Work};
use hitherto_core::Result;
use hitherto_core::time::format_timestamp;
use hitherto_engine::backup;
use hitherto_engine::{Access, Backup as Taken, BackupFiles};
use serde::Serialize;

use crate::commands::jobs;
use crate::credentials::ShownToServer;
use crate::numbers::{bytes, counted};
use crate::session::Session;

/// Copy the store to a folder, as it is now
///
/// The catalog, what lookups read and every fact that was pushed; not the definitions
/// and sources, which are the repository's own. On the disk of the store files are
/// linked rather than copied, unless --copy is given: move the folder to another disk.
/// With a backupKey in hitherto.yaml it is sealed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto backup /mnt/backups/monday")]
pub struct Backup {
    /// The folder, which must not be there yet; with --server one name, of a folder in the
    /// server's own folder for backups (server.backups in its hitherto.yaml)
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Copy files that would be linked
    #[arg(long)]
    copy: bool,
    /// Let this server do it, on its machine
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

/// Put a backup in the place of a store
///
/// Checks every byte of it first, and its seal if hitherto.yaml has a backupKey. The
/// repository must have no store: move an old one away.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto restore /mnt/backups/monday")]
pub struct Restore {
    /// The backup's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Backup {
    /// Takes a backup and says how large it is.
    ///
    /// # Errors
    /// `Conflict` when the folder is there or another process holds the store.
    pub async fn run(self, session: &Session) -> Result<()> {
        let taken = match &self.server {
            None => {
                let how = if self.copy { BackupFiles::Copied } else { BackupFiles::Linked };
                let engine = session.open_applied()?;
                engine.backup(session.grant(), &self.folder, how, session.now())?
            }
            Some(url) => {
                let folder = self.folder.to_string_lossy().into_owned();
                let work = Work::Backup(BackupWork { folder, copy: self.copy });
                let client = self.shown.connect(url).await?;
                jobs::run(session.output(), &client, work).await?
            }
        };
        session.output().result(&Shown::new("backed up", &taken))
    }
}

impl Restore {
    /// Restores a backup and says how large it is.
    ///
    /// # Errors
    /// `NotFound` without a backup, `Corrupt` for a damaged one, `Conflict` when the
    /// repository has a store.
    pub fn run(self, session: &Session) -> Result<()> {
        let taken =
            backup::restore(session.grant(), &self.folder, session.root(), &session.config()?)?;
        // What cannot be opened is no store.
        drop(session.open(Access::ReadWrite)?);
        session.output().result(&Shown::new("restored", &taken))
    }
}

/// What was copied.
#[derive(Serialize)]
struct Shown {
    #[serde(skip)]
    what: &'static str,
    taken_at: String,
    files: u64,
    bytes: u64,
}

impl Shown {
    fn new(what: &'static str, taken: &Taken) -> Self {
        let taken_at = format_timestamp(taken.taken_at);
        Self { what, taken_at, files: taken.files(), bytes: taken.bytes() }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, taken_at, files, bytes: size } = self;
        writeln!(f, "{what}: {}, {}, as of {taken_at}", counted(*files, "file"), bytes(*size))
    }
}
