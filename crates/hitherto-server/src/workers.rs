//! The threads that training sets are built on, answers are explained on and jobs run on.
//!
//! A training set computes for seconds without a pause. On the runtime that
//! answers lookups it would hold a thread, and with it every lookup in that
//! thread's queue; on a runtime of its own it has what lookups leave.

use hitherto_core::{Error, Result};
use hitherto_engine::background;
use tokio::runtime::Runtime;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// A runtime for work that computes.
pub struct Workers {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Workers {
    /// Starts one thread a core.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no threads.
    pub fn start() -> Result<Self> {
        Ok(Self { runtime: Some(background::runtime()?) })
    }

    /// Runs work on the workers and waits for it. Whoever stops waiting stops
    /// the work at its next pause. A panic there is an error here.
    ///
    /// # Errors
    /// The work's own; `Internal` when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut works = JoinSet::new();
        works.spawn_on(work, self.runtime().handle());
        let done = works.join_next().await.ok_or_else(|| Error::internal("no work was begun"))?;
        done.map_err(broke_off)?
    }

    /// Runs work on the workers that goes on when nobody waits for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime().spawn(work)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime is taken only when dropped")
    }
}

impl Drop for Workers {
    /// Runtimes wait for their threads when dropped, and must not where others
    /// are served: a server is dropped after its answers have ended, or when
    /// their time is up.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The error of work that panicked.
pub fn broke_off(cause: JoinError) -> Error {
    Error::internal("work for a caller broke off").with_source(cause)
}
