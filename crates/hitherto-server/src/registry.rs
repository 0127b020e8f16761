//! `RegistryService`: what is applied and what of it is online, and how both change.
//!
//! Applying definitions reads sources, so it runs on the workers of Flight.

use std::sync::Arc;

use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_core::{Error, Result};
use hitherto_engine::{Engine, RolledBack};
use hitherto_proto::convert::status::to_status;
use hitherto_proto::v1::registry_service_server::{RegistryService, RegistryServiceServer};
use hitherto_proto::v1::{
    ApplyRequest, ApplyResponse, GetCatalogRequest, GetCatalogResponse, RollbackRequest,
    RollbackResponse,
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::admission::Admission;
use crate::flight::Workers;
use crate::metrics::{Method, Metrics};
use crate::server::Clock;

/// What the registry service answers with.
pub struct Registry {
    /// Answers.
    pub engine: Arc<Engine>,
    /// Says what now is.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Run what takes a while.
    pub workers: Arc<Workers>,
    /// Bounds changes in flight.
    pub changes: Admission,
}

impl Registry {
    /// The service, with its limit on messages.
    pub fn service(self) -> RegistryServiceServer<Self> {
        RegistryServiceServer::new(self)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    async fn apply_all(
        &self,
        request: ApplyRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<ApplyResponse> {
        let ApplyRequest { dry_run, planned_version } = request;
        let (engine, now) = (Arc::clone(&self.engine), (self.clock)());
        let work = async move {
            let _place = place;
            let mut plan = engine.plan().await?;
            plan.catalog_version = planned_version.unwrap_or(plan.catalog_version);
            let catalog_version = match dry_run {
                true => plan.catalog_version,
                false => engine.apply(&plan, now).await?.version,
            };
            let changes_json = plan.changes.iter().map(serde_json::to_string);
            let changes_json = changes_json.collect::<Result<_, _>>().map_err(|cause| {
                Error::internal("a change cannot be written").with_source(cause)
            })?;
            Ok(ApplyResponse { changes_json, catalog_version, warnings: plan.warnings })
        };
        self.workers.run(work).await
    }

    async fn go_back(&self, view: String, place: OwnedSemaphorePermit) -> Result<RollbackResponse> {
        let engine = Arc::clone(&self.engine);
        let work = async move {
            let _place = place;
            engine.rollback(&view).await
        };
        let RolledBack { from, to, .. } = self.workers.run(work).await?;
        Ok(RollbackResponse { from, to })
    }
}

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn get_catalog(
        &self,
        _: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        let mut call = self.metrics.begin(Method::GetCatalog);
        let catalog = GetCatalogResponse::from(&*self.engine.catalog());
        let release = env!("CARGO_PKG_VERSION").to_owned();
        let catalog = Ok(Response::new(GetCatalogResponse { release, ..catalog }));
        call.end(&catalog);
        catalog
    }

    async fn apply(
        &self,
        request: Request<ApplyRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        let mut call = self.metrics.begin(Method::Apply);
        let applied = match self.changes.try_admit() {
            Ok(place) => {
                let applied = self.apply_all(request.into_inner(), place).await;
                applied.map_err(|error| to_status(&error))
            }
            Err(refusal) => Err(refusal),
        };
        call.end(&applied);
        applied.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        let mut call = self.metrics.begin(Method::Rollback);
        let rolled_back = match self.changes.try_admit() {
            Ok(place) => {
                let rolled_back = self.go_back(request.into_inner().view, place).await;
                rolled_back.map_err(|error| to_status(&error))
            }
            Err(refusal) => Err(refusal),
        };
        call.end(&rolled_back);
        rolled_back.map(Response::new)
    }
}
