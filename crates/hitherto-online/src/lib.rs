//! The online store: what lookups read and materialization fills.
//!
//! This is the only crate that knows RocksDB. Everything above it sees the
//! traits in [`store`]; the in-memory store behind the same traits is the
//! mirror that tests run beside the real one.
//!
//! | module     | what it owns                                              |
//! | ---------- | --------------------------------------------------------- |
//! | [`disk`]   | files and folders that appear whole and stay               |
//! | [`store`]  | the traits: rows, the log of pushed facts, metadata        |
//! | [`open`]   | three of them as one, and their folder if they have one    |
//! | [`keys`]   | the bytes of every key kind                                |
//! | [`rocks`]  | the embedded store on RocksDB                              |
//! | [`memory`] | the same behaviour on ordered maps                         |

pub mod disk;
pub mod keys;
pub mod memory;
pub mod open;
pub mod rocks;
pub mod store;

pub use keys::MetaKey;
pub use open::{Access, OnlineStore, Usage};
pub use rocks::owner;
pub use store::{
    Amount, BatchName, Beneath, Durability, EventVersion, Events, Fact, GenerationId, Histories,
    Horizon, Load, LoadPart, Loaded, LogEntry, Meta, MetaChange, NamedBatch, PushLog, Reach,
    RowStore, Rows, Snapshot,
};
