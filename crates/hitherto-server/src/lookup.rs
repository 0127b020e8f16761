//! `LookupService`: unary and streamed lookups.
//!
//! Every wire asks here: gRPC, Feast's gRPC and HTTP, one set of places for all.
//!
//! A lookup whose rows are all in memory is answered where its request is; one
//! that has to wait for the disk goes to a thread that may block. To send a small
//! lookup to another thread and its answer back costs more than the lookup.
//!
//! What is more than can be answered is refused as early as it can be seen, so that what is
//! answered is answered in time:
//!
//! ```text
//! waited too long for a thread     before it is read      whatever it is
//! as many under way as may be      before it is read      until its answer is sent
//! more values than cores can do    before it is looked up on other threads
//! ```
//!
//! A caller who goes away or whose deadline passes takes the work along: it ends
//! before the next block of rows is read.
//!
//! A stream has one lookup in flight. No queue stands between it and the
//! connection: the next request is read when HTTP/2's flow control has room
//! for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hitherto_api::{Grant, Lookup};
use hitherto_core::limits::{LOOKUP_VALUES_IN_PLACE_MAX, MESSAGE_BYTES_MAX};
use hitherto_core::{Error, Result};
use hitherto_proto::answer::Answer;
use hitherto_proto::v1::LookupRequest;
use hitherto_proto::written::lookup_service_server::{LookupService, LookupServiceServer};
use http::Extensions;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{spawn_blocking, yield_now};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{Admission, Behind, Weighed};
use crate::audit::Note;
use crate::lifecycle::{Stopping, stopped};
use crate::metrics::Method;
use crate::port::{Kept, Waited};
use crate::served::{Failed, Served};
use hitherto_proto::convert;

/// How an answer is written, by what that costs.
#[derive(Clone, Copy, Debug)]
pub enum Written {
    /// Column by column.
    InColumns,
    /// Every value by itself.
    CellByCell,
}

impl Written {
    /// Entities that are looked up in place, if their rows are in memory. It
    /// bounds how long a thread that serves connections can be held.
    const fn in_place_entities_max(self) -> usize {
        match self {
            Written::InColumns => 1_000,
            Written::CellByCell => 10,
        }
    }
}

/// An answer that keeps its place until it is sent.
pub fn keeping<T>((answer, permit): (T, OwnedSemaphorePermit)) -> Response<T> {
    let mut response = Response::new(answer);
    response.extensions_mut().insert(Kept::new(permit));
    response
}

/// A lookup that was let in: what its caller may, its place, and where it is noted what it asks
/// for.
pub struct Admitted {
    pub grant: Grant,
    pub permit: OwnedSemaphorePermit,
    pub note: Note,
}

impl Admitted {
    pub fn new(grant: Grant, permit: OwnedSemaphorePermit, note: Note) -> Self {
        Self { grant, permit, note }
    }
}

/// The caller's end of work on another thread: once it is dropped nobody waits.
#[derive(Default)]
struct Waiting {
    is_over: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// What the lookup service answers with. Clones share everything.
#[derive(Clone)]
pub struct Lookups {
    /// What all services share.
    pub served: Arc<Served>,
    /// Lookups that take longer are logged.
    pub slow: Duration,
    /// Bounds lookups in flight.
    pub admission: Admission,
    /// Bounds what waits for threads that serve connections.
    pub behind: Behind,
    /// Bounds those on threads that may block.
    pub elsewhere: Weighed,
}

impl Lookups {
    /// The service, with its limits on messages.
    pub fn service(self) -> LookupServiceServer<Self> {
        LookupServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }

    /// Admits a request, until the place is dropped.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when it has waited too long, or as many are under way as may be.
    pub fn admit(&self, extensions: &Extensions) -> Result<OwnedSemaphorePermit, Status> {
        if let Some(waited) = extensions.get::<Waited>() {
            self.behind.check(waited.0)?;
        }
        self.admission.try_admit()
    }

    /// Answers one request, which has been admitted.
    async fn answer(
        &self,
        admitted: Admitted,
        request: LookupRequest,
    ) -> Result<(Answer, OwnedSemaphorePermit), Failed> {
        let is_arrow = request.as_arrow;
        let request = convert::lookup::decode_request(request)?;
        let write = move |answer: Lookup| match is_arrow {
            true => convert::lookup::encode_arrow_answer(&answer),
            false => Ok(convert::lookup::encode_answer(answer)),
        };
        self.look_up(admitted, request, Written::InColumns, write).await
    }

    /// Looks up what any wire asked for and writes the answer, where that belongs. The
    /// place comes back with it, to be kept until it is sent.
    ///
    /// # Errors
    /// Those of [`Engine::lookup`] and `write`; `RESOURCE_EXHAUSTED` when it is too much to
    /// be answered in place and too much for other threads; `INTERNAL` when the work broke
    /// off.
    pub async fn look_up<T: Send + 'static>(
        &self,
        Admitted { grant, permit, note }: Admitted,
        request: hitherto_api::LookupRequest,
        written: Written,
        write: impl FnOnce(Lookup) -> Result<T> + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), Failed> {
        let begun = Instant::now();
        note.select(&request.selection);
        note.set(|_, record| {
            (record.as_of, record.entities) = (request.as_of, request.entities() as u64);
        });
        let Served { engine, clock, .. } = &*self.served;
        let now = clock();
        if request.entities() <= written.in_place_entities_max()
            && let Some(answer) =
                engine.lookup_in_memory(&grant, &request, now, LOOKUP_VALUES_IN_PLACE_MAX)?
        {
            self.looked_up((&grant, &note), &request, &answer, begun);
            return Ok((write(answer)?, permit));
        }
        let place = self.elsewhere.admit(engine.count_values(&grant, &request)?).await?;
        let waiting = Waiting::default();
        let is_over = Arc::clone(&waiting.is_over);
        let lookups = self.clone();
        let work = spawn_blocking(move || {
            // Work keeps its places until it has noticed that nobody waits.
            let _place = place;
            let answer = lookups.served.engine.lookup_until(&grant, &request, now, &is_over)?;
            lookups.looked_up((&grant, &note), &request, &answer, begun);
            Ok::<_, Error>((write(answer)?, permit))
        });
        let broken = |cause| Error::internal("a lookup broke off").with_source(cause);
        Ok(work.await.map_err(broken)??)
    }

    /// Counts and notes a lookup, and logs one that took long: who asked and how it is answered,
    /// and not of whom.
    fn looked_up(
        &self,
        (grant, note): (&Grant, &Note),
        request: &hitherto_api::LookupRequest,
        answer: &Lookup,
        begun: Instant,
    ) {
        note.set(|audit, record| {
            (record.features, record.count) = (answer.columns.len() as u64, answer.rows as u64);
            (record.catalog_version, record.entities) = (answer.catalog_version, 0);
            audit.note_keys(&answer.entities, &request.keys, record);
        });
        let took = begun.elapsed();
        self.served.metrics.looked_up(&request.selection, answer, took);
        if took > self.slow {
            let plan =
                self.served.engine.describe_lookup(grant, &request.selection).unwrap_or_default();
            let (millis, entities) = (took.as_millis() as u64, answer.rows);
            let caller = grant.caller();
            tracing::warn!(millis, entities, as_of = request.as_of, %caller, plan, "slow lookup");
        }
    }
}

#[tonic::async_trait]
impl LookupService for Lookups {
    async fn lookup(&self, request: Request<LookupRequest>) -> Result<Response<Answer>, Status> {
        let (_, asked, request) = request.into_parts();
        let admit = async { self.admit(&asked) };
        let answer = |grant, permit, note| self.answer(Admitted::new(grant, permit, note), request);
        self.served.serve(Method::Lookup, &asked, admit, answer).await.map(keeping)
    }

    type LookupStreamStream = BoxStream<'static, Result<Answer, Status>>;

    async fn lookup_stream(
        &self,
        request: Request<Streaming<LookupRequest>>,
    ) -> Result<Response<Self::LookupStreamStream>, Status> {
        let (_, asked, requests) = request.into_parts();
        let stopping = self.served.stopping.clone();
        let conversation = Conversation { lookups: self.clone(), asked, stopping, requests };
        Ok(Response::new(stream::try_unfold(conversation, Conversation::next).boxed()))
    }
}

/// A lookup stream between two answers.
struct Conversation {
    lookups: Lookups,
    /// The extensions of the request that began it: whose it is.
    asked: Extensions,
    stopping: Stopping,
    requests: Streaming<LookupRequest>,
}

impl Conversation {
    /// Answers the next request, if there is one.
    async fn next(mut self) -> Result<Option<(Answer, Self)>, Status> {
        // Answers are gathered into one write for as long as they are ready at
        // once, and requests often wait in line: without this pause the first
        // answer would leave after the last.
        yield_now().await;
        let request = tokio::select! {
            biased;
            () = self.stopping.begun() => return Err(stopped()),
            request = self.requests.message() => request?,
        };
        let Some(request) = request else { return Ok(None) };
        let lookups = &self.lookups;
        let admit = lookups.admission.admit();
        let answer =
            |grant, permit, note| lookups.answer(Admitted::new(grant, permit, note), request);
        let answered = lookups.served.serve(Method::LookupStream, &self.asked, admit, answer);
        let (answer, _permit) = answered.await?;
        Ok(Some((answer, self)))
    }
}
