//! `DiagnosticsService`: why a value answers, and whether both sides agree.
//!
//! These calls read sources as training sets do, so they run on the same
//! workers and never on a thread that serves lookups. A caller who goes away
//! ends the work. One verification runs at a time, because each reads every
//! source.

use std::sync::Arc;

use hitherto_api::{AskedEntity, Grant};
use hitherto_core::Result;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_proto::v1::diagnostics_service_server::{
    DiagnosticsService, DiagnosticsServiceServer,
};
use hitherto_proto::v1::{VerifyRequest, VerifyResponse, WhyRequest, WhyResponse};
use tokio::sync::OwnedSemaphorePermit;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::admission::{Admission, Asker, Fair, FairPermit};
use crate::audit::Note;
use crate::metrics::Method;
use crate::served::Served;
use hitherto_proto::convert;

/// What the diagnostics service answers with.
pub struct Diagnostics {
    /// What all services share.
    pub served: Arc<Served>,
    /// Bounds verifications in flight.
    pub verifications: Admission,
    /// Bounds explanations in flight.
    pub explanations: Fair,
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
    async fn explain(
        &self,
        grant: Grant,
        request: WhyRequest,
        (place, note): (FairPermit, Note),
    ) -> Result<WhyResponse> {
        let request = convert::why::decode_request(request)?;
        note.set(|audit, record| {
            record.views = vec![request.view.clone()];
            (record.as_of, record.count) = (request.at, 1);
            if let Ok(view) = self.served.engine.catalog().registry.view(&request.view) {
                let entities: Vec<_> = AskedEntity::of(view, |key| key).into_iter().collect();
                audit.note_keys(&entities, &request.keys, record);
            }
        });
        let Served { engine, clock, workers, .. } = &*self.served;
        let (engine, now) = (Arc::clone(engine), clock());
        let work = async move {
            let _place = place;
            engine.why(&grant, &request, now).await
        };
        workers.run(work).await.map(convert::why::encode_answer)
    }

    /// Runs a verification, which holds its place until its work has ended.
    async fn check(
        &self,
        grant: Grant,
        request: VerifyRequest,
        (permit, note): (OwnedSemaphorePermit, Note),
    ) -> Result<VerifyResponse> {
        let request = convert::verify::decode_request(request);
        note.set(|_, record| record.views.clone_from(&request.views));
        let Served { engine, clock, workers, .. } = &*self.served;
        let (engine, now) = (Arc::clone(engine), clock());
        let work = async move {
            let _permit = permit;
            engine.verify(&grant, &request, now).await
        };
        workers.run(work).await.map(convert::verify::encode_answer)
    }
}

#[tonic::async_trait]
impl DiagnosticsService for Diagnostics {
    async fn why(&self, request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        let (_, asked, request) = request.into_parts();
        let admit = async { self.explanations.try_admit(Asker::of(&asked)) };
        let explain = |grant, place, note| self.explain(grant, request, (place, note));
        self.served.serve(Method::Why, &asked, admit, explain).await.map(Response::new)
    }

    async fn verify(
        &self,
        request: Request<VerifyRequest>,
    ) -> Result<Response<VerifyResponse>, Status> {
        let (_, asked, request) = request.into_parts();
        let admit = async { self.verifications.try_admit() };
        let check = |grant, permit, note| self.check(grant, request, (permit, note));
        self.served.serve(Method::Verify, &asked, admit, check).await.map(Response::new)
    }
}
