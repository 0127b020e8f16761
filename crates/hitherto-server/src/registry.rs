//! `RegistryService`: what is applied and what of it is online.

use std::sync::Arc;

use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::Engine;
use hitherto_proto::v1::registry_service_server::{RegistryService, RegistryServiceServer};
use hitherto_proto::v1::{GetCatalogRequest, GetCatalogResponse};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::metrics::{Method, Metrics};

/// What the registry service answers with.
pub struct Registry {
    /// Answers.
    pub engine: Arc<Engine>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Registry {
    /// The service, with its limit on messages.
    pub fn service(self) -> RegistryServiceServer<Self> {
        RegistryServiceServer::new(self)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }
}

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn get_catalog(
        &self,
        _: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        let mut call = self.metrics.begin(Method::GetCatalog);
        let catalog = Ok(Response::new((&*self.engine.catalog()).into()));
        call.end(&catalog);
        catalog
    }
}
