//! Signed notes of how far the chain was.
//!
//! ```text
//! hitherto-audit/<log>                                          which log
//! <records>                                                     how many
//! <chain in base64>                                             the hash of all of them
//! checkpoint <number> at <time>                                 the how manieth, and when
//!                                                               an empty line
//! — hitherto-audit/<log> <base64 of key id 4 B | signature 64 B>
//!                                                               an empty line
//! ```
//!
//! The first four lines, with their ends, are what is signed: a signed note as transparency logs
//! have them, so that others' tools read it. Numbers go on without a gap, so that a note that
//! was taken out is missed.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hitherto_core::Result;
use hitherto_core::time::{format_timestamp, parse_timestamp};

use super::chain::{Chain, LogId};
use super::keys::{PublicKey, Signer};
use super::{file, segment};

/// How the name of a log begins.
const ORIGIN: &str = "hitherto-audit/";
/// Lines of a note.
const LINES: usize = 7;
const SIGNED_LINES: usize = 4;

/// How far a log was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub(super) log: LogId,
    pub(super) chain: Chain,
    /// The how manieth of its log, from 0.
    pub number: u64,
    /// Records before it.
    pub records: u64,
    /// When, microseconds UTC.
    pub time: i64,
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        let Self { log, chain, number, records, time } = self;
        let (chain, time) = (BASE64_STANDARD.encode(chain.0), format_timestamp(*time));
        format!("{ORIGIN}{log}\n{records}\n{chain}\ncheckpoint {number} at {time}\n")
    }

    /// The whole note.
    pub(super) fn sign(&self, signer: &Signer) -> String {
        let (text, name) = (self.text(), format!("{ORIGIN}{}", self.log));
        let id = signer.public().note_id(&name);
        let signature = [&id[..], &signer.sign(text.as_bytes())].concat();
        format!("{text}\n— {name} {}\n\n", BASE64_STANDARD.encode(signature))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut log = [0; 16];
        let hex = lines.next()?.strip_prefix(ORIGIN)?;
        for (index, byte) in log.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        let records = lines.next()?.parse().ok()?;
        let chain = Chain(BASE64_STANDARD.decode(lines.next()?).ok()?.try_into().ok()?);
        let (number, time) = lines.next()?.strip_prefix("checkpoint ")?.split_once(" at ")?;
        let (number, time) = (number.parse().ok()?, parse_timestamp(time).ok()?);
        let found = Self { log: LogId(log), chain, number, records, time };
        (found.text() == text).then_some(found)
    }
}

/// A note as it was found.
#[derive(Debug)]
pub enum Found {
    /// Signed by the key.
    Signed(Checkpoint),
    /// Not by the key, or no note.
    Foreign,
    /// Less than a note, at the end: as a write leaves it that did not end.
    Unfinished,
}

/// The notes in a text, in order.
fn notes(text: &str, key: PublicKey) -> impl Iterator<Item = Found> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.match_indices('\n').map(|(at, _)| at + 1).take(LINES);
        let ends: Vec<usize> = ends.collect();
        let Some(end) = ends.get(LINES - 1) else {
            rest = "";
            return Some(Found::Unfinished);
        };
        let (note, after) = rest.split_at(*end);
        rest = after;
        Some(check(note, ends[SIGNED_LINES - 1], key).map_or(Found::Foreign, Found::Signed))
    })
}

/// How much of a text is whole notes.
pub fn whole_bytes(text: &str) -> u64 {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let lines = ends.len() - ends.len() % LINES;
    lines.checked_sub(1).map_or(0, |last| ends[last] as u64)
}

/// The checkpoint of one note, if the key has signed it.
fn check(note: &str, signed: usize, key: PublicKey) -> Option<Checkpoint> {
    let (text, rest) = note.split_at_checked(signed)?;
    let checkpoint = Checkpoint::parse(text)?;
    let name = format!("{ORIGIN}{}", checkpoint.log);
    let signature = rest.strip_prefix(&format!("\n— {name} "))?.strip_suffix("\n\n")?;
    let signature = BASE64_STANDARD.decode(signature).ok()?;
    let (id, signature) = signature.split_at_checked(4)?;
    let is_signed = id == key.note_id(&name) && key.has_signed(text.as_bytes(), signature);
    is_signed.then_some(checkpoint)
}

/// The first note of a text, such as one that was put aside, if the key has signed it.
pub fn read_signed(text: &str, key: PublicKey) -> Option<Checkpoint> {
    match notes(text, key).next() {
        Some(Found::Signed(checkpoint)) => Some(checkpoint),
        _ => None,
    }
}

/// The notes of all files of checkpoints, each with the number that names its file.
///
/// # Errors
/// `Unavailable` when a file cannot be read.
pub fn read_all(folder: &Path, key: PublicKey) -> Result<Vec<(u64, Found)>> {
    let mut all = Vec::new();
    for first in segment::list_checkpoints(folder)? {
        let text = file::read_if_any(&segment::checkpoints_of(folder, first))?.unwrap_or_default();
        all.extend(notes(&text, key).map(|found| (first, found)));
    }
    Ok(all)
}
