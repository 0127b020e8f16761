//! Closed loop, open loop and stream.
//!
//! In closed loop each connection sends its next request when it has the last
//! answer. In open loop a thread of its own sends at fixed times and waits for
//! nobody; a latency runs from the time at which the request was due, so that
//! being late is part of it.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::future::try_join_all;
use hitherto_proto::v1::LookupRequest;
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::latencies::Latencies;
use crate::Result;

/// A connection and what is asked over it, again and again.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The connection.
    pub client: LookupServiceClient<Channel>,
    /// The requests.
    pub requests: Arc<[LookupRequest]>,
}

/// Asks over each connection for `time`; returns latencies and seconds.
///
/// # Errors
/// When one request fails.
pub async fn closed(connections: &[Connection], time: Duration) -> Result<(Latencies, f64)> {
    let started = Instant::now();
    let tasks = connections.iter().map(|one| tokio::spawn(ask(one.clone(), started + time)));
    gathered(try_join_all(tasks).await?, started)
}

/// As [`closed`], over one stream for each connection.
///
/// # Errors
/// When one request fails.
pub async fn stream(connections: &[Connection], time: Duration) -> Result<(Latencies, f64)> {
    let started = Instant::now();
    let tasks = connections.iter().map(|one| tokio::spawn(converse(one.clone(), started + time)));
    gathered(try_join_all(tasks).await?, started)
}

async fn ask(mut connection: Connection, end: Instant) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    for request in connection.requests.iter().cycle() {
        let request = request.clone();
        let sent = Instant::now();
        connection.client.lookup(request).await?;
        let answered = Instant::now();
        latencies.record(answered - sent);
        if answered >= end {
            break;
        }
    }
    Ok(latencies)
}

async fn converse(mut connection: Connection, end: Instant) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    let (mut sender, receiver) = mpsc::channel(1);
    let mut answers = connection.client.lookup_stream(receiver).await?.into_inner();
    for request in connection.requests.iter().cycle() {
        let request = request.clone();
        let sent = Instant::now();
        sender.try_send(request)?;
        answers.message().await?.ok_or("the stream ended")?;
        let answered = Instant::now();
        latencies.record(answered - sent);
        if answered >= end {
            break;
        }
    }
    Ok(latencies)
}

/// Sends `rate` requests a second for `time`, over all connections in turn, and
/// waits for their answers.
///
/// # Errors
/// When one request fails.
pub fn open(
    runtime: &Runtime,
    connections: &[Connection],
    time: Duration,
    rate: f64,
) -> Result<(Latencies, f64)> {
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    let count = (time.as_secs_f64() * rate) as usize;
    let mut tasks = Vec::with_capacity(count);
    let started = Instant::now();
    for index in 0..count {
        let due = started + Duration::from_secs_f64(index as f64 / rate);
        // The system wakes a thread within tens of microseconds; the runtime's
        // timer has whole milliseconds.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let connection = &connections[index % connections.len()];
        let turn = index / connections.len() % connection.requests.len();
        let request = connection.requests[turn].clone();
        let mut client = connection.client.clone();
        let latencies = Arc::clone(&latencies);
        tasks.push(runtime.spawn(async move {
            client.lookup(request).await?;
            let latency = due.elapsed();
            latencies.lock().expect("no task panics while it holds this").record(latency);
            Ok::<(), tonic::Status>(())
        }));
    }
    for done in runtime.block_on(try_join_all(tasks))? {
        done?;
    }
    let all = Arc::into_inner(latencies).ok_or("a request is still on its way")?;
    let all = all.into_inner().expect("no task panicked while it held this");
    Ok((all, started.elapsed().as_secs_f64()))
}

fn gathered(parts: Vec<Result<Latencies>>, started: Instant) -> Result<(Latencies, f64)> {
    let seconds = started.elapsed().as_secs_f64();
    let mut all = Latencies::new()?;
    for part in parts {
        all.add(&part?)?;
    }
    Ok((all, seconds))
}
