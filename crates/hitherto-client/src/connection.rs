//! Addresses, connecting, and what a broken call means.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hitherto_core::limits::{CALL_BYTES_AHEAD_MAX, CALLS_WAITING_MAX};
use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::from_status;
use http::Uri;
use tokio_rustls::rustls::{CertificateError, Error as TlsError};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::credentials::{Bearer, Credentials};

/// How long connecting may take: a wrong address should not look like a slow
/// server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a server that owes an answer is asked whether it is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so. Without these two a call to a machine that
/// lost its power waits for ever.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server says, in the words of rustls, who does not trust a certificate.
const MISTRUST: [&str; 6] = [
    "CertificateExpired",
    "CertificateUnknown",
    "BadCertificate",
    "UnknownCA",
    "DecryptError",
    "AccessDenied",
];

/// What calls are made with.
pub type Calls = InterceptedService<Channel, Bearer>;

/// An address and the channel to it. Clones share the channel.
#[derive(Clone, Debug)]
pub struct Connection {
    url: Arc<str>,
    calls: Calls,
    /// What else may be the matter when it breaks.
    hint: &'static str,
}

impl Connection {
    /// Connects to `url`.
    ///
    /// # Errors
    /// `Invalid` when it is not an address, or the credentials do not go with it;
    /// `Denied` when the server is not trusted; `Unavailable` when nobody answers.
    pub async fn open(url: &str, credentials: &Credentials) -> Result<Self> {
        let uri = parse(url)?;
        check_secrecy(url, &uri, credentials)?;
        let is_encrypted = uri.scheme_str() == Some("https");
        let mut endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_stream_window_size(CALL_BYTES_AHEAD_MAX)
            .initial_connection_window_size(CALL_BYTES_AHEAD_MAX * CALLS_WAITING_MAX)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        if is_encrypted {
            endpoint = endpoint.tls_config(credentials.tls(CONNECT_TIMEOUT)?).map_err(|cause| {
                Error::invalid(
                    "the certificates cannot be used; check that cert and key belong together, \
                     and name ca where the system has no certificates",
                )
                .with_source(cause)
            })?;
        }
        let channel = endpoint.connect().await.map_err(|cause| {
            mistrust(url, &cause).unwrap_or_else(|| {
                Error::unavailable(format!(
                    "no server answers at {url}; start one with `hitherto serve`, or check the \
                     address"
                ))
                .with_source(cause)
            })
        })?;
        let calls = InterceptedService::new(channel, Bearer(credentials.token.clone()));
        // The server says what it thinks of a certificate while the first call is on its way,
        // and what it says may be lost.
        let hint = match credentials.identity {
            Some(_) => ", and that it trusts this client's certificate",
            None => "",
        };
        Ok(Self { url: url.into(), calls, hint })
    }

    /// The address, as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What to make calls with.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
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
        let Some(cause) = status.source() else { return from_status(&status) };
        // What HTTP/2 says of a connection that is less secure than it should be.
        if status.code() == Code::PermissionDenied {
            let url = &self.url;
            return Error::invalid(format!("the server at {url} speaks TLS; write https://"))
                .with_source(status);
        }
        mistrust(&self.url, cause).unwrap_or_else(|| {
            Error::unavailable(format!(
                "the connection to the server at {} broke; check that it runs{}, and retry",
                self.url, self.hint
            ))
            .with_source(status)
        })
    }
}

/// Reads `http://host:port` or `https://host:port`.
fn parse(url: &str) -> Result<Uri> {
    let refuse = |why: &str| {
        Error::invalid(format!(
            "{url:?} is not a server's address: {why}; write http://127.0.0.1:7411 or \
             https://features:7411"
        ))
    };
    let uri: Uri = url.parse().map_err(|cause| refuse("it is no URL").with_source(cause))?;
    match uri.scheme_str() {
        Some("http" | "https") if matches!(uri.path(), "" | "/") && uri.query().is_none() => {
            Ok(uri)
        }
        Some("http" | "https") => Err(refuse("it has a path")),
        Some(_) => Err(refuse("its scheme is neither http nor https")),
        None => Err(refuse("it has no scheme")),
    }
}

/// Refuses credentials that plain text has no use for, or would give away.
fn check_secrecy(url: &str, uri: &Uri, credentials: &Credentials) -> Result<()> {
    if uri.scheme_str() == Some("https") {
        return Ok(());
    }
    if credentials.needs_tls() {
        return Err(Error::invalid(format!(
            "ca, cert and key are for https://, and {url} is plain text; leave them out, or write \
             https://"
        )));
    }
    if credentials.token.is_some() && !is_loopback(uri.host().unwrap_or_default()) {
        return Err(Error::invalid(format!(
            "whoever listens on the way to {url} could read the token; write https://, for which \
             the server needs a certificate (server.tlsCert)"
        )));
    }
    Ok(())
}

/// Whether what is sent there stays on this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What it means that two ends could not agree to speak TLS; none if it was not that.
fn mistrust(url: &str, cause: &(dyn StdError + 'static)) -> Option<Error> {
    if is_mistrusted(cause) {
        return Some(Error::denied(format!(
            "the server at {url} does not trust this client's certificate; bring one that its CA \
             signed and that has not expired"
        )));
    }
    let tls = tls_error(cause)?;
    Some(
        match tls {
            TlsError::InvalidMessage(_) => {
                Error::invalid(format!("the server at {url} speaks no TLS; write http://"))
            }
            TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Error::denied(format!(
                "the certificate of the server at {url} is for another name; write the URL with a \
                 name that it has"
            )),
            TlsError::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Error::denied(format!(
                "the certificate of the server at {url} has expired; renew it there"
            )),
            TlsError::InvalidCertificate(_) => Error::denied(format!(
                "the certificate of the server at {url} is not trusted; name the CA that signed it \
                 (ca= in Python, --ca on the command line)"
            )),
            _ => Error::unavailable(format!(
                "the server at {url} does not agree to speak TLS; look at its log"
            )),
        }
        .with_source(tls.clone()),
    )
}

/// Whether a server has ended the connection for the sake of this end's certificate. HTTP/2
/// keeps no more of that than its text.
fn is_mistrusted(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let alert = text.split_once("received fatal alert: ").map_or("", |(_, alert)| alert);
    MISTRUST.iter().any(|word| alert.starts_with(word)) || cause.source().is_some_and(is_mistrusted)
}

/// The error of TLS among the causes.
fn tls_error<'c>(cause: &'c (dyn StdError + 'static)) -> Option<&'c TlsError> {
    // An error of input and output hides what it was made of.
    let inner = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
    let found = match inner {
        Some(inner) => inner.downcast_ref(),
        None => cause.downcast_ref(),
    };
    found.or_else(|| tls_error(cause.source()?))
}

#[cfg(test)]
mod tests;
