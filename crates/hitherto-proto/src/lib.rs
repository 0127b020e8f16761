//! The wire contract: types generated from `proto/hitherto/v1`, and validated
//! conversions between them and the core's own types.
//!
//! | module      | what it owns                                              |
//! | ----------- | --------------------------------------------------------- |
//! | [`v1`]      | messages, clients and servers of package `hitherto.v1`    |
//! | [`convert`] | wire to core and back; what came in is checked here, once |
//!
//! Nothing here knows a store, an engine or a connection. A message from
//! somebody else is never trusted: it becomes a core value or a core error,
//! never a panic.

pub mod convert;

/// Messages, clients and servers of package `hitherto.v1`, as generated.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("hitherto.v1");
}

/// The contract's descriptors with their comments, encoded: what the
/// reflection service tells.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hitherto.v1.bin"));
