//! Redis and Feast, asked the same by their own clients.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::facts::FEATURES;
use super::load::Measured;
use super::options::Options;
use super::shapes::Shape;
use super::suite::of;
use crate::pit::{median, rounded};
use crate::{Result, peers};

/// Feast writes some thousand rows a second: it is given fewer.
const FEAST_ENTITIES_MAX: u64 = 20_000;

/// A store, the environment of its client, and entities that it is filled with at most.
const PEERS: [(&str, &str, u64); 3] = [
    ("redis_pipelined", "redis", u64::MAX),
    ("feast_sqlite", "feast", FEAST_ENTITIES_MAX),
    ("feast_redis", "feast", FEAST_ENTITIES_MAX),
];

/// The installed peers.
pub struct Peers {
    home: PathBuf,
}

/// What one of them answers; the rest of its answer is talk.
#[derive(Debug, Deserialize)]
struct PeerMeasured {
    requests_per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
}

impl Peers {
    /// The peers, installed now if they are not yet.
    ///
    /// # Errors
    /// When they cannot be installed.
    pub fn install() -> Result<Self> {
        Ok(Self { home: peers::install()? })
    }

    /// Asks each of them for what `ours` answered; the entities are those of `facts`.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn beside(
        &self,
        shape: &Shape,
        facts: &Path,
        options: &Options,
        ours: &[Measured],
    ) -> Result<Map<String, Value>> {
        let rate = median(&of(ours, Measured::rate));
        let p99 = median(&of(ours, |run| run.latency.p99_micros));
        let mut fields = Map::new();
        for (name, environment, entities_max) in PEERS {
            let mut command = peers::command(&self.home, environment, "online.py");
            command.arg(name).arg("--facts").arg(facts).arg("--home").arg(&self.home);
            let entities = options.entities.min(entities_max);
            for (option, value) in [
                ("--entities", entities.to_string()),
                ("--rows", shape.rows.to_string()),
                ("--features", FEATURES.to_string()),
                ("--connections", shape.connections.to_string()),
                ("--seconds", options.seconds.to_string()),
            ] {
                command.args([option, &value]);
            }
            let peer: PeerMeasured = peers::answer(command)?;
            fields.insert(
                name.to_owned(),
                json!({
                    "entities": entities,
                    "requests_per_second": rounded(peer.requests_per_second),
                    "p50_micros": rounded(peer.p50_micros),
                    "p99_micros": rounded(peer.p99_micros),
                }),
            );
            let ratios = [("rps", rate / peer.requests_per_second), ("p99", p99 / peer.p99_micros)];
            fields.extend(ratios.map(|(of, ratio)| (format!("ratio_{name}_{of}"), rounded(ratio))));
        }
        Ok(fields)
    }
}
