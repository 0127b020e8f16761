//! The answers of other engines, which `benches/peers/pit.py` asks them for.
//!
//! Each is asked in a process of its own and measured as ours is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Result, peers};

/// Another engine, with the way in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A lazy chain of `join_asof`, known time ignored.
    PolarsAsof,
    /// A chain of `ASOF LEFT JOIN`, known time ignored.
    DuckdbAsof,
    /// A range join and `arg_max`, known time honored.
    DuckdbKnown,
    /// Feast's default offline store, known time ignored.
    Feast,
}

/// A question as a peer is asked it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerQuestion {
    /// Who is asked.
    pub peer: Peer,
    /// The folder of each view.
    pub views: Vec<PathBuf>,
    /// Features of each view.
    pub features: usize,
    /// The spine's file.
    pub spine: PathBuf,
    /// How many of its rows; `None` is all.
    pub labels_max: Option<u64>,
    /// Threads.
    pub threads: usize,
}

/// What a peer answers; fields as in [`super::ours::Joined`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerAnswer {
    /// From the question to the complete result, in memory as Arrow columns.
    pub seconds: f64,
    /// The most memory that its process held, its spine included.
    pub peak_rss_bytes: u64,
    /// Rows of the result.
    pub rows: u64,
    /// Rows of each view that have its first feature.
    pub matched: Vec<u64>,
    /// The sum of each view's first feature.
    pub sum_f0: Vec<f64>,
    /// The engine's version.
    pub version: String,
}

/// What several measurements came to, or why there is none.
pub type Outcome = std::result::Result<Vec<PeerAnswer>, String>;

impl Peer {
    /// The name in keys of the answer.
    pub fn name(self) -> &'static str {
        match self {
            Peer::PolarsAsof => "polars",
            Peer::DuckdbAsof => "duckdb",
            Peer::DuckdbKnown => "duckdb_known",
            Peer::Feast => "feast",
        }
    }

    fn environment(self) -> &'static str {
        match self {
            Peer::Feast => "feast",
            _ => "engines",
        }
    }
}

/// The installed peers, and what they answered in this run: two shapes that ask
/// a peer the same are measured once.
pub struct Peers {
    home: PathBuf,
    answers: HashMap<PeerQuestion, Outcome>,
}

impl Peers {
    /// The peers, installed now if they are not yet.
    ///
    /// # Errors
    /// When they cannot be installed.
    pub fn install() -> Result<Self> {
        Ok(Self { home: peers::install()?, answers: HashMap::new() })
    }

    /// Asks so many times, unless this run has asked the same before.
    pub fn ask(&mut self, question: &PeerQuestion, reps: u32) -> &Outcome {
        let home = &self.home;
        self.answers.entry(question.clone()).or_insert_with(|| {
            let answers = (0..reps).map(|_| ask_once(home, question));
            answers.collect::<Result<_>>().map_err(|error| error.to_string())
        })
    }
}

fn ask_once(home: &Path, question: &PeerQuestion) -> Result<PeerAnswer> {
    let PeerQuestion { peer, views, features, spine, labels_max, threads } = question;
    let mut command = peers::command(home, peer.environment(), "pit.py");
    command.arg(peer.name());
    command.arg("--spine").arg(spine);
    command.args(["--features", &features.to_string(), "--threads", &threads.to_string()]);
    if let Some(labels_max) = labels_max {
        command.args(["--labels", &labels_max.to_string()]);
    }
    command.arg("--views").args(views);
    // Polars reads this once, when it is imported.
    command.env("POLARS_MAX_THREADS", threads.to_string());
    peers::answer(command)
}
