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
//!   spine ----as much as memory allows----> slots: per entity its distinct times,
//!                                             |    sorted; shared by all views of
//!                                             |    one entity
//!   row groups of view 1, newest first        v
//!     heads (keys, times) ----------> compete: first slot >= max(e, n), the
//!                                             |   greatest stays
//!     features of those that lead --> fill:   |   row bytes for slots they hold
//!   row groups of view 2 ...                  |
//!                                             v   after a view's last fact
//!                               running maximum along each entity, ttl per slot
//!                                             |
//!                               feature columns in the order of spine rows
//!                                             |
//!   spine batch by batch -----> slices of these columns beside it
//! ```
//!
//! The cursors: one queue of row groups (or partitions of a plan) a view, from
//! which all threads take; one position in the spine, moved by the reader of the
//! output. Views are read one after the other, so few are in memory at a time
//! ([`workers`]).
//!
//! Where features are computed of events ([`Events`](hitherto_core::slots::Events)), no fact
//! leads: all that can count at a slot of their entity are kept as rows, and answer together
//! after the view's last fact, a part of the slots at a time by all threads.
//!
//! A view with SQL, or one whose source is no Parquet file, comes as any plan of
//! DataFusion. Its batches are whole facts; heads and features come together.
//!
//! # What is not read
//!
//! | left out | because |
//! | --- | --- |
//! | files of a later day, month or year | `source.partitionedBy`: their path names it |
//! | row groups and pages after the spine's last time | nothing of them has happened |
//! | row groups and pages without any of its entities | statistics of the key, bloom filter |
//! | row groups older than every answer there is | reading is newest first (*settled*) |
//! | features of row groups where no fact leads | heads decide |
//! | features of rows that do not lead, where few do | rows are skipped in the pages |
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
//! Reserved from the query's memory pool before a pass begins: the slots, the
//! winners of the views that can be open at once, and the answers of all views.
//! Facts are not kept, but for events, whose rows are reserved as they come; a pass that
//! they do not fit in is begun again with half of the spine. Spine rows that the pool does
//! not grant memory for wait for the next pass, which reads the facts again ([`stream`]); a
//! pool that does not even grant one piece of the spine is an error that names the least
//! that works. Spine rows that a pass holds count too where they are streamed; those in
//! memory from the start are the caller's.
//!
//! Passes cut the spine in its own order and not by entity: views of one request
//! have different entities, and the answers of a pass leave in order, so that
//! nothing is spilled and nothing put back in order.
//!
//! # Degenerate cases
//!
//! An empty spine reads no fact and gives no row. A view without facts gives
//! nulls. A null join key gives nulls. Identical spine rows get identical
//! answers. All facts or all labels in one entity only meet at one lock.
//!
//! # Distribution
//!
//! The spine is read as one partition, facts in any number of them. Slots of
//! different entities do not touch, so the join could run once for each hash
//! partition of the entity key.
//!
//! # Where the time goes
//!
//! See `docs/why/point-in-time-join.md` in the repository, with the command that
//! measures it.

mod answer;
mod exec;
mod metrics;
mod report;
mod request;
mod stream;
mod taken;
mod workers;

pub use exec::{JoinView, PointInTimeJoinExec};
pub use request::{JoinRequest, JoinSource, JoinStream, check_names};
