//! The threads that training sets are built on, and answers are explained on.
//!
//! A training set computes for seconds without a pause. On the runtime that
//! answers lookups it would hold a thread, and with it every lookup in that
//! thread's queue; on a runtime of its own it has what lookups leave.
//!
//! ```text
//! workers    Answer -> PIPELINE_BATCHES_MAX messages -> the caller's stream
//! ```
//!
//! Whoever stops reading stops the work: the channel closes and the answer is
//! dropped.

use arrow_flight::FlightData;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hitherto_core::limits::PIPELINE_BATCHES_MAX;
use hitherto_core::{Error, Result};
use hitherto_engine::background;
use hitherto_proto::convert::status::to_status;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tonic::Status;

use super::answer::Answer;

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

    /// Runs an answer on the workers, as far ahead of its reader as the channel
    /// is long.
    pub fn stream(&self, answer: Answer) -> BoxStream<'static, Result<FlightData, Status>> {
        let (sender, receiver) = mpsc::channel(PIPELINE_BATCHES_MAX);
        let sending = self.runtime().spawn(send(answer, sender));
        stream::unfold((receiver, Some(sending)), receive).boxed()
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

fn broke_off(cause: JoinError) -> Error {
    Error::internal("work for a caller broke off").with_source(cause)
}

/// Sends an answer until it ends or nobody reads it.
async fn send(mut answer: Answer, sender: Sender<Result<FlightData, Status>>) {
    loop {
        let message = tokio::select! {
            biased;
            () = sender.closed() => return,
            message = answer.next() => message.transpose(),
        };
        let Some(message) = message else { return };
        let is_last = message.is_err();
        if sender.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// What [`receive`] goes on with: the sender, until it was seen to end.
type Receiving = (Receiver<Result<FlightData, Status>>, Option<JoinHandle<()>>);

/// The next message; at the end an error, should the sender have panicked.
async fn receive(state: Receiving) -> Option<(Result<FlightData, Status>, Receiving)> {
    let (mut receiver, sending) = state;
    if let Some(message) = receiver.recv().await {
        return Some((message, (receiver, sending)));
    }
    let broken = sending?.await.map_err(broke_off).err()?;
    Some((Err(to_status(&broken)), (receiver, None)))
}
