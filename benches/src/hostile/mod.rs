//! A server that is asked for more than it can: what good callers get meanwhile.
//!
//! ```text
//! closed loop   how much it can                      capacity
//! open loop     twice that, for some seconds         answered, refused, lost
//! afterwards    one at a time, until it is as fast   recovery
//!               as before
//! ```
//!
//! An answer counts if it comes within its deadline, which begins when the request was due:
//! in open loop nobody waits for anybody. Server and load share the machine, so what is
//! sent beyond capacity takes from what could be answered; on few cores the figures are a
//! lower bound.
//!
//! | goal | |
//! | --- | --- |
//! | goodput at twice the capacity | at least 0.9 of it, for 1, 100, 1,000 and 5,000 entities |
//! | refusals, p99 | at most 10 ms |
//! | recovery | at most 2 s |

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_engine::config::AuditLevel;
use hitherto_proto::v1::LookupRequest;
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::online::keys::Keys;
use crate::online::latencies::Latencies;
use crate::online::repository::{self, Service};
use crate::online::server::{Real, Role, Server};
use crate::{Result, folder};

/// Entities of the requests that are measured.
const SHAPES: [usize; 4] = [1, 100, 1_000, 5_000];
/// Connections.
const CONNECTIONS: usize = 8;
/// Requests that are under way at a time in closed loop: enough to keep every core at work.
const AT_ONCE: usize = 16;
/// How late an answer still counts.
const DEADLINE: Duration = Duration::from_millis(500);
/// Recovered is who answers within so many times what an answer took before.
const RECOVERED: u32 = 3;

/// What to measure, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Entities of each view
    #[arg(long, default_value_t = 100_000)]
    entities: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Times the capacity that is asked for
    #[arg(long, default_value_t = 2.0)]
    load: f64,
    /// Where generated data are kept [default: ~/.cache/hitherto/bench/online]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Measures every shape; a key of the answer for each.
///
/// # Errors
/// When the store cannot be built or the server does not come up.
pub fn run(options: &Options) -> Result<Value> {
    let data = match &options.data {
        Some(data) => std::path::absolute(data)?,
        None => folder::cache()?.join("bench").join("online"),
    };
    let root = repository::build(&data, options.entities)?;
    let real = Real {
        root,
        cache_bytes: 1 << 30,
        warm_entities: options.entities,
        audit: AuditLevel::Off,
    };
    let server = Server::start(&Role::Real(real))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut answer = Map::new();
    for rows in SHAPES {
        let crowd = runtime.block_on(Crowd::connect(server.url(), rows, options.entities))?;
        let measured = crowd.measure(&runtime, options)?;
        eprintln!("{rows} entities: {measured}");
        answer.insert(format!("{rows}x50"), measured);
    }
    Ok(Value::Object(answer))
}

/// Many callers who ask the same.
struct Crowd {
    clients: Vec<LookupServiceClient<Channel>>,
    requests: Vec<LookupRequest>,
}

/// How calls ended.
#[derive(Debug)]
struct Ends {
    answered: u64,
    late: u64,
    refused: u64,
    failed: u64,
    answers: Latencies,
    refusals: Latencies,
}

impl Crowd {
    async fn connect(url: &str, rows: usize, entities: u64) -> Result<Self> {
        let keys = Keys { service: Service::Narrow, entities, rows, zipf: 0.0, seed: 7 };
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
            let client = LookupServiceClient::new(channel);
            clients.push(client.max_decoding_message_size(MESSAGE_BYTES_MAX));
        }
        Ok(Self { clients, requests: keys.messages()? })
    }

    fn measure(&self, runtime: &Runtime, options: &Options) -> Result<Value> {
        let time = Duration::from_secs_f64(options.seconds);
        runtime.block_on(self.closed(time / 4))?;
        let (capacity, before) = runtime.block_on(self.closed(time))?;
        let ends = self.open(runtime, time, capacity * options.load)?;
        let recovery = runtime.block_on(self.recover(before));
        let goodput = ends.answered as f64 / options.seconds;
        Ok(json!({
            "capacity": capacity.round(),
            "goodput": goodput.round(),
            "goodput_share": (goodput / capacity * 1_000.0).round() / 1_000.0,
            "late": ends.late,
            "refused": ends.refused,
            "failed": ends.failed,
            "answers": ends.answers.percentiles(),
            "refusals": ends.refusals.percentiles(),
            "recovery_millis": recovery.as_millis() as u64,
        }))
    }

    /// Answers a second with some under way at a time, and what one takes alone.
    async fn closed(&self, time: Duration) -> Result<(f64, Duration)> {
        let mut alone = Duration::MAX;
        for turn in 0..20 {
            alone = alone.min(self.ask(turn).await.1);
        }
        let asked = (0..AT_ONCE).map(|first| async move {
            let (begun, mut answered) = (Instant::now(), 0_u64);
            let mut turn = first;
            while begun.elapsed() < time {
                let (code, took) = self.ask(turn).await;
                answered += u64::from(code == Code::Ok && took <= DEADLINE);
                turn += AT_ONCE;
            }
            answered
        });
        let answered: u64 = futures::future::join_all(asked).await.into_iter().sum();
        match answered {
            0 => Err("nothing was answered".into()),
            answered => Ok((answered as f64 / time.as_secs_f64(), alone)),
        }
    }

    async fn ask(&self, turn: usize) -> (Code, Duration) {
        let mut client = self.clients[turn % self.clients.len()].clone();
        let request = self.requests[turn % self.requests.len()].clone();
        let sent = Instant::now();
        let code = client.lookup(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
        (code, sent.elapsed())
    }

    /// Sends so many a second, whatever comes back.
    fn open(&self, runtime: &Runtime, time: Duration, rate: f64) -> Result<Ends> {
        let ends = Arc::new(Mutex::new(Ends::new()?));
        let begun = Instant::now();
        let count = (time.as_secs_f64() * rate) as usize;
        let mut calls = Vec::with_capacity(count);
        for turn in 0..count {
            let due = begun + Duration::from_secs_f64(turn as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut client = self.clients[turn % self.clients.len()].clone();
            let request = self.requests[turn % self.requests.len()].clone();
            let ends = Arc::clone(&ends);
            calls.push(runtime.spawn(async move {
                let sent = Instant::now();
                let answer = tokio::time::timeout(4 * DEADLINE, client.lookup(request)).await;
                let code = match answer {
                    Ok(answer) => answer.map_or_else(|status| status.code(), |_| Code::Ok),
                    Err(_) => Code::DeadlineExceeded,
                };
                let mut ends = ends.lock().expect("no task panics while it holds this");
                ends.add(code, due.elapsed(), sent.elapsed());
            }));
        }
        runtime.block_on(futures::future::join_all(calls));
        let ends = Arc::into_inner(ends).ok_or("a request is still on its way")?;
        Ok(ends.into_inner().expect("no task panicked while it held this"))
    }

    /// How long it takes until requests are answered as before.
    async fn recover(&self, before: Duration) -> Duration {
        let begun = Instant::now();
        let mut well = 0;
        let mut turn = 0;
        while well < 10 && begun.elapsed() < Duration::from_secs(30) {
            let (code, took) = self.ask(turn).await;
            let is_well = code == Code::Ok && took <= (RECOVERED * before).max(DEADLINE / 50);
            well = if is_well { well + 1 } else { 0 };
            turn += 1;
        }
        begun.elapsed()
    }
}

impl Ends {
    fn new() -> Result<Self> {
        let (answers, refusals) = (Latencies::new()?, Latencies::new()?);
        Ok(Self { answered: 0, late: 0, refused: 0, failed: 0, answers, refusals })
    }

    fn add(&mut self, code: Code, since_due: Duration, since_sent: Duration) {
        match code {
            Code::Ok if since_due <= DEADLINE => {
                self.answered += 1;
                self.answers.record(since_due);
            }
            Code::Ok | Code::DeadlineExceeded => self.late += 1,
            Code::ResourceExhausted => {
                self.refused += 1;
                self.refusals.record(since_sent);
            }
            _ => self.failed += 1,
        }
    }
}
