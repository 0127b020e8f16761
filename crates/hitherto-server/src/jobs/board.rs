//! Which jobs there are, and how far each of them is.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use hitherto_api::{Progress, Stage};
use hitherto_core::limits::{JOBS_ENDED_MAX, JOBS_RUNNING_MAX};
use hitherto_core::{Error, Result};
use hitherto_proto::v1::{Job, JobProgress, JobStage, JobState};
use parking_lot::Mutex;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::AbortHandle;

/// All jobs, by id.
#[derive(Default)]
pub struct Board {
    jobs: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

/// One job.
pub struct Entry {
    state: Sender<Job>,
    /// When the view was begun that is worked on.
    begun: Mutex<Instant>,
    running: OnceLock<AbortHandle>,
}

impl Board {
    /// Notes a job that begins at `now`.
    ///
    /// # Errors
    /// `Conflict` when one that does the same runs, `Unavailable` when as many run as may.
    pub fn begin(&self, what: &str, now: i64) -> Result<Arc<Entry>> {
        let mut jobs = self.jobs.lock();
        let is_same = |job: &Job| job.what == what && job.state() == JobState::Running;
        if let Some(job) = jobs.values().map(|entry| entry.job()).find(is_same) {
            return Err(Error::conflict(format!(
                "job {} does the same already: {what:?}; watch it, or cancel it first",
                job.id
            )));
        }
        let is_running = |entry: &&Arc<Entry>| entry.job().state() == JobState::Running;
        if jobs.values().filter(is_running).count() >= JOBS_RUNNING_MAX {
            return Err(Error::unavailable(format!(
                "{JOBS_RUNNING_MAX} jobs run, which is the server's limit; wait for one, or \
                 cancel it"
            )));
        }
        let id = jobs.last_key_value().map_or(1, |(last, _)| last + 1);
        let mut job = Job { id, what: what.to_owned(), started_at_micros: now, ..Job::default() };
        job.set_state(JobState::Running);
        let entry = Arc::new(Entry {
            state: watch::channel(job).0,
            begun: Mutex::new(Instant::now()),
            running: OnceLock::new(),
        });
        jobs.insert(id, Arc::clone(&entry));
        let has_ended = |entry: &Entry| entry.job().state() != JobState::Running;
        let ended: Vec<u64> =
            jobs.iter().filter(|(_, entry)| has_ended(entry)).map(|(id, _)| *id).collect();
        let forgotten = ended.len().saturating_sub(JOBS_ENDED_MAX);
        ended.iter().take(forgotten).for_each(|id| drop(jobs.remove(id)));
        Ok(entry)
    }

    /// Every job, newest first.
    pub fn jobs(&self) -> Vec<Job> {
        self.jobs.lock().values().rev().map(|entry| entry.job()).collect()
    }

    /// The job with this id.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it has ended long ago.
    pub fn find(&self, id: u64) -> Result<Arc<Entry>> {
        let found = self.jobs.lock().get(&id).cloned();
        found.ok_or_else(|| {
            Error::not_found(format!(
                "there is no job {id}; see with `hitherto jobs` which there are"
            ))
        })
    }
}

impl Entry {
    /// Says what runs it.
    pub fn runs(&self, running: AbortHandle) {
        drop(self.running.set(running));
    }

    /// Its state now.
    pub fn job(&self) -> Job {
        self.state.borrow().clone()
    }

    /// Its states from now on.
    pub fn watch(&self) -> Receiver<Job> {
        self.state.subscribe()
    }

    /// Notes what came of it, if it was not cancelled before.
    pub fn end(&self, outcome: Result<String>, now: i64) {
        self.leave(now, |job| match outcome {
            Ok(result) => {
                job.result_json = result;
                job.set_state(JobState::Done);
            }
            Err(error) => {
                job.error = error.chain();
                job.error_kind = error.kind().name().to_owned();
                job.set_state(JobState::Failed);
            }
        });
    }

    /// Ends it, if it runs.
    pub fn cancel(&self, now: i64) {
        self.leave(now, |job| job.set_state(JobState::Cancelled));
        if let Some(running) = self.running.get() {
            running.abort();
        }
    }

    fn leave(&self, now: i64, leave: impl FnOnce(&mut Job)) {
        self.state.send_if_modified(|job| {
            let is_running = job.state() == JobState::Running;
            if is_running {
                leave(job);
                job.ended_at_micros = Some(now);
            }
            is_running
        });
    }

    fn advance(&self, change: impl FnOnce(&mut JobProgress)) {
        self.state.send_modify(|job| change(job.progress.get_or_insert_default()));
    }
}

impl Progress for Entry {
    fn begin(&self, view: &str, rows: u64) {
        *self.begun.lock() = Instant::now();
        self.advance(|progress| {
            let view = view.to_owned();
            *progress = JobProgress { view, rows_total: rows, ..JobProgress::default() };
        });
    }

    fn stage(&self, _: &str, stage: Stage) {
        Entry::advance(self, |progress| {
            let (stage, parts_done, parts) = match stage {
                Stage::Reading => (JobStage::Reading, 0, 0),
                Stage::Sorting => (JobStage::Sorting, 0, 0),
                Stage::Writing { done, parts } => (JobStage::Writing, done, parts),
                Stage::Committing => (JobStage::Committing, 0, 0),
            };
            let was_reading = progress.stage() == JobStage::Reading;
            if was_reading && stage != JobStage::Reading {
                // All are read, and were as many.
                progress.rows_total = progress.rows;
                progress.seconds_left = None;
            }
            progress.set_stage(stage);
            (progress.parts_done, progress.parts) = (parts_done, parts);
        });
    }

    fn advance(&self, _: &str, rows: u64) {
        let seconds = self.begun.lock().elapsed().as_secs_f64();
        Entry::advance(self, |progress| {
            progress.rows = rows;
            progress.rows_total = progress.rows_total.max(rows);
            progress.rows_per_second = rows as f64 / seconds.max(f64::EPSILON);
            let left = progress.rows_total.saturating_sub(rows) as f64;
            progress.seconds_left = (rows > 0).then(|| left / progress.rows_per_second);
        });
    }

    fn end(&self, _: &str, facts: u64) {
        Entry::advance(self, |progress| {
            (progress.rows, progress.rows_total) = (facts, facts);
            progress.seconds_left = Some(0.0);
        });
    }
}

#[cfg(test)]
mod tests;
