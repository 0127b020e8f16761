//! The wire contract: types generated from `proto`, and validated conversions
//! between them and the types of core and api, for both ends.
//!
//! | module      | what it owns                                              |
//! | ----------- | --------------------------------------------------------- |
//! | [`v1`]      | messages, clients and servers of package `hitherto.v1`    |
//! | [`feast`]   | the same of Feast's serving API, for its clients          |
//! | [`convert`] | wire to core and back; what came in is checked here, once |
//! | [`answer`]  | a lookup's answer, written without a message in between   |
//! | [`flight`]  | messages, client and server of Arrow Flight               |
//! | [`ipc`]     | record batches as Flight messages, types kept exactly     |
//!
//! Nothing here knows a store, an engine or a connection. A message from
//! somebody else is never trusted: it becomes a core value or a core error,
//! never a panic.

pub mod answer;
pub mod convert;
pub mod ipc;

/// Messages, clients and servers of package `hitherto.v1`, as generated.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("hitherto.v1");
}

/// The server of `hitherto.v1.LookupService` that answers with [`answer::Answer`].
pub mod written {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/written/hitherto.v1.rs"));
}

/// Messages, client and server of Arrow Flight, as generated.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod flight {
    tonic::include_proto!("arrow.flight.protocol");
}

/// Messages, clients and servers of Feast's packages, as generated.
pub mod feast {
    /// Package `feast.serving`.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod serving {
        tonic::include_proto!("feast.serving");
    }

    /// Package `feast.types`.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod types {
        tonic::include_proto!("feast.types");
    }
}

/// The contract's descriptors with their comments, encoded: what the
/// reflection service tells.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
