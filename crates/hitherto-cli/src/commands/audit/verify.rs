//! `hitherto audit verify`: whether a log is what was written.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use hitherto_core::{Error, Result};
use hitherto_server::audit::last_checkpoint;
use hitherto_trust::audit::{Checkpoint, PublicKey, Report, Trusted, read_signed, verify};
use serde::Serialize;

use super::Folder;
use crate::numbers::{count, counted};
use crate::session::Session;

/// Say whether an audit log is what was written
///
/// Reads every byte: computes the chain of all records, and compares it with every checkpoint,
/// whose signatures it checks. Ends with exit code 6 and the first record that is not what was
/// written, or is gone. What was recorded after the last checkpoint is signed by nobody yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto audit verify\n  \
    hitherto audit verify --folder /mnt/copy/audit --key key.pem --since last.checkpoint")]
pub struct Verify {
    #[command(flatten)]
    folder: Folder,
    /// A PEM file with the public key that signs, from a place that whoever writes the log cannot
    /// change; otherwise the key.pem beside the log, whose fingerprint is shown
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A checkpoint that was put aside: the log has it, or was set back. Otherwise the one beside
    /// the server's key, if that is here
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
}

impl Verify {
    /// Checks, and says what was found.
    ///
    /// # Errors
    /// `Corrupt` when something is wrong, `NotFound` where there is no log, `Invalid` for a key
    /// or checkpoint that is none.
    pub fn run(self, session: &Session) -> Result<()> {
        let folder = self.folder.path(session)?;
        let key = self.key.clone().unwrap_or_else(|| folder.join("key.pem"));
        let key = PublicKey::read(&key)?;
        let since = self.since(session, key)?;
        let report = verify(&folder, Trusted { key, since })?;
        let problem = report.problem.clone();
        let shown =
            Shown { signed_by: key.to_string(), since: since.map(|kept| kept.number), report };
        session.output().result(&shown)?;
        match problem {
            None => Ok(()),
            Some(problem) => Err(Error::corrupt(format!(
                "the audit log {} is not what was written: record {}, in {} at byte {}: {}; keep \
                 the folder as it is, and compare it with a copy",
                folder.display(),
                problem.record,
                problem.file,
                problem.offset,
                problem.what
            ))),
        }
    }

    /// The checkpoint that was put aside.
    fn since(&self, session: &Session, key: PublicKey) -> Result<Option<Checkpoint>> {
        let Some(file) = &self.since else {
            // What is beside another log's key says nothing of this one.
            let is_own = self.folder.folder.is_none() && self.key.is_none();
            return match is_own {
                true => last_checkpoint(&session.config()?.audit.within(session.root()).keys),
                false => Ok(None),
            };
        };
        read_note(file, key).map(Some)
    }
}

fn read_note(file: &Path, key: PublicKey) -> Result<Checkpoint> {
    let text =
        std::fs::read_to_string(file).map_err(|cause| Error::unreadable(file.display(), cause))?;
    read_signed(&text, key).ok_or_else(|| {
        Error::invalid(format!(
            "{} does not begin with a checkpoint that this key has signed; name a copy of \
             last.checkpoint, or of a note out of a .checkpoints file",
            file.display()
        ))
    })
}

/// What was found.
#[derive(Serialize)]
struct Shown {
    signed_by: String,
    since: Option<u64>,
    #[serde(flatten)]
    report: Report,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { first, records, files, checkpoints, unsigned, is_unfinished, .. } =
            self.report;
        let there = counted(records - first, "record");
        write!(f, "{there} in {}", counted(files, "file"))?;
        if first > 0 {
            write!(f, ", from record {} on; those before were retired", count(first))?;
        }
        writeln!(f, "\n{} by {}", counted(checkpoints, "checkpoint"), self.signed_by)?;
        if let Some(since) = self.since {
            writeln!(f, "compared with checkpoint {since}, which was put aside")?;
        }
        if unsigned > 0 {
            writeln!(f, "{} at the end: signed by nobody yet", counted(unsigned, "record"))?;
        }
        if is_unfinished {
            writeln!(f, "the last record is unfinished: it is being written, or a crash left it")?;
        }
        match self.report.problem {
            None => f.write_str("all of it is what was written"),
            Some(_) => f.write_str("not all of it is what was written"),
        }
    }
}
