//! Other engines, which the scripts of `benches/peers` ask.
//!
//! They live in Python environments of their own, which `install.sh` makes there: what
//! one requires another cannot have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::{Result, folder};

/// The folder of the installed peers, which are installed now if they are not yet.
///
/// # Errors
/// When they cannot be installed.
pub fn install() -> Result<PathBuf> {
    let home = folder::cache()?.join("peers");
    let status = Command::new("sh")
        .arg(scripts().join("install.sh"))
        .arg(&home)
        // pip talks on stdout, which is ours.
        .stdout(std::io::stderr())
        .status()?;
    if !status.success() {
        return Err(format!("the peers cannot be installed: {status}").into());
    }
    Ok(home)
}

/// A script as the Python of a peer's environment runs it; arguments are the caller's.
pub fn command(home: &Path, environment: &str, script: &str) -> Command {
    let mut command = Command::new(home.join(environment).join("bin").join("python"));
    command.arg(scripts().join(script));
    command
}

/// Runs a script; its answer is the last line that it prints.
///
/// # Errors
/// When it fails or answers otherwise.
pub fn answer<A: DeserializeOwned>(mut command: Command) -> Result<A> {
    let done = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
    if !done.status.success() {
        return Err(format!("{command:?} ended with {}", done.status).into());
    }
    let stdout = String::from_utf8(done.stdout)?;
    Ok(serde_json::from_str(stdout.lines().last().unwrap_or_default())?)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}
