//! A state that many processes may change: each version is an object that never changes.
//!
//! A version is created under the next number, which one of those who try at once does; the
//! others are told which version came before theirs, and make theirs of that. Whether one's own
//! was created can always be found out, since it stays. `latest` says where to begin to look,
//! and may lag behind.
//!
//! ```text
//! object = a line of JSON { format, sequence, epoch, writer, before } | the state's bytes
//! ```
//!
//! `before` is the hash of the version before, so that versions are a chain. `epoch` counts
//! leaders: a leader that slept finds a version of a later epoch in its way, and is none.

use bytes::Bytes;
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::root::{Root, Token, Written};

const FORMAT: u32 = 1;
const LATEST: &str = "latest";

/// One version of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, ascending from one.
    pub sequence: u64,
    /// The number of leaders so far when it was written.
    pub epoch: u64,
    /// Who wrote it.
    pub writer: String,
    /// The state.
    pub state: Bytes,
    /// Of the whole object.
    hash: u128,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is the latest version now.
    Done(Version),
    /// Somebody else's version, and no other, came first: what it changes is to be changed
    /// anew.
    Lost(Version),
}

/// The versions of one state, as one process sees them.
pub struct Versions {
    root: Root,
    writer: String,
    latest: Option<Version>,
    /// What there is of the object `latest`.
    hint: Option<(u64, Token)>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    format: u32,
    sequence: u64,
    epoch: u64,
    writer: String,
    before: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Hint {
    format: u32,
    sequence: u64,
    hash: String,
    writer: String,
}

impl Versions {
    /// The versions below a folder. `writer` names this process and no other, not even one
    /// that ran in its place before.
    pub fn new(root: Root, writer: &str) -> Self {
        Self { root, writer: writer.to_owned(), latest: None, hint: None }
    }

    /// The latest version; `None` before the first. Looks for later ones than it has seen.
    ///
    /// # Errors
    /// `Corrupt` when a version is not the one that its follower names; `Invalid` when a newer
    /// release wrote it; `Unavailable` when the store does not answer.
    pub fn latest(&mut self) -> Result<Option<&Version>> {
        if self.latest.is_none() {
            self.begin()?;
        }
        while let Some(next) = self.read_next()? {
            self.latest = Some(next);
        }
        Ok(self.latest.as_ref())
    }

    /// Makes a state the version after the one that was seen last; of a leader's `epoch`.
    ///
    /// # Errors
    /// `Conflict` when a leader of a later epoch has written; otherwise as [`Versions::latest`],
    /// and after `Unavailable` the version may show yet: see what is the latest then.
    pub fn commit(&mut self, state: &[u8], epoch: u64) -> Result<Committed> {
        if self.latest.as_ref().is_some_and(|latest| latest.epoch > epoch) {
            return Err(self.led_by_another());
        }
        let sequence = self.next();
        let before = self.latest.as_ref().map(|latest| hex(latest.hash));
        let line = Line { format: FORMAT, sequence, epoch, writer: self.writer.clone(), before };
        let mut bytes = serde_json::to_vec(&line).map_err(|cause| {
            Error::internal("a version cannot be written as JSON").with_source(cause)
        })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(state);
        let bytes = Bytes::from(bytes);
        match self.root.create(&name_of(sequence), bytes.clone())? {
            Written::Done(_) => {
                let version = self.parse(sequence, &bytes)?;
                self.latest = Some(version.clone());
                self.tell_latest(&version);
                Ok(Committed::Done(version))
            }
            Written::Lost => {
                let other = self.read_next()?.ok_or_else(|| self.missing(sequence))?;
                self.latest = Some(other.clone());
                match other.epoch > epoch {
                    true => Err(self.led_by_another()),
                    false => Ok(Committed::Lost(other)),
                }
            }
        }
    }

    /// Finds where to begin.
    fn begin(&mut self) -> Result<()> {
        let Some(stored) = self.root.read(LATEST)? else { return Ok(()) };
        let hint: Hint = serde_json::from_slice(&stored.bytes).map_err(|cause| {
            Error::corrupt(format!(
                "{}/{LATEST} is damaged; remove it, and it is found anew",
                self.root.url()
            ))
            .with_source(cause)
        })?;
        check_format(hint.format, &self.root)?;
        let sequence = hint.sequence;
        let version = self.read_version(sequence)?.ok_or_else(|| self.missing(sequence))?;
        if hex(version.hash) != hint.hash {
            return Err(self.broken(sequence));
        }
        self.hint = Some((sequence, stored.token));
        self.latest = Some(version);
        Ok(())
    }

    /// Notes where to begin, if nobody has noted a later version. Nothing depends on it.
    fn tell_latest(&mut self, version: &Version) {
        let hint = Hint {
            format: FORMAT,
            sequence: version.sequence,
            hash: hex(version.hash),
            writer: self.writer.clone(),
        };
        let Ok(bytes) = serde_json::to_vec(&hint) else { return };
        let written = match &self.hint {
            Some((_, token)) => self.root.replace(LATEST, bytes.into(), token),
            None => self.root.create(LATEST, bytes.into()),
        };
        match written {
            Ok(Written::Done(token)) => self.hint = Some((version.sequence, token)),
            Ok(Written::Lost) => self.see_hint(),
            Err(error) => tracing::debug!(%error, "where to look for the latest was not noted"),
        }
    }

    /// Sees whose note is there, so that the next one can be written over it.
    fn see_hint(&mut self) {
        if let Ok(Some(stored)) = self.root.read(LATEST)
            && let Ok(hint) = serde_json::from_slice::<Hint>(&stored.bytes)
        {
            self.hint = Some((hint.sequence, stored.token));
        }
    }

    fn next(&self) -> u64 {
        self.latest.as_ref().map_or(1, |latest| latest.sequence + 1)
    }

    /// The version after the one that was seen last, if there is one.
    fn read_next(&self) -> Result<Option<Version>> {
        let sequence = self.next();
        let Some(stored) = self.root.read(&name_of(sequence))? else { return Ok(None) };
        let line = self.line(sequence, &stored.bytes)?.0;
        if line.before != self.latest.as_ref().map(|latest| hex(latest.hash)) {
            return Err(self.broken(sequence));
        }
        self.parse(sequence, &stored.bytes).map(Some)
    }

    fn read_version(&self, sequence: u64) -> Result<Option<Version>> {
        let stored = self.root.read(&name_of(sequence))?;
        stored.map(|stored| self.parse(sequence, &stored.bytes)).transpose()
    }

    fn parse(&self, sequence: u64, bytes: &Bytes) -> Result<Version> {
        let (line, state) = self.line(sequence, bytes)?;
        let (epoch, writer) = (line.epoch, line.writer);
        Ok(Version { sequence, epoch, writer, state, hash: xxh3_128(bytes) })
    }

    fn line(&self, sequence: u64, bytes: &Bytes) -> Result<(Line, Bytes)> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.broken(sequence))?;
        let line: Line = serde_json::from_slice(&bytes[..end])
            .map_err(|cause| self.broken(sequence).with_source(cause))?;
        check_format(line.format, &self.root)?;
        match line.sequence == sequence {
            true => Ok((line, bytes.slice(end + 1..))),
            false => Err(self.broken(sequence)),
        }
    }

    fn led_by_another(&self) -> Error {
        Error::conflict(format!(
            "another server leads {} since; send the change there",
            self.root.url()
        ))
    }

    fn missing(&self, sequence: u64) -> Error {
        Error::corrupt(format!(
            "{}/{} is gone; bring it back from the store's earlier versions",
            self.root.url(),
            name_of(sequence)
        ))
    }

    fn broken(&self, sequence: u64) -> Error {
        Error::corrupt(format!(
            "{}/{} is not as it was written; bring it back from the store's earlier versions",
            self.root.url(),
            name_of(sequence)
        ))
    }
}

fn name_of(sequence: u64) -> String {
    format!("versions/{sequence:020}")
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}

fn check_format(format: u32, root: &Root) -> Result<()> {
    match format {
        FORMAT => Ok(()),
        _ => Err(Error::invalid(format!(
            "what is in {} has format {format}, this release reads up to {FORMAT}; use the release \
             that wrote it",
            root.url()
        ))),
    }
}
