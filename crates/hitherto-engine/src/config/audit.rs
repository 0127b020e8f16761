//! Settings of the audit log.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hitherto_core::time::{format_duration, parse_duration};
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a server records of its calls, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AuditConfig {
    /// Whether calls are recorded, and what is done about those that cannot be.
    pub level: AuditLevel,
    /// The folder of the log, relative to the repository; no two servers have one together.
    pub folder: PathBuf,
    /// The folder of its keys, relative to the repository.
    pub keys: PathBuf,
    /// How often a checkpoint is signed.
    pub checkpoint: Span,
    /// For how long records are kept; without it for ever.
    pub retention: Option<Span>,
}

/// What is done about calls that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditLevel {
    /// No call is recorded.
    #[default]
    Off,
    /// They are answered all the same, and counted.
    BestEffort,
    /// They are refused.
    Strict,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            level: AuditLevel::Off,
            folder: PathBuf::from("audit"),
            keys: PathBuf::from("audit-keys"),
            checkpoint: Span(60_000_000),
            retention: None,
        }
    }
}

impl AuditConfig {
    /// The same, its folders named from where the process runs and not from the repository.
    pub fn within(self, root: &Path) -> Self {
        Self { folder: root.join(self.folder), keys: root.join(self.keys), ..self }
    }
}

/// A length of time, written `60s` or `6y`; longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(i64);

impl Span {
    /// In microseconds.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// As others take it.
    pub fn duration(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match parse_duration(text)? {
            0 => Err(Error::invalid("0s is no length of time; write 60s or 6y")),
            micros => Ok(Self(micros)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl TryFrom<String> for Span {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}
