//! The binary `hitherto`: the command line over the engine and the server.
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

use std::process::ExitCode;

use hitherto_core::{Error, Result};
use tikv_jemallocator::Jemalloc;

use cli::Cli;
use session::Session;

/// The system's allocator gives memory back to the kernel and asks for it again
/// with every page of a Parquet file, which a sparse training set feels most (see
/// docs/point-in-time-join.md). RocksDB uses this one too. Never in a library: a
/// Python process has its own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(refusal) => return output::show_usage(&refusal),
    };
    let session = Session::new(&cli.globals);
    match run(cli, &session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            session.output().error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(cli: Cli, session: &Session) -> Result<()> {
    logs::start(&cli.log_filter(), session.output())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime
        .map_err(|cause| Error::unavailable("no thread can be started").with_source(cause))?;
    runtime.block_on(cli.command.run(session))
}
