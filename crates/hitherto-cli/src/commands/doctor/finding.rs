//! What a check says.

use std::fmt;

use hitherto_core::{Error, Kind};
use serde::Serialize;

/// What mends a store whose bytes are damaged.
const RESTORE: &str =
    "move the store's folder away, then hitherto restore FOLDER (docs/operate/backups.md)";

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The command, or the setting, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Works, and may surprise somebody.
    Odd,
    /// Something that was asked for will not work.
    Wrong,
}

impl Finding {
    /// As it should be.
    pub fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fine, found: found.into(), mend: None }
    }

    /// Works, and may surprise somebody.
    pub fn odd(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        let (found, mend) = (found.into(), Some(mend.into()));
        Self { check, verdict: Verdict::Odd, found, mend }
    }

    /// Something that was asked for will not work.
    pub fn wrong(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        let (found, mend) = (found.into(), Some(mend.into()));
        Self { check, verdict: Verdict::Wrong, found, mend }
    }

    /// An error: its message says what to do, unless what is stored is damaged.
    pub fn error(check: &'static str, error: &Error) -> Self {
        let mend = (error.kind() == Kind::Corrupt).then(|| RESTORE.to_owned());
        Self { check, verdict: Verdict::Wrong, found: error.chain(), mend }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Fine => "fine",
            Verdict::Odd => "odd",
            Verdict::Wrong => "WRONG",
        };
        let found = self.found.replace('\n', &format!("\n{:24}", ""));
        write!(f, "  {verdict:<6}{:<16}{found}", self.check)?;
        match &self.mend {
            Some(mend) => write!(f, "\n{:24}mend: {mend}", ""),
            None => Ok(()),
        }
    }
}
