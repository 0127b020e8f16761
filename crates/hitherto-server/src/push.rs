//! `PushService`: batches of facts in, each answered once it is durable and seen.
//!
//! Each batch waits for the disk on a thread that may block. A stream has as many of
//! them in flight as [`PUSHES_IN_FLIGHT_MAX`] allows over all streams; those are made
//! durable together, and answered in the order in which they came. Further ones are
//! read when there is room, so that HTTP/2's flow control holds the caller back.

use std::sync::Arc;

use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use hitherto_core::limits::{MESSAGE_BYTES_MAX, PUSHES_IN_FLIGHT_MAX};
use hitherto_core::{Error, Result};
use hitherto_engine::{Engine, Pushed};
use hitherto_proto::convert::status::to_status;
use hitherto_proto::v1::push_service_server::{PushService, PushServiceServer};
use hitherto_proto::v1::{PushRequest, PushResponse};
use tokio::task::spawn_blocking;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::Admission;
use crate::budget::Held;
use crate::lifecycle::{Stopping, stopped};
use crate::metrics::{Method, Metrics};
use crate::port::Caller;
use crate::server::Clock;
use crate::wire;

/// What the push service answers with. Clones share everything.
#[derive(Clone)]
pub struct Pushes {
    /// Answers.
    pub engine: Arc<Engine>,
    /// Says when facts arrive.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Bounds batches in flight.
    pub admission: Admission,
    /// Ends streams.
    pub stopping: Stopping,
}

impl Pushes {
    /// The service, with its limits on messages.
    pub fn service(self) -> PushServiceServer<Self> {
        PushServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    async fn push_one(
        self,
        request: PushRequest,
        held: Option<Held>,
    ) -> Result<PushResponse, Status> {
        let mut call = self.metrics.begin(Method::Push);
        let permit = self.admission.admit().await?;
        let work = spawn_blocking(move || {
            let _kept = (permit, held);
            let request = wire::push::decode_request(request)?;
            self.engine.push(&request, (self.clock)())
        });
        let broken = |cause| Error::internal("a push broke off").with_source(cause);
        let pushed: Result<Pushed> = work.await.map_err(broken).and_then(|pushed| pushed);
        let answer = pushed.map(wire::push::encode_answer).map_err(|error| to_status(&error));
        call.end(&answer);
        answer
    }
}

#[tonic::async_trait]
impl PushService for Pushes {
    type PushStream = BoxStream<'static, Result<PushResponse, Status>>;

    async fn push(
        &self,
        requests: Request<Streaming<PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        let (pushes, mut stopping) = (self.clone(), self.stopping.clone());
        let caller = requests.extensions().get::<Arc<Caller>>().cloned();
        let requests = requests.into_inner().take_until(async move { stopping.begun().await });
        let answers = requests
            .and_then(move |request| {
                let caller = caller.clone();
                async move { Ok((hold(caller, &request).await, request)) }
            })
            .map_ok(move |(held, request)| pushes.clone().push_one(request, held))
            .try_buffered(PUSHES_IN_FLIGHT_MAX);
        // Whoever has more to say when the server stops is told so.
        let stopping = self.stopping.clone();
        let end = stream::once(async move { stopping.has_begun().then(|| Err(stopped())) });
        Ok(Response::new(answers.chain(end.filter_map(ready)).boxed()))
    }
}

/// Waits until there is memory for a batch: its bytes, and what they become.
async fn hold(caller: Option<Arc<Caller>>, request: &PushRequest) -> Option<Held> {
    let becomes = request.facts.len() as u64 + wire::push::claimed(request);
    Some(caller?.share.take(becomes).await)
}
