//! `hitherto audit hold`: what keeps records beyond their time.

use std::fmt;

use clap::{Args, Subcommand};
use hitherto_core::Result;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_trust::audit::Hold as Held;
use serde::Serialize;

use super::Folder;
use crate::grid::{Grid, Side};
use crate::session::{Session, user};

/// Keep records beyond their time, for a case or an inquiry
///
/// Without more words: which holds there are. While there is one, no file with records of its
/// moment or later is retired, whatever audit.retention says. The server records within a second
/// that it was placed or lifted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto audit hold\n  \
    hitherto audit hold add CASE-7 --reason \"inquiry of 3 May\"\n  \
    hitherto audit hold lift CASE-7")]
pub struct Hold {
    #[command(flatten)]
    folder: Folder,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Place one
    Add {
        /// Its name, such as that of the case
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// From when on records are kept; otherwise all of them
        #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
        from: Option<i64>,
    },
    /// Lift one
    Lift {
        /// Its name
        name: String,
    },
}

impl Hold {
    /// Places, lifts or shows.
    ///
    /// # Errors
    /// `Conflict` for a name that is taken, `NotFound` for one that is not.
    pub fn run(self, session: &Session) -> Result<()> {
        let folder = self.folder.path(session)?;
        match self.what {
            None => {}
            Some(What::Add { name, reason, from }) => {
                let held = Held { name, from: from.unwrap_or(0), by: user(), reason };
                held.place(&folder)?;
            }
            Some(What::Lift { name }) => Held::lift(&folder, &name)?,
        }
        session.output().result(&Shown { holds: Held::all(&folder)? })
    }
}

/// The holds that there are.
#[derive(Serialize)]
struct Shown {
    holds: Vec<Held>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds.is_empty() {
            return f.write_str("nothing is held");
        }
        let mut grid = Grid::new([
            ("hold", Side::Text),
            ("from", Side::Text),
            ("by", Side::Text),
            ("reason", Side::Text),
        ]);
        for Held { name, from, by, reason } in &self.holds {
            let from = match from {
                0 => String::from("the beginning"),
                from => format_timestamp(*from),
            };
            grid.row([name.clone(), from, by.clone(), reason.clone()]);
        }
        write!(f, "{grid}")
    }
}
