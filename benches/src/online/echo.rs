//! The echo: the same tonic, the same messages, constant columns, no store.
//!
//! It decodes the request as the real service does, counts its entities and
//! answers with a copy of a message that was made before: what a lookup would
//! cost if finding features cost nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_proto::v1::feature_column::Values;
use hitherto_proto::v1::lookup_service_server::{LookupService, LookupServiceServer};
use hitherto_proto::v1::{
    FeatureColumn, LookupRequest, LookupResponse, PackedF64, key_column, lookup_request,
};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::repository::{NOW_MICROS, Service};
use super::shapes;
use crate::Result;

/// As in `hitherto_server::server`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// An answer for each service and count of entities that a shape asks for.
#[derive(Clone, Debug)]
pub struct Echo {
    answers: Arc<HashMap<(String, usize), LookupResponse>>,
}

impl Echo {
    /// With an answer to every shape.
    pub fn new() -> Self {
        let answers = shapes::all().into_iter().map(|shape| {
            let key = (shape.service.name().to_owned(), shape.rows);
            (key, constant(shape.service, shape.rows))
        });
        Self { answers: Arc::new(answers.collect()) }
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// For one that no shape asks.
    pub fn answer(&self, request: LookupRequest) -> std::result::Result<LookupResponse, Status> {
        let rows = match request.keys.first().and_then(|column| column.values.as_ref()) {
            Some(key_column::Values::Ints(ints)) => ints.values.len(),
            _ => 0,
        };
        let Some(lookup_request::Selection::Service(service)) = request.selection else {
            return Err(Status::invalid_argument("the echo knows services only"));
        };
        let answer = self.answers.get(&(service, rows)).cloned();
        answer.ok_or_else(|| Status::not_found("no shape asks this"))
    }
}

/// A message of the size that the real server would send.
fn constant(service: Service, rows: usize) -> LookupResponse {
    let columns = service.features().into_iter().map(|name| FeatureColumn {
        name,
        r#type: String::from("float64"),
        statuses: vec![0; rows],
        values: Some(Values::F64s(PackedF64 { values: vec![0.5; rows] })),
        is_filled: false,
    });
    LookupResponse {
        at_micros: NOW_MICROS,
        rows: rows as u32,
        columns: columns.collect(),
        times: Vec::new(),
        catalog_version: 1,
        arrow: Vec::new(),
    }
}

#[tonic::async_trait]
impl LookupService for Echo {
    async fn lookup(
        &self,
        request: Request<LookupRequest>,
    ) -> std::result::Result<Response<LookupResponse>, Status> {
        self.answer(request.into_inner()).map(Response::new)
    }

    type LookupStreamStream = BoxStream<'static, std::result::Result<LookupResponse, Status>>;

    async fn lookup_stream(
        &self,
        request: Request<Streaming<LookupRequest>>,
    ) -> std::result::Result<Response<Self::LookupStreamStream>, Status> {
        let echo = self.clone();
        let answers = request.into_inner().map(move |request| echo.answer(request?));
        Ok(Response::new(answers.boxed()))
    }
}

/// Serves until `shutdown` resolves, with the settings of the real server.
///
/// # Errors
/// When the port fails.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<()> {
    let service = LookupServiceServer::new(Echo::new())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(Gzip);
    Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .add_service(service)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown,
        )
        .await?;
    Ok(())
}
