//! The handshake of TLS, for whoever speaks it.
//!
//! Each runs in its own connection's task and within its time, so that a caller who begins
//! one and falls silent delays nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::plain;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first byte of whoever speaks TLS: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// The server's side of TLS, as its files say it now.
pub type Tls = watch::Receiver<Arc<ServerConfig>>;

/// The connection inside TLS, if the caller speaks it in time and trusts this server.
pub async fn shake(connection: TcpStream, tls: Tls) -> Option<TlsStream<TcpStream>> {
    let tls = Arc::clone(&tls.borrow());
    timeout(HANDSHAKE_TIMEOUT, accept(connection, tls)).await.ok()?
}

async fn accept(connection: TcpStream, tls: Arc<ServerConfig>) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    match connection.peek(&mut first).await {
        Ok(1) if first[0] == HANDSHAKE_RECORD => {
            let caller = connection.peer_addr().ok();
            let accepted = TlsAcceptor::from(tls).accept(connection).await;
            accepted.inspect_err(|cause| tracing::debug!(?caller, %cause, "no handshake")).ok()
        }
        Ok(1) => {
            plain::answer(connection).await;
            None
        }
        // It was only looked at whether the port is open.
        _ => None,
    }
}
