//! What belongs to one process: the runtime, the open engines, and how Python
//! waits for them.
//!
//! ```text
//! Python thread     spawn ---- detach: wait 50 ms, attach: signals? wait ... ---> result
//! runtime thread           the future, polled to its end, or dropped at abort
//! ```
//!
//! The future runs on the runtime's threads and not on the caller's, so that a
//! poll that computes for a second does not delay Ctrl-C. The wait is on a
//! channel and not on a timer of the runtime, since a busy runtime fires none.
//!
//! After `fork` the child has none of the parent's threads: a runtime or an
//! engine of the parent would hang there, and closing its database from two
//! processes would damage it. So everything here is found by process id, and
//! [`Owned`] lets go of what was the parent's without dropping it.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hitherto_api::Grant;
use hitherto_core::time::micros_since_epoch;
use hitherto_core::{Error, Result};
use hitherto_engine::Engine;
use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::errors::raise;

/// How long Ctrl-C can go unnoticed.
pub const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// What one process shares among its stores.
pub struct Process {
    id: u32,
    runtime: Runtime,
    /// Open engines by folder and whether they only read: a notebook cell that
    /// connects again gets the same engine, where opening the database a
    /// second time would be refused.
    pub engines: Mutex<HashMap<(PathBuf, bool), Weak<Engine>>>,
}

/// The process that last asked; leaked, since a child must not drop it.
/// Locked only with the GIL held, as `fork` is called: never locked in a child.
static CURRENT: Mutex<Option<&'static Process>> = Mutex::new(None);

/// This process, its runtime started.
///
/// # Errors
/// `Unavailable` when the system grants no threads.
pub fn current(_attached: Python<'_>) -> Result<&'static Process> {
    let mut current = CURRENT.lock();
    if let Some(process) = *current
        && process.id == std::process::id()
    {
        return Ok(process);
    }
    let runtime = Builder::new_multi_thread().enable_all().thread_name("hitherto").build();
    let runtime = runtime.map_err(Error::no_threads)?;
    let process = Process { id: std::process::id(), runtime, engines: Mutex::default() };
    Ok(current.insert(Box::leak(Box::new(process))))
}

/// What the user may who runs this process, where no server is asked.
pub fn grant() -> &'static Arc<Grant> {
    static GRANT: OnceLock<Arc<Grant>> = OnceLock::new();
    GRANT.get_or_init(|| Arc::new(Grant::in_process(&hitherto_cli::user())))
}

/// Waits for `work` with the GIL released; a signal drops it at its next await.
///
/// # Errors
/// The exception of `work`'s error; what a signal handler raised.
pub fn wait<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    wait_telling(py, work, |_| Ok(()))
}

/// As [`wait`], and calls `tell` every now and then, in the thread that waits. What it
/// raises ends the wait.
///
/// # Errors
/// As [`wait`]; what `tell` raises.
pub fn wait_telling<T, F>(
    py: Python<'_>,
    work: F,
    tell: impl Fn(Python<'_>) -> PyResult<()> + Send,
) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let process = current(py).map_err(raise)?;
    let (sender, receiver) = sync_channel(1);
    let task = process.runtime.spawn(async move {
        // Nobody receives once a signal has ended the wait.
        let _ = sender.send(work.await);
    });
    py.detach(move || {
        loop {
            match receiver.recv_timeout(SIGNAL_CHECK) {
                Ok(outcome) => return outcome.map_err(raise),
                Err(RecvTimeoutError::Timeout) => {
                    Python::attach(|py| py.check_signals().and_then(|()| tell(py)))
                        .inspect_err(|_| task.abort())?;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(raise(panicked())),
            }
        }
    })
}

/// Waits for `work`, which blocks, as [`wait`] does. A signal ends the wait;
/// the work itself runs to its end and its result is dropped.
///
/// # Errors
/// As [`wait`].
pub fn wait_blocking<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    wait(
        py,
        async move { tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked())) },
    )
}

fn panicked() -> Error {
    Error::internal("the engine panicked; please report this with what it wrote to stderr")
}

/// Microseconds UTC.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros_since_epoch)
}

/// A value that works only in the process that made it. In any other it is
/// neither used nor dropped.
pub struct Owned<T> {
    process: u32,
    value: Option<T>,
}

impl<T> Owned<T> {
    /// A value of this process.
    pub fn new(value: T) -> Self {
        Self { process: std::process::id(), value: Some(value) }
    }

    /// The value, unless it is another process's.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.process == std::process::id())
    }

    /// Takes the value out, unless it is another process's.
    pub fn take(mut self) -> Option<T> {
        if self.process == std::process::id() { self.value.take() } else { None }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.value.take());
        }
    }
}
