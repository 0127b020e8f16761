//! Lookups, measured: the real server beside an echo.
//!
//! ```text
//! parent -+- server   the real one over a real store, or the echo: same tonic,
//!         |           same settings, same messages, constant columns, no store
//!         +- load     connects, asks, keeps a histogram; a process a measurement
//!         +- engine   lookups in its own process, without a network
//! ```
//!
//! Server and load share the machine, so absolute figures say little. What
//! counts is the ratio to the echo, which pays for the network, HTTP/2 and
//! protobuf and for nothing else. Both are measured in turns; a ratio is the
//! median over pairs of neighbours. In open loop a latency begins when the
//! request should have been sent, so that a server that stalls is charged for
//! all who had to wait. Afterwards answers are compared with what was generated.
//!
//! | shape | goal |
//! | --- | --- |
//! | `1x50` | p50 at most 1.25, p99 at most 1.5 times the echo's |
//! | `1x250`, out of 5 views | p50 at most 1.6 |
//! | `10x50` | p50 at most 1.4 |
//! | `100x50` | rate at least 0.7; 300,000 rows a second and server core |
//! | `1000x50` | rate at least 0.6 |
//! | `open_10x50` | p99 at most 2, p99.9 at most 3 |
//! | `in_process_1x50`, `in_process_100x50` | p50 at most 5 and 120 us |
//! | `as_of_1x50`, `as_of_100x50` | p50 at most 3 times that of now |
//! | `cold`, `stream_1x50` | none |
//!
//! | module         | what it owns                                             |
//! | -------------- | --------------------------------------------------------- |
//! | [`options`]    | what can be typed                                         |
//! | [`shapes`]     | which questions are asked, by name                        |
//! | [`facts`]      | the value of every feature, and files of them             |
//! | [`repository`] | definitions and the store, built once                     |
//! | [`keys`]       | who is asked about                                        |
//! | [`server`]     | a process that serves, the real thing or the echo         |
//! | [`echo`]       | the echo                                                  |
//! | [`load`]       | a process that asks                                       |
//! | [`drive`]      | closed loop, open loop and stream                         |
//! | [`in_process`] | lookups without a network                                 |
//! | [`latencies`]  | histograms, and the percentiles out of them               |
//! | [`proc`]       | what the system says about a process                      |
//! | [`check`]      | whether answers are right                                 |
//! | [`suite`]      | the order of events, and the JSON                         |

mod check;
mod drive;
mod echo;
mod facts;
mod in_process;
pub mod keys;
pub mod latencies;
mod load;
mod options;
mod peers;
mod proc;
pub mod repository;
pub mod server;
mod shapes;
mod suite;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

pub use options::Options;
pub use server::{SERVER, serve};
pub use suite::run;

/// The hidden subcommand of a measuring process.
pub const CHILD: &str = "online-child";

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Over the network; answered by [`load::Measured`].
    Load(load::Load),
    /// Without one; answered by a list of [`latencies::Percentiles`].
    InProcess(in_process::InProcess),
}

/// Measures, in the process that was started for it.
///
/// # Errors
/// Those of the measurement.
pub fn measure(question: Question) -> Result<Value> {
    Ok(match question {
        Question::Load(load) => serde_json::to_value(load::run(&load)?)?,
        Question::InProcess(question) => serde_json::to_value(in_process::run(&question)?)?,
    })
}
