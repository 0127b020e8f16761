//! Which requests are answered: those that show what the server asks for, and any about
//! its health.

use std::hint::black_box;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hitherto_core::{Error, Result};
use http::header::AUTHORIZATION;
use tokio::sync::watch;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use super::watched::File;
use crate::web;

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
        let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let has_certificate = || connection.is_some_and(|shown| shown.peer_certs().is_some());
        if self.asks_for_certificate && !has_certificate() {
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
fn is_about_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/health") || path.starts_with("/grpc.health.v1.Health/")
}

/// Answers a request, if the guard lets it pass.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => web::denied(request.headers(), &error),
    }
}

#[cfg(test)]
mod tests;
