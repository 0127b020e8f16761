//! The thread that keeps a log: the disk, checkpoints, files, and what goes after its time.

#![allow(clippy::disallowed_methods, reason = "it wakes up by itself, and measures the clock")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Result as IoResult;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hitherto_core::limits::{CLOCK_JUMP_MICROS_MAX, CLOCK_TRUST_MICROS};
use hitherto_core::time::format_duration;
use hitherto_core::{Error, Result};

use super::super::checkpoint::{Checkpoint, Found, read_all};
use super::super::file::{self, Appended};
use super::super::record::{Event, Record};
use super::super::retention::{self, Hold};
use super::super::segment::{self, HEADER_BYTES};
use super::tail::Tail;
use super::{Queue, Shared};

/// How long the disk may not have what the kernel has.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);
/// How often it looks around where nothing happens.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks for what goes.
const RETIRE_INTERVAL: Duration = Duration::from_secs(60);
/// After which a file is closed, however small.
const FILE_AGE_MAX: Duration = Duration::from_secs(86_400);
/// By how much the clock may go another way than time before that is recorded.
const STEP_MICROS_MAX: i64 = 1_000_000;

/// What the keeper of a log has.
pub struct Keeper {
    /// Nobody else writes the log while it is there.
    _lock: File,
    notes: Appended,
    signed: Option<Checkpoint>,
    signed_at: Option<Instant>,
    /// How the log was found.
    found: String,
    file_begun: Instant,
    looked: Option<Instant>,
    retired: Instant,
    /// Clock and time when they were last compared.
    clock: Option<(i64, Instant)>,
    /// The clock is not believed before then.
    doubted_until: Option<Instant>,
    holds: BTreeMap<String, Hold>,
    has_failed: bool,
}

impl Keeper {
    pub fn new(lock: File, notes: Appended, signed: Option<Checkpoint>, found: String) -> Self {
        let now = Instant::now();
        Self {
            _lock: lock,
            notes,
            signed,
            signed_at: None,
            found,
            file_begun: now,
            looked: None,
            retired: now,
            clock: None,
            doubted_until: None,
            holds: BTreeMap::new(),
            has_failed: false,
        }
    }

    /// When the last checkpoint was signed.
    pub fn signed_at(&self) -> i64 {
        self.signed.map_or(0, |last| last.time)
    }

    /// Records how the log was found, and signs that.
    pub fn begin(&mut self, shared: &Shared) -> Result<()> {
        let now = shared.now();
        if self.signed.is_some_and(|last| now > last.time + CLOCK_JUMP_MICROS_MAX) {
            self.doubt();
        }
        let found = mem::take(&mut self.found);
        let begun = self.put(shared, &Record::of(Event::Started, now, 0, found));
        begun
            .and_then(|()| self.sync(shared))
            .and_then(|()| self.sign(shared))
            .map_err(|cause| Error::unwritable(shared.options.folder.display(), cause))
    }

    /// Keeps the log until its end.
    pub fn run(mut self, shared: &Shared) {
        loop {
            let is_over = self.wait(shared);
            let kept = self.keep(shared, is_over);
            if kept.is_err() != self.has_failed {
                self.has_failed = kept.is_err();
                match &kept {
                    Err(cause) => tracing::error!(%cause, "the audit log cannot be kept"),
                    Ok(()) => tracing::info!("the audit log is kept again"),
                }
            }
            if is_over {
                return;
            }
        }
    }

    /// Waits for something to do; whether it is the end.
    fn wait(&self, shared: &Shared) -> bool {
        let mut queue = shared.queue.lock();
        if !queue.is_over && queue.lengths.is_empty() && !shared.state.lock().is_dirty {
            shared.wake.wait_for(&mut queue, LOOK_INTERVAL);
        }
        if !queue.is_over {
            // What comes in the meantime goes to the disk together.
            shared.wake.wait_for(&mut queue, SYNC_INTERVAL);
        }
        queue.is_over
    }

    fn keep(&mut self, shared: &Shared, is_over: bool) -> IoResult<()> {
        shared.look_whether_full();
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL);
        let looked = match is_over || is_due {
            true => self.look_around(shared),
            false => Ok(()),
        };
        self.keep_up(shared, is_over)?;
        // What is odd around the log keeps nothing from being written.
        looked?;
        if self.retired.elapsed() >= RETIRE_INTERVAL || is_over {
            self.retired = Instant::now();
            self.retire(shared)?;
        }
        Ok(())
    }

    /// Brings to the disk what was recorded, signs it, and begins a file where it is time.
    fn keep_up(&mut self, shared: &Shared, is_over: bool) -> IoResult<()> {
        self.drain(shared)?;
        if is_over {
            self.put(shared, &Record::of(Event::Stopped, shared.now(), 0, ""))?;
        }
        self.sync(shared)?;
        let is_due = |at: Instant| at.elapsed() >= shared.options.checkpoint;
        if is_over || self.signed_at.is_none_or(is_due) {
            self.sign(shared)?;
        }
        let bytes = shared.state.lock().tail.appended.bytes;
        let is_old = self.file_begun.elapsed() >= FILE_AGE_MAX && bytes > HEADER_BYTES as u64;
        if !is_over && (bytes >= shared.options.file_bytes || is_old) {
            self.begin_file(shared)?;
        }
        Ok(())
    }

    fn put(&self, shared: &Shared, record: &Record) -> IoResult<()> {
        shared.state.lock().put(shared, &[&record.encode()])
    }

    /// Writes what waits in the queue; what cannot be written waits on.
    fn drain(&self, shared: &Shared) -> IoResult<()> {
        let Queue { bodies, lengths, dropped, .. } = {
            let mut queue = shared.queue.lock();
            let is_over = queue.is_over;
            mem::replace(&mut *queue, Queue { is_over, ..Queue::default() })
        };
        if lengths.is_empty() && dropped == 0 {
            return Ok(());
        }
        let note = Record::of(Event::Dropped, shared.now(), dropped, "").encode();
        let mut all: Vec<&[u8]> = Vec::with_capacity(lengths.len() + 1);
        let mut rest = &bodies[..];
        for length in &lengths {
            let (body, after) = rest.split_at(*length as usize);
            all.push(body);
            rest = after;
        }
        all.extend((dropped > 0).then_some(&note[..]));
        let mut state = shared.state.lock();
        let written = state.tail.put(all.iter().copied());
        shared.has_failed.store(written.is_err(), Ordering::Relaxed);
        shared.records.store(state.tail.records, Ordering::Relaxed);
        state.is_dirty |= written.is_ok();
        drop(state);
        if written.is_err() {
            let mut queue = shared.queue.lock();
            // What came meanwhile stands behind them.
            let later = mem::take(&mut *queue);
            queue.is_over = later.is_over;
            queue.dropped = dropped + later.dropped;
            queue.bodies = [bodies, later.bodies].concat();
            queue.lengths = [lengths, later.lengths].concat();
        }
        written
    }

    /// Waits for the disk, if it does not have everything.
    fn sync(&self, shared: &Shared) -> IoResult<()> {
        let file = {
            let mut state = shared.state.lock();
            if !mem::replace(&mut state.is_dirty, false) {
                return Ok(());
            }
            Arc::clone(&state.tail.appended.file)
        };
        let synced = file.sync_data();
        if synced.is_err() {
            shared.state.lock().is_dirty = true;
        }
        synced
    }

    /// Signs how far the log is, if it is further than the last checkpoint. The disk has all of
    /// it before.
    fn sign(&mut self, shared: &Shared) -> IoResult<()> {
        self.signed_at = Some(Instant::now());
        let (log, records, chain, file) = {
            let state = shared.state.lock();
            let tail = &state.tail;
            (tail.log, tail.records, tail.chain, Arc::clone(&tail.appended.file))
        };
        if self.signed.is_some_and(|last| last.records == records) {
            return Ok(());
        }
        file.sync_data()?;
        let number = self.signed.map_or(0, |last| last.number + 1);
        let next = Checkpoint { log, chain, number, records, time: shared.now() };
        let note = next.sign(&shared.options.signer);
        self.notes.put(note.as_bytes())?;
        self.signed = Some(next);
        self.notes.file.sync_all()?;
        shared.checkpoint.store(next.time, Ordering::Relaxed);
        (shared.options.remember)(&note).map_err(std::io::Error::other)
    }

    /// Closes the file that is written to, with a checkpoint, and begins the next. Nobody writes
    /// meanwhile.
    fn begin_file(&mut self, shared: &Shared) -> IoResult<()> {
        let mut state = shared.state.lock();
        state.tail.appended.file.sync_all()?;
        let folder = &shared.options.folder;
        let next = state.tail.next();
        let path = segment::checkpoints_of(folder, next.first);
        let closed = Checkpoint {
            log: next.log,
            chain: next.before,
            number: self.signed.map_or(0, |last| last.number + 1),
            records: next.first,
            time: shared.now(),
        };
        if self.signed.is_none_or(|last| last.records != next.first) {
            let note = closed.sign(&shared.options.signer);
            self.notes.put(note.as_bytes())?;
            self.signed = Some(closed);
            self.notes.file.sync_all()?;
            (shared.options.remember)(&note).map_err(std::io::Error::other)?;
        }
        let notes = file::append(&path)?;
        state.tail = Tail::begin(folder, next)?;
        self.notes = Appended::new(notes, 0);
        self.file_begun = Instant::now();
        Ok(())
    }

    /// Looks whether the file, the clock and the holds are what they were.
    fn look_around(&mut self, shared: &Shared) -> IoResult<()> {
        let lost = {
            let state = shared.state.lock();
            let count = state.tail.records - state.tail.first;
            (!state.tail.is_in_place()).then(|| (count, state.tail.name()))
        };
        if let Some((count, name)) = lost {
            tracing::error!(name, count, "a file of the audit log was removed or replaced");
            shared.is_lost.store(true, Ordering::Relaxed);
            file::make_folder(&shared.options.folder).map_err(std::io::Error::other)?;
            self.begin_file(shared)?;
            shared.is_lost.store(false, Ordering::Relaxed);
            let what = format!("{name} was removed or replaced while it was written");
            self.put(shared, &Record::of(Event::Lost, shared.now(), count, what))?;
        }
        self.compare_clock(shared)?;
        match Hold::all(&shared.options.folder) {
            Ok(holds) => self.note_holds(shared, holds),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }

    fn compare_clock(&mut self, shared: &Shared) -> IoResult<()> {
        let (wall, time) = (shared.now(), Instant::now());
        let before = self.clock.replace((wall, time));
        // A clock that stands still is somebody's on purpose.
        let Some((was, at)) = before.filter(|(was, _)| *was != wall) else { return Ok(()) };
        let step = wall - was - time.duration_since(at).as_micros() as i64;
        if step.abs() <= STEP_MICROS_MAX {
            return Ok(());
        }
        if step > CLOCK_JUMP_MICROS_MAX {
            self.doubt();
        }
        let way = if step > 0 { "ahead" } else { "back" };
        let what = format!("{} {way}", format_duration(step.abs()));
        self.put(shared, &Record::of(Event::ClockStepped, wall, 0, what))
    }

    /// Believes the clock only after a while: one that is set ahead would retire everything.
    fn doubt(&mut self) {
        let while_after = Duration::from_micros(CLOCK_TRUST_MICROS.unsigned_abs());
        self.doubted_until = Some(Instant::now() + while_after);
    }

    /// Records which holds came and went.
    fn note_holds(&mut self, shared: &Shared, found: Vec<Hold>) -> IoResult<()> {
        let found: BTreeMap<_, _> =
            found.into_iter().map(|hold| (hold.name.clone(), hold)).collect();
        let said = |hold: &Hold| format!("{} {}", hold.name, hold.text());
        for (name, hold) in &found {
            if self.holds.get(name) != Some(hold) {
                self.put(shared, &Record::of(Event::Held, shared.now(), 0, said(hold)))?;
            }
        }
        for (name, hold) in &self.holds {
            if !found.contains_key(name) {
                self.put(shared, &Record::of(Event::Released, shared.now(), 0, said(hold)))?;
            }
        }
        self.holds = found;
        Ok(())
    }

    /// Removes files whose time is over, the oldest first; a record says so before.
    fn retire(&self, shared: &Shared) -> IoResult<()> {
        let Some(retention) = shared.options.retention else { return Ok(()) };
        if self.doubted_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let folder = &shared.options.folder;
        let (other, key) = (std::io::Error::other::<Error>, shared.options.signer.public());
        let segments = segment::list(folder).map_err(other)?;
        if segments.len() < 2 {
            return Ok(());
        }
        let (now, holds) = (shared.now(), Hold::all(folder).map_err(other)?);
        let notes = read_all(folder, key).map_err(other)?;
        for pair in segments.windows(2) {
            let closed = notes.iter().find_map(|(_, found)| match found {
                Found::Signed(signed) if signed.records == pair[1] => Some(signed),
                _ => None,
            });
            let Some(closed) = closed else { break };
            if !retention::may_go(closed.time, now, retention, &holds) {
                break;
            }
            let path = segment::path_of(folder, pair[0]);
            self.put(shared, &Record::of(Event::Retired, now, pair[1], ""))?;
            self.sync(shared)?;
            fs::remove_file(&path)?;
            file::sync_folder_of(&path)?;
        }
        Ok(())
    }
}
