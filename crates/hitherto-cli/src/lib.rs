//! The command `hitherto`: the command line over the engine and the server.
//!
//! Two processes run it: the binary (`main.rs`), and a Python into which the wheel was
//! installed. Both call [`main`] and are the same command to whoever types.
//!
//! It owns what a process has and a library must not: arguments, environment,
//! the clock, the terminal and the exit code. It holds no feature logic; a
//! command reads its arguments, calls one path of the engine and shows what
//! came back.
//!
//! | module       | what it owns                                            |
//! | ------------ | ------------------------------------------------------- |
//! | [`cli`]      | what can be typed                                        |
//! | [`commands`] | one file for each command                                |
//! | [`session`]  | the repository, the clock and the output of one run      |
//! | [`output`]   | the only place that writes to stdout and stderr          |
//! | [`logs`]     | where log lines go                                       |
//! | [`progress`] | how far long work is, on a terminal and elsewhere        |
//! | [`credentials`] | what a server asks for                                |
//! | [`selected`] | `--service` and `--features`                             |
//! | [`numbers`]  | counts, sizes, spans and shares, as people write them    |
//! | [`grid`]     | tables                                                   |
//! | [`spine`]    | label rows out of a Parquet file                         |
//! | [`sink`]     | a Parquet file that appears whole or not at all          |
//! | [`scratch`]  | a folder that is gone when nobody needs it               |

#![allow(clippy::disallowed_methods, reason = "what is below is told clock and environment here")]

mod cli;
mod commands;
mod credentials;
mod grid;
mod labels;
mod logs;
mod numbers;
mod output;
mod progress;
mod scratch;
mod selected;
mod session;
mod sink;
mod spine;

use std::ffi::OsString;
use std::path::PathBuf;

use hitherto_core::{Error, Result};

use cli::Cli;
use session::Session;
pub use session::user;

/// Runs the command that `words` say, the program's name first, and gives the exit code.
/// `python` is the Python that this runs in, if it does. Once in a process, in a thread
/// that may block: logging is the process's, and signals are listened for.
pub fn main(words: Vec<OsString>, python: Option<PathBuf>) -> u8 {
    let code = match Cli::read(&words) {
        Ok(cli) => {
            let session = Session::new(&cli.globals, python);
            run(cli, &session).map_or_else(|error| session.output().error(&error), |()| 0)
        }
        Err(refusal) => output::show_usage(&refusal, &words),
    };
    output::flush();
    code
}

fn run(cli: Cli, session: &Session) -> Result<()> {
    logs::start(&cli.log_filter(), session.output())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Error::no_threads)?.block_on(cli.command.run(session))
}
