//! `RegistryService`: what is applied and what of it is online, and how both change.
//!
//! Applying definitions reads sources, so it runs on the workers.

use std::sync::Arc;

use hitherto_api::{Grant, RolledBack};
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_core::{Error, Result};
use hitherto_proto::v1::registry_service_server::{RegistryService, RegistryServiceServer};
use hitherto_proto::v1::{
    ApplyRequest, ApplyResponse, GetCatalogRequest, GetCatalogResponse, RollbackRequest,
    RollbackResponse,
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::admission::{Admission, everybody};
use crate::audit::Note;
use crate::metrics::Method;
use crate::served::Served;

/// What the registry service answers with.
pub struct Registry {
    /// What all services share.
    pub served: Arc<Served>,
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
        grant: Grant,
        request: ApplyRequest,
        (place, note): (OwnedSemaphorePermit, Note),
    ) -> Result<ApplyResponse> {
        let ApplyRequest { dry_run, planned_version } = request;
        let Served { engine, clock, workers, .. } = &*self.served;
        let (engine, now) = (Arc::clone(engine), clock());
        let work = async move {
            let _place = place;
            let what = if dry_run { "planned" } else { "applied" };
            note.set(|_, record| record.detail = what.to_owned());
            let mut plan = engine.plan(&grant).await?;
            plan.catalog_version = planned_version.unwrap_or(plan.catalog_version);
            let catalog_version = match dry_run {
                true => plan.catalog_version,
                false => engine.apply(&grant, &plan, now).await?.version,
            };
            note.set(|_, record| {
                record.catalog_version = catalog_version;
                record.count = plan.changes.len() as u64;
            });
            let changes_json = plan.changes.iter().map(serde_json::to_string);
            let changes_json = changes_json.collect::<Result<_, _>>().map_err(|cause| {
                Error::internal("a change cannot be written").with_source(cause)
            })?;
            Ok(ApplyResponse { changes_json, catalog_version, warnings: plan.warnings })
        };
        workers.run(work).await
    }

    async fn go_back(
        &self,
        grant: Grant,
        view: String,
        (place, note): (OwnedSemaphorePermit, Note),
    ) -> Result<RollbackResponse> {
        note.set(|_, record| record.views = vec![view.clone()]);
        let engine = Arc::clone(&self.served.engine);
        let work = async move {
            let _place = place;
            engine.rollback(&grant, &view).await
        };
        let RolledBack { from, to, .. } = self.served.workers.run(work).await?;
        note.set(|_, record| record.detail = format!("from generation {from} to {to}"));
        Ok(RollbackResponse { from, to })
    }
}

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn get_catalog(
        &self,
        request: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        let answer = |_, (), note: Note| async move {
            note.set(|_, record| record.catalog_version = self.served.engine.catalog().version);
            let catalog = GetCatalogResponse::from(&*self.served.engine.catalog());
            let release = env!("CARGO_PKG_VERSION").to_owned();
            Ok::<_, Error>(GetCatalogResponse { release, ..catalog })
        };
        let served =
            self.served.serve(Method::GetCatalog, request.extensions(), everybody(), answer);
        served.await.map(Response::new)
    }

    async fn apply(
        &self,
        request: Request<ApplyRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        let (_, asked, request) = request.into_parts();
        let admit = async { self.changes.try_admit() };
        let apply = |grant, place, note| self.apply_all(grant, request, (place, note));
        self.served.serve(Method::Apply, &asked, admit, apply).await.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        let (_, asked, request) = request.into_parts();
        let admit = async { self.changes.try_admit() };
        let go_back = |grant, place, note| self.go_back(grant, request.view, (place, note));
        self.served.serve(Method::Rollback, &asked, admit, go_back).await.map(Response::new)
    }
}
