//! What a caller sends: a command and a spine.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use futures::executor::block_on;
use futures::future::ready;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::{QueryBounds, Spine, TrainingSetRequest};
use hitherto_proto::convert::status::from_status;
use tonic::Status;

use crate::{ipc, wire};

/// A training set as asked for.
#[derive(Debug)]
pub struct Question {
    /// From the descriptor's command.
    pub request: TrainingSetRequest,
    /// The rows that come, in the caller's order, or what is to make them.
    pub spine: Spine,
}

impl Question {
    /// Reads the first messages, and leaves the rows to whoever reads the spine. The
    /// very first carries the command, with or without the schema. `bounds` are those of
    /// a query that makes them.
    ///
    /// # Errors
    /// `Invalid` when there is no command or no spine, or when the spine is
    /// not Arrow data; the caller's own status when they give up.
    pub async fn read(
        mut messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
        bounds: QueryBounds,
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
        let made = wire::training_set::decode_spine(&descriptor.cmd, bounds)?;
        let times = wire::training_set::decode_times(&descriptor.cmd)?;
        let messages = stream::iter(first.map(Ok)).chain(messages);
        let spine = match made {
            None => Spine::Reader { rows: Box::new(Pulled::begin(messages).await?), times },
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

/// A spine that is still on its way. No message is taken before its rows are asked for:
/// until then HTTP/2 holds the caller back.
struct Pulled {
    schema: SchemaRef,
    messages: FlightDataDecoder,
}

impl Pulled {
    /// Waits for the schema, which comes first.
    async fn begin(
        messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    ) -> Result<Self> {
        let data = messages.try_filter(|message| ready(!ipc::is_metadata(message)));
        let mut messages = FlightDataDecoder::new(data.map_err(FlightError::from));
        match messages.next().await.transpose().map_err(unreadable)?.map(|first| first.payload) {
            Some(DecodedPayload::Schema(schema)) => Ok(Self { schema, messages }),
            _ => Err(Error::invalid("the call brings no spine; send a schema and record batches")),
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(message) = self.messages.next().await {
            match message.map_err(unreadable)?.payload {
                DecodedPayload::RecordBatch(batch) => return Ok(Some(batch)),
                DecodedPayload::Schema(_) => {
                    return Err(Error::invalid("the spine has two schemas; send one"));
                }
                DecodedPayload::None => {}
            }
        }
        Ok(None)
    }
}

impl Iterator for Pulled {
    type Item = Result<RecordBatch, ArrowError>;

    /// Blocks until the caller has sent more.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = block_on(self.read()).transpose()?;
        Some(batch.map_err(|error| ArrowError::ExternalError(error.into())))
    }
}

impl RecordBatchReader for Pulled {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

fn unreadable(cause: FlightError) -> Error {
    ipc::error(cause, Kind::Invalid, "the spine")
}

#[cfg(test)]
mod tests;
