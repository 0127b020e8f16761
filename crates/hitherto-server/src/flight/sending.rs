//! An answer on its way from the workers to its caller.
//!
//! ```text
//! workers    Answer -> PIPELINE_BATCHES_MAX messages -> the caller's stream
//! ```
//!
//! Whoever stops reading stops the work: the channel closes and the answer is
//! dropped.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hitherto_core::limits::PIPELINE_BATCHES_MAX;
use hitherto_proto::convert::status::to_status;
use hitherto_proto::flight::FlightData;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tonic::Status;

use super::answer::Answer;
use crate::workers::{Workers, broke_off};

/// Runs an answer on the workers, as far ahead of its reader as the channel is long.
pub fn stream(workers: &Workers, answer: Answer) -> BoxStream<'static, Result<FlightData, Status>> {
    let (sender, receiver) = mpsc::channel(PIPELINE_BATCHES_MAX);
    let sending = workers.spawn(send(answer, sender));
    stream::unfold((receiver, Some(sending)), receive).boxed()
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
