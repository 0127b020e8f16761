//! The order of events, and the JSON that comes out of it.

use std::path::PathBuf;

use hitherto_engine::config::AuditLevel;
use serde_json::{Map, Value, json};

use super::check::check;
use super::facts::FEATURES;
use super::in_process::InProcess;
use super::keys::Keys;
use super::latencies::Percentiles;
use super::load::{Load, Measured, Pace};
use super::options::{Audited, Options};
use super::peers::Peers;
use super::repository::{self, EARLIER_MICROS};
use super::server::{Real, Role, Server};
use super::shapes::{Shape, Way};
use super::{CHILD, Question};
use crate::pit::{median, rounded};
use crate::{Result, child};

/// The exponent of the shape `cold`.
const COLD_ZIPF: f64 = 0.99;
/// How many caches its data would fill.
const COLD_CACHES: u64 = 10;
/// Everything random begins here.
const SEED: u64 = 7;

/// Measures every chosen shape; a key of the answer for each.
///
/// # Errors
/// When the store cannot be built, a server or a measurement fails, or an
/// answer is wrong.
pub fn run(options: &Options) -> Result<Value> {
    let shapes = options.shapes()?;
    let root = repository::build(&options.data()?, options.entities)?;
    let is_served = |shape: &Shape| !matches!(shape.way, Way::InProcess | Way::AsOf | Way::Cold);
    let peers = options.peers.then(Peers::install).transpose()?;
    let mut trial = Trial { options, root, servers: None, peers };
    if shapes.iter().any(is_served) {
        let level = options.audit.map_or(AuditLevel::Off, Audited::level);
        let real = trial.start(options.cache as u64, options.entities, level)?;
        let other = match options.audit {
            None => echo()?,
            Some(_) => trial.start(options.cache as u64, options.entities, AuditLevel::Off)?,
        };
        trial.servers = Some((real, other));
    }
    let mut answer = Map::new();
    // What measures in process or a server of its own comes after the two are gone.
    let (served, alone): (Vec<Shape>, Vec<Shape>) = shapes.into_iter().partition(is_served);
    for shape in served.iter().chain(&alone) {
        if !is_served(shape) {
            trial.end()?;
        }
        let measured = Value::Object(trial.measure(shape)?);
        eprintln!("{}: {measured}", shape.name);
        answer.insert(shape.name.to_owned(), measured);
    }
    trial.end()?;
    Ok(Value::Object(answer))
}

/// One run over one repository.
struct Trial<'t> {
    options: &'t Options,
    root: PathBuf,
    /// The real one, then the echo, or the same that records nothing.
    servers: Option<(Server, Server)>,
    peers: Option<Peers>,
}

impl Trial<'_> {
    fn measure(&self, shape: &Shape) -> Result<Map<String, Value>> {
        match shape.way {
            Way::Closed => self.beside_echo(shape, Pace::Closed),
            Way::Stream => self.beside_echo(shape, Pace::Stream),
            Way::Open => self.open(shape),
            Way::Cold => self.cold(shape),
            Way::InProcess => {
                let runs = self.in_process(shape, &[None])?;
                Ok(percentiles(&runs.concat()))
            }
            Way::AsOf => self.as_of(shape),
        }
    }

    /// Checks what was measured, and ends both servers.
    fn end(&mut self) -> Result<()> {
        if let Some((real, _)) = self.servers.take() {
            check(real.url(), self.options.entities)?;
            eprintln!("answers are those that were generated");
        }
        Ok(())
    }

    fn start(&self, cache_bytes: u64, warm_entities: u64, audit: AuditLevel) -> Result<Server> {
        let real = Real { root: self.root.clone(), cache_bytes, warm_entities, audit };
        Server::start(&Role::Real(real))
    }

    /// Echo, real, echo, real: what the machine does meanwhile hits both.
    fn beside_echo(&self, shape: &Shape, pace: Pace) -> Result<Map<String, Value>> {
        let (real, echo) = self.servers.as_ref().ok_or("the servers are not running")?;
        let mut ours = Vec::new();
        let mut echoes = Vec::new();
        for rep in 0..self.options.reps {
            echoes.push(self.load(shape, echo, pace, rep)?);
            ours.push(self.load(shape, real, pace, rep)?);
        }
        let mut measured = summary(shape, &ours);
        measured.extend(ratios(&ours, &echoes));
        let other = if self.options.audit.is_some() { "unrecorded" } else { "echo" };
        measured.insert(other.to_owned(), Value::Object(summary(shape, &echoes)));
        if let Some(peers) = self.peers.as_ref().filter(|_| shape.has_peers()) {
            let facts = repository::facts_of(&self.root, shape.service);
            measured.extend(peers.beside(shape, &facts, self.options, &ours)?);
        }
        Ok(measured)
    }

    fn open(&self, shape: &Shape) -> Result<Map<String, Value>> {
        let (real, _) = self.servers.as_ref().ok_or("the servers are not running")?;
        let rate = self.load(shape, real, Pace::Closed, 0)?.rate() / 2.0;
        let mut measured = self.beside_echo(shape, Pace::Open(rate))?;
        measured.insert("intended_requests_per_second".to_owned(), rounded(rate));
        Ok(measured)
    }

    fn cold(&self, shape: &Shape) -> Result<Map<String, Value>> {
        let view_bytes = self.options.entities * FEATURES as u64 * 8;
        let server = self.start(view_bytes / COLD_CACHES, 0, AuditLevel::Off)?;
        let mut runs = Vec::new();
        for rep in 0..self.options.reps {
            runs.push(self.load(shape, &server, Pace::Closed, rep)?);
        }
        check(server.url(), self.options.entities)?;
        let mut measured = summary(shape, &runs);
        let reads = of(&runs, |run| run.reads as f64 / run.requests as f64);
        measured.insert("reads_per_lookup".to_owned(), rounded(median(&reads)));
        measured.insert("reads_are".to_owned(), json!("syscr of /proc/PID/io of the server"));
        Ok(measured)
    }

    fn as_of(&self, shape: &Shape) -> Result<Map<String, Value>> {
        let runs = self.in_process(shape, &[None, Some(EARLIER_MICROS)])?;
        let at = |moment: usize| runs.iter().map(|run| run[moment]).collect::<Vec<_>>();
        let (now, earlier) = (at(0), at(1));
        let mut measured = percentiles(&earlier);
        let ratio =
            now.iter().zip(&earlier).map(|(now, earlier)| earlier.p50_micros / now.p50_micros);
        measured.insert("ratio_now".to_owned(), rounded(median(&ratio.collect::<Vec<_>>())));
        measured.insert("now".to_owned(), Value::Object(percentiles(&now)));
        Ok(measured)
    }

    fn in_process(&self, shape: &Shape, moments: &[Option<i64>]) -> Result<Vec<Vec<Percentiles>>> {
        let ask = |rep| {
            let question = InProcess {
                root: self.root.clone(),
                cache_bytes: self.options.cache as u64,
                keys: self.keys(shape, rep),
                moments: moments.to_vec(),
                seconds: self.options.seconds,
            };
            child::ask(CHILD, &Question::InProcess(question))
        };
        (0..self.options.reps).map(ask).collect()
    }

    fn load(&self, shape: &Shape, server: &Server, pace: Pace, rep: u32) -> Result<Measured> {
        let load = Load {
            url: server.url().to_owned(),
            pid: server.pid(),
            keys: self.keys(shape, rep),
            connections: shape.connections,
            pace,
            seconds: self.options.seconds,
        };
        child::ask(CHILD, &Question::Load(load))
    }

    fn keys(&self, shape: &Shape, rep: u32) -> Keys {
        Keys {
            service: shape.service,
            entities: self.options.entities,
            rows: shape.rows,
            zipf: match shape.way {
                Way::Cold => COLD_ZIPF,
                _ => self.options.zipf,
            },
            // Far from those of the other connections.
            seed: SEED + u64::from(rep) * 1_000,
        }
    }
}

fn echo() -> Result<Server> {
    Server::start(&Role::Echo)
}

pub(super) fn of<T>(runs: &[T], figure: impl Fn(&T) -> f64) -> Vec<f64> {
    runs.iter().map(figure).collect()
}

/// Medians of latencies.
fn percentiles(runs: &[Percentiles]) -> Map<String, Value> {
    let fields = [
        ("p50_micros", median(&of(runs, |run| run.p50_micros))),
        ("p99_micros", median(&of(runs, |run| run.p99_micros))),
        ("p999_micros", median(&of(runs, |run| run.p999_micros))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), rounded(value))).collect()
}

/// Medians of one server's figures.
fn summary(shape: &Shape, runs: &[Measured]) -> Map<String, Value> {
    let latencies: Vec<Percentiles> = runs.iter().map(|run| run.latency).collect();
    let rows = shape.rows as f64;
    // The system counts in hundredths; a short run may have used none.
    let cpu = |run: &Measured| run.cpu_seconds.max(0.01);
    let fields = [
        ("requests_per_second", median(&of(runs, Measured::rate))),
        (
            "cpu_seconds_per_million_lookups",
            median(&of(runs, |run| cpu(run) / run.requests as f64 * 1e6)),
        ),
        ("rows_per_core_second", median(&of(runs, |run| run.requests as f64 * rows / cpu(run)))),
    ];
    let mut summary = percentiles(&latencies);
    summary.extend(fields.map(|(name, value)| (name.to_owned(), rounded(value))));
    summary
}

/// The median over neighbours of ours divided by the echo's.
pub(super) fn ratios(ours: &[Measured], echoes: &[Measured]) -> Map<String, Value> {
    let ratio = |figure: fn(&Measured) -> f64| {
        let pairs = ours.iter().zip(echoes);
        let ratios = pairs.map(|(ours, echo)| figure(ours) / figure(echo));
        median(&ratios.collect::<Vec<_>>())
    };
    let fields = [
        ("p50_ratio", ratio(|run| run.latency.p50_micros)),
        ("p99_ratio", ratio(|run| run.latency.p99_micros)),
        ("p999_ratio", ratio(|run| run.latency.p999_micros)),
        ("rps_ratio", ratio(Measured::rate)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), rounded(value))).collect()
}
