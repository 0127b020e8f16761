//! A process that asks: what it is told and what it found.

use std::time::Duration;

use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use serde::{Deserialize, Serialize};
use tonic::transport::{Channel, Endpoint};

use super::drive::{self, Connection};
use super::keys::Keys;
use super::latencies::{Latencies, Percentiles};
use super::proc::Used;
use crate::Result;

/// Share of a measurement's seconds that is asked before it begins.
const WARMING_SHARE: f64 = 0.25;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// One is in flight on each connection, always.
    Closed,
    /// As `Closed`, on one stream for each connection.
    Stream,
    /// So many a second over all connections, whatever comes back.
    Open(f64),
}

/// What a load is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Where the server listens.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// What is asked.
    pub keys: Keys,
    /// Connections.
    pub connections: usize,
    /// When.
    pub pace: Pace,
    /// How long.
    pub seconds: f64,
}

/// What it found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How long requests took.
    pub latency: Percentiles,
    /// Requests that were answered.
    pub requests: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Seconds on a core that the server used.
    pub cpu_seconds: f64,
    /// File reads of the server.
    pub reads: u64,
}

impl Measured {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Asks.
///
/// # Errors
/// When the server cannot be reached, or one request fails.
pub fn run(load: &Load) -> Result<Measured> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(load.connections.min(cores))
        .enable_all()
        .build()?;
    let connections = runtime.block_on(connect(load))?;
    let drive = |seconds: f64| -> Result<(Latencies, f64)> {
        let time = Duration::from_secs_f64(seconds);
        match load.pace {
            Pace::Closed => runtime.block_on(drive::closed(&connections, time)),
            Pace::Stream => runtime.block_on(drive::stream(&connections, time)),
            Pace::Open(rate) => drive::open(&runtime, &connections, time, rate),
        }
    };
    drive(load.seconds * WARMING_SHARE)?;
    let before = Used::read(load.pid)?;
    let (latencies, seconds) = drive(load.seconds)?;
    let used = Used::read(load.pid)?.since(before);
    Ok(Measured {
        latency: latencies.percentiles(),
        requests: latencies.count(),
        seconds,
        cpu_seconds: used.cpu_seconds,
        reads: used.reads,
    })
}

async fn connect(load: &Load) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let keys = Keys { seed: load.keys.seed + index as u64, ..load.keys.clone() };
        let channel: Channel = Endpoint::from_shared(load.url.clone())?.connect().await?;
        let client = LookupServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        connections.push(Connection { client, requests: keys.messages()?.into() });
    }
    Ok(connections)
}
