//! Arrow Flight: a spine up, a training set down, in one `DoExchange`.
//!
//! ```text
//! caller   command + schema | batch | batch | half-close          as rows are needed
//!          command that says what makes the spine | half-close
//! server                               schema + plan | batch | batch | record
//! ```
//!
//! | module     | what it owns                                              |
//! | ---------- | --------------------------------------------------------- |
//! | `spine`    | what a caller sends: a command and a spine                 |
//! | `answer`   | what a caller gets: batches, then their record             |
//! | `workers`  | the threads that training sets are built on                |
//!
//! Flight's other methods are about data sets that have names and wait to be
//! fetched. A training set is neither: it is made of what the caller brings.

mod answer;
mod spine;
mod workers;

use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::BoxStream;
use hitherto_core::Result;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::{Engine, QueryBounds, TrainingSet};
use hitherto_proto::convert::status::to_status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{Asker, Fair, FairPermit};
use crate::metrics::{Method, Metrics};
use crate::port::Connection;
use crate::server::Clock;
use answer::{Answer, Place};
use spine::Question;
pub use workers::Workers;

/// What the Flight service answers with.
pub struct Flights {
    /// Builds training sets.
    pub engine: Arc<Engine>,
    /// Says what now is.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Bounds training sets in flight.
    pub admission: Fair,
    /// Bounds queries that make spines.
    pub queries: QueryBounds,
    /// Run them.
    pub workers: Arc<Workers>,
}

/// A stream of answers of one kind.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// A training set that was admitted.
type Admitted = (TrainingSet, FairPermit);

impl Flights {
    /// The service, with its limits on messages.
    pub fn service(self) -> FlightServiceServer<Self> {
        FlightServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    /// Admits the caller, reads what is asked and starts its training set: everything
    /// that can be found wrong before the first row is found here.
    async fn begin(&self, request: Request<Streaming<FlightData>>) -> Result<Admitted, Status> {
        let permit = self.admission.try_admit(Asker::of(request.extensions()))?;
        let connection = request.extensions().get::<Arc<Connection>>();
        let held = connection.map(|connection| connection.share.hold());
        let messages = request.into_inner();
        let started = async {
            let Question { request, spine } = Question::read(messages, self.queries, held).await?;
            let (engine, now) = (Arc::clone(&self.engine), (self.clock)());
            // The permit goes along: it is held as long as there is work, also
            // when nobody waits for it any more.
            let start = async move {
                let set = engine.training_set(&request, spine, now).await?;
                Ok((set, permit))
            };
            self.workers.run(start).await
        };
        started.await.map_err(|error| to_status(&error))
    }
}

#[tonic::async_trait]
impl FlightService for Flights {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let mut call = self.metrics.begin(Method::TrainingSet);
        let begun = self.begin(request).await;
        let (set, permit) = begun.inspect_err(|status| call.failed(status))?;
        let answer = Answer::new(set, Arc::clone(&self.metrics), Place::new(call, permit));
        Ok(Response::new(self.workers.stream(answer)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(not_served("Handshake"))
    }

    async fn list_flights(
        &self,
        _: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(not_served("ListFlights"))
    }

    async fn get_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(not_served("GetFlightInfo"))
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(not_served("PollFlightInfo"))
    }

    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        Err(not_served("GetSchema"))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(not_served("DoGet"))
    }

    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        Err(not_served("DoPut"))
    }

    async fn do_action(
        &self,
        _: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        Err(not_served("DoAction"))
    }

    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(not_served("ListActions"))
    }
}

fn not_served(method: &str) -> Status {
    Status::unimplemented(format!(
        "{method} is not served; a training set is a DoExchange whose descriptor has a \
         hitherto.v1.TrainingSetRequest as its command, and hitherto.v1.LookupService looks \
         features up"
    ))
}
