//! Where log lines go: stderr, as text or, beside JSON output, as JSON lines.

use std::io;

use hitherto_core::{Error, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output::Output;

/// Starts logging what passes `filter`; once in a process.
///
/// # Errors
/// `Invalid` when the filter is not one.
pub fn start(filter: &str, output: Output) -> Result<()> {
    let refuse = || {
        Error::invalid(format!(
            "{filter:?} is not a log level; write error, warn, info, debug, trace or a filter \
             such as warn,hitherto_server=debug"
        ))
    };
    // The parser takes a misspelt level for the name of a module.
    let is_misspelt = |word: &str| !word.contains('=') && word.parse::<LevelFilter>().is_err();
    if filter.split(',').any(is_misspelt) {
        return Err(refuse());
    }
    let filter = EnvFilter::builder().parse(filter).map_err(|cause| refuse().with_source(cause))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output.has_colour());
    let started = match output.is_json() {
        true => lines.json().try_init(),
        false => lines.try_init(),
    };
    started.map_err(|cause| Error::internal("logging was started twice").with_source(cause))
}
