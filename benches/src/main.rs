//! Measurements of Hitherto: one subcommand for each path, with the work that
//! it is measured on and the peers that do the same.
//!
//! Progress and talk go to stderr. The last thing on stdout is one JSON object,
//! which is all that a script has to read. Only this file and [`child`] write
//! to stdout.
//!
//! | module     | what it owns                                                    |
//! | ---------- | ---------------------------------------------------------------- |
//! | [`aggregates`] | training sets of features that are computed of events        |
//! | [`pit`]    | the point-in-time join, which is the path of training sets        |
//! | [`online`] | lookups, from a request to its answer                             |
//! | [`hostile`] | a server that is asked for more than it can                       |
//! | [`audit`]  | the writer of the audit log, and its verifier                     |
//! | [`sharing`] | state that processes share in an object store                     |
//! | [`materialize`] | materialization and push                                     |
//! | [`child`]  | measurements and servers in processes of their own                |
//! | [`peers`]  | other engines, which scripts ask                                  |
//! | [`peak`]   | the most memory that this process ever held                       |
//! | [`folder`] | folders of generated data, which are there whole or not at all    |
//! | [`shared`] | work that threads take from one list                              |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks and answers")]
#![allow(clippy::disallowed_methods, reason = "measurements take time")]

mod aggregates;
mod audit;
mod child;
mod folder;
mod hostile;
mod materialize;
mod online;
mod peak;
mod peers;
mod pit;
mod shared;
mod sharing;

use std::error::Error;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use hitherto_api::Grant;
use tikv_jemallocator::Jemalloc;

/// As in the binary `hitherto`, for the floors and echoes as well as for ours.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What can be said of a failed measurement is a sentence for people.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What measurements may.
fn grant() -> &'static Grant {
    static GRANT: LazyLock<Grant> = LazyLock::new(|| Grant::in_process("benches"));
    &GRANT
}

/// Measures Hitherto; the last thing on stdout is one JSON object.
#[derive(Debug, Parser)]
#[command(name = "hitherto-benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The point-in-time join: a spine in, a training set out
    Pit(pit::Options),
    /// One measurement of `pit`, in the process that it gets for itself
    #[command(name = pit::CHILD, hide = true)]
    PitChild,
    /// Training sets of aggregates, beside rolling windows of other engines
    Aggregates(aggregates::Options),
    /// One measurement of `aggregates`, in the process that it gets for itself
    #[command(name = aggregates::CHILD, hide = true)]
    AggregatesChild,
    /// The same, of lookups and pushes
    #[command(name = aggregates::online::CHILD, hide = true)]
    AggregatesOnlineChild,
    /// Lookups: entities in, features out, beside a server that only echoes
    Online(online::Options),
    /// One measurement of `online`, in the process that it gets for itself
    #[command(name = online::CHILD, hide = true)]
    OnlineChild,
    /// Lookups at twice of what a server can: what is answered, refused and lost
    Overload(hostile::Options),
    /// The audit log's writer alone: records a second, each hashed, chained and with the kernel
    Audit(audit::Options),
    /// Materialization and push: facts to the online store, beside the floor
    Materialize(materialize::Options),
    /// One measurement of `materialize`, in the process that it gets for itself
    #[command(name = materialize::CHILD, hide = true)]
    MaterializeChild,
    /// State that processes share in an object store: changes of many, and one leader at a time
    Sharing(sharing::Options),
    /// A process that changes the state of `sharing`
    #[command(name = sharing::CHILD, hide = true)]
    SharingChild,
    /// A process that can lead in `sharing`
    #[command(name = sharing::MEMBER, hide = true)]
    SharingMember,
    /// A server that `online` measures
    #[command(name = online::SERVER, hide = true)]
    OnlineServer,
}

fn main() -> ExitCode {
    let answer = match Cli::parse().command {
        Command::Pit(options) => pit::run(&options).map(|answer| answer.to_string()),
        Command::PitChild => child::answer(pit::measure),
        Command::Aggregates(options) => aggregates::run(&options).map(|answer| answer.to_string()),
        Command::AggregatesChild => child::answer(aggregates::measure),
        Command::AggregatesOnlineChild => child::answer(aggregates::online::answer),
        Command::Online(options) => online::run(&options).map(|answer| answer.to_string()),
        Command::OnlineChild => child::answer(online::measure),
        Command::Overload(options) => hostile::run(&options).map(|answer| answer.to_string()),
        Command::Audit(options) => audit::run(&options).map(|answer| answer.to_string()),
        Command::Materialize(options) => {
            materialize::run(&options).map(|answer| answer.to_string())
        }
        Command::MaterializeChild => materialize::answer(),
        Command::Sharing(options) => sharing::run(&options).map(|answer| answer.to_string()),
        Command::SharingChild => child::answer(sharing::measure),
        Command::SharingMember => sharing::serve().map(|()| String::new()),
        Command::OnlineServer => online::serve().map(|()| String::new()),
    };
    match answer {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
