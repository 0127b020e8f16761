//! What a caller is told who speaks no TLS: over HTTP/1 a 400, over HTTP/2, which is
//! gRPC, the end of the connection with the reason that HTTP/2 has for this.

use std::time::Duration;

use hitherto_core::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::json::ErrorAnswer;

const MESSAGE: &str = "this port speaks TLS; write https:// instead of http://";

/// How HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frames of HTTP/2, from RFC 9113: an empty SETTINGS, which comes first, the type of a
/// HEADERS, which is a request, and that of a GOAWAY, whose body is the last stream, an
/// error and text for people.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const INADEQUATE_SECURITY: u32 = 12;

/// How long an answer waits for its caller to hang up: if this end did, with bytes
/// unread, the answer would be lost on the way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers, and ends the connection.
pub async fn answer(mut connection: TcpStream) {
    let mut begin = [0; PREFACE.len()];
    let Ok(read) = connection.read(&mut begin).await else { return };
    let answer = match begin[..read] == *PREFACE {
        true if wait_for_request(&mut connection).await.is_err() => return,
        true => goodbye(),
        false => refusal(),
    };
    // A caller who is gone needs no answer.
    if connection.write_all(&answer).await.is_ok() && connection.shutdown().await.is_ok() {
        let _ = timeout(PATIENCE, copy(&mut connection, &mut sink())).await;
    }
}

/// Reads to the first request over HTTP/2: a goodbye before it would be no answer to it.
async fn wait_for_request(connection: &mut TcpStream) -> std::io::Result<()> {
    connection.write_all(&SETTINGS).await?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let [high, middle, low, kind, ..] = head;
        if kind == HEADERS {
            return Ok(());
        }
        let length = u32::from_be_bytes([0, high, middle, low]);
        copy(&mut (&mut *connection).take(length.into()), &mut sink()).await?;
    }
}

/// For HTTP/2.
fn goodbye() -> Vec<u8> {
    let mut frames = Vec::new();
    let length = (8 + MESSAGE.len()) as u32;
    frames.extend_from_slice(&length.to_be_bytes()[1..]);
    frames.extend_from_slice(&[GOAWAY, 0, 0, 0, 0, 0]);
    frames.extend_from_slice(&0_u32.to_be_bytes());
    frames.extend_from_slice(&INADEQUATE_SECURITY.to_be_bytes());
    frames.extend_from_slice(MESSAGE.as_bytes());
    frames
}

/// For HTTP/1.
fn refusal() -> Vec<u8> {
    let body = serde_json::to_string(&ErrorAnswer::new(Kind::Invalid, MESSAGE)).unwrap_or_default();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
