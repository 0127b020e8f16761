//! The door: which requests are answered, and whose they are.
//!
//! Those are let in that show what the server asks for, and any about its health. Each goes
//! on with its [`Caller`] among its extensions, which is put there nowhere else. What is shown
//! and does not count is refused, and never passed over for what is shown beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use hitherto_api::Caller;
use hitherto_trust::identity::{Refusal, Tokens};
use http::Request;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::callers::{self, Shown};
use super::wall::Wall;
use crate::audit::Audit;
use crate::port::Connection;
use crate::web;

/// How long who is denied waits for that answer: guesses take as long, on each of the calls
/// that a connection may have under way.
const DENIAL_DELAY: Duration = Duration::from_millis(250);

/// How often denials are logged at most.
const DENIALS_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// What is asked of every request. The default asks for nothing.
pub struct Guard {
    /// The tokens that are known now.
    pub tokens: Option<watch::Receiver<Arc<Tokens>>>,
    /// Whether the connection must have a certificate; those that do were checked.
    pub asks_for_certificate: bool,
    /// Those who did not pass.
    pub denials: Denials,
    /// Who shows nothing that counts.
    pub anonymous: Arc<Caller>,
    /// By which what is shown expires.
    pub wall: Wall,
    /// What records who did not pass, if anything does.
    pub audit: Option<Arc<Audit>>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            tokens: None,
            asks_for_certificate: false,
            denials: Denials::default(),
            anonymous: callers::anonymous(),
            wall: Wall::default(),
            audit: None,
        }
    }
}

/// Requests that were denied, by why. Clones count together.
#[derive(Clone, Default)]
pub struct Denials {
    counts: Arc<[AtomicU64; Refusal::ALL.len()]>,
    logged: Arc<Mutex<Option<Instant>>>,
}

impl Denials {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts().map(|(_, count)| count).sum()
    }

    /// How many there were for each reason.
    pub fn counts(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.into_iter().zip(counts)
    }

    /// Counts one, and logs now and then that there were some.
    fn add(&self, refusal: Refusal, connection: &Connection) {
        self.counts[refusal as usize].fetch_add(1, Ordering::Relaxed);
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= DENIALS_LOGGED_EVERY) {
            *logged = Some(Instant::now());
            let (denied, last, why) = (self.count(), connection.address, refusal.name());
            let what = "callers showed no token or certificate that counts";
            tracing::warn!(denied, ?last, why, "{what}");
        }
    }
}

impl Guard {
    /// Whether it asks for nothing.
    pub fn is_open(&self) -> bool {
        self.tokens.is_none() && !self.asks_for_certificate
    }

    /// Lets a request in with its caller, or answers it. `certificate` is whose was shown on
    /// its connection.
    ///
    /// # Errors
    /// The answer to whoever is denied.
    pub async fn admit<B>(
        &self,
        request: &mut Request<B>,
        certificate: Option<&Shown>,
        connection: &Connection,
    ) -> Result<(), Response> {
        match self.judge(request, certificate) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                if !is_about_health(request.uri().path()) {
                    connection.passed();
                }
                Ok(())
            }
            Err(refusal) => {
                self.denials.add(refusal, connection);
                if let Some(audit) = &self.audit {
                    audit.deny(connection.address.map(|from| from.ip()), request.uri().path());
                }
                tokio::time::sleep(DENIAL_DELAY).await;
                Err(web::denied(request.headers(), &refusal.error()))
            }
        }
    }

    /// Who asks, if that may be answered. One without a token and one with a wrong one
    /// are told the same.
    fn judge<B>(
        &self,
        request: &Request<B>,
        certificate: Option<&Shown>,
    ) -> Result<Arc<Caller>, Refusal> {
        if is_about_health(request.uri().path()) {
            return Ok(Arc::clone(&self.anonymous));
        }
        let now = self.wall.now();
        if self.asks_for_certificate {
            match certificate.ok_or(Refusal::NoCertificate)? {
                Ok(caller) if caller.ended(now).is_some() => {
                    return Err(Refusal::ExpiredCertificate);
                }
                // Where a token says who it is, the certificate need not.
                Err(Refusal::CertificateOfNobody) if self.tokens.is_some() => {}
                Err(refusal) => return Err(*refusal),
                Ok(_) => {}
            }
        }
        let Some(tokens) = &self.tokens else {
            let known = certificate.and_then(|shown| shown.as_ref().ok());
            return Ok(Arc::clone(known.unwrap_or(&self.anonymous)));
        };
        let header = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let shown = header.and_then(bearer).unwrap_or_default();
        tokens.borrow().find(shown, now).map(Arc::clone)
    }
}

/// The token of an `authorization` header.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Whether a path is one that probes ask for.
pub fn is_about_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/health") || path.starts_with("/grpc.health.v1.Health/")
}

#[cfg(test)]
mod tests;
