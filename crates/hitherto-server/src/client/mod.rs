//! The client: the same calls as the engine's, answered by a server.
//!
//! | module         | what it owns                                            |
//! | -------------- | ------------------------------------------------------- |
//! | `connection`   | addresses, connecting, and what a broken call means     |
//! | `training_set` | a training set that a server builds                     |
//!
//! Requests and answers are the engine's own types, and so are errors: a call
//! fails with the kind it would have in the process, or `Unavailable` when the
//! server cannot be reached.

mod connection;
mod training_set;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::flight_service_client::FlightServiceClient;
use hitherto_core::Result;
use hitherto_core::catalog::Catalog;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::{
    Explanation, Lookup, LookupRequest, TrainingSetRequest, Verification, VerifyRequest, WhyRequest,
};
use hitherto_proto::v1::GetCatalogRequest;
use hitherto_proto::v1::diagnostics_service_client::DiagnosticsServiceClient;
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use hitherto_proto::v1::registry_service_client::RegistryServiceClient;
use tonic::transport::Channel;

use crate::wire;
pub use crate::wire::training_set::Record;
use connection::Connection;
pub use training_set::RemoteTrainingSet;

/// A connection to a server. Clones share it; calls may overlap. It connects
/// again by itself after it was lost.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:7411`.
    ///
    /// # Errors
    /// `Invalid` for an address of another form; `Unavailable` when no server
    /// answers there within five seconds.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self { connection: Connection::open(url).await? })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        self.connection.url()
    }

    /// Looks up features of many entities, at `request.as_of` or else the
    /// server's now.
    ///
    /// # Errors
    /// Those of [`Engine::lookup`](hitherto_engine::Engine::lookup); `Invalid`
    /// for keys of different types in one column; `Unavailable` when the
    /// server is full or gone; `Internal` for an answer that is malformed.
    pub async fn lookup(&self, request: &LookupRequest) -> Result<Lookup> {
        let request = wire::lookup::encode_request(request)?;
        let answer = self.lookups().lookup(request).await;
        wire::lookup::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// What is applied and online.
    ///
    /// # Errors
    /// `Unavailable` when the server is gone; `Internal` for an answer that is
    /// malformed.
    pub async fn catalog(&self) -> Result<Catalog> {
        let answer = self.registry().get_catalog(GetCatalogRequest {}).await;
        self.connection.checked(answer)?.into_inner().try_into()
    }

    /// Explains one view's answer for one entity, at `request.at` or else the
    /// server's now.
    ///
    /// # Errors
    /// Those of [`Engine::why`](hitherto_engine::Engine::why); `Invalid` for
    /// keys of different types in one column; `Unavailable` when the server is
    /// gone; `Internal` for an answer that is malformed.
    pub async fn why(&self, request: &WhyRequest) -> Result<Explanation> {
        let request = wire::why::encode_request(request)?;
        let answer = self.diagnostics().why(request).await;
        wire::why::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// Lets the server compare both sides of its views.
    ///
    /// # Errors
    /// Those of [`Engine::verify`](hitherto_engine::Engine::verify);
    /// `Unavailable` when the server verifies already or is gone; `Internal` for
    /// an answer that is malformed.
    pub async fn verify(&self, request: &VerifyRequest) -> Result<Verification> {
        let answer = self.diagnostics().verify(wire::verify::encode_request(request)).await;
        wire::verify::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// Builds a training set over a spine. Returns when the spine is sent and
    /// the server has begun.
    ///
    /// # Errors
    /// Those of [`Engine::training_set`](hitherto_engine::Engine::training_set);
    /// `Unavailable` when the server is full or gone. Later errors come out of
    /// [`RemoteTrainingSet::next`].
    pub async fn training_set(
        &self,
        request: &TrainingSetRequest,
        spine: Vec<RecordBatch>,
        spine_schema: SchemaRef,
    ) -> Result<RemoteTrainingSet> {
        let command = wire::training_set::encode_request(request);
        let (upload, broken) = training_set::upload(command, spine, spine_schema);
        let mut flights = self.flights();
        let answer = tokio::select! {
            Ok(error) = broken => return Err(error),
            answer = flights.do_exchange(upload) => answer,
        };
        let messages = self.connection.checked(answer)?.into_inner();
        RemoteTrainingSet::begin(messages, self.connection.clone()).await
    }

    fn lookups(&self) -> LookupServiceClient<Channel> {
        LookupServiceClient::new(self.connection.channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.connection.channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn diagnostics(&self) -> DiagnosticsServiceClient<Channel> {
        DiagnosticsServiceClient::new(self.connection.channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn flights(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.connection.channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}
