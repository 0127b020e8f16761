//! The point-in-time join, measured.
//!
//! ```text
//! shape -> lake (views' files) and labels (the spine), generated once, kept
//!       -> optimized copies of the views, if the shape reads them, made once, kept
//!       -> floor: the same columns of the same files, decoded and dropped
//!       -> ours: Offline::join to a complete result in memory
//!       -> peers: the same question asked of other engines
//!       -> one JSON object
//! ```
//!
//! Every measurement has a process of its own and finds its files in the page
//! cache. Time runs from the question to the complete result in memory; the
//! spine is in memory before, for ours and for the peers.
//!
//! | module        | what it owns                                               |
//! | ------------- | ---------------------------------------------------------- |
//! | [`options`]   | what can be typed                                          |
//! | [`shapes`]    | which questions are asked, by name                         |
//! | [`lake`]      | the files of views                                         |
//! | [`facts`]     | keys, times and features inside one file                   |
//! | [`labels`]    | spines                                                     |
//! | [`entities`]  | which entity a row is about                                |
//! | [`writer`]    | Parquet as a user's pipeline writes it                     |
//! | [`question`]  | what a measuring process is asked and what it answers      |
//! | [`views`]     | the views of a question, as a user would have applied them |
//! | [`ours`]      | Hitherto's answer                                          |
//! | [`optimized`] | optimized copies of views                                  |
//! | [`floor`]     | decoding alone                                             |
//! | [`peers`]     | the answers of other engines                               |
//! | [`suite`]     | the order of events, and the JSON                          |

pub mod entities;
mod facts;
pub mod floor;
pub mod labels;
pub mod lake;
mod optimized;
mod options;
mod ours;
mod peers;
mod question;
mod shapes;
mod suite;
mod views;
pub mod writer;

#[cfg(test)]
mod tests;

pub use options::{Options, parse_bytes};
pub use ours::read_spine;
pub use question::{CHILD, Question, measure};
pub use suite::{median, rounded, run};
