//! What can be typed. Parsing only: a command's own options are beside it, in
//! [`commands`](crate::commands).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use hitherto_core::time::parse_timestamp;
use hitherto_core::{Kind, Result};
use terminal_size::{Width, terminal_size};

use crate::commands::{
    apply, audit, backup, demo, doctor, get, init, inspect, jobs, materialize, optimize, plan,
    push, rollback, schema, serve, token, training_set, verify, whoami, why,
};
use crate::output::Format;
use crate::session::Session;

/// A feature store in which nothing is known before its time
///
/// Hitherto reads history from Parquet, keeps what a model needs now in an
/// embedded store, serves it over gRPC, and builds training sets in which no
/// row knows anything that was not known at its own moment.
///
/// A repository is a folder: definitions in YAML, one configuration file
/// (hitherto.yaml) and a store. Facts that were pushed are in the store alone, so
/// back it up with `hitherto backup`; the rest of it can be built again. See it
/// all on real data with `hitherto demo`, or begin one with `hitherto init`.
#[derive(Debug, Parser)]
#[command(name = "hitherto", version, after_help = after_help())]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// The repository's folder
    #[arg(long, global = true, value_name = "DIR", default_value = ".", env = "HITHERTO_REPO")]
    pub repo: PathBuf,
    /// How results are written: for people, or as one JSON document on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Stop the clock, for replays and demonstrations: everything happens as if it were this time
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_timestamp)]
    pub now: Option<i64>,
    /// Which log lines go to stderr: error, warn, info, debug, trace, or a filter such as
    /// warn,hitherto_server=debug
    #[arg(long, global = true, value_name = "LEVEL", env = "HITHERTO_LOG")]
    pub log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Init),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Materialize(materialize::Materialize),
    Push(push::Push),
    Rollback(rollback::Rollback),
    Optimize(optimize::Optimize),
    Get(get::Get),
    Why(why::Why),
    TrainingSet(Box<training_set::TrainingSet>),
    Verify(verify::Verify),
    Serve(serve::Serve),
    Jobs(jobs::Jobs),
    Inspect(inspect::Inspect),
    #[command(name = "token")]
    Tokens(token::Tokens),
    Whoami(whoami::Whoami),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Doctor(doctor::Doctor),
    Schema(schema::Schema),
    Demo(demo::Demo),
}

impl Command {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// Whatever its path of the engine refuses.
    pub async fn run(self, session: &Session) -> Result<()> {
        match self {
            Command::Init(command) => command.run(session),
            Command::Plan(command) => command.run(session).await,
            Command::Apply(command) => command.run(session).await,
            Command::Materialize(command) => command.run(session).await,
            Command::Push(command) => command.run(session).await,
            Command::Rollback(command) => command.run(session).await,
            Command::Optimize(command) => command.run(session).await,
            Command::Get(command) => command.run(session).await,
            Command::Why(command) => command.run(session).await,
            Command::TrainingSet(command) => command.run(session).await,
            Command::Verify(command) => command.run(session).await,
            Command::Audit(command) => command.run(session),
            Command::Serve(command) => command.run(session).await,
            Command::Inspect(command) => command.run(session),
            Command::Jobs(command) => command.run(session).await,
            Command::Tokens(command) => command.run(session),
            Command::Whoami(command) => command.run(session).await,
            Command::Backup(command) => command.run(session).await,
            Command::Restore(command) => command.run(session),
            Command::Doctor(command) => command.run(session).await,
            Command::Schema(command) => command.run(session),
            Command::Demo(command) => command.run(session).await,
        }
    }
}

/// Columns of help: examples are written for the least of them, and text that is wider than
/// the greatest is hard to read.
const HELP_COLUMNS: (usize, usize) = (80, 100);

impl Cli {
    /// Reads what was typed, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, or the help or version that was asked for.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let columns = terminal_size().map(|(Width(columns), _)| usize::from(columns));
        let (least, greatest) = HELP_COLUMNS;
        let columns = columns.unwrap_or(greatest).clamp(least, greatest);
        // In a narrower terminal the terminal itself breaks the lines, and a command that
        // is copied is whole.
        let mut command = Self::command().term_width(columns);
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|refusal| refusal.format(&mut command))
    }

    /// The log filter: as asked for, or what suits the command. A server's log
    /// is its voice; a command that answers once speaks through its result.
    pub fn log_filter(&self) -> String {
        match (&self.globals.log, &self.command) {
            (Some(filter), _) => filter.clone(),
            (None, Command::Serve(_)) => String::from("warn,hitherto=info"),
            (None, _) => String::from("warn"),
        }
    }
}

/// The end of the help: first steps, and the exit codes from their one table.
fn after_help() -> String {
    let mut text = String::from(
        "First steps:\n  \
         hitherto demo                # the tour, on real intensive-care data\n  \
         hitherto init my-features    # a small repository to change\n\n\
         Exit codes:\n   0  done\n",
    );
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| kind.exit_code());
    for kind in kinds {
        text.push_str(&format!(
            "  {:>2}  {:<12} {}\n",
            kind.exit_code(),
            kind.name(),
            advice(kind)
        ));
    }
    text
}

/// What the caller does about an error of this kind.
fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "the request, definition or option is wrong: fix it",
        Kind::NotFound => "the named thing is not there: name another, or create it",
        Kind::Conflict => "somebody else got there first: look again and retry",
        Kind::Denied => "one does not trust the other: bring a token or certificate",
        Kind::Forbidden => "this caller may not do that: ask whoever grants it",
        Kind::Unavailable => "not now: wait and retry",
        Kind::Corrupt => "stored bytes are damaged: stop and restore",
        Kind::Internal => "a bug or an unforeseen failure: report it",
    }
}

#[cfg(test)]
mod tests;
