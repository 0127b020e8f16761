//! The port: connections, from their first byte to their last.
//!
//! ```text
//! accept -> room -> TLS? -> HTTP/1 or HTTP/2 -> upload -> services -> sent
//!           who may be       heads, calls at     bytes      bytes, until
//!           here              a time              in time    they have left
//! ```
//!
//! | module       | what it owns                                                |
//! | ------------ | ----------------------------------------------------------- |
//! | `room`       | who is connected, and who goes when one more comes           |
//! | `deadline`   | how long a caller waits                                      |
//! | `connection` | one connection: its calls, and how long each of them may take |
//! | `upload`     | what a caller sends                                          |
//! | `sent`       | what a caller is sent                                        |
//!
//! Nothing here knows what is served; who may ask is the guard's to say. What a stranger can
//! take is bounded by how many connections there are, what one may hold, and how long it may
//! say nothing; what a caller can take also by the budget of bytes. Whoever is beyond time
//! loses the connection, because HTTP/2 has no other way to take something back that is not
//! read.

mod connection;
mod deadline;
mod room;
mod sent;
mod upload;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use futures::FutureExt;
use hitherto_core::limits::{
    CALLS_OF_CONNECTION_MAX, HEAD_BYTES_MAX, MESSAGE_SECONDS, SEND_SECONDS, STOP_SILENCE_MILLIS,
    TRAINING_SET_PAUSE_SECONDS,
};
use http::{Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Status;
use tonic::codegen::Service;

use crate::lifecycle::Stopping;
use crate::secure::{self, Guard, Shown, Tls};
use crate::web;
use connection::Call;
use room::{Place, Sweep};
use sent::Sent;
use upload::{Form, Upload};

pub use connection::Connection;
pub use room::Room;
pub use sent::Kept;

/// How often a silent connection is asked whether anybody is there. Without it
/// the streams of a caller that lost its power are held for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long HTTP/1 waits for a request, the next one of a connection too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How long nothing is accepted after the system gave no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How long a request has waited for a thread since its head was read, in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Waited(pub Duration);

/// What a port is opened with.
pub struct Port {
    /// Who is connected.
    pub room: Arc<Room>,
    /// What is spoken, if it is TLS.
    pub tls: Option<Tls>,
    /// Who may ask.
    pub guard: Guard,
    /// What is served.
    pub router: Router,
    /// Bytes that one call takes ahead, and one connection.
    pub bytes_ahead: (u32, u32),
    /// When it ends.
    pub stopping: Stopping,
}

/// What every connection of a port has.
#[derive(Clone)]
struct Shared {
    tls: Option<Tls>,
    guard: Arc<Guard>,
    router: Router,
    http: Builder<TokioExecutor>,
    stopping: Stopping,
}

impl Port {
    /// Serves until the server stops and its connections have ended.
    pub async fn serve(self, listener: TcpListener) {
        let Port { room, tls, guard, router, bytes_ahead, mut stopping } = self;
        let (guard, http) = (Arc::new(guard), http(bytes_ahead));
        let shared = Shared { tls, guard, router, http, stopping: stopping.clone() };
        let mut connections = JoinSet::new();
        connections.spawn(sweep(Arc::clone(&room), stopping.clone()));
        loop {
            tokio::select! {
                biased;
                () = stopping.begun() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        let place = room.enter(Some(address));
                        connections.spawn(shared.clone().serve(stream, place));
                    }
                    Err(cause) => refused(&room, &cause).await,
                },
                _ = connections.join_next() => {}
            }
        }
        drop(listener);
        while room.len() > 0 && connections.join_next().await.is_some() {}
    }
}

/// A connection was not accepted: its caller went away, or the system has no more.
async fn refused(room: &Room, cause: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(cause.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%cause, connections = room.len(), "a connection was not accepted");
        room.spare();
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Looks at connections until none is left of a server that stops.
async fn sweep(room: Arc<Room>, mut stopping: Stopping) {
    while !stopping.has_begun() {
        tokio::select! {
            () = stopping.begun() => {}
            () = tokio::time::sleep(SWEEP_INTERVAL) => room.sweep(Sweep::Serving),
        }
    }
    // Whoever has something to say yet has this time to begin.
    tokio::time::sleep(Duration::from_millis(STOP_SILENCE_MILLIS)).await;
    while room.len() > 0 {
        room.sweep(Sweep::Stopping);
        tokio::time::sleep(SWEEP_INTERVAL).await;
    }
}

fn http((of_call, of_connection): (u32, u32)) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(of_call)
        .initial_connection_window_size(of_connection)
        .max_concurrent_streams(CALLS_OF_CONNECTION_MAX as u32)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL);
    http
}

impl Shared {
    /// Serves one connection to its end.
    async fn serve(self, stream: TcpStream, place: Place) {
        // It only says that small answers leave at once.
        let _ = stream.set_nodelay(true);
        let connection = Arc::clone(&place.connection);
        tokio::select! {
            () = connection.over() => {}
            () = self.talk(stream, &connection) => {}
        }
    }

    async fn talk(mut self, stream: TcpStream, connection: &Arc<Connection>) {
        match self.tls.take() {
            None => self.converse(stream, None, connection).await,
            Some(tls) => {
                if let Some(stream) = secure::shake(stream, tls).await {
                    let certificate = secure::of_connection(&stream);
                    self.converse(stream, certificate, connection).await;
                }
            }
        }
    }

    /// Answers requests, until the caller goes or the server stops.
    async fn converse<S>(self, stream: S, certificate: Option<Shown>, connection: &Arc<Connection>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { guard, router, http, mut stopping, .. } = self;
        let entrance = Entrance { guard, router, certificate, connection: Arc::clone(connection) };
        let entrance = Arc::new(entrance);
        let service = service_fn(move |request: Request<Incoming>| {
            let call = entrance.connection.begin();
            answer(Arc::clone(&entrance), call, Instant::now(), request)
        });
        let address = connection.address;
        let served = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(served);
        let stopped = async { stopping.begun().await }.fuse();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                ended = served.as_mut() => {
                    if let Err(cause) = ended {
                        tracing::debug!(caller = ?address, %cause, "a connection ended");
                    }
                    return;
                }
                () = &mut stopped => served.as_mut().graceful_shutdown(),
            }
        }
    }
}

/// Where the requests of one connection get in.
struct Entrance {
    guard: Arc<Guard>,
    router: Router,
    /// Whose certificate was shown.
    certificate: Option<Shown>,
    connection: Arc<Connection>,
}

impl Entrance {
    /// Answers a request, which the guard has let in or else has answered.
    async fn pass(&self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        let certificate = self.certificate.as_ref();
        if let Err(denial) = self.guard.admit(&mut request, certificate, &self.connection).await {
            return denial;
        }
        let answered = self.router.clone().call(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// Answers one request, which is done on a thread of its own turn: over HTTP/2 later than
/// its head was read.
async fn answer(
    entrance: Arc<Entrance>,
    call: Option<Call>,
    arrived: Instant,
    mut request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    request.extensions_mut().insert(Waited(arrived.elapsed()));
    let Some(call) = call else {
        return Ok(web::full(request.headers(), TOO_MANY_CALLS).map(Sent::bare));
    };
    let (form, pause) = form(request.uri().path());
    let is_whole = request.version() != Version::HTTP_2;
    if is_whole && !has_one_host(&request) {
        return Ok(web::hostless().map(Sent::bare));
    }
    if call.connection().is_probe && !secure::is_about_health(request.uri().path()) {
        return Ok(web::full(request.headers(), TOO_MANY_CONNECTIONS).map(Sent::bare));
    }
    let form = if is_whole { Form::Whole } else { form };
    let listening = call.listening();
    let request = request.map(|body| Body::new(Upload::new(body, form, listening)));
    let deadline = deadline::of(request.headers());
    let answered = entrance.pass(request);
    let mut response = match deadline {
        None => answered.await,
        Some(time) => timeout(time, answered).await.unwrap_or_else(|_| {
            Status::deadline_exceeded("the caller's deadline has passed").into_http()
        }),
    };
    let kept = response.extensions_mut().remove::<Kept>();
    Ok(response.map(|body| Sent::new(body, pause, kept, call)))
}

const TOO_MANY_CALLS: &str = "the connection has as many calls under way as it may; wait for one";
const TOO_MANY_CONNECTIONS: &str =
    "the server has as many connections as it may (server.connectionsMax); back off and retry";

/// How the body of a call is read, and how long its answer may be left.
fn form(path: &str) -> (Form, Duration) {
    let message = Duration::from_secs(MESSAGE_SECONDS);
    let send = Duration::from_secs(SEND_SECONDS);
    match path.rsplit('/').next().unwrap_or_default() {
        "DoExchange" => {
            let pause = Duration::from_secs(TRAINING_SET_PAUSE_SECONDS);
            (Form::Messages(Some(pause)), pause)
        }
        "LookupStream" | "Push" => (Form::Messages(None), send),
        _ => (Form::Messages(Some(message)), send),
    }
}

/// Whether a request over HTTP/1 names its host, as it must: exactly once.
fn has_one_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() == Version::HTTP_10)
}
