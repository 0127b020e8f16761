//! Who asks on a connection. No caller of a server is made but here and in `hitherto_trust`.

use std::sync::Arc;

use hitherto_api::Caller;
use hitherto_trust::identity::{Refusal, certificate};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Whose certificate was shown, or why it is nobody's.
pub type Shown = Result<Arc<Caller>, Refusal>;

/// Whoever shows nothing that is asked for.
pub fn anonymous() -> Arc<Caller> {
    Arc::new(Caller::anonymous())
}

/// Who has shown a certificate in the handshake, which was checked there.
pub fn of_connection(connection: &TlsStream<TcpStream>) -> Option<Shown> {
    let shown = connection.get_ref().1.peer_certificates()?.first()?;
    Some(certificate::whose(shown).map(Arc::new))
}
