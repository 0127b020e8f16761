//! A log as a crash left it, and a new one.
//!
//! The last file is read to its end. Less than an entry there is what a write left that did not
//! end: it is cut off, and that is recorded, unless a checkpoint says that it was whole. Anything
//! else that is not what was written refuses the log, which stays as it is.

use std::fs::{self, TryLockError};
use std::path::Path;
use std::time::Duration;

use hitherto_core::{Error, Result};

use super::super::chain::{Chain, LogId};
use super::super::checkpoint::{Checkpoint, Found, read_all, read_signed, whole_bytes};
use super::super::file::{self, Appended};
use super::super::keys::{self, PublicKey};
use super::super::record::{Event, Record};
use super::super::segment::{self, Header, Opened, Reader, Step};
use super::Options;
use super::keeper::Keeper;
use super::tail::Tail;

const LOCK: &str = "lock";
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// The public key, for whoever checks the log and has noted its fingerprint.
const KEY: &str = "key.pem";

/// Opens the log of these options, or begins one.
pub fn open(options: &Options) -> Result<(Tail, Keeper)> {
    let (folder, key) = (&*options.folder, options.signer.public());
    file::make_folder(folder)?;
    let lock = lock(folder)?;
    let checkpoint = last_checkpoint(folder, key)?;
    let remembered = options.remembered.as_deref();
    let remembered = remembered.map(|note| remembered_of(note, key, folder)).transpose()?;
    let (tail, found) = match go_on(folder, checkpoint, remembered)? {
        Some(found) => found,
        None if checkpoint.is_none() && remembered.is_none() => {
            let path = folder.join(KEY);
            if !path.exists() {
                file::write_new(&path, key.to_pem().as_bytes())?;
            }
            (begin(folder)?, String::from("a new log"))
        }
        None => return Err(set_back(folder)),
    };
    let notes = notes(folder, tail.first)?;
    Ok((tail, Keeper::new(lock, notes, checkpoint, found)))
}

fn lock(folder: &Path) -> Result<fs::File> {
    let path = folder.join(LOCK);
    let lock = file::append(&path).map_err(|cause| Error::unwritable(path.display(), cause))?;
    let mut tries = 0;
    // A process that is being started has everything of its parent for a moment.
    while matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) && tries < LOCK_TRIES {
        std::thread::sleep(LOCK_PAUSE);
        tries += 1;
    }
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!(
            "another process writes the audit log {}; give each server a folder of its own, with \
             audit.folder of hitherto.yaml or --audit-folder",
            folder.display()
        ))),
        Err(TryLockError::Error(cause)) => Err(Error::unwritable(path.display(), cause)),
    }
}

/// Begins a log.
fn begin(folder: &Path) -> Result<Tail> {
    let log = LogId(keys::random()?);
    let header = Header { log, first: 0, before: Chain::begin(log) };
    Tail::begin(folder, header).map_err(|cause| Error::unwritable(folder.display(), cause))
}

/// The last checkpoint in the folder, if there is one.
fn last_checkpoint(folder: &Path, key: PublicKey) -> Result<Option<Checkpoint>> {
    let notes = read_all(folder, key)?;
    match notes.iter().rev().find(|(_, found)| !matches!(found, Found::Unfinished)) {
        None => Ok(None),
        Some((_, Found::Signed(last))) => Ok(Some(*last)),
        Some(_) => Err(Error::conflict(format!(
            "the last checkpoint of the audit log {} is not signed by the key of audit.keys; bring \
             the key back that signed it, or begin a log in another folder",
            folder.display()
        ))),
    }
}

fn remembered_of(note: &str, key: PublicKey, folder: &Path) -> Result<Checkpoint> {
    read_signed(note, key).ok_or_else(|| {
        Error::corrupt(format!(
            "the checkpoint of the audit log {} that was kept beside its key is not signed by it; \
             see who changed it, and remove it to go on without",
            folder.display()
        ))
    })
}

fn set_back(folder: &Path) -> Error {
    Error::corrupt(format!(
        "the audit log {} ends before what was signed of it: records were cut off, or an older \
         copy was put in its place; see `hitherto audit verify`, keep the folder as it is, and \
         begin a log in another",
        folder.display()
    ))
}

/// The last file, whole, and in what state it was found; `None` if there is none.
fn go_on(
    folder: &Path,
    checkpoint: Option<Checkpoint>,
    remembered: Option<Checkpoint>,
) -> Result<Option<(Tail, String)>> {
    let mut segments = segment::list(folder)?;
    while let Some(first) = segments.pop() {
        let path = segment::path_of(folder, first);
        let mut reader = match Reader::open(&path)? {
            Opened::Reader(reader) => reader,
            Opened::Unfinished => {
                // It was being made, and has no record.
                fs::remove_file(&path).map_err(|cause| Error::unwritable(path.display(), cause))?;
                continue;
            }
            Opened::Foreign => return Err(foreign(folder, first)),
        };
        let signed = [checkpoint, remembered];
        let signed: Vec<Checkpoint> = signed.into_iter().flatten().collect();
        let last = read_to_end(folder, &mut reader, &signed)?;
        let is_set_back =
            |one: &Checkpoint| one.records > reader.next || one.log != reader.header.log;
        if signed.iter().any(is_set_back) {
            return Err(set_back(folder));
        }
        let length = fs::metadata(&path).map_or(reader.offset, |found| found.len());
        let found = match (last, length - reader.offset) {
            (Some(Event::Stopped), 0) => String::from("closed"),
            (_, 0) => String::from("not closed"),
            (_, bytes) => format!("not closed, with {bytes} bytes of a record that were cut off"),
        };
        let behind = (reader.next, reader.chain, reader.offset);
        let tail = Tail::go_on(folder, reader.header, behind);
        let tail = tail.map_err(|cause| Error::unwritable(path.display(), cause))?;
        return Ok(Some((tail, found)));
    }
    Ok(None)
}

/// Reads a file to its end, past the checkpoints in it; what its last record is.
fn read_to_end(folder: &Path, reader: &mut Reader, signed: &[Checkpoint]) -> Result<Option<Event>> {
    let mut last = None;
    loop {
        let is_other = |one: &Checkpoint| one.records == reader.next && one.chain != reader.chain;
        if signed.iter().any(is_other) {
            return Err(foreign(folder, reader.next));
        }
        match reader.step()? {
            Step::Record => last = Record::decode(reader.body()).map(|record| record.event),
            Step::End | Step::Unfinished => return Ok(last),
            Step::Foreign => return Err(foreign(folder, reader.next)),
        }
    }
}

fn foreign(folder: &Path, record: u64) -> Error {
    Error::corrupt(format!(
        "the audit log {} is not as it was written, from record {record} on; see `hitherto audit \
         verify`, keep the folder as it is, and begin a log in another",
        folder.display()
    ))
}

/// The file of checkpoints beside a file of records, up to its last whole one.
fn notes(folder: &Path, first: u64) -> Result<Appended> {
    let path = segment::checkpoints_of(folder, first);
    let whole = file::read_if_any(&path)?.map_or(0, |text| whole_bytes(&text));
    let file = file::append(&path).map_err(|cause| Error::unwritable(path.display(), cause))?;
    Ok(Appended::new(file, whole))
}
