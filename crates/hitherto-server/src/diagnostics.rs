//! `DiagnosticsService`: why a value answers, and whether both sides agree.
//!
//! These calls read sources as training sets do, so they run on the same
//! workers and never on a thread that serves lookups. A caller who goes away
//! ends the work. One verification runs at a time, because each reads every
//! source.

use std::sync::Arc;

use hitherto_core::Result;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::{Engine, Explanation, Verification};
use hitherto_proto::convert::status::to_status;
use hitherto_proto::v1::diagnostics_service_server::{
    DiagnosticsService, DiagnosticsServiceServer,
};
use hitherto_proto::v1::{VerifyRequest, VerifyResponse, WhyRequest, WhyResponse};
use tokio::sync::OwnedSemaphorePermit;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::admission::{Admission, Asker, Fair, FairPermit};
use crate::flight::Workers;
use crate::metrics::{Method, Metrics};
use crate::server::Clock;
use crate::wire;

/// What the diagnostics service answers with.
pub struct Diagnostics {
    /// Answers.
    pub engine: Arc<Engine>,
    /// Says what now is.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Bounds verifications in flight.
    pub verifications: Admission,
    /// Bounds explanations in flight.
    pub explanations: Fair,
    /// Run the work.
    pub workers: Arc<Workers>,
}

impl Diagnostics {
    /// The service, with its limits on messages.
    pub fn service(self) -> DiagnosticsServiceServer<Self> {
        DiagnosticsServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    /// Explains, and holds the place until the work has ended.
    async fn explain(&self, request: WhyRequest, place: FairPermit) -> Result<Explanation> {
        let request = wire::why::decode_request(request)?;
        let (engine, now) = (Arc::clone(&self.engine), (self.clock)());
        let work = async move {
            let _place = place;
            engine.why(&request, now).await
        };
        self.workers.run(work).await
    }

    /// Runs a verification, which holds its place until its work has ended.
    async fn check(
        &self,
        request: VerifyRequest,
        permit: OwnedSemaphorePermit,
    ) -> Result<Verification> {
        let request = wire::verify::decode_request(request);
        let (engine, now) = (Arc::clone(&self.engine), (self.clock)());
        let work = async move {
            let _permit = permit;
            engine.verify(&request, now).await
        };
        self.workers.run(work).await
    }
}

#[tonic::async_trait]
impl DiagnosticsService for Diagnostics {
    async fn why(&self, request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        let mut call = self.metrics.begin(Method::Why);
        let answer = match self.explanations.try_admit(Asker::of(request.extensions())) {
            Ok(place) => {
                let answer = self.explain(request.into_inner(), place).await;
                answer.map(wire::why::encode_answer).map_err(|error| to_status(&error))
            }
            Err(refusal) => Err(refusal),
        };
        call.end(&answer);
        answer.map(Response::new)
    }

    async fn verify(
        &self,
        request: Request<VerifyRequest>,
    ) -> Result<Response<VerifyResponse>, Status> {
        let mut call = self.metrics.begin(Method::Verify);
        let answer = match self.verifications.try_admit() {
            Ok(permit) => self.check(request.into_inner(), permit).await,
            Err(refusal) => {
                call.failed(&refusal);
                return Err(refusal);
            }
        };
        let answer = answer.map(wire::verify::encode_answer).map_err(|error| to_status(&error));
        call.end(&answer);
        answer.map(Response::new)
    }
}
