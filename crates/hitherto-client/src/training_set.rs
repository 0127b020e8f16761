//! A training set that a server builds.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::future::{BoxFuture, pending, ready};
use futures::{FutureExt, Stream, StreamExt, stream};
use hitherto_api::Spine;
use hitherto_core::limits::PIPELINE_BATCHES_MAX;
use hitherto_core::{Error, Kind, Result};
use hitherto_proto::flight::FlightData;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::block_in_place;
use tonic::Streaming;

use crate::connection::Connection;
use hitherto_proto::convert::training_set::Record;
use hitherto_proto::ipc::{self, Decoded, Decoder, Encoder};

/// A training set that a server builds while it is read, and whose spine is sent
/// meanwhile. Dropping it stops the server's work.
pub struct RemoteTrainingSet {
    connection: Connection,
    schema: SchemaRef,
    plan: String,
    /// `None` once the call was given up.
    messages: Option<Streaming<FlightData>>,
    decoder: Decoder,
    sending: Sending,
    /// Metadata of the last message, as soon as it has come.
    last: Option<Bytes>,
    state: State,
}

/// How far it has been read.
#[derive(Debug)]
enum State {
    Reading,
    Complete(Box<Record>),
    Failed,
}

impl RemoteTrainingSet {
    /// Waits for the schema, which comes first.
    pub(crate) async fn begin(
        mut messages: Streaming<FlightData>,
        sending: Sending,
        connection: Connection,
    ) -> Result<Self> {
        let mut decoder = Decoder::default();
        let first = connection.checked(messages.message().await)?;
        let first = first.filter(|first| !ipc::is_metadata(first));
        let first = first.ok_or_else(|| malformed("it is empty"))?;
        let Decoded::Schema(schema) = decode(&mut decoder, &first)? else {
            return Err(malformed("it does not begin with a schema"));
        };
        let plan = String::from_utf8_lossy(&first.app_metadata).into_owned();
        let (messages, state) = (Some(messages), State::Reading);
        Ok(Self { connection, schema, plan, messages, decoder, sending, last: None, state })
    }

    /// The spine's columns as they were sent, then the features in request
    /// order.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The server's physical plan, indented.
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// The next rows, in the spine's order; `None` after the last, and after
    /// an error. Reads the spine and sends it as far as the server takes it.
    ///
    /// # Panics
    /// Where tokio has one thread alone, and the spine is not the server's to make.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if !matches!(self.state, State::Reading) {
            return None;
        }
        let batch = self.read().await;
        if batch.is_err() {
            self.state = State::Failed;
        }
        batch.transpose()
    }

    /// The report, the manifest and the plan with what it measured.
    ///
    /// # Errors
    /// `Invalid` before [`RemoteTrainingSet::next`] has returned `None` after
    /// the last batch: they come last.
    pub fn finish(&self) -> Result<Record> {
        match &self.state {
            State::Complete(record) => Ok(Record::clone(record)),
            State::Reading => Err(Error::invalid(
                "the training set's report comes after its last row; read it to the end",
            )),
            State::Failed => {
                Err(Error::invalid("the training set failed and has no report; make it again"))
            }
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(messages) = &mut self.messages {
            let message = tokio::select! {
                biased;
                message = messages.message() => self.connection.checked(message)?,
                error = &mut self.sending => {
                    // The call ends here: the server would take what it has for all rows.
                    self.messages = None;
                    return Err(error);
                }
            };
            let Some(message) = message else { break };
            if ipc::is_metadata(&message) {
                // A server that sends two is held to its first.
                self.last.get_or_insert(message.app_metadata);
                continue;
            }
            match decode(&mut self.decoder, &message)? {
                Decoded::Batch(batch) => return Ok(Some(batch)),
                Decoded::Schema(_) => return Err(malformed("it has two schemas")),
                Decoded::Other => {}
            }
        }
        let last = self.last.take().ok_or_else(|| malformed("it ends without its record"))?;
        let record = serde_json::from_slice(&last)
            .map_err(|cause| malformed("its record cannot be read").with_source(cause))?;
        self.state = State::Complete(Box::new(record));
        Ok(None)
    }
}

impl fmt::Debug for RemoteTrainingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTrainingSet").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The rows of a spine that are to be sent.
pub(crate) type Rows = Box<dyn RecordBatchReader + Send>;

/// The rows of a spine that are to be sent; `None` if the server makes them.
///
/// # Errors
/// `Invalid` for a file.
pub(crate) fn rows(spine: Spine) -> Result<Option<Rows>> {
    match spine {
        Spine::Sql { .. } | Spine::Scan(_) => Ok(None),
        Spine::Rows { batches, schema } => {
            Ok(Some(Box::new(RecordBatchIterator::new(batches.into_iter().map(Ok), schema))))
        }
        Spine::Reader { rows, .. } => Ok(Some(rows)),
        Spine::File(path) => Err(Error::invalid(format!(
            "a server reads no file of label rows; send the rows of {}",
            path.display()
        ))),
    }
}

/// Sends a spine while it is waited for, and ends only when it cannot go on.
pub(crate) type Sending = BoxFuture<'static, Error>;

/// A spine as messages, of which the first has the command, and what sends the others; of
/// a spine that the server makes, the command alone.
pub(crate) fn upload(
    command: Vec<u8>,
    rows: Option<Rows>,
) -> (impl Stream<Item = FlightData> + Send + 'static, Sending) {
    let (sender, receiver) = mpsc::channel(PIPELINE_BATCHES_MAX);
    let (first, sending) = match rows {
        None => (FlightData::default(), pending().boxed()),
        Some(rows) => {
            let (encoder, schema) = Encoder::new(rows.schema());
            let sending = async move {
                match send(rows, encoder, sender).await {
                    Ok(()) => pending().await,
                    Err(error) => error,
                }
            };
            (schema, sending.boxed())
        }
    };
    let first = first.with_command(command);
    let others = stream::unfold(receiver, async |mut receiver: Receiver<FlightData>| {
        receiver.recv().await.map(|message| (message, receiver))
    });
    (stream::once(ready(first)).chain(others), sending)
}

/// Reads and sends rows to their end, or as long as somebody takes them.
async fn send(mut rows: Rows, mut encoder: Encoder, sender: Sender<FlightData>) -> Result<()> {
    // In place, and not beside: nothing of a reader, which may run its owner's code, goes on
    // when nobody waits for the training set.
    while let Some(batch) = block_in_place(|| rows.next()) {
        let batch = batch.map_err(|cause| {
            Error::invalid(
                "the rows cannot be read to their end; mend what gives them, and ask again",
            )
            .with_source(cause)
        })?;
        let messages = encoder.encode(&batch).map_err(|cause| {
            Error::invalid(
                "the spine cannot be sent as Arrow data; cast the column that is named here, or \
                 leave it out",
            )
            .with_source(cause)
        })?;
        for message in messages {
            if sender.send(message).await.is_err() {
                // The call is over, and its answer says why.
                return Ok(());
            }
        }
    }
    Ok(())
}

fn decode(decoder: &mut Decoder, message: &FlightData) -> Result<Decoded> {
    let unreadable = |cause| ipc::unreadable(cause, Kind::Internal, "the server's training set");
    decoder.decode(message).map_err(unreadable)
}

fn malformed(what: &str) -> Error {
    Error::internal(format!(
        "the server's training set is malformed: {what}; use a client of the server's release"
    ))
}
