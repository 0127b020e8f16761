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
//! | `sending`  | an answer on its way from the workers to its caller        |
//!
//! Flight's other methods are about data sets that have names and wait to be
//! fetched. A training set is neither: it is made of what the caller brings.

mod answer;
mod sending;
mod spine;

use std::sync::Arc;

use futures::stream::BoxStream;
use hitherto_api::{Grant, QueryBounds, Spine};
use hitherto_core::Result;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::TrainingSet;
use hitherto_proto::convert::status::to_status;
use hitherto_proto::flight::flight_service_server::{FlightService, FlightServiceServer};
use hitherto_proto::flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{Asker, Fair, FairPermit};
use crate::audit::{Note, Passing};
use crate::budget::Held;
use crate::metrics::Method;
use crate::port::Connection;
use crate::served::{Served, caller};
use answer::{Answer, Place};
use spine::Question;

/// What the Flight service answers with.
pub struct Flights {
    /// What all services share.
    pub served: Arc<Served>,
    /// Bounds training sets in flight.
    pub admission: Fair,
    /// Bounds queries that make spines.
    pub queries: QueryBounds,
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

    /// Reads what is asked and starts its training set: everything that can be found wrong
    /// before the first row is found here. `held` counts what the caller sends.
    async fn start(
        &self,
        grant: Grant,
        messages: Streaming<FlightData>,
        held: Option<Held>,
        (permit, note): (FairPermit, Note),
    ) -> Result<Admitted> {
        let Question { request, spine } = Question::read(messages, self.queries, held).await?;
        let Served { engine, clock, workers, .. } = &*self.served;
        let (engine, now) = (Arc::clone(engine), clock());
        note.select(&request.selection);
        note.set(|_, record| record.catalog_version = engine.catalog().version);
        let spine = match spine {
            Spine::Reader { rows, times } => {
                let entities = engine.entities_of(&grant, &request.selection)?;
                Spine::Reader { rows: Box::new(Passing::new(rows, entities, note)), times }
            }
            made => made,
        };
        // The permit goes along: it is held as long as there is work, also
        // when nobody waits for it any more.
        let start = async move {
            let set = engine.training_set(&grant, &request, spine, now).await?;
            Ok((set, permit))
        };
        workers.run(start).await
    }
}

#[tonic::async_trait]
impl FlightService for Flights {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<hitherto_proto::flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let (_, asked, messages) = request.into_parts();
        let held = asked.get::<Arc<Connection>>().map(|connection| connection.share.hold());
        let admit = async { self.admission.try_admit(Asker::of(&asked)) };
        let start = |grant, permit, note| self.start(grant, messages, held, (permit, note));
        let begun = self.served.begin(Method::TrainingSet, &asked, admit, start).await?;
        let ((set, permit), call) = begun;
        let caller = caller(&asked).map_err(|error| to_status(&error))?;
        let answer = Answer::new(set, &self.served, caller, Place::new(call, permit));
        Ok(Response::new(sending::stream(&self.served.workers, answer)))
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
