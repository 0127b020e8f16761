//! The only place that writes to stdout and stderr.
//!
//! stdout is data: the result of a command and nothing else, as text or as one
//! JSON document, so that it can be piped. stderr is talk: notes, progress,
//! logs and errors. A reader that closes stdout early (`| head`) has seen
//! enough; that is no error.

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use clap::builder::Styles;
use hitherto_core::{Error, Kind, Result};
use serde::Serialize;
use serde_json::json;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document on one line
    Json,
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Output in a format.
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether talk is seen as it is written.
    pub fn has_terminal(self) -> bool {
        io::stderr().is_terminal()
    }

    /// Writes the command's result to stdout.
    ///
    /// # Errors
    /// `Unavailable` when stdout cannot be written, `Internal` when the result
    /// has no JSON, which would be a bug.
    pub fn result<T: Display + Serialize>(self, result: &T) -> Result<()> {
        let text = match self.format {
            Format::Table => result.to_string(),
            Format::Json => serde_json::to_string(result).map_err(|cause| {
                Error::internal("the result cannot be written as JSON").with_source(cause)
            })?,
        };
        written(writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()))
    }

    /// Writes lines to stdout as they come. A reader who has seen enough ends it.
    ///
    /// # Errors
    /// Those of the lines; `Unavailable` when stdout cannot be written.
    pub fn lines(self, lines: impl Iterator<Item = Result<String>>) -> Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for line in lines {
            let line = line?;
            if let Err(cause) = writeln!(out, "{line}") {
                return written(Err(cause));
            }
        }
        written(out.flush())
    }

    /// Writes talk to stderr. Nobody listening is no reason to stop.
    pub fn say(self, text: impl Display) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes what may not be meant to stderr, a line each; a program that reads the result
    /// finds it there.
    pub fn warn(self, warnings: &[String]) {
        if !self.is_json() {
            warnings.iter().for_each(|warning| self.say(format!("warning: {warning}")));
        }
    }

    /// Whether stderr shows colours: on a terminal, unless `NO_COLOR` is set. Messages
    /// about arguments go by the same.
    pub fn has_colour(self) -> bool {
        !self.is_json() && AutoStream::choice(&io::stderr()) != ColorChoice::Never
    }

    /// Words that stand out where there are colours, and as they are elsewhere.
    pub fn bold(self, words: &str) -> String {
        match self.has_colour() {
            true => format!("\x1b[1m{words}\x1b[0m"),
            false => words.to_owned(),
        }
    }

    /// Writes why the command failed to stderr, a line and its causes, or
    /// `{"error": {"kind", "message"}}`, and gives the exit code.
    pub fn error(self, error: &Error) -> u8 {
        match self.format {
            Format::Table => {
                let word = Styles::styled().get_error().to_owned();
                let word = match self.has_colour() {
                    true => format!("{word}error:{word:#}"),
                    false => String::from("error:"),
                };
                self.say(format!("{word} {}", with_causes(error)));
            }
            Format::Json => self.say(error_json(error.kind(), &error.chain())),
        }
        error.kind().exit_code()
    }
}

/// How writing to stdout ended.
fn written(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Error::unavailable(
            "stdout cannot be written; see that what it goes to is open and has room",
        )
        .with_source(cause)),
        _ => Ok(()),
    }
}

/// Hands on what stdout holds back until a line ends. Only a binary does so by itself when
/// it ends, and not a library in another's process.
pub fn flush() {
    let _ = io::stdout().flush();
}

/// Shows help, the version, or what is wrong with the words that were typed, and gives
/// the exit code.
pub fn show_usage(refusal: &clap::Error, words: &[OsString]) -> u8 {
    if refusal.exit_code() == 0 {
        let _ = refusal.print();
        return 0;
    }
    // The words could not be parsed, so their format is only looked for.
    let is_json = words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair == ["--output", "json"]);
    if is_json {
        let message = refusal.render().to_string();
        let message = message.trim().strip_prefix("error: ").unwrap_or(message.trim());
        Output::new(Format::Json).say(error_json(Kind::Invalid, message));
    } else {
        let _ = refusal.print();
    }
    Kind::Invalid.exit_code()
}

/// The message, further lines of it below the first, then a line for every cause that adds
/// something to it.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string().replace('\n', "\n       ");
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(&format!("\n  cause: {words}"));
        }
        next = cause.source();
    }
    text
}

fn error_json(kind: Kind, message: &str) -> String {
    json!({ "error": { "kind": kind.name(), "message": message } }).to_string()
}
