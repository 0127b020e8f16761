//! Who asks, by what was shown. No caller of a server is made anywhere else.
//!
//! | shown                | caller                                                       |
//! | -------------------- | ------------------------------------------------------------ |
//! | a token              | `token/3`, the line of the file that has it                   |
//! | a certificate        | `certificate/` and its first name: a URI, or else of the DNS; |
//! |                      | of one without names its subject                              |
//! | nothing that counts  | `anonymous`                                                   |

use std::sync::Arc;

use hitherto_api::Caller;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use super::subject;

/// Whoever shows nothing that is asked for.
pub fn anonymous() -> Arc<Caller> {
    Arc::new(Caller::anonymous())
}

/// Who has the token on this line of the file.
pub fn of_token(line: usize) -> Arc<Caller> {
    Arc::new(Caller::workload("token", &line.to_string()))
}

/// Who has shown a certificate in the handshake, which was checked there.
pub fn of_connection(connection: &TlsStream<TcpStream>) -> Option<Arc<Caller>> {
    let shown = connection.get_ref().1.peer_certificates()?.first()?;
    Some(Arc::new(Caller::workload("certificate", &name(shown)?)))
}

/// What a certificate calls its owner.
fn name(shown: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(shown).ok()?;
    let first = certificate.valid_uri_names().chain(certificate.valid_dns_names()).next();
    first.map(str::to_owned).or_else(|| subject::in_words(certificate.subject()))
}

#[cfg(test)]
mod tests;
