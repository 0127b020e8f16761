//! Connections to those whose handshake is done.
//!
//! Handshakes run beside each other and beside accepting, each within its time, so that
//! a caller who begins one and falls silent delays nobody.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use hitherto_core::limits::HANDSHAKES_IN_FLIGHT_MAX;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
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

/// The connections of `incoming` whose handshake is done, in the order of that.
pub fn secured(
    incoming: impl Stream<Item = io::Result<TcpStream>> + Send + Unpin,
    tls: Tls,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> + Send {
    let handshakes = JoinSet::new();
    stream::unfold((incoming, handshakes, tls), |(mut incoming, mut handshakes, tls)| async move {
        let secured = loop {
            tokio::select! {
                Some(done) = handshakes.join_next() => match done {
                    Ok(Ok(Some(stream))) => break Ok(stream),
                    // Not TLS, not in time, or not trusted: said to the caller.
                    _ => continue,
                },
                connection = incoming.next(), if handshakes.len() < HANDSHAKES_IN_FLIGHT_MAX => {
                    match connection? {
                        Ok(connection) => {
                            let tls = Arc::clone(&tls.borrow());
                            let handshake = timeout(HANDSHAKE_TIMEOUT, shake(connection, tls));
                            handshakes.spawn(handshake);
                        }
                        Err(cause) => break Err(cause),
                    }
                }
            }
        };
        Some((secured, (incoming, handshakes, tls)))
    })
}

/// The connection inside TLS, if the caller speaks it and trusts this server.
async fn shake(connection: TcpStream, tls: Arc<ServerConfig>) -> Option<TlsStream<TcpStream>> {
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
