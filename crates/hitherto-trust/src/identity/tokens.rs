//! The file that says whose tokens are: a line each, what is kept of the token and what comes
//! with it.
//!
//! ```text
//! # comment
//! serving-prod  sha256:5f0c...e1  workload  expires=2027-06-01  roles=serving  purposes=treatment
//! 0123456789abcdef0123456789abcdef          as earlier releases had it: the token itself
//! ```
//!
//! A token without a name is `line-N`, which is another caller once the line is another one. A
//! file that is read again keeps the callers of lines that stay as they are, and takes back
//! what the others gave ([`Tokens::after`]): so a line that is taken away ends streams too.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use hitherto_api::pem::File;
use hitherto_api::{Assurance, Caller, SubjectKind};
use hitherto_core::limits::{NAME_BYTES_MAX, ROLES_OF_CALLER_MAX, TOKENS_MAX};
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::{Error, Result, name};

use super::Refusal;
use super::token::{Digest, is_damaged};

/// Who vouches for the names of tokens.
const ISSUER: &str = "token";

/// What stands before a digest.
const SHA256: &str = "sha256:";

/// What names of tokens without a name begin with.
const LINE: &str = "line-";

/// Characters of a token: fewer could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is; unique in a file.
    pub name: String,
    /// What is kept of the token.
    pub digest: Digest,
    /// What its owner is.
    pub kind: SubjectKind,
    /// Until when it counts, in microseconds UTC; `None` for ever.
    pub expires: Option<i64>,
    /// Roles that come with it.
    pub roles: Vec<String>,
    /// Purposes that it is for alone; none for any.
    pub purposes: Vec<String>,
    /// Whether the line is the token itself.
    pub is_bare: bool,
}

/// The tokens of a file, of which a caller needs one.
#[derive(Debug)]
pub struct Tokens {
    callers: HashMap<Digest, Arc<Caller>>,
    bare: usize,
}

impl Tokens {
    /// Reads the only one of these files.
    ///
    /// # Errors
    /// Those of [`entries`]; `Invalid` when there is no token.
    pub fn parse(files: &[File]) -> Result<Self> {
        let mut all = Vec::new();
        for file in files {
            all.extend(entries(file)?);
            if all.is_empty() {
                return Err(Error::invalid(format!(
                    "{} has no token, so that nobody would be answered; make one with `hitherto \
                     token make NAME`",
                    file.path.display()
                )));
            }
        }
        let bare = all.iter().filter(|entry| entry.is_bare).count();
        let callers = all.into_iter().map(|entry| (entry.digest, Arc::new(entry.caller())));
        Ok(Self { callers: callers.collect(), bare })
    }

    /// Whose the token is that was shown, in the time of one digest.
    ///
    /// # Errors
    /// Why it does not count at `now`, in microseconds UTC.
    pub fn find(&self, shown: &[u8], now: i64) -> Result<&Arc<Caller>, Refusal> {
        match self.callers.get(&Digest::of(shown)) {
            Some(caller) => match caller.ended(now) {
                None => Ok(caller),
                Some(ended) => Err(Refusal::of_token(ended)),
            },
            None if shown.is_empty() => Err(Refusal::NoToken),
            None if is_damaged(shown) => Err(Refusal::MalformedToken),
            None => Err(Refusal::UnknownToken),
        }
    }

    /// The same, where these were the tokens before: who is as they were stays the same
    /// caller, and what the others showed is taken back.
    pub fn after(mut self, before: &Self) -> Self {
        for (digest, was) in &before.callers {
            match self.callers.get_mut(digest).filter(|now| now.is_as(was)) {
                Some(now) => *now = Arc::clone(was),
                None => was.revoke(),
            }
        }
        self
    }

    /// How many stand in the file themselves: whoever reads it can use them.
    pub fn bare(&self) -> usize {
        self.bare
    }
}

/// Reads all lines of a file, of which there may be none.
///
/// # Errors
/// `Invalid` with the line's number when one is neither a named digest nor a token that can be
/// sent and cannot be guessed, has a name that another has, or there are too many.
pub fn entries(file: &File) -> Result<Vec<Entry>> {
    let path = file.path.display();
    let (mut entries, mut names, mut digests) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (number, line) in (1..).zip(file.content.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let entry = entry(number, line);
        let entry = entry.map_err(|error| Error::invalid(format!("{path}:{number}: {error}")))?;
        if !names.insert(entry.name.clone()) || !digests.insert(entry.digest.0) {
            return Err(Error::invalid(format!(
                "{path}:{number}: another line has the same name or token; take one of them away"
            )));
        }
        entries.push(entry);
        if entries.len() > TOKENS_MAX {
            return Err(Error::invalid(format!(
                "{path} has more than {TOKENS_MAX} tokens; take away those that nobody uses"
            )));
        }
    }
    Ok(entries)
}

fn entry(number: usize, line: &[u8]) -> Result<Entry> {
    let text = str::from_utf8(line).unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(name), Some(digest)) if digest.starts_with(SHA256) => named(name, digest, words),
        _ => bare(number, line),
    }
}

/// A line that is the token itself.
fn bare(number: usize, token: &[u8]) -> Result<Entry> {
    if token.len() < TOKEN_BYTES_MIN || !token.iter().all(u8::is_ascii_graphic) {
        return Err(Error::invalid(format!(
            "a line is what `hitherto token make NAME` writes, or a token of at least \
             {TOKEN_BYTES_MIN} visible ASCII characters; make one with the former"
        )));
    }
    Ok(Entry { is_bare: true, ..Entry::new(&format!("{LINE}{number}"), Digest::of(token)) })
}

fn named<'l>(name: &str, digest: &str, rest: impl Iterator<Item = &'l str>) -> Result<Entry> {
    check_name(name)?;
    let digest = digest.strip_prefix(SHA256).and_then(Digest::parse).ok_or_else(|| {
        Error::invalid(
            "what stands behind sha256: is not the 64 digits of a digest; make the token again \
             with `hitherto token make NAME`",
        )
    })?;
    let mut entry = Entry::new(name, digest);
    let split = |list: &str| list.split(',').map(str::to_owned).collect();
    for word in rest {
        match word.split_once('=') {
            None if word == SubjectKind::Workload.name() => entry.kind = SubjectKind::Workload,
            None if word == SubjectKind::Person.name() => entry.kind = SubjectKind::Person,
            Some(("expires", time)) => entry.expires = Some(parse_timestamp(time)?),
            Some(("roles", list)) => entry.roles = split(list),
            Some(("purposes", list)) => entry.purposes = split(list),
            _ => {
                return Err(Error::invalid(format!(
                    "{word:?} is nothing that a line can have; write workload or person, \
                     expires=TIME, roles=A,B or purposes=A,B"
                )));
            }
        }
    }
    entry.check()?;
    Ok(entry)
}

/// Checks what a token can be called.
///
/// # Errors
/// `Invalid` with what to write.
fn check_name(name: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
        return Err(Error::invalid(format!(
            "{name:?} is no name for a token; write letters, digits, . _ and -, at most \
             {NAME_BYTES_MAX}"
        )));
    }
    if name.starts_with(LINE) {
        return Err(Error::invalid(format!(
            "names that begin with {LINE} are those of tokens without one; choose another"
        )));
    }
    Ok(())
}

impl Entry {
    /// A line for a program, with no role, for any purpose, for ever.
    pub fn new(name: &str, digest: Digest) -> Self {
        Self {
            name: name.to_owned(),
            digest,
            kind: SubjectKind::Workload,
            expires: None,
            roles: Vec::new(),
            purposes: Vec::new(),
            is_bare: false,
        }
    }

    /// Checks what a line may say.
    ///
    /// # Errors
    /// `Invalid` for names of the token, of roles or of purposes that are none, and too many.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        self.roles.iter().try_for_each(|role| name::check(role))?;
        self.purposes.iter().try_for_each(|purpose| check_purpose(purpose))?;
        if self.roles.len().max(self.purposes.len()) > ROLES_OF_CALLER_MAX {
            return Err(Error::invalid(format!(
                "token {:?} has more than {ROLES_OF_CALLER_MAX} roles or purposes; give it fewer",
                self.name
            )));
        }
        Ok(())
    }

    /// Who shows the token.
    fn caller(self) -> Caller {
        let shared = |names: Vec<String>| names.into_iter().map(Arc::from).collect();
        let mut caller = Caller::workload(ISSUER, &self.name, Assurance::SharedSecret);
        caller.subject.kind = self.kind;
        caller.not_after = self.expires;
        caller.roles = shared(self.roles);
        caller.purposes = (!self.purposes.is_empty()).then(|| shared(self.purposes));
        caller
    }
}

/// Checks what somebody can say that they ask for.
///
/// # Errors
/// `Invalid` with what to write.
pub fn check_purpose(purpose: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if purpose.is_empty() || purpose.len() > NAME_BYTES_MAX || !purpose.bytes().all(is_allowed) {
        return Err(Error::invalid(format!(
            "{purpose:?} is no purpose; write visible ASCII without commas and spaces, such as \
             treatment or research:IRB-2291, at most {NAME_BYTES_MAX} characters"
        )));
    }
    Ok(())
}

/// As it stands in the file.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, kind, expires, roles, purposes, .. } = self;
        write!(f, "{name} {SHA256}{} {}", digest.to_hex(), kind.name())?;
        if let Some(expires) = expires {
            write!(f, " expires={}", format_timestamp(*expires))?;
        }
        for (word, list) in [("roles", roles), ("purposes", purposes)] {
            if !list.is_empty() {
                write!(f, " {word}={}", list.join(","))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
