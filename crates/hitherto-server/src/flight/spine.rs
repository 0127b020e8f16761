//! What a caller sends: a command and a spine.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::executor::block_on;
use futures::future::ready;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use hitherto_api::{QueryBounds, Spine, TrainingSetRequest};
use hitherto_core::{Error, Kind, Result};
use hitherto_proto::convert::status::to_status;
use hitherto_proto::flight::FlightData;
use tonic::Status;

use crate::budget::Held;
use hitherto_proto::convert;
use hitherto_proto::ipc;
use hitherto_proto::ipc::read_unwound;
use hitherto_proto::ipc::{Claims, Decoded, Decoder, Span};

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
    /// a query that makes them; `held` counts what a message becomes.
    ///
    /// # Errors
    /// `Invalid` when there is no command or no spine, or when the spine is
    /// not Arrow data; the caller's own status when they give up.
    pub async fn read(
        mut messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
        bounds: QueryBounds,
        held: Option<Held>,
    ) -> Result<Self> {
        let first = messages.next().await.transpose().map_err(|status| ipc::received(&status))?;
        let descriptor = first.as_ref().and_then(|first| first.flight_descriptor.as_ref());
        let descriptor = descriptor.ok_or_else(|| {
            Error::invalid(
                "the first message has no descriptor; send one whose command is a \
                 hitherto.v1.TrainingSetRequest",
            )
        })?;
        let request = convert::training_set::decode_request(&descriptor.cmd)?;
        let made = convert::training_set::decode_spine(&descriptor.cmd, bounds)?;
        let times = convert::training_set::decode_times(&descriptor.cmd)?;
        let messages = stream::iter(first.map(Ok)).chain(messages);
        let spine = match made {
            None => Spine::Reader { rows: Box::new(Pulled::begin(messages, held).await?), times },
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
        let message = message.map_err(|status| ipc::received(&status))?;
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
    decoder: Decoder,
    messages: BoxStream<'static, Result<FlightData, Status>>,
}

impl Pulled {
    /// Waits for the schema, which comes first.
    async fn begin(
        messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
        mut held: Option<Held>,
    ) -> Result<Self> {
        let data = messages.try_filter(|message| ready(!ipc::is_metadata(message)));
        let mut claims = Claims::new(Span::Batch);
        let data = data.and_then(move |message| {
            ready(take(&mut claims, held.as_mut(), &message).map(|()| message))
        });
        let (mut messages, mut decoder) = (data.boxed(), Decoder::default());
        match next(&mut messages, &mut decoder).await? {
            Some(Decoded::Schema(schema)) => Ok(Self { schema, decoder, messages }),
            _ => Err(Error::invalid("the call brings no spine; send a schema and record batches")),
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(decoded) = next(&mut self.messages, &mut self.decoder).await? {
            match decoded {
                Decoded::Batch(batch) => return Ok(Some(batch)),
                Decoded::Schema(_) => {
                    return Err(Error::invalid("the spine has two schemas; send one"));
                }
                Decoded::Other => {}
            }
        }
        Ok(None)
    }
}

/// Lets a message through that is what it claims, and for which there is memory.
fn take(claims: &mut Claims, held: Option<&mut Held>, message: &FlightData) -> Result<(), Status> {
    let taken = claims.take(&message.data_header, &message.data_body);
    let bytes = taken.map_err(|cause| {
        to_status(&Error::invalid(format!("the spine cannot be read as Arrow data: {cause}")))
    })?;
    let Some(held) = held else { return Ok(()) };
    // The last one's rows have become the training set's, which counts them itself.
    held.clear();
    held.try_grow(bytes)
}

impl Iterator for Pulled {
    type Item = Result<RecordBatch, ArrowError>;

    /// Blocks until the caller has sent more.
    fn next(&mut self) -> Option<Self::Item> {
        let read = read_unwound(|| block_on(self.read()));
        let damaged = || {
            Err(Error::invalid(
                "the spine cannot be read as Arrow data: it is damaged; send it again",
            ))
        };
        let batch = read.unwrap_or_else(damaged).transpose()?;
        Some(batch.map_err(|error| ArrowError::ExternalError(error.into())))
    }
}

impl RecordBatchReader for Pulled {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Waits for the next message, and reads it.
async fn next(
    messages: &mut BoxStream<'static, Result<FlightData, Status>>,
    decoder: &mut Decoder,
) -> Result<Option<Decoded>> {
    let Some(message) = messages.next().await else { return Ok(None) };
    let message = message.map_err(|status| ipc::received(&status))?;
    let decoded = decoder.decode(&message);
    decoded.map(Some).map_err(|cause| ipc::unreadable(cause, Kind::Invalid, "the spine"))
}

#[cfg(test)]
mod tests;
