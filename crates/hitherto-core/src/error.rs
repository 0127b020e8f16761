//! Eight kinds of error, each of which tells the caller what to do next.
//!
//! There is one public error type for the whole workspace, because the kind is
//! what every edge (gRPC, HTTP, exit code, Python) needs and nothing else about
//! an error crosses a crate boundary. The cause is kept as `source`, never
//! flattened into the message. The table from kind to edge is [`Kind::ALL`]
//! with the functions beside it; no other place decides a code.

use std::fmt;

/// What to do about stored rows of a view that are damaged. Their facts are in its source and
/// in files of pushed facts.
pub const ROWS_ANEW: &str = "restore a backup, or build the view anew with `hitherto materialize \
                             VIEW --full` (in Python store.materialize([VIEW], full=True))";

/// What was behind an error, of any library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request or definition is wrong: fix it.
    Invalid,
    /// The named thing is not there: name another, or create it.
    NotFound,
    /// Somebody else got there first: look again and retry.
    Conflict,
    /// One end does not trust the other: bring a token or certificate that it knows.
    Denied,
    /// The caller is known and may not do this: ask whoever grants it.
    Forbidden,
    /// Not now: back off and retry.
    Unavailable,
    /// Stored bytes are not what was written: stop and restore.
    Corrupt,
    /// A bug or an unforeseen failure: report it.
    Internal,
}

impl Kind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Kind; 8] = [
        Kind::Invalid,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Denied,
        Kind::Forbidden,
        Kind::Unavailable,
        Kind::Corrupt,
        Kind::Internal,
    ];

    /// The kind's stable name, as it appears in JSON output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Denied => "denied",
            Kind::Forbidden => "forbidden",
            Kind::Unavailable => "unavailable",
            Kind::Corrupt => "corrupt",
            Kind::Internal => "internal",
        }
    }

    /// The exit code of the command line. 2 is also what a wrong option gives.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Internal => 1,
            Kind::Invalid => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 4,
            Kind::Unavailable => 5,
            Kind::Corrupt => 6,
            Kind::Denied => 7,
            Kind::Forbidden => 8,
        }
    }

    /// The canonical gRPC status code.
    pub const fn grpc_code(self) -> i32 {
        match self {
            Kind::Invalid => 3,
            Kind::NotFound => 5,
            Kind::Forbidden => 7,
            Kind::Conflict => 10,
            Kind::Internal => 13,
            Kind::Unavailable => 14,
            Kind::Corrupt => 15,
            Kind::Denied => 16,
        }
    }

    /// The kind that a gRPC status code stands for; the inverse of
    /// [`Kind::grpc_code`], total because a server may be anybody's.
    pub const fn from_grpc_code(code: i32) -> Kind {
        match code {
            3 | 9 | 11 => Kind::Invalid,
            5 => Kind::NotFound,
            6 | 10 => Kind::Conflict,
            7 => Kind::Forbidden,
            16 => Kind::Denied,
            1 | 4 | 8 | 14 => Kind::Unavailable,
            15 => Kind::Corrupt,
            _ => Kind::Internal,
        }
    }

    /// The HTTP status code.
    pub const fn http_status(self) -> u16 {
        match self {
            Kind::Invalid => 400,
            Kind::Denied => 401,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::Unavailable => 503,
            Kind::Corrupt | Kind::Internal => 500,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error with its kind, a message for a person and the cause.
///
/// A message names the thing, says what was expected and what was found, and
/// what to do; lower case, no full stop.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Cause>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The request or definition is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The named thing is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Somebody else holds or changed it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// One end does not trust the other.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, message)
    }

    /// The caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// It may work later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A file or folder cannot be read: its path, or what it is called.
    pub fn unreadable(what: impl fmt::Display, cause: impl Into<Cause>) -> Self {
        Error::unavailable(format!(
            "{what} cannot be read; see that it is there, and that this user may read it"
        ))
        .with_source(cause)
    }

    /// A file or folder cannot be written: its path, or what it is called.
    pub fn unwritable(what: impl fmt::Display, cause: impl Into<Cause>) -> Self {
        Error::unavailable(format!(
            "{what} cannot be written; see that its folder is there, has room, and lets this user \
             write"
        ))
        .with_source(cause)
    }

    /// The system grants no more threads.
    pub fn no_threads(cause: std::io::Error) -> Self {
        Error::unavailable(
            "the system grants no threads; raise their limit, for example with `ulimit -u`",
        )
        .with_source(cause)
    }

    /// Stored bytes are wrong.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// A bug or an unforeseen failure.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// The same error with its cause attached.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error for another who waits for it; its causes become part of the
    /// message.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.kind, self.chain())
    }

    /// What the caller should do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message followed by every cause that adds something to it.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let words = cause.to_string();
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            next = cause.source();
        }
        text
    }
}
