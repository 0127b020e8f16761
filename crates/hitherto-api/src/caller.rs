//! Who asks.
//!
//! A caller is made once for what was shown, be it a token, a certificate or nothing, and
//! shared by all requests that show it: no request allocates for whose it is.

use std::fmt;
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// By which name.
    pub subject: Subject,
}

/// A name, and who vouches for it. Equal ones are the same subject, whatever was shown, on
/// whatever connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Who vouches for the name: names of two issuers are two subjects.
    pub issuer: Arc<str>,
    /// Unique among those of its issuer.
    pub name: Arc<str>,
}

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// Nobody who is known.
    Anonymous,
    /// Somebody at a keyboard.
    Person,
    /// A program.
    Workload,
}

impl Caller {
    /// Whoever shows nothing where nothing is asked for.
    pub fn anonymous() -> Self {
        Self::new(SubjectKind::Anonymous, "nobody", "anonymous")
    }

    /// A program that showed what `issuer` gives out under `name`.
    pub fn workload(issuer: &str, name: &str) -> Self {
        Self::new(SubjectKind::Workload, issuer, name)
    }

    /// The user of a process that has the engine in it. The name guards against mistakes and
    /// is no boundary: who can read the store's files has what is in them.
    pub fn local(user: &str) -> Self {
        Self::new(SubjectKind::Person, "local", user)
    }

    fn new(kind: SubjectKind, issuer: &str, name: &str) -> Self {
        Self { subject: Subject { kind, issuer: issuer.into(), name: name.into() } }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { kind, issuer, name } = &self.subject;
        match kind {
            SubjectKind::Anonymous => f.write_str(name),
            SubjectKind::Person | SubjectKind::Workload => write!(f, "{issuer}/{name}"),
        }
    }
}
