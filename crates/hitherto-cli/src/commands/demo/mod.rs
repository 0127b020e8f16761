//! `hitherto demo`: the tour on real data.
//!
//! | module        | what it owns                                             |
//! | ------------- | -------------------------------------------------------- |
//! | `fixture`     | the repository, inside the binary                         |
//! | `narrator`    | the voice: chapters on stderr                             |
//! | `tour`        | the chapters, in order                                    |
//! | `server`      | the real server, in this process                          |
//! | `questions`   | the spine as questions                                    |
//! | `leak`        | what a join on collection time would have said            |
//! | `story`       | one laboratory value around its release                   |
//! | `lookups`     | lookups over the wire, timed                              |
//! | `training`    | the training set, in Python or here                       |
//! | `last_screen` | what happened, in numbers                                 |

mod fixture;
mod last_screen;
mod leak;
mod lookups;
mod narrator;
mod questions;
mod server;
mod story;
mod tour;
mod training;

use std::path::{Path, PathBuf};

use clap::Args;
use hitherto_core::{Error, Result};

use crate::commands::init::refuse_used;
use crate::scratch::Scratch;
use crate::session::Session;
use tour::Tour;
use training::Builder;

/// Take the tour on real intensive-care data
///
/// The binary carries a small repository: 100 de-identified patients of the
/// MIMIC-IV demo with 310 hospital stays, where every laboratory result has the
/// time the blood was drawn and the time anyone could know the result. The tour
/// applies its definitions, materializes, starts a server in this process,
/// looks features up over gRPC, builds a training set, and ends with numbers,
/// all of them measured in this run. The story goes to stderr, the last screen
/// to stdout. Takes seconds and needs no network. Installed with pip, it builds the
/// training set in that Python, where pyarrow and pandas are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto demo\n  \
    hitherto demo --dir icu                    # leave the repository in ./icu\n  \
    hitherto demo --python .venv/bin/python    # build the training set in Python")]
pub struct Demo {
    /// Write the repository to this new or empty folder and leave it there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Build the training set with this Python, which has hitherto, pyarrow and pandas
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Leave the temporary folder where it is
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Takes the tour, or stops it on Ctrl-C; either way nothing is left
    /// behind that was not asked for.
    ///
    /// # Errors
    /// Those of every path that the tour takes.
    pub async fn run(self, session: &Session) -> Result<()> {
        let Self { dir, python, keep } = self;
        let builder = Builder::choose(python, session.python())?;
        let folder = Folder::prepare(dir, keep)?;
        fixture::write(folder.path())?;
        let session = session.over(folder.path());
        let last_screen = tokio::select! {
            last_screen = Tour::new(&session).take(builder) => last_screen?,
            _ = tokio::signal::ctrl_c() => {
                return Err(Error::unavailable(
                    "stopped by Ctrl-C; run `hitherto demo` to begin again",
                ));
            }
        };
        session.output().result(&last_screen)?;
        folder.say_farewell(&session);
        Ok(())
    }
}

/// Where the repository is.
enum Folder {
    Asked(PathBuf),
    Temporary(Scratch),
    Kept(Scratch),
}

impl Folder {
    fn prepare(dir: Option<PathBuf>, keep: bool) -> Result<Self> {
        match dir {
            Some(dir) => refuse_used(&dir).map(|()| Folder::Asked(dir)),
            None => {
                let mut scratch = Scratch::create("demo")?;
                if keep {
                    scratch.keep();
                    return Ok(Folder::Kept(scratch));
                }
                Ok(Folder::Temporary(scratch))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Asked(path) => path,
            Folder::Temporary(scratch) | Folder::Kept(scratch) => scratch.path(),
        }
    }

    /// What to try next in a folder that stays.
    fn say_farewell(&self, session: &Session) {
        if let Folder::Temporary(_) = self {
            return;
        }
        session.output().say(format!(
            "\nthe repository stays in {0}; try\n  hitherto inspect --repo {0}\n  hitherto serve \
             --repo {0}",
            self.path().display()
        ));
    }
}
