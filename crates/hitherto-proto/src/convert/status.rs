//! Errors as gRPC statuses.
//!
//! ```text
//! code                 Kind::grpc_code, so that any gRPC client can act on it
//! message              the error's chain of causes, for a person
//! hitherto-kind        the kind's name, for our own clients: several codes
//!                      stand for one kind, and other people's servers and
//!                      proxies send codes of their own
//! grpc-retry-pushback-ms   when to come back, if the server is full; gRPC's
//!                      own retry policies wait so long
//! ```

use std::time::Duration;

use hitherto_core::{Error, Kind};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The metadata key that carries the kind's name.
pub const KIND_METADATA: &str = "hitherto-kind";

/// When a caller whom a full server refused may come back. Lookups take well under
/// a millisecond each, so a place is free soon; it keeps a crowd from knocking at
/// once.
pub const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The metadata key by which gRPC tells a client when to retry.
const PUSHBACK_METADATA: &str = "grpc-retry-pushback-ms";

/// Bytes of a status message. It travels in an HTTP/2 header, percent-encoded
/// to up to three times its length, and clients refuse the whole answer when
/// its headers pass 16 KiB.
pub const STATUS_MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Writes an error as the status that a caller sees.
pub fn to_status(error: &Error) -> Status {
    with_kind(Code::from_i32(error.kind().grpc_code()), error.kind(), error.chain())
}

/// The status of a call refused because the server is full. It is no
/// `UNAVAILABLE`: clients retry that at once, which is the last thing a full
/// server needs.
pub fn refused(message: impl Into<String>) -> Status {
    let mut status = with_kind(Code::ResourceExhausted, Kind::Unavailable, message.into());
    let millis = MetadataValue::from(RETRY_AFTER.as_millis() as u64);
    status.metadata_mut().insert(PUSHBACK_METADATA, millis);
    status
}

/// Reads the status of a failed call; the inverse of [`to_status`] but for the
/// causes, which are part of the message by now.
pub fn from_status(status: &Status) -> Error {
    let named = status.metadata().get(KIND_METADATA).and_then(|value| {
        Kind::ALL.into_iter().find(|kind| value.as_encoded_bytes() == kind.name().as_bytes())
    });
    let kind = named.unwrap_or_else(|| Kind::from_grpc_code(status.code() as i32));
    let message = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    Error::new(kind, message)
}

fn with_kind(code: Code, kind: Kind, mut message: String) -> Status {
    message.truncate(message.floor_char_boundary(STATUS_MESSAGE_BYTES_MAX));
    let mut status = Status::new(code, message);
    status.metadata_mut().insert(KIND_METADATA, MetadataValue::from_static(kind.name()));
    status
}

#[cfg(test)]
mod tests;
