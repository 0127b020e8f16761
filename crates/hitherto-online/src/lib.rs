//! The online store: what lookups read and materialization fills.
//!
//! This is the only crate that knows RocksDB. Everything above it sees the
//! traits in [`store`]; the in-memory store behind the same traits is the
//! mirror that tests run beside the real one.
//!
//! | module     | what it owns                                              |
//! | ---------- | --------------------------------------------------------- |
//! | [`disk`]   | files and folders that appear whole and stay               |
//! | [`store`]  | the traits: snapshots, loads, puts, metadata               |
//! | [`keys`]   | the bytes of every key kind                                |
//! | [`rocks`]  | the embedded store on RocksDB                              |
//! | [`memory`] | the same behaviour on ordered maps                         |

pub mod disk;
pub mod keys;
pub mod memory;
pub mod rocks;
pub mod store;

pub use store::{
    Access, BatchName, Beneath, Durability, Fact, GenerationId, Histories, Load, LoadPart, Loaded,
    LogEntry, NamedBatch, OnlineStore, Reach, Rows, Snapshot, Usage,
};
