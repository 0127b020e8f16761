//! Materialization as Python watches it: how far it is, here and on a server.

use std::sync::Arc;
use std::time::Duration;

use hitherto_api::{Materialized, Progress, Stage};
use hitherto_client::{Client, Job, JobProgress, MaterializeWork, Work, outcome};
use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use tokio::time::timeout;

use crate::process::{wait, wait_telling};

/// How long a server may take to hear that a job is to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// Lets a server materialize, and watches. A signal, or an error of what is told, ends the
/// server's work as it would end an engine's.
///
/// # Errors
/// Those of the job; what a signal or `tell` raises.
pub fn there(
    py: Python<'_>,
    client: Client,
    work: MaterializeWork,
    telling: Arc<Told>,
    tell: impl Fn(Python<'_>) -> PyResult<()> + Send,
) -> PyResult<Vec<Materialized>> {
    let started = client.clone();
    let id = wait(py, async move { started.start_job(Work::Materialize(work)).await })?.id;
    let watched = client.clone();
    let watch = async move {
        let show = |job: &Job| job.progress.iter().for_each(|progress| telling.show(progress));
        outcome(watched.watch_job(id, show).await?)
    };
    wait_telling(py, watch, tell).inspect_err(|_| {
        let cancel = async move { Ok(timeout(CANCEL_TIMEOUT, client.cancel_job(id)).await) };
        // A job that has ended cannot be cancelled, nor one whose server is gone.
        let _ = wait(py, cancel);
    })
}

/// How far materialization is: the view, facts read, rows in its files.
#[derive(Default)]
pub struct Told(Mutex<(String, u64, u64)>);

impl Told {
    fn state(&self) -> MutexGuard<'_, (String, u64, u64)> {
        self.0.lock()
    }

    /// Takes over what a server says.
    fn show(&self, progress: &JobProgress) {
        *self.state() = (progress.view.clone(), progress.rows, progress.rows_total);
    }

    /// Calls a Python function with it, once a view is begun.
    ///
    /// # Errors
    /// What the function raises.
    pub fn tell(&self, py: Python<'_>, progress: &Py<PyAny>) -> PyResult<()> {
        let state = self.state().clone();
        match state.0.is_empty() {
            true => Ok(()),
            false => progress.call1(py, state).map(drop),
        }
    }
}

impl Progress for Told {
    fn begin(&self, view: &str, rows: u64) {
        *self.state() = (view.to_owned(), 0, rows);
    }

    fn stage(&self, _view: &str, stage: Stage) {
        if stage != Stage::Reading {
            // All are read, and were as many.
            let mut state = self.state();
            state.2 = state.1;
        }
    }

    fn advance(&self, _view: &str, facts: u64) {
        let mut state = self.state();
        (state.1, state.2) = (facts, state.2.max(facts));
    }

    fn end(&self, _view: &str, facts: u64) {
        let mut state = self.state();
        (state.1, state.2) = (facts, facts);
    }
}
