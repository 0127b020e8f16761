//! One measurement in a process of its own.
//!
//! What an earlier measurement left behind (a grown heap, warm buffers, a peak
//! of memory) must not show in the next one, so this binary starts itself again
//! for each. The question goes to the child's stdin, the answer is the only
//! thing on its stdout, both as JSON; stderr is shared, so that talk is seen as
//! it happens.
//!
//! ```text
//! parent                         child
//! ask(subcommand, question) ---> answer(measure)
//!   <--- {"Ok": measured} or {"Err": "why not"}
//! ```

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// Starts this binary with a subcommand and asks it one question.
///
/// # Errors
/// What the child says went wrong, or how it ended if it could not say.
pub fn ask<Q: Serialize, A: DeserializeOwned>(subcommand: &str, question: &Q) -> Result<A> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(subcommand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(question)?)?;
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        return Err(format!("the measuring process ended with {}", done.status).into());
    }
    let answer: std::result::Result<A, String> = serde_json::from_slice(&done.stdout)?;
    answer.map_err(Into::into)
}

/// Reads the question that [`ask`] sent and returns what goes to stdout. A
/// failed measurement is an answer, too.
///
/// # Errors
/// When stdin holds no question.
pub fn answer<Q, A>(measure: impl FnOnce(Q) -> Result<A>) -> Result<String>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let question = serde_json::from_reader(std::io::stdin())?;
    let answer = measure(question).map_err(|error| error.to_string());
    Ok(serde_json::to_string(&answer)?)
}
