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

use std::time::Duration;

use hitherto_core::Error;
use hitherto_proto::convert::status::to_status;
use tokio::sync::watch;
use tonic::Status;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

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

/// The health of the whole server and of each of its services.
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Health {
    /// Reports every one of `services`, and the server as a whole, as serving.
    pub async fn serving(reporter: HealthReporter, services: &[&'static str]) -> Self {
        let services = [&[""], services].concat();
        for service in &services {
            reporter.set_service_status(service, ServingStatus::Serving).await;
        }
        Self { reporter, services }
    }

    /// Tells watchers that nothing is served any more and ends their streams.
    pub async fn end(mut self) {
        for service in &self.services {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
            self.reporter.clear_service_status(service).await;
        }
    }
}
