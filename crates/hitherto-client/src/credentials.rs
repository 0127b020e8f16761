//! What a client shows a server, and whom it trusts.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hitherto_api::pem::{self, File};
use hitherto_core::{Error, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use tonic::{Request, Status};

/// What a client shows a server, and whom it trusts. Files are PEM.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Sent with every call.
    pub token: Option<Token>,
    /// The CAs that may sign the server's certificate; those of the system if left out.
    pub ca: Option<PathBuf>,
    /// The client's certificate with those above it, and its key: two files, or one twice.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Credentials {
    /// This end of TLS, which is to be spoken within `timeout`.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be read, `Invalid` when it does not hold what it
    /// should.
    pub(crate) fn tls(&self, timeout: Duration) -> Result<ClientTlsConfig> {
        let tls = ClientTlsConfig::new().timeout(timeout);
        let tls = match &self.ca {
            None => tls.with_native_roots(),
            Some(ca) => {
                let ca = File::read(ca.clone())?;
                pem::certificates(&ca)?;
                tls.ca_certificate(Certificate::from_pem(ca.content))
            }
        };
        Ok(match &self.identity {
            None => tls,
            Some((certificate, key)) => {
                let (certificate, key) =
                    (File::read(certificate.clone())?, File::read(key.clone())?);
                pem::certificates(&certificate)?;
                pem::private_key(&key)?;
                tls.identity(Identity::from_pem(certificate.content, key.content))
            }
        })
    }

    /// Whether there is anything that only TLS has a use for.
    pub(crate) fn needs_tls(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }
}

/// What proves to a server that its caller may ask. It is not shown in logs.
#[derive(Clone, Debug)]
pub struct Token(MetadataValue<Ascii>);

impl FromStr for Token {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self> {
        let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let refuse = || Error::invalid("a token is visible ASCII without spaces; check it");
        let header = is_sendable.then(|| format!("Bearer {token}")).ok_or_else(refuse)?;
        let mut header: MetadataValue<Ascii> =
            header.parse().map_err(|cause| refuse().with_source(cause))?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

/// Puts a token, if there is one, into every call.
#[derive(Clone, Debug)]
pub struct Bearer(pub Option<Token>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(Token(header)) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}
