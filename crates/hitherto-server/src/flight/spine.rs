//! What a caller sends: a command and a spine.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use futures::future::ready;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use hitherto_core::limits::SPINE_ROWS_MAX;
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::{Spine, TrainingSetRequest};
use hitherto_proto::convert::status::from_status;
use tonic::Status;

use crate::{ipc, wire};

/// A training set as asked for.
#[derive(Debug)]
pub struct Question {
    /// From the descriptor's command.
    pub request: TrainingSetRequest,
    /// The rows that came, in the caller's order, or what is to make them.
    pub spine: Spine,
}

impl Question {
    /// Reads messages to their end. The first one carries the command, with or
    /// without the schema.
    ///
    /// # Errors
    /// `Invalid` when there is no command or no spine, or when the spine is
    /// not Arrow data or too long; the caller's own status when they give up.
    pub async fn read(
        mut messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
    ) -> Result<Self> {
        let first = messages.next().await.transpose().map_err(|status| from_status(&status))?;
        let descriptor = first.as_ref().and_then(|first| first.flight_descriptor.as_ref());
        let descriptor = descriptor.ok_or_else(|| {
            Error::invalid(
                "the first message has no descriptor; its command must be a \
                 hitherto.v1.TrainingSetRequest",
            )
        })?;
        let request = wire::training_set::decode_request(&descriptor.cmd)?;
        let made = wire::training_set::decode_spine(&descriptor.cmd)?;
        let messages = stream::iter(first.map(Ok)).chain(messages);
        let spine = match made {
            None => read_batches(messages).await?,
            Some(made) => check_no_batches(messages).await.map(|()| made)?,
        };
        Ok(Self { request, spine })
    }
}

/// Refuses rows where the command says what makes them.
async fn check_no_batches(
    mut messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin,
) -> Result<()> {
    while let Some(message) = messages.next().await {
        let message = message.map_err(|status| from_status(&status))?;
        if !ipc::is_metadata(&message) {
            return Err(Error::invalid(
                "the call brings a spine, and its command says what makes one; send one of them",
            ));
        }
    }
    Ok(())
}

async fn read_batches(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<Spine> {
    let data = messages.try_filter(|message| ready(!ipc::is_metadata(message)));
    let mut decoder = FlightDataDecoder::new(data.map_err(FlightError::from));
    let (mut spine, mut rows): (Vec<RecordBatch>, usize) = (Vec::new(), 0);
    while let Some(message) = decoder.next().await {
        let message = message.map_err(|cause| ipc::error(cause, Kind::Invalid, "the spine"))?;
        if let DecodedPayload::RecordBatch(batch) = message.payload {
            rows += batch.num_rows();
            spine.push(batch);
        }
        if rows > SPINE_ROWS_MAX {
            return Err(Error::invalid(format!(
                "the spine has more than {SPINE_ROWS_MAX} rows; split it"
            )));
        }
    }
    match decoder.schema() {
        Some(schema) => Ok(Spine::Rows { batches: spine, schema: SchemaRef::clone(schema) }),
        None => Err(Error::invalid("the call brings no spine; send a schema and record batches")),
    }
}

#[cfg(test)]
mod tests;
