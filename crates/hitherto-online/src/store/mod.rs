//! What an online store can do, without saying how: three traits, since another engine
//! may be one of them only.
//!
//! | module   | the trait    | what it keeps                                        |
//! | -------- | ------------ | ---------------------------------------------------- |
//! | [`rows`] | [`RowStore`] | latest rows, history, events, by generation          |
//! | [`log`]  | [`PushLog`]  | batches of pushed facts                              |
//! | [`meta`] | [`Meta`]     | the catalog, and what this store has consumed        |
//!
//! A generation becomes visible when the catalog in the metadata names it, which is
//! one atomic write; loads before that are seen by nobody.
//!
//! Files and folders are in none of them: they are RocksDB's own, see
//! [`crate::open::OnlineStore`].

pub mod log;
pub mod meta;
pub mod rows;

pub use log::{BatchName, Durability, LogEntry, LogVisitor, NamedBatch, PushLog};
pub use meta::{Meta, MetaChange};
pub use rows::{
    Amount, Beneath, EventVersion, Events, Fact, FactVisitor, GenerationId, Histories, Horizon,
    Load, LoadPart, Loaded, Reach, RowStore, Rows, Snapshot,
};
