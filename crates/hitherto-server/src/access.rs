//! `AccessService`: who asks, as they are told themselves.

use std::sync::Arc;

use hitherto_api::{Grant, WhoAmI};
use hitherto_core::Error;
use hitherto_proto::convert::access::encode_answer;
use hitherto_proto::v1::access_service_server::{AccessService, AccessServiceServer};
use hitherto_proto::v1::{WhoAmIRequest, WhoAmIResponse};
use tonic::{Request, Response, Status};

use crate::admission::everybody;
use crate::metrics::Method;
use crate::served::Served;

/// What the access service answers with.
pub struct Access {
    /// What all services share.
    pub served: Arc<Served>,
}

impl Access {
    /// The service.
    pub fn service(self) -> AccessServiceServer<Self> {
        AccessServiceServer::new(self)
    }
}

#[tonic::async_trait]
impl AccessService for Access {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let tell = |grant: Grant, (), _| async move {
            Ok::<_, Error>(encode_answer(WhoAmI::from(grant.caller())))
        };
        let asked = request.extensions();
        self.served.serve(Method::WhoAmI, asked, everybody(), tell).await.map(Response::new)
    }
}
