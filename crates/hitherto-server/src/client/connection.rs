//! Addresses, connecting, and what a broken call means.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::from_status;
use http::Uri;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long connecting may take: a wrong address should not look like a slow
/// server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a server that owes an answer is asked whether it is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so. Without these two a call to a machine that
/// lost its power waits for ever.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// An address and the channel to it. Clones share the channel.
#[derive(Clone, Debug)]
pub struct Connection {
    url: Arc<str>,
    channel: Channel,
}

impl Connection {
    /// Connects to `url`.
    ///
    /// # Errors
    /// `Invalid` when it is not an address; `Unavailable` when nobody answers.
    pub async fn open(url: &str) -> Result<Self> {
        let endpoint = Endpoint::from(parse(url)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|cause| {
            Error::unavailable(format!(
                "no server answers at {url}; start one with `hitherto serve`, or check the address"
            ))
            .with_source(cause)
        })?;
        Ok(Self { url: url.into(), channel })
    }

    /// The address, as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A handle to make calls with.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The answer of a call, or the error that it means.
    ///
    /// # Errors
    /// As [`Connection::error`].
    pub fn checked<T>(&self, answer: Result<T, Status>) -> Result<T> {
        answer.map_err(|status| self.error(status))
    }

    /// The error that a status means. One that the server sent keeps its kind
    /// and words. One with a cause was made at this end, where the connection
    /// broke.
    pub fn error(&self, status: Status) -> Error {
        if status.source().is_none() {
            return from_status(&status);
        }
        Error::unavailable(format!(
            "the connection to the server at {} broke; check that it runs, and retry",
            self.url
        ))
        .with_source(status)
    }
}

/// Reads `http://host:port`.
fn parse(url: &str) -> Result<Uri> {
    let refuse = |why: &str| {
        Error::invalid(format!(
            "{url:?} is not a server's address: {why}; write http://127.0.0.1:7411"
        ))
    };
    let uri: Uri = url.parse().map_err(|cause| refuse("it is no URL").with_source(cause))?;
    match uri.scheme_str() {
        Some("http") if matches!(uri.path(), "" | "/") && uri.query().is_none() => Ok(uri),
        Some("http") => Err(refuse("it has a path")),
        Some("https" | "grpcs") => {
            Err(refuse("TLS is not supported yet, let a proxy beside this process add it"))
        }
        Some(_) => Err(refuse("its scheme is not http")),
        None => Err(refuse("it has no scheme")),
    }
}

#[cfg(test)]
mod tests;
