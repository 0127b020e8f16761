//! Whether a log is what was written.
//!
//! Every byte is read: the chain is computed anew, and compared with every checkpoint that the
//! key has signed.
//!
//! ```text
//! edited, moved, put in      the tag of the first record that is not what was written
//! taken out, cut off         the chain, or a checkpoint of more records than there are
//! chain made anew            no checkpoint of it is signed
//! whole files taken          a gap, or no record that says that they were retired
//! set back to earlier        a checkpoint that was put aside: `Trusted::since`
//! ```

use std::path::Path;

use hitherto_core::{Error, Result};
use serde::Serialize;

use super::chain::{Chain, LogId};
use super::checkpoint::{Checkpoint, Found, read_all};
use super::keys::PublicKey;
use super::record::{Event, Record};
use super::segment::{self, Opened, Reader, Step};

/// What whoever checks a log takes for true.
#[derive(Clone, Copy, Debug)]
pub struct Trusted {
    /// The key that signs its checkpoints.
    pub key: PublicKey,
    /// A checkpoint of it that was put aside, elsewhere.
    pub since: Option<Checkpoint>,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The number of the first record that is there; others before it were retired.
    pub first: u64,
    /// Records up to the end, those before the first among them.
    pub records: u64,
    /// Files of records.
    pub files: u64,
    /// Checkpoints that the key has signed.
    pub checkpoints: u64,
    /// Records after the last of them, which nobody has signed yet.
    pub unsigned: u64,
    /// Whether bytes at the end are less than a record, as a crash leaves them.
    pub is_unfinished: bool,
    /// What is wrong, the first of it.
    pub problem: Option<Problem>,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Of which record it is, or of which on.
    pub record: u64,
    /// The file that it is in.
    pub file: String,
    /// Where that record begins in it.
    pub offset: u64,
    /// What was found.
    pub what: String,
}

/// Checks a log.
///
/// # Errors
/// `NotFound` when the folder has none, `Unavailable` when it cannot be read. What is wrong with
/// the log is in the report.
pub fn verify(folder: &Path, trusted: Trusted) -> Result<Report> {
    let segments = segment::list(folder)?;
    let notes = read_all(folder, trusted.key)?;
    if segments.is_empty() && notes.is_empty() {
        return Err(Error::not_found(format!(
            "there is no audit log in {}; name the folder that audit.folder of hitherto.yaml names",
            folder.display()
        )));
    }
    let mut check = Check::new(folder, &segments);
    let outcome = check.all(&segments, notes, trusted.since);
    match outcome {
        Ok(()) => {}
        Err(Stop::Found(problem)) => check.report.problem = Some(problem),
        Err(Stop::Failed(error)) => return Err(error),
    }
    Ok(check.report)
}

/// Why a check ends.
enum Stop {
    Found(Problem),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

struct Check<'f> {
    folder: &'f Path,
    report: Report,
    /// Where the walk is.
    log: Option<LogId>,
    chain: Option<Chain>,
    file: u64,
    offset: u64,
    /// The checkpoints, in order, of which `passed` are behind.
    signed: Vec<Checkpoint>,
    passed: usize,
    /// Up to where a record says that records were retired.
    retired: u64,
    /// What the last record is.
    last: Option<Event>,
}

impl<'f> Check<'f> {
    fn new(folder: &'f Path, segments: &[u64]) -> Self {
        let first = segments.first().copied().unwrap_or_default();
        Self {
            folder,
            report: Report { first, records: first, ..Report::default() },
            log: None,
            chain: None,
            file: first,
            offset: 0,
            signed: Vec::new(),
            passed: 0,
            retired: 0,
            last: None,
        }
    }

    fn all(
        &mut self,
        segments: &[u64],
        notes: Vec<(u64, Found)>,
        since: Option<Checkpoint>,
    ) -> Result<(), Stop> {
        self.take_notes(notes, since)?;
        for (index, first) in segments.iter().enumerate() {
            self.walk(*first, index + 1 == segments.len())?;
            self.report.files += 1;
        }
        self.end()
    }

    fn found(&self, what: impl Into<String>) -> Stop {
        let file = segment::path_of(self.folder, self.file);
        Stop::Found(Problem {
            record: self.report.records,
            file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            offset: self.offset,
            what: what.into(),
        })
    }

    /// Takes the signed notes in order, and refuses one that is not, or is missed.
    fn take_notes(
        &mut self,
        notes: Vec<(u64, Found)>,
        since: Option<Checkpoint>,
    ) -> Result<(), Stop> {
        let last = notes.len().saturating_sub(1);
        for (index, (file, found)) in notes.into_iter().enumerate() {
            let (number, before) = (self.signed.len() as u64, self.signed.last());
            match found {
                Found::Signed(next) => {
                    let goes_on = next.number == number
                        && before.is_none_or(|before| {
                            before.log == next.log && before.records <= next.records
                        });
                    if !goes_on {
                        return Err(self.found(format!(
                            "checkpoint {} follows where checkpoint {number} would: one was taken \
                             out, moved or put in",
                            next.number
                        )));
                    }
                    self.signed.push(next);
                }
                Found::Unfinished if index == last => {}
                Found::Foreign | Found::Unfinished => {
                    return Err(self.found(format!(
                        "checkpoint {number}, in {file:016x}.checkpoints, is not signed by this \
                         key, or was changed"
                    )));
                }
            }
        }
        self.report.checkpoints = self.signed.len() as u64;
        if self.signed.is_empty() {
            return Err(self.found("no checkpoint is there: each log has one from its beginning"));
        }
        match since {
            Some(kept) if !self.signed.contains(&kept) => Err(self.found(format!(
                "checkpoint {}, of {} records, is not there, and was put aside elsewhere: the log \
                 was set back or made anew",
                kept.number, kept.records
            ))),
            _ => Ok(()),
        }
    }

    fn walk(&mut self, first: u64, is_last: bool) -> Result<(), Stop> {
        (self.file, self.offset) = (first, 0);
        let mut reader = match Reader::open(&segment::path_of(self.folder, first))? {
            Opened::Reader(reader) => reader,
            Opened::Unfinished if is_last && self.is_behind_checkpoints() => {
                self.report.is_unfinished = true;
                return Ok(());
            }
            _ => return Err(self.found("its header is not what was written")),
        };
        self.enter(&reader)?;
        loop {
            let step = reader.step()?;
            match step {
                Step::Record => {
                    let record = Record::decode(reader.body())
                        .ok_or_else(|| self.found("a record that this release does not write"))?;
                    self.pass(&record, &reader)?;
                }
                Step::End => break,
                Step::Unfinished if is_last && self.is_behind_checkpoints() => {
                    if self.last == Some(Event::Stopped) {
                        return Err(self.found("bytes behind the record of the end"));
                    }
                    self.report.is_unfinished = true;
                    break;
                }
                Step::Unfinished | Step::Foreign => {
                    return Err(self.found("its bytes are not what was written there"));
                }
            }
        }
        let is_signed = self.signed[..self.passed]
            .last()
            .is_some_and(|last| last.records == self.report.records);
        match is_last || is_signed {
            true => Ok(()),
            false => Err(self.found("the file ends where no checkpoint does")),
        }
    }

    /// Whether all checkpoints are behind: what comes is signed by nobody.
    fn is_behind_checkpoints(&self) -> bool {
        self.passed == self.signed.len()
    }

    /// Goes from the files before into one.
    fn enter(&mut self, reader: &Reader) -> Result<(), Stop> {
        let header = reader.header;
        self.offset = reader.offset;
        if header.first != self.file || self.report.records != header.first {
            return Err(self.found(format!(
                "the file begins with record {}: records before it are gone, or it was moved",
                header.first
            )));
        }
        if self.log.is_some_and(|log| log != header.log) || self.signed[0].log != header.log {
            return Err(self.found("the file is another log's"));
        }
        let before = match (self.chain, header.first) {
            (Some(chain), _) => Some(chain),
            (None, 0) => Some(Chain::begin(header.log)),
            // Those before were retired, if the log says so: their last checkpoint stays.
            (None, first) => {
                let kept = self.signed.iter().rfind(|signed| signed.records == first);
                kept.map(|kept| kept.chain)
            }
        };
        if before != Some(header.before) {
            return Err(self.found("the file does not follow what is before it"));
        }
        (self.log, self.chain) = (Some(header.log), before);
        self.pass_checkpoints(header.first)
    }

    /// Goes past a record.
    fn pass(&mut self, record: &Record, reader: &Reader) -> Result<(), Stop> {
        if record.event == Event::Retired {
            self.retired = self.retired.max(record.count);
        }
        self.last = Some(record.event);
        (self.chain, self.report.records) = (Some(reader.chain), reader.next);
        self.pass_checkpoints(reader.next)?;
        self.offset = reader.offset;
        Ok(())
    }

    /// Compares the chain with the checkpoints of so many records.
    fn pass_checkpoints(&mut self, records: u64) -> Result<(), Stop> {
        while let Some(signed) = self.signed.get(self.passed) {
            match signed.records {
                of if of > records => break,
                of if of == records && self.chain != Some(signed.chain) => {
                    return Err(self.found(format!(
                        "records up to here are not those of checkpoint {}: the chain was made \
                         anew",
                        signed.number
                    )));
                }
                // Those of what was retired are compared with nothing any more.
                _ => self.passed += 1,
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let signed = self.signed.last().map_or(0, |last| last.records);
        if let Some(missed) = self.signed.get(self.passed) {
            return Err(self.found(format!(
                "the log ends with {} records, and checkpoint {} is of {}: records were cut off",
                self.report.records, missed.number, missed.records
            )));
        }
        if self.retired < self.report.first {
            return Err(self.found(format!(
                "records before {} are gone, and none says that they were retired",
                self.report.first
            )));
        }
        self.report.unsigned = self.report.records - signed;
        match self.last == Some(Event::Stopped) && self.report.unsigned > 0 {
            true => Err(self.found("the log was closed, and the checkpoint of its end is gone")),
            false => Ok(()),
        }
    }
}
