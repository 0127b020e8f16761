//! State that processes share in an object store: their changes, and who of them leads.
//!
//! Endpoint and credentials come from the environment, as for sources in object stores. What is
//! written lies below the folder that is given, in one of its own that is named by the time.

mod commits;
mod leaders;

use std::time::{Duration, SystemTime};

use clap::{Args, value_parser};
use hitherto_core::time::micros_since_epoch;
use hitherto_objects::Stores;
use hitherto_objects::shared::Root;
use serde_json::{Value, json};

use crate::Result;

pub use self::commits::{CHILD, measure};
pub use self::leaders::{MEMBER, serve};

/// What to do with which store.
#[derive(Debug, Args)]
pub struct Options {
    /// A folder of an object store, such as s3://bucket/folder
    #[arg(long, value_name = "URL")]
    root: String,
    /// Processes that change one state
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u64).range(1..=64))]
    processes: u64,
    /// Changes of each
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(0..=100_000))]
    commits: u64,
    /// Leaders that are killed
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(0..=10_000))]
    kills: u64,
    /// Leaders that are stopped, for longer than their lease lasts
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u64).range(0..=10_000))]
    stops: u64,
    /// Seconds of the lease
    #[arg(long, default_value_t = 1.0)]
    term: f64,
}

/// Lets processes change a state, and lead it.
///
/// # Errors
/// When a change was lost or doubled, when two led at once, and when the store does not answer.
pub fn run(options: &Options) -> Result<Value> {
    if !(0.05..=600.0).contains(&options.term) {
        return Err("--term is 0.05 to 600 seconds".into());
    }
    let url = format!("{}/{}", options.root.trim_end_matches('/'), now());
    let stores = Stores::default();
    let root = Root::open(&stores, &url)?;
    root.prove("probe")?;
    eprintln!("{url}: conditional writes hold");
    let commits = match options.commits {
        0 => Value::Null,
        each => commits::run(&root, options.processes, each)?,
    };
    let term = Duration::from_secs_f64(options.term);
    let leaders = match options.kills + options.stops {
        0 => Value::Null,
        _ => leaders::run(&root, options.kills, options.stops, term)?,
    };
    Ok(json!({ "root": url, "commits": commits, "leaders": leaders }))
}

/// Microseconds UTC. All processes here are of one machine, whose clock nobody sets meanwhile.
fn now() -> i64 {
    micros_since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}
