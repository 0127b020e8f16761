//! The point-in-time join: a spine beside the facts of many views.
//!
//! # Semantics
//!
//! For every spine row and every view, the features of the fact that the one
//! rule names (see [`hitherto_core::rule`]), or nulls. Spine rows come out in
//! their order, each exactly once, with all their columns; features follow in
//! the order of the request.
//!
//! # Algorithm
//!
//! ```text
//!   spine ----collect----> slots: per entity its distinct times, sorted
//!                            |         shared by all views of one entity
//!   facts of view 1 --+      v
//!     any order       +--> offer: first slot >= max(e, n), greatest wins    one task
//!   facts of view 2 --+    offer ...                                        a view
//!                            |
//!                            v after the last fact
//!                          running maximum along each entity, ttl per slot
//!                            |
//!   spine batch by batch --> look up the slot, copy features out of row bytes
//! ```
//!
//! The cursors: one position in each view's stream of facts, moved by that
//! view's task; one position in the spine, moved by the reader of the output.
//! They meet once, when every view has ended.
//!
//! # Batch boundaries
//!
//! None matter. Facts compete one by one, so any batching, partitioning or
//! order of input gives the same winners. Output batches hold at most
//! [`BATCH_ROWS`](hitherto_core::limits::BATCH_ROWS) rows and never span two
//! spine batches.
//!
//! # Memory
//!
//! The spine, its slots, and one row for each slot that some fact won; the
//! facts are not kept. All of it is reserved from the query's memory pool as
//! it grows; the join fails with a clear error instead of growing further. It
//! does not spill.
//!
//! # Degenerate cases
//!
//! An empty spine reads no fact and gives no row. A view without facts gives
//! nulls. A null join key gives nulls. Identical spine rows get identical
//! answers. All facts in one entity, or one time, only move where slots win.
//!
//! # Distribution
//!
//! Every input is read as one partition. Slots of different entities do not
//! touch, so the join could run once for each hash partition of the entity key.

mod exec;
mod metrics;
mod report;
mod request;
mod stream;

pub use exec::{JoinOutput, JoinView, PointInTimeJoinExec};
pub use report::{Ages, FeatureNulls, JoinReport, ViewReport};
pub use request::{JoinRequest, JoinSource, JoinStream};
