//! `hitherto audit`: what servers recorded, and whether it is whole.
//!
//! | module    | what it owns                                  |
//! | --------- | ---------------------------------------------- |
//! | `verify`  | whether a log is what was written              |
//! | `records` | its records: all of them, or those asked for   |
//! | `hold`    | what keeps records beyond their time           |

mod hold;
mod records;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hitherto_core::Result;

use crate::session::Session;

/// Check and read what servers recorded of their calls
///
/// A server whose hitherto.yaml asks for it (audit.level) records who asked for what, when,
/// and how it ended. These commands read the log's folder, beside a running server or without
/// one, and change nothing but holds. See docs/operate/audit.md.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto audit verify\n  \
    hitherto audit find --entity stay --key stay_id=42")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Verify(verify::Verify),
    Export(records::Export),
    Find(records::Find),
    Hold(hold::Hold),
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// `NotFound` where there is no log, `Corrupt` for one that is not what was written.
    pub fn run(self, session: &Session) -> Result<()> {
        match self.what {
            What::Verify(command) => command.run(session),
            What::Export(command) => command.run(session),
            What::Find(command) => command.run(session),
            What::Hold(command) => command.run(session),
        }
    }
}

/// Which log is meant.
#[derive(Debug, Args)]
struct Folder {
    /// The log's folder; otherwise audit.folder of hitherto.yaml
    #[arg(long, value_name = "DIR", env = "HITHERTO_AUDIT_FOLDER")]
    folder: Option<PathBuf>,
}

impl Folder {
    fn path(&self, session: &Session) -> Result<PathBuf> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(session.config()?.audit.within(session.root()).folder),
        }
    }
}
