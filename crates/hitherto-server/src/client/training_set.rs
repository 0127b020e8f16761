//! A training set that a server builds.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use futures::future::{pending, ready};
use futures::{Stream, StreamExt, stream};
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::Spine;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tonic::Streaming;

use super::connection::Connection;
use crate::ipc::{self, Encoder};
use crate::wire::training_set::Record;

/// A training set that a server builds while it is read. Dropping it stops the
/// server's work.
#[derive(Debug)]
pub struct RemoteTrainingSet {
    connection: Connection,
    schema: SchemaRef,
    plan: String,
    batches: FlightDataDecoder,
    /// Metadata of the last message, as soon as it has come.
    last: Arc<OnceLock<Bytes>>,
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
    pub(super) async fn begin(
        messages: Streaming<FlightData>,
        connection: Connection,
    ) -> Result<Self> {
        let last = Arc::new(OnceLock::new());
        let mut batches = FlightDataDecoder::new(data(messages, Arc::clone(&last)));
        let first = batches.next().await.ok_or_else(|| malformed("it is empty"))?;
        let first = first.map_err(|cause| error(&connection, cause))?;
        let DecodedPayload::Schema(schema) = first.payload else {
            return Err(malformed("it does not begin with a schema"));
        };
        let plan = String::from_utf8_lossy(&first.inner.app_metadata).into_owned();
        Ok(Self { connection, schema, plan, batches, last, state: State::Reading })
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
    /// an error.
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
            State::Failed => Err(Error::invalid("the training set failed and has no report")),
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(message) = self.batches.next().await {
            match message.map_err(|cause| error(&self.connection, cause))?.payload {
                DecodedPayload::RecordBatch(batch) => return Ok(Some(batch)),
                DecodedPayload::Schema(_) => return Err(malformed("it has two schemas")),
                DecodedPayload::None => {}
            }
        }
        let last = self.last.get().ok_or_else(|| malformed("it ends without its record"))?;
        let record = serde_json::from_slice(last)
            .map_err(|cause| malformed("its record cannot be read").with_source(cause))?;
        self.state = State::Complete(Box::new(record));
        Ok(None)
    }
}

/// The messages with data. The one without, the last, is put aside.
fn data(
    messages: Streaming<FlightData>,
    last: Arc<OnceLock<Bytes>>,
) -> impl Stream<Item = Result<FlightData, FlightError>> {
    messages.filter_map(move |message| {
        ready(match message {
            Ok(message) if ipc::is_metadata(&message) => {
                // A server that sends two is held to its first.
                let _ = last.set(message.app_metadata);
                None
            }
            message => Some(message.map_err(FlightError::from)),
        })
    })
}

/// The rows of a spine that are to be sent; `None` if the server makes them.
///
/// # Errors
/// `Invalid` when a reader breaks off, or for a file.
pub(super) async fn rows(spine: Spine) -> Result<Option<(Vec<RecordBatch>, SchemaRef)>> {
    let broken = |cause| Error::invalid("the rows cannot be read to their end").with_source(cause);
    match spine {
        Spine::Sql { .. } | Spine::Scan(_) => Ok(None),
        Spine::Rows { batches, schema } => Ok(Some((batches, schema))),
        Spine::Reader(reader) => {
            let schema = reader.schema();
            let read = spawn_blocking(move || reader.collect::<Result<Vec<_>, _>>()).await;
            let batches = read
                .map_err(|cause| Error::internal("the rows' reader panicked").with_source(cause))?;
            Ok(Some((batches.map_err(broken)?, schema)))
        }
        Spine::File(path) => Err(Error::invalid(format!(
            "a server reads no file of label rows; send the rows of {}",
            path.display()
        ))),
    }
}

/// A spine as messages, written as the connection takes them; of one that the server
/// makes, the command alone.
///
/// Should one fail to be written, the stream stalls and the error comes out of
/// the receiver: a stream that ended there would be a shorter spine to the
/// server, and answered as such.
pub(super) fn upload(
    command: Vec<u8>,
    spine: Option<(Vec<RecordBatch>, SchemaRef)>,
) -> (impl Stream<Item = FlightData> + Send + 'static, oneshot::Receiver<Error>) {
    let is_made = spine.is_none();
    let (spine, schema) = spine.unwrap_or_else(|| (Vec::new(), Arc::new(Schema::empty())));
    let (encoder, first) = Encoder::new(schema);
    let first = if is_made { FlightData::new() } else { first };
    let first = first.with_descriptor(FlightDescriptor::new_cmd(command));
    let (breaking, broken) = oneshot::channel();
    let upload = Upload { encoder, messages: VecDeque::from([first]), spine: spine.into() };
    let state = (upload, Some(breaking));
    let messages = stream::unfold(state, |(mut upload, mut breaking)| async move {
        match upload.next() {
            Ok(message) => message.map(|message| (message, (upload, breaking))),
            Err(error) => {
                // Nobody waits for it when the call is over already.
                let _ = breaking.take().map(|breaking| breaking.send(error));
                pending().await
            }
        }
    });
    (messages, broken)
}

/// A spine on its way to a server.
struct Upload {
    encoder: Encoder,
    messages: VecDeque<FlightData>,
    spine: VecDeque<RecordBatch>,
}

impl Upload {
    fn next(&mut self) -> Result<Option<FlightData>> {
        while self.messages.is_empty() {
            let Some(batch) = self.spine.pop_front() else { return Ok(None) };
            self.messages.extend(self.encoder.encode(&batch).map_err(|cause| {
                Error::invalid("the spine cannot be sent as Arrow data").with_source(cause)
            })?);
        }
        Ok(self.messages.pop_front())
    }
}

fn error(connection: &Connection, cause: FlightError) -> Error {
    match cause {
        FlightError::Tonic(status) => connection.error(*status),
        cause => ipc::error(cause, Kind::Internal, "the server's training set"),
    }
}

fn malformed(what: &str) -> Error {
    Error::internal(format!(
        "the server's training set is malformed: {what}; use a client of the server's release"
    ))
}
