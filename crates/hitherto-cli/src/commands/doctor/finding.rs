//! What a check says.

use std::fmt;

use serde::Serialize;

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

    /// An error: its message says what to do.
    pub fn error(check: &'static str, error: &hitherto_core::Error) -> Self {
        Self { check, verdict: Verdict::Wrong, found: error.chain(), mend: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Fine => "fine",
            Verdict::Odd => "odd",
            Verdict::Wrong => "WRONG",
        };
        let found = self.found.replace('\n', &format!("\n{:22}", ""));
        write!(f, "  {verdict:<6}{:<14}{found}", self.check)?;
        match &self.mend {
            Some(mend) => write!(f, "\n{:22}mend: {mend}", ""),
            None => Ok(()),
        }
    }
}
