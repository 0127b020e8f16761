//! Which requests are answered: those that show what the server asks for, and any about
//! its health.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hitherto_core::{Error, Result};
use http::header::AUTHORIZATION;
use tokio::sync::watch;

use super::accept::Shown;
use super::watched::File;
use crate::port::Connection;
use crate::web;

/// How long who is denied waits for that answer: guesses take as long, on each of the calls
/// that a connection may have under way.
const DENIAL_DELAY: Duration = Duration::from_millis(250);

/// How often denials are logged at most.
const DENIALS_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Characters of a token: fewer could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// The tokens of which a caller needs one.
pub struct Tokens(Vec<Vec<u8>>);

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
            tokens.push(token.to_vec());
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
    /// Whether one of them was shown. It takes as long whatever was.
    fn know(&self, shown: &[u8]) -> bool {
        self.0.iter().fold(false, |known, token| known | is_same(token, shown))
    }
}

/// Compares all bytes, also after the first that differs: else the time would tell how
/// many of them were right.
fn is_same(token: &[u8], shown: &[u8]) -> bool {
    let shown_at = |index: usize| shown.get(index).copied().unwrap_or_default();
    let differences = token.iter().enumerate().map(|(index, byte)| byte ^ shown_at(index));
    let difference = differences.fold(0, |all, one| black_box(all | one));
    difference == 0 && token.len() == shown.len()
}

/// What is asked of every request. The default asks for nothing.
#[derive(Clone, Default)]
pub struct Guard {
    /// The tokens that are known now.
    pub tokens: Option<watch::Receiver<Arc<Tokens>>>,
    /// Whether the connection must have a certificate; those that do were checked.
    pub asks_for_certificate: bool,
    /// Those who did not pass.
    pub denials: Denials,
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
    fn add(&self, connection: Option<&Arc<Connection>>) {
        let denied = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= DENIALS_LOGGED_EVERY) {
            *logged = Some(Instant::now());
            let last = connection.and_then(|connection| connection.address);
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

    /// Whether a request may be answered. One without a token and one with a wrong one
    /// are told the same.
    fn judge(&self, request: &Request) -> Result<()> {
        if is_about_health(request.uri().path()) {
            return Ok(());
        }
        let shown = request.extensions().get::<Shown>();
        if self.asks_for_certificate && !shown.is_some_and(|shown| shown.certificate) {
            return Err(Error::denied(
                "the server asks for a certificate of the caller, and none was shown; name one: \
                 cert= in Python, --cert and --key on the command line",
            ));
        }
        let header = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let shown = header.and_then(bearer).unwrap_or_default();
        match &self.tokens {
            Some(tokens) if !tokens.borrow().know(shown) => Err(Error::denied(
                "the server asks for a token, and none that it knows was shown; name one: token= \
                 in Python, --token on the command line, else the header \
                 Authorization: Bearer TOKEN",
            )),
            _ => Ok(()),
        }
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

/// Answers a request, if the guard lets it pass.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.judge(&request) {
        Ok(()) => {
            let connection = request.extensions().get::<Arc<Connection>>();
            if let Some(connection) = connection.filter(|_| !is_about_health(request.uri().path()))
            {
                connection.passed();
            }
            next.run(request).await
        }
        Err(error) => {
            guard.denials.add(request.extensions().get());
            tokio::time::sleep(DENIAL_DELAY).await;
            web::denied(request.headers(), &error)
        }
    }
}

#[cfg(test)]
mod tests;
