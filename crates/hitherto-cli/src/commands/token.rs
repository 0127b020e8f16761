//! `hitherto token`: whom a server answers, by what they show.
//!
//! The file is the server's, which takes what changes in it while it runs; no server is asked
//! here. Its owner and group alone read it, and it says of a token no more than its digest.

use std::fmt;
use std::fs::{File as Opened, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hitherto_api::SubjectKind;
use hitherto_api::pem::File;
use hitherto_core::name::suggestion;
use hitherto_core::time::{format_timestamp, parse_duration, parse_timestamp};
use hitherto_core::{Error, Result};
use hitherto_engine::disk::{check_secret, unreadable, unwritable, write_whole};
use hitherto_trust::identity::token::{self, Digest, SECRET_BYTES};
use hitherto_trust::identity::tokens::{Entry, entries};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use crate::grid::{Grid, Side};
use crate::session::{Session, wall_clock};

/// Make, list and take back tokens of a server's callers
///
/// A server that has a file of tokens (server.tokenFile of hitherto.yaml, or --token-file)
/// answers those who show one of them. The file says of each whose it is and until when, and
/// keeps no more of it than its SHA-256. Servers look at the file twice a second.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto token make serving-prod --role serving\n  \
    hitherto token make nightly-etl --expires 30d --token-file tokens\n  \
    hitherto token list\n  \
    hitherto token revoke nightly-etl")]
pub struct Tokens {
    /// The file; otherwise server.tokenFile of hitherto.yaml
    #[arg(long, global = true, value_name = "FILE", env = "HITHERTO_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
enum Action {
    Make(Make),
    /// Show whose tokens there are, and until when
    List,
    /// Take a token back: who shows it is denied within a second, on running streams too
    Revoke {
        /// Whose
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Make a token, write its line and show the token, this once
#[derive(Debug, Args)]
struct Make {
    /// Whose it is: callers are known as token/NAME
    #[arg(value_name = "NAME")]
    name: String,
    /// When it ceases to count: a time, how long it is until then, or never
    #[arg(long, value_name = "TIME", default_value = "90d")]
    expires: String,
    /// A role that comes with it; more than one by commas, or again
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    role: Vec<String>,
    /// A purpose that it is for alone; more than one by commas, or again
    #[arg(long, value_name = "PURPOSE", value_delimiter = ',')]
    purpose: Vec<String>,
    /// It is a person's, and not a program's
    #[arg(long)]
    person: bool,
}

impl Tokens {
    /// Does it.
    ///
    /// # Errors
    /// `Invalid` when no file is named, others can read it, or a line is none; `Conflict` for a
    /// name that another token has; `NotFound` for one that none has; `Unavailable` when the
    /// file cannot be read or written.
    pub fn run(self, session: &Session) -> Result<()> {
        let of_server = session.config()?.server.within(session.root()).token_file;
        let file = self.token_file.or(of_server).ok_or_else(|| {
            Error::invalid(
                "no file of tokens is named; set server.tokenFile in hitherto.yaml, or name one \
                 with --token-file",
            )
        })?;
        check_secret(&file)?;
        match self.action {
            Action::Make(make) => make.run(session, &file),
            Action::List => {
                let tokens = read(&file)?.iter().map(Shown::new).collect();
                session.output().result(&List(tokens))
            }
            Action::Revoke { name } => revoke(session, &file, &name),
        }
    }
}

impl Make {
    fn run(self, session: &Session, file: &Path) -> Result<()> {
        let Self { name, expires, role, purpose, person } = self;
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).map_err(|_| {
            Error::unavailable("the system has no randomness for a token; try again")
        })?;
        let token = token::make(&name, &secret);
        let kind = if person { SubjectKind::Person } else { SubjectKind::Workload };
        let entry = Entry {
            kind,
            expires: until(&expires, wall_clock())?,
            roles: role,
            purposes: purpose,
            ..Entry::new(&name, Digest::of(token.as_bytes()))
        };
        entry.check()?;
        if read_if_there(file)?.iter().any(|other| other.name == name) {
            return Err(Error::conflict(format!(
                "there is a token {name:?} already; take it back with `hitherto token revoke \
                 {name}`, or choose another name for both to count"
            )));
        }
        append(file, &entry.to_string()).map_err(|cause| unwritable(file, cause))?;
        session
            .output()
            .say(format!("token/{name} is in {}; the token is shown this once", file.display()));
        let expires = entry.expires.map(format_timestamp);
        session.output().result(&Made { token, subject: format!("token/{name}"), expires })
    }
}

/// When it ceases to count.
fn until(expires: &str, now: i64) -> Result<Option<i64>> {
    if expires == "never" {
        return Ok(None);
    }
    if let Ok(duration) = parse_duration(expires) {
        return Ok(Some(now.saturating_add(duration)));
    }
    let at = parse_timestamp(expires).map_err(|_| {
        Error::invalid(format!(
            "--expires is {expires:?}; write a time such as 2027-06-01, how long it is until then \
             such as 90d, or never"
        ))
    })?;
    match at > now {
        true => Ok(Some(at)),
        false => Err(Error::invalid(format!(
            "--expires {expires} has passed, so that nobody could use the token; write a later \
             time"
        ))),
    }
}

fn read(file: &Path) -> Result<Vec<Entry>> {
    entries(&File::read(file.to_owned())?)
}

fn read_if_there(file: &Path) -> Result<Vec<Entry>> {
    match file.try_exists() {
        Ok(false) => Ok(Vec::new()),
        Ok(true) => read(file),
        Err(cause) => Err(unreadable(file, cause)),
    }
}

/// Writes one line behind the others, at once: a server that reads meanwhile reads lines.
fn append(file: &Path, line: &str) -> std::io::Result<()> {
    let is_ended = match std::fs::read(file) {
        Ok(content) => content.is_empty() || content.ends_with(b"\n"),
        Err(_) => true,
    };
    let line = format!("{}{line}\n", if is_ended { "" } else { "\n" });
    let mut opened: Opened = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    opened.write_all(line.as_bytes())?;
    opened.sync_all()
}

fn revoke(session: &Session, path: &Path, name: &str) -> Result<()> {
    let file = File::read(path.to_owned())?;
    let all = entries(&file)?;
    let names = || all.iter().map(|entry| entry.name.as_str());
    let gone = all.iter().find(|entry| entry.name == name).ok_or_else(|| {
        Error::not_found(format!("there is no token {name:?}{}", suggestion(name, names())))
    })?;
    if all.len() == 1 {
        return Err(Error::conflict(format!(
            "{name:?} is the only token, and a server takes no file without any; make another \
             first"
        )));
    }
    let is_gone = |line: &&[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        match gone.is_bare {
            true => Digest::of(first.as_bytes()) == gone.digest,
            false => first == name && words.next().is_some(),
        }
    };
    let lines = file.content.split_inclusive(|byte| *byte == b'\n');
    let kept: Vec<u8> = lines.filter(|line| !is_gone(line)).flatten().copied().collect();
    let found = std::fs::metadata(path).map_err(|cause| unreadable(path, cause))?;
    write_whole(path, &kept)?;
    // A group that may read it may go on.
    std::fs::set_permissions(path, found.permissions()).map_err(|cause| unwritable(path, cause))?;
    session.output().result(&Revoked { subject: format!("token/{name}") })
}

#[derive(Serialize)]
struct Made {
    token: String,
    subject: String,
    expires: Option<String>,
}

/// The token alone, so that a shell can take it.
impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token)
    }
}

#[derive(Serialize)]
struct Revoked {
    subject: String,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is taken back", self.subject)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct List(Vec<Shown>);

#[derive(Serialize)]
struct Shown {
    subject: String,
    kind: SubjectKind,
    expires: Option<String>,
    has_expired: bool,
    roles: Vec<String>,
    purposes: Vec<String>,
    /// Whether the file has the token itself.
    in_plain_text: bool,
}

impl Shown {
    fn new(entry: &Entry) -> Self {
        Self {
            subject: format!("token/{}", entry.name),
            kind: entry.kind,
            expires: entry.expires.map(format_timestamp),
            has_expired: entry.expires.is_some_and(|at| at <= wall_clock()),
            roles: entry.roles.clone(),
            purposes: entry.purposes.clone(),
            in_plain_text: entry.is_bare,
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["token", "of", "expires", "roles", "purposes", ""];
        let mut grid = Grid::new(columns.map(|name| (name, Side::Text)));
        for one in &self.0 {
            let note = match (one.has_expired, one.in_plain_text) {
                (true, _) => "has expired",
                (false, true) => "in plain text",
                (false, false) => "",
            };
            grid.row([
                one.subject.clone(),
                one.kind.name().to_owned(),
                one.expires.clone().unwrap_or_else(|| String::from("never")),
                one.roles.join(", "),
                one.purposes.join(", "),
                note.to_owned(),
            ]);
        }
        grid.fmt(f)
    }
}
