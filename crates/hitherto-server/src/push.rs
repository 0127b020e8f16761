//! `PushService`: batches of facts in, each answered once it is durable and seen.
//!
//! Each batch waits for the disk on a thread that may block. A stream has as many of
//! them in flight as [`PUSHES_IN_FLIGHT_MAX`] allows over all streams; those are made
//! durable together, and answered in the order in which they came. Further ones are
//! read when there is room, so that HTTP/2's flow control holds the caller back. What was
//! begun before a request was refused is answered before the refusal.

use std::mem::replace;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::{Either, Ready, ready};
use futures::stream::{self, BoxStream};
use hitherto_api::{AskedEntity, Pushed};
use hitherto_core::limits::{MESSAGE_BYTES_MAX, PUSHES_IN_FLIGHT_MAX};
use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::to_status;
use hitherto_proto::v1::push_service_server::{PushService, PushServiceServer};
use hitherto_proto::v1::{PushRequest, PushResponse};
use http::Extensions;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::Admission;
use crate::audit::{Note, ROWS_HASHED_MAX};
use crate::budget::Work;
use crate::lifecycle::stopped;
use crate::metrics::Method;
use crate::port::Connection;
use crate::served::Served;
use hitherto_proto::convert;

type Answer = Result<PushResponse, Status>;

/// What the push service answers with. Clones share everything.
#[derive(Clone)]
pub struct Pushes {
    /// What all services share.
    pub served: Arc<Served>,
    /// Bounds batches in flight.
    pub admission: Admission,
}

impl Pushes {
    /// The service, with its limits on messages.
    pub fn service(self) -> PushServiceServer<Self> {
        PushServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    /// Begins a batch as soon as there is memory for it. That is done on a task of its own:
    /// what has memory is not to wait until its caller has read answers.
    async fn begin(
        self,
        request: Result<PushRequest, Status>,
        asked: Arc<Extensions>,
    ) -> Either<Begun, Ready<Answer>> {
        let request = match request {
            Ok(request) => request,
            Err(refusal) => return Either::Right(ready(Err(refusal))),
        };
        let (tell, has_memory) = oneshot::channel();
        let begun = Begun(tokio::spawn(async move {
            let connection = asked.get::<Arc<Connection>>();
            let _working = connection.map(|connection| connection.works());
            let work = hold(connection, &request).await;
            // Nobody listens when the stream is gone.
            let _ = tell.send(());
            self.push_one(&asked, request, work).await
        }));
        // It is not told by a task that breaks off, which says so itself.
        let _ = has_memory.await;
        Either::Left(begun)
    }

    async fn push_one(
        self,
        asked: &Extensions,
        request: PushRequest,
        work: Option<Work>,
    ) -> Answer {
        let served = Arc::clone(&self.served);
        let push = |grant, permit, note: Note| async {
            let pushing = spawn_blocking(move || {
                let _kept = (permit, work);
                let request = convert::push::decode_request(request)?;
                served.note_push(&note, &request);
                served.engine.push(&grant, &request, (served.clock)())
            });
            let broken = |cause| Error::internal("a push broke off").with_source(cause);
            let pushed: Result<Pushed> = pushing.await.map_err(broken)?;
            pushed.map(convert::push::encode_answer)
        };
        self.served.serve(Method::Push, asked, self.admission.admit(), push).await
    }
}

#[tonic::async_trait]
impl PushService for Pushes {
    type PushStream = BoxStream<'static, Result<PushResponse, Status>>;

    async fn push(
        &self,
        requests: Request<Streaming<PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        let (pushes, mut stopping) = (self.clone(), self.served.stopping.clone());
        let (_, asked, requests) = requests.into_parts();
        let asked = Arc::new(asked);
        let requests = requests.take_until(async move { stopping.begun().await });
        let answers = requests
            // None is pushed after one that was refused.
            .scan(false, |is_over, request| {
                let was_over = replace(is_over, request.is_err());
                ready((!was_over).then_some(request))
            })
            .then(move |request| pushes.clone().begin(request, Arc::clone(&asked)))
            .buffered(PUSHES_IN_FLIGHT_MAX);
        // Whoever has more to say when the server stops is told so.
        let stopping = self.served.stopping.clone();
        let end = stream::once(async move { stopping.has_begun().then(|| Err(stopped())) });
        Ok(Response::new(answers.chain(end.filter_map(ready)).boxed()))
    }
}

/// A batch that was begun. Dropped, it is given up, unless it is on its way to the disk.
struct Begun(JoinHandle<Answer>);

impl Future for Begun {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(context).map(|ended| {
            ended.unwrap_or_else(|cause| {
                Err(to_status(&Error::internal("a push broke off").with_source(cause)))
            })
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Served {
    /// Notes which view is pushed to, and whom the facts are about.
    fn note_push(&self, note: &Note, request: &hitherto_api::PushRequest) {
        note.set(|audit, record| {
            let catalog = self.engine.catalog();
            record.views = vec![request.view.clone()];
            record.count = request.facts.num_rows() as u64;
            record.catalog_version = catalog.version;
            if let Ok(view) = catalog.registry.view(&request.view) {
                let entities: Vec<_> = AskedEntity::of(view, |key| key).into_iter().collect();
                audit.note_batch(&entities, &request.facts, ROWS_HASHED_MAX, record);
            }
        });
    }
}

/// Waits until there is memory for a batch: its bytes, and what they become.
async fn hold(connection: Option<&Arc<Connection>>, request: &PushRequest) -> Option<Work> {
    let becomes = request.facts.len() as u64 + convert::push::claimed(request);
    Some(connection?.share.work(becomes).await)
}
