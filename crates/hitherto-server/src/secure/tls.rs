//! Certificate, key and CA, as PEM files, to the server's side of TLS.

use std::sync::Arc;

use hitherto_core::{Error, Result};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use hitherto_api::pem::File;
use hitherto_api::pem::{certificates, private_key};

/// What is spoken inside.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Reads a certificate with those above it, its key and, if there is a third file, the
/// CAs by which callers' certificates are checked. A caller without one gets through.
///
/// # Errors
/// `Invalid` when a file is not what it should be, or the key is another certificate's.
pub fn parse(files: &[File]) -> Result<Arc<ServerConfig>> {
    let [chain, key, client_ca @ ..] = files else {
        return Err(Error::internal("TLS is made of a certificate and its key"));
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal("no version of TLS can be spoken").with_source(cause))?;
    let builder = match client_ca {
        [] => builder.with_no_client_auth(),
        [ca, ..] => builder.with_client_cert_verifier(verifier(ca, provider)?),
    };
    let pair = builder.with_single_cert(certificates(chain)?, private_key(key)?);
    let mut config = pair.map_err(|cause| {
        let (chain, key) = (chain.path.display(), key.path.display());
        Error::invalid(format!(
            "{chain} and {key} are not a certificate and its key; set server.tlsCert and \
             server.tlsKey to two that belong together"
        ))
        .with_source(cause)
    })?;
    config.alpn_protocols = PROTOCOLS.map(Vec::from).to_vec();
    Ok(Arc::new(config))
}

type Verifier = Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>;

/// Checks callers' certificates. To ask for one is the guard's work.
fn verifier(ca: &File, provider: Arc<CryptoProvider>) -> Result<Verifier> {
    let refuse = |cause: Box<dyn std::error::Error + Send + Sync>| {
        let ca = ca.path.display();
        Error::invalid(format!(
            "{ca} has a certificate that is no CA's; set server.clientCa to one that has only \
             those of CAs"
        ))
        .with_source(cause)
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|cause| refuse(cause.into()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build();
    verifier.map(|verifier| verifier as Verifier).map_err(|cause| refuse(cause.into()))
}
