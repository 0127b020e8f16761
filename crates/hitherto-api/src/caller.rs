//! Who asks.
//!
//! A caller is made once for what was shown, be it a token, a certificate or nothing, and
//! shared by all requests that show it: no request allocates for whose it is. What was shown
//! can cease to count while a stream goes on, so whoever serves one asks [`Caller::check`] for
//! each message.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Debug)]
pub struct Caller {
    /// By which name.
    pub subject: Subject,
    /// How well that is proven.
    pub assurance: Assurance,
    /// Roles that come with what was shown, by name.
    pub roles: Box<[Arc<str>]>,
    /// Purposes that it is for alone; `None` for any.
    pub purposes: Option<Box<[Arc<str>]>>,
    /// When it ceases to count, in microseconds UTC; `None` for never.
    pub not_after: Option<i64>,
    /// Whether it was taken back before.
    is_revoked: AtomicBool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// Nobody who is known.
    Anonymous,
    /// Somebody at a keyboard.
    Person,
    /// A program.
    Workload,
}

/// How well it is proven who asks; greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Not at all.
    None,
    /// By something that whoever has seen it could show.
    SharedSecret,
    /// By a key that is never sent.
    Key,
}

/// Why what was shown counts no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// What names the issuer of the names that a process gives itself.
const LOCAL: &str = "local";

/// What names the issuers of SPIFFE ids, of which each names its own.
pub const SPIFFE: &str = "spiffe";

impl Caller {
    /// Whoever shows nothing where nothing is asked for.
    pub fn anonymous() -> Self {
        Self::new(SubjectKind::Anonymous, "nobody", "anonymous", Assurance::None)
    }

    /// A program that showed what `issuer` gives out under `name`: with no role, for any
    /// purpose, for ever.
    pub fn workload(issuer: &str, name: &str, assurance: Assurance) -> Self {
        Self::new(SubjectKind::Workload, issuer, name, assurance)
    }

    /// The user of a process that has the engine in it. The name guards against mistakes and
    /// is no boundary: who can read the store's files has what is in them.
    pub fn local(user: &str) -> Self {
        Self::new(SubjectKind::Person, LOCAL, user, Assurance::SharedSecret)
    }

    fn new(kind: SubjectKind, issuer: &str, name: &str, assurance: Assurance) -> Self {
        Self {
            subject: Subject { kind, issuer: issuer.into(), name: name.into() },
            assurance,
            roles: Box::default(),
            purposes: None,
            not_after: None,
            is_revoked: AtomicBool::new(false),
        }
    }

    /// Takes back what was shown: from now on it counts for nobody who has it.
    pub fn revoke(&self) {
        self.is_revoked.store(true, Ordering::Relaxed);
    }

    /// Whether what was shown counts at `now`, in microseconds UTC, and if not, why.
    pub fn ended(&self, now: i64) -> Option<Ended> {
        match self.not_after {
            _ if self.is_revoked.load(Ordering::Relaxed) => Some(Ended::Revoked),
            Some(not_after) if now >= not_after => Some(Ended::Expired),
            _ => None,
        }
    }

    /// Refuses whom what was shown does not count for any more.
    ///
    /// # Errors
    /// `Denied` when it has expired by `now` or was taken back.
    pub fn check(&self, now: i64) -> Result<()> {
        match self.ended(now) {
            None => Ok(()),
            Some(Ended::Expired) => Err(Error::denied(format!(
                "what {self} showed expired at {}; show one that is still good, and ask for it \
                 whoever gave this one out",
                self.not_after.map_or_else(String::new, format_timestamp)
            ))),
            Some(Ended::Revoked) => Err(Error::denied(format!(
                "what {self} showed was taken back by whoever runs the server; ask there for \
                 another"
            ))),
        }
    }

    /// Whether it is the same subject with the same rights until the same time.
    pub fn is_as(&self, other: &Self) -> bool {
        self.subject == other.subject
            && self.assurance == other.assurance
            && self.roles == other.roles
            && self.purposes == other.purposes
            && self.not_after == other.not_after
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, issuer, name } = self;
        match kind {
            SubjectKind::Anonymous => f.write_str(name),
            _ if **issuer == *SPIFFE => write!(f, "{SPIFFE}://{name}"),
            SubjectKind::Person | SubjectKind::Workload => write!(f, "{issuer}/{name}"),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subject.fmt(f)
    }
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [SubjectKind; 3] =
        [SubjectKind::Anonymous, SubjectKind::Person, SubjectKind::Workload];

    /// In a sentence, and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            SubjectKind::Anonymous => "anonymous",
            SubjectKind::Person => "person",
            SubjectKind::Workload => "workload",
        }
    }
}

impl Assurance {
    /// All of them, the least first.
    pub const ALL: [Assurance; 3] = [Assurance::None, Assurance::SharedSecret, Assurance::Key];

    /// In a sentence, and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Assurance::None => "none",
            Assurance::SharedSecret => "shared_secret",
            Assurance::Key => "key",
        }
    }
}

/// What a caller is told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Who it is, with who vouches for that, such as `token/nightly-etl`.
    pub subject: String,
    /// What that is.
    pub kind: SubjectKind,
    /// How well that is proven.
    pub assurance: Assurance,
    /// Roles that come with what was shown.
    pub roles: Vec<String>,
    /// Purposes that it is for alone; `None` for any.
    pub purposes: Option<Vec<String>>,
    /// When it ceases to count, in microseconds UTC; `None` for never.
    pub expires: Option<i64>,
}

impl From<&Caller> for WhoAmI {
    fn from(caller: &Caller) -> Self {
        let owned = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        Self {
            subject: caller.to_string(),
            kind: caller.subject.kind,
            assurance: caller.assurance,
            roles: owned(&caller.roles),
            purposes: caller.purposes.as_deref().map(owned),
            expires: caller.not_after,
        }
    }
}
