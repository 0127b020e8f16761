//! The port: which services it has, and its life.
//!
//! ```text
//!       +- gRPC     hitherto.v1.LookupService       in place, or on a thread
//!       |           feast.serving.ServingService    that may block
//!       |           hitherto.v1.AccessService       in place
//!       |           hitherto.v1.PushService         on threads that may block
//!       |           hitherto.v1.RegistryService     on the workers
//!       |           hitherto.v1.JobService          on the workers
//! port -+           hitherto.v1.DiagnosticsService  on the workers
//!       |           grpc.health.v1, grpc.reflection
//!       +- Flight   DoExchange                      on the workers
//!       +- HTTP     /v1/lookup /get-online-features
//!                   /openapi.json /metrics /healthz
//! ```
//!
//! In front of all of them stands the guard ([`secure`](crate::secure)), which lets pass
//! who shows what the server asks for, and says who that is.
//!
//! One port, because it is one thing to open, to probe and to secure. Every
//! service has the same bound on a message, either way, and takes gzip; answers
//! are not compressed, because that costs a lookup more than it saves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hitherto_api::{Clock, QueryBounds};
use hitherto_core::limits::{
    CALL_BYTES_AHEAD_MAX, CHANGES_IN_FLIGHT_MAX, EXPLANATIONS_IN_FLIGHT_MAX, PUSHES_IN_FLIGHT_MAX,
    VERIFICATIONS_IN_FLIGHT_MAX,
};
use hitherto_core::{Error, Result};
use hitherto_engine::Engine;
use hitherto_engine::config::ServerConfig;
use hitherto_proto::FILE_DESCRIPTOR_SET;
use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::service::Routes;

use crate::access::Access;
use crate::admission::{Admission, Behind, Fair, Weighed};
use crate::audit::Audit;
use crate::budget::Budget;
use crate::diagnostics::Diagnostics;
use crate::feast::Feast;
use crate::flight::Flights;
use crate::jobs::Jobs;
use crate::lifecycle::{self, Health, Stopping, TakesPushes};
use crate::lookup::Lookups;
use crate::metrics::Metrics;
use crate::port::{Port, Room};
use crate::push::Pushes;
use crate::registry::Registry;
use crate::secure::Security;
use crate::served::Served;
use crate::web;
use crate::workers::Workers;

/// The settings that bound requests in flight, as messages name them.
const LOOKUPS_SETTING: &str = "server.lookupsInFlightMax";
const TRAINING_SETS_SETTING: &str = "server.trainingSetsInFlightMax";

/// Where no setting does.
const FIXED: &str = "a fixed limit";

/// How often history is given up that no view promises any more.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60);

/// What a server is started with.
pub struct ServeOptions<S> {
    /// The open port, as [`bind`] makes it.
    pub listener: TcpListener,
    /// What callers must show, and whether TLS is spoken.
    pub security: Security,
    /// Limits and times.
    pub config: ServerConfig,
    /// What time it is for a lookup without `as_of`.
    pub clock: Clock,
    /// What records calls, if anything does.
    pub audit: Option<Arc<Audit>>,
    /// When this resolves, the server stops.
    pub shutdown: S,
}

/// Opens the port that a server listens on.
///
/// # Errors
/// `Invalid` when `address` is not one, `Conflict` when another process has
/// it, `Unavailable` when the system refuses for another reason.
pub async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|cause| {
        let error = match cause.kind() {
            std::io::ErrorKind::InvalidInput => Error::invalid(format!(
                "{address:?} is not an address to listen on; write 127.0.0.1:7411"
            )),
            std::io::ErrorKind::AddrInUse => Error::conflict(format!(
                "{address} is in use, perhaps by another server; stop that one or set server.listen"
            )),
            _ => Error::unavailable(format!(
                "cannot listen on {address}; set server.listen to an address of this machine"
            )),
        };
        error.with_source(cause)
    })
}

/// Serves an engine until told to stop, then until requests in flight have
/// finished, but no longer than `config.drain_seconds`.
///
/// Requests that are still in flight then are abandoned to the runtime: the
/// process is expected to end.
///
/// # Errors
/// `Invalid` for limits that admit nobody, `Unavailable` when threads cannot
/// be started or the port fails.
pub async fn serve<S>(engine: Arc<Engine>, options: ServeOptions<S>) -> Result<()>
where
    S: Future<Output = ()> + Send,
{
    let ServeOptions { listener, security, config, clock, audit, shutdown } = options;
    let (stop, stopping) = lifecycle::stop();
    tokio::spawn(retain(Arc::clone(&engine), Arc::clone(&clock), stopping.clone()));
    let (tls, mut guard) = security.follow(&stopping);
    guard.audit.clone_from(&audit);
    let budget = Budget::new(config.request_memory.bytes())?;
    let room = Room::new(config.connections_max()?, Arc::clone(&budget));
    let metrics = Metrics::new(Arc::clone(&engine)).of_port(&room, &guard.denials);
    let metrics = Arc::new(metrics.of_audit(audit.as_ref()));
    let (workers, ends) = (Workers::start()?, stopping.clone());
    let (asked, takes_pushes) = (Arc::clone(&engine), TakesPushes::default());
    let wall = guard.wall.clone();
    let served =
        Served { engine, clock, metrics, audit, workers, stopping: ends, takes_pushes, wall };
    let (router, health) = routes(Arc::new(served), &config).await?;
    tokio::spawn(health.tell(asked, stopping.clone()));
    let bytes_ahead = (CALL_BYTES_AHEAD_MAX, bytes_ahead_max(&config));
    let port = Port { room, tls, guard, router, bytes_ahead, stopping: stopping.clone() };
    let served = port.serve(listener);
    tokio::pin!(served);
    tokio::select! {
        () = &mut served => return Ok(()),
        () = shutdown => {}
    }
    tracing::info!("stopping: finishing requests in flight");
    stop.begin();
    tokio::select! {
        () = served => {}
        () = stopping.expired(Duration::from_secs(config.drain_seconds)) => tracing::warn!(
            drain_seconds = config.drain_seconds,
            "stopped with requests still in flight",
        ),
    }
    Ok(())
}

/// Bytes that one connection takes ahead: a spine waits until its training set has room for
/// more, and other calls must not wait behind it.
fn bytes_ahead_max(config: &ServerConfig) -> u32 {
    let spines = u32::try_from(config.training_sets_in_flight_max).unwrap_or(u32::MAX);
    // HTTP/2 counts them in 31 bits.
    CALL_BYTES_AHEAD_MAX.saturating_mul(spines.saturating_add(1)).min(i32::MAX as u32)
}

/// Gives history up that no view promises any more, until the server stops.
async fn retain(engine: Arc<Engine>, clock: Clock, mut stopping: Stopping) {
    if !engine.is_writable() {
        return;
    }
    loop {
        tokio::select! {
            () = stopping.begun() => return,
            () = tokio::time::sleep(RETAIN_INTERVAL) => {}
        }
        if let Err(error) = engine.retain(clock()).await {
            tracing::warn!(%error, "history that nobody is promised is kept for now");
        }
    }
}

/// Puts all services on one router.
async fn routes(served: Arc<Served>, config: &ServerConfig) -> Result<(Router, Health)> {
    let lookups = Lookups {
        served: Arc::clone(&served),
        slow: Duration::from_millis(config.slow_lookup_millis),
        admission: Admission::new("lookups", LOOKUPS_SETTING, config.lookups_in_flight_max)?,
        behind: Behind::new(Duration::from_millis(config.lookup_wait_millis_max)),
        elsewhere: Weighed::by_cores(),
    };
    let feast = Feast { lookups: lookups.clone() }.service();
    let takes_pushes = served.takes_pushes.clone();
    let web = web::routes(lookups.clone());
    let lookups = lookups.service();
    let pushes = Pushes {
        served: Arc::clone(&served),
        admission: Admission::new("pushes", FIXED, PUSHES_IN_FLIGHT_MAX)?,
    }
    .service();
    let access = Access { served: Arc::clone(&served) }.service();
    let registry = Registry {
        served: Arc::clone(&served),
        changes: Admission::new("changes", FIXED, CHANGES_IN_FLIGHT_MAX)?,
    }
    .service();
    let jobs = Jobs::new(Arc::clone(&served), config.backups.clone()).service();
    let diagnostics = Diagnostics {
        served: Arc::clone(&served),
        verifications: Admission::new("verifications", FIXED, VERIFICATIONS_IN_FLIGHT_MAX)?,
        explanations: Fair::new("explanations", FIXED, EXPLANATIONS_IN_FLIGHT_MAX)?,
    }
    .service();
    let places = config.training_sets_in_flight_max;
    let flights = Flights {
        served,
        admission: Fair::new("training sets", TRAINING_SETS_SETTING, places)?,
        queries: QueryBounds { rows_max: config.sql_rows_max, seconds_max: config.sql_seconds_max },
    }
    .service();
    let pushing = name_of(&pushes);
    let names = [
        name_of(&lookups),
        name_of(&feast),
        name_of(&access),
        name_of(&registry),
        pushing,
        name_of(&jobs),
        name_of(&diagnostics),
        name_of(&flights),
    ];
    let (reporter, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(lookups)
        .add_service(feast)
        .add_service(access)
        .add_service(registry)
        .add_service(pushes)
        .add_service(jobs)
        .add_service(diagnostics)
        .add_service(flights)
        .add_service(health);
    let router = reflected(routes)?.into_axum_router().merge(web).fallback(web::lost);
    Ok((router, Health::serving(reporter, &names, pushing, takes_pushes).await))
}

/// Adds reflection, in its present form and in the one that older tools ask
/// for.
fn reflected(routes: Routes) -> Result<Routes> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let refuse =
        |cause| Error::internal("the contract's descriptors cannot be read").with_source(cause);
    let v1 = builder().build_v1().map_err(refuse)?;
    let v1alpha = builder().build_v1alpha().map_err(refuse)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}
