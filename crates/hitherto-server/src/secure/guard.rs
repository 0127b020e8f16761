//! The door: which requests are answered, and whose they are.
//!
//! Those are let in that show what the server asks for, and any about its health. Each goes
//! on with its [`Caller`] among its extensions, which is put there nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use hitherto_api::Caller;
use hitherto_core::{Error, Result};
use http::Request;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tokio::sync::watch;

use super::callers;
use crate::port::Connection;
use crate::web;
use hitherto_api::pem::File;

/// How long who is denied waits for that answer: guesses take as long, on each of the calls
/// that a connection may have under way.
const DENIAL_DELAY: Duration = Duration::from_millis(250);

/// How often denials are logged at most.
const DENIALS_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Characters of a token: fewer could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// The tokens of which a caller needs one.
pub struct Tokens(Vec<Token>);

/// A token, and who has it.
struct Token {
    secret: Vec<u8>,
    caller: Arc<Caller>,
}

/// Reads a file with a token a line. Empty lines and those that begin with # are not.
///
/// # Errors
/// `Invalid` when there is none, or one that cannot be sent or could be guessed.
pub fn parse(files: &[File]) -> Result<Arc<Tokens>> {
    let mut tokens = Vec::new();
    for File { path, content } in files {
        let path = path.display();
        for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            let token = line.trim_ascii();
            if token.is_empty() || token.starts_with(b"#") {
                continue;
            }
            if token.len() < TOKEN_BYTES_MIN || !token.iter().all(u8::is_ascii_graphic) {
                return Err(Error::invalid(format!(
                    "{path}:{number}: a token is at least {TOKEN_BYTES_MIN} visible ASCII \
                     characters; make one with `openssl rand -hex 32`"
                )));
            }
            tokens.push(Token { secret: token.to_vec(), caller: callers::of_token(number) });
        }
        if tokens.is_empty() {
            return Err(Error::invalid(format!(
                "{path} has no token, so that nobody would be answered; write one a line"
            )));
        }
    }
    Ok(Arc::new(Tokens(tokens)))
}

impl Tokens {
    /// Whose the token is that was shown. Every token is compared whole, also after the one
    /// that is the same: else the time would tell how much of which was right.
    fn find(&self, shown: &[u8]) -> Option<&Arc<Caller>> {
        let mut found = u64::MAX;
        for (index, token) in (0..).zip(&self.0) {
            found.conditional_assign(&index, token.secret.ct_eq(shown));
        }
        Some(&self.0.get(usize::try_from(found).ok()?)?.caller)
    }
}

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
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            tokens: None,
            asks_for_certificate: false,
            denials: Denials::default(),
            anonymous: callers::anonymous(),
        }
    }
}

/// Requests that were denied. Clones count together.
#[derive(Clone, Default)]
pub struct Denials {
    count: Arc<AtomicU64>,
    logged: Arc<Mutex<Option<Instant>>>,
}

impl Denials {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one, and logs now and then that there were some.
    fn add(&self, connection: &Connection) {
        let denied = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= DENIALS_LOGGED_EVERY) {
            *logged = Some(Instant::now());
            let last = connection.address;
            let what = "callers showed no token or certificate that is known";
            tracing::warn!(denied, ?last, "{what}");
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
    pub async fn admit<B>(
        &self,
        request: &mut Request<B>,
        certificate: Option<&Arc<Caller>>,
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
            Err(error) => {
                self.denials.add(connection);
                tokio::time::sleep(DENIAL_DELAY).await;
                Err(web::denied(request.headers(), &error))
            }
        }
    }

    /// Who asks, if that may be answered. One without a token and one with a wrong one
    /// are told the same.
    fn judge<B>(
        &self,
        request: &Request<B>,
        certificate: Option<&Arc<Caller>>,
    ) -> Result<Arc<Caller>> {
        if is_about_health(request.uri().path()) {
            return Ok(Arc::clone(&self.anonymous));
        }
        if self.asks_for_certificate && certificate.is_none() {
            return Err(Error::denied(
                "the server asks for a certificate of the caller, and none was shown; name one: \
                 cert= in Python, --cert and --key on the command line",
            ));
        }
        let Some(tokens) = &self.tokens else {
            return Ok(Arc::clone(certificate.unwrap_or(&self.anonymous)));
        };
        let header = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let shown = header.and_then(bearer).unwrap_or_default();
        tokens.borrow().find(shown).cloned().ok_or_else(|| {
            Error::denied(
                "the server asks for a token, and none that it knows was shown; name one: token= \
                 in Python, --token on the command line, else the header \
                 Authorization: Bearer TOKEN",
            )
        })
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
