//! Measurements and servers in processes of their own.
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
//!
//! start(subcommand, question) -> question()
//!   <--- one line once it serves  ready(answer)
//! drop: stdin ends ------------> until_end()
//! ```
//!
//! A server ends with its stdin, so it never outlives who started it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

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

/// A server in a process of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Held open for what the server says last.
    _stdout: BufReader<ChildStdout>,
}

impl Serving {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It is gone, or will be; there is nobody to tell.
        let _ = self.child.wait();
    }
}

/// Starts this binary with a subcommand that serves, and waits until it does.
///
/// # Errors
/// When it cannot be started or ends before it serves.
pub fn start<Q: Serialize, A: DeserializeOwned>(
    subcommand: &str,
    question: &Q,
) -> Result<(Serving, A)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(subcommand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (mut stdin, stdout) = stdin.zip(stdout).ok_or("a server was started without pipes")?;
    writeln!(stdin, "{}", serde_json::to_string(question)?)?;
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let serving = Serving { child, stdin: Some(stdin), _stdout: stdout };
    let answer = serde_json::from_str(&line).map_err(|_| "a server ended before it served")?;
    Ok((serving, answer))
}

/// Reads the question that [`start`] sent.
///
/// # Errors
/// When stdin holds none.
pub fn question<Q: DeserializeOwned>() -> Result<Q> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Tells [`start`] that the server serves.
///
/// # Errors
/// When nobody listens.
pub fn ready<A: Serialize>(answer: &A) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(answer)?)?;
    Ok(stdout.flush()?)
}

/// Blocks until who called [`start`] lets go.
pub fn until_end() {
    // However stdin ends, it has ended.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
