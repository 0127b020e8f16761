//! How a server stops.
//!
//! ```text
//! shutdown resolves
//!   -> health says NOT_SERVING, watchers hear it and are let go
//!   -> the port closes; connections take no further request
//!   -> lookup streams end between two answers
//!   -> requests in flight finish                 at most drain_seconds
//!   -> serve returns
//! ```
//!
//! Watchers and streams would otherwise hold their connections until the time
//! is up, though nothing of theirs is in flight.
//!
//! Until then the health of one service comes and goes: that of pushes, which are refused
//! while the disk is full. Lookups go on, so that the server as a whole is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hitherto_core::Error;
use hitherto_engine::Engine;
use hitherto_proto::convert::status::to_status;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tonic::Status;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How often it is looked whether the disk takes pushes.
const DISK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the server is stopping, as everything inside it sees it.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

/// Tells everybody that the server is stopping.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Makes a server's one stop.
pub fn stop() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopping(receiver))
}

impl Stop {
    /// The server is stopping from now on.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the server stops. Safe to abandon and call again.
    pub async fn begun(&mut self) {
        // The other end being gone means that there is no server any more.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// Waits until the server has been stopping for `drain`.
    pub async fn expired(mut self, drain: Duration) {
        self.begun().await;
        tokio::time::sleep(drain).await;
    }
}

/// How a stream ends when its server does.
pub fn stopped() -> Status {
    to_status(&Error::unavailable("the server is stopping; connect again, or to another one"))
}

/// Whether pushes are taken, as probes are told: what was found when it was looked last.
#[derive(Clone, Debug)]
pub struct TakesPushes(Arc<AtomicBool>);

impl Default for TakesPushes {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl TakesPushes {
    /// What was found.
    pub fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The health of the whole server and of each of its services.
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
    /// The service whose health is that of the disk.
    pushes: &'static str,
    takes_pushes: TakesPushes,
}

impl Health {
    /// Reports every one of `services`, and the server as a whole, as serving. That of
    /// `pushes`, one of them, may change.
    pub async fn serving(
        reporter: HealthReporter,
        services: &[&'static str],
        pushes: &'static str,
        takes_pushes: TakesPushes,
    ) -> Self {
        let services = [&[""], services].concat();
        for service in &services {
            reporter.set_service_status(service, ServingStatus::Serving).await;
        }
        Self { reporter, services, pushes, takes_pushes }
    }

    /// Tells how the disk is until the server stops. Then tells watchers that nothing is
    /// served any more and ends their streams.
    pub async fn tell(self, engine: Arc<Engine>, mut stopping: Stopping) {
        // Who opened the store for reading takes none, and never did.
        while engine.is_writable() {
            let asked = Arc::clone(&engine);
            // A broken disk may not answer at once.
            if let Ok(found) = spawn_blocking(move || asked.check_writes()).await {
                self.tell_of_pushes(found.err()).await;
            }
            tokio::select! {
                () = stopping.begun() => break,
                () = tokio::time::sleep(DISK_INTERVAL) => {}
            }
        }
        stopping.begun().await;
        self.end().await;
    }

    async fn tell_of_pushes(&self, refusal: Option<Error>) {
        if refusal.is_none() == self.takes_pushes.now() {
            return;
        }
        let status = match &refusal {
            Some(refusal) => {
                tracing::error!(reason = %refusal.chain(), "pushes are refused");
                ServingStatus::NotServing
            }
            None => {
                tracing::info!("pushes are taken again");
                ServingStatus::Serving
            }
        };
        self.takes_pushes.0.store(refusal.is_none(), Ordering::Relaxed);
        self.reporter.set_service_status(self.pushes, status).await;
    }

    async fn end(mut self) {
        for service in &self.services {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
            self.reporter.clear_service_status(service).await;
        }
    }
}
