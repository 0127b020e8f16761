//! The audit log: who asked for what, when, and how it ended, in a form that shows what was
//! changed in it afterwards.
//!
//! ```text
//! record -> bytes -> | length | body | tag |   appended: with the kernel, kill -9 loses none
//!                                   |          with the disk within 50 ms
//!                    chain = SHA-256(chain before | length | body), tag = its first 8 bytes
//!                                   |
//!                    every minute and at every end: checkpoint = records, chain, time
//!                                   + Ed25519 signature
//! ```
//!
//! A tag says that the bytes are those that were written here, after those before them; the
//! chain that nothing was left out, put in or moved; the signature who wrote it, so that whoever
//! makes the whole chain anew is found too. What is not signed yet, a minute at most, can be cut
//! off without a trace: docs/operate/audit.md says what helps.
//!
//! | module       | what it owns                                                |
//! | ------------ | ------------------------------------------------------------ |
//! | `record`     | what is recorded, and its one form in bytes                  |
//! | `wire`       | fields of Protocol Buffers, in one order and form            |
//! | `chain`      | the hash of all records so far, and a record among others    |
//! | `segment`    | files of records: names, headers, reading                    |
//! | `checkpoint` | signed notes of how far the chain was                        |
//! | `keys`       | the key that signs, and the one that checks                  |
//! | `entity`     | entities as keyed hashes                                     |
//! | `log`        | the writer: strict or as well as it can, and what keeps it   |
//! | `retention`  | what goes after its time, and what must not                  |
//! | `read`       | records, in order                                            |
//! | `verify`     | whether a log is what was written                            |
//! | `file`       | files and folders that are their owner's                     |

mod chain;
mod checkpoint;
mod entity;
mod file;
mod keys;
mod log;
mod read;
mod record;
mod retention;
mod segment;
mod verify;
mod wire;

pub use checkpoint::{Checkpoint, read_signed};
pub use entity::{EntityKey, EntityKeys, KeyText};
pub use keys::{PublicKey, Signer};
pub use log::{Clock, Log, Options, Remember, Status};
pub use read::{Records, read};
pub use record::{Decision, Event, Record};
pub use retention::Hold;
pub use verify::{Problem, Report, Trusted, verify};

#[cfg(test)]
mod tests;
