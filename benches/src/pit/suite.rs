//! The order of events, and the JSON that comes out of it.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::floor::{Decode, Decoded};
use super::lake::{KEY_COLUMNS, feature_name};
use super::optimized;
use super::options::Options;
use super::ours::{Join, Joined};
use super::peers::{Outcome, Peer, PeerQuestion, Peers};
use super::question::{CHILD, Question};
use super::shapes::{Memory, Reads, Shape};
use super::views::Terms;
use crate::{Result, child, folder};

/// Measures every chosen shape; a key of the answer for each.
///
/// # Errors
/// When data cannot be generated, copied or decoded, or peers not installed, and
/// when a copy answers another way than the files that it is of. A join that
/// fails is part of the answer instead.
pub fn run(options: &Options) -> Result<Value> {
    let shapes = options.shapes()?;
    let mut peers = options.peers.then(Peers::install).transpose()?;
    let mut answer = Map::new();
    for shape in &shapes {
        let measured = Trial::prepare(options, shape)?.measure(peers.as_mut())?;
        let measured = Value::Object(measured);
        eprintln!("{}: {measured}", shape.name);
        answer.insert(shape.name.to_owned(), measured);
    }
    Ok(Value::Object(answer))
}

/// One shape with its files.
struct Trial<'t> {
    options: &'t Options,
    shape: &'t Shape,
    /// Folders of files, each once.
    folders: Vec<PathBuf>,
    /// The folder of each view.
    views: Vec<PathBuf>,
    /// The folder of each view's copy; none if the shape reads no copies.
    copies: Vec<PathBuf>,
    spine: PathBuf,
}

impl<'t> Trial<'t> {
    fn prepare(options: &'t Options, shape: &'t Shape) -> Result<Self> {
        let data = options.data()?;
        let spine = shape.labels.spine(&data)?.join("spine.parquet");
        let folders = (0..shape.views_apart).map(|view| shape.lake.view(&data, view));
        let folders = folders.collect::<Result<Vec<_>>>()?;
        let copies = match shape.reads {
            Reads::Files => Vec::new(),
            Reads::Copies => {
                let copy = |view: &PathBuf| optimized::copy(view, terms(shape), options.threads());
                folders.iter().map(copy).collect::<Result<Vec<_>>>()?
            }
        };
        let of_each = |of: &[PathBuf]| of.iter().cycle().take(shape.views).cloned().collect();
        let (views, copies) = (of_each(&folders), of_each(&copies));
        Ok(Self { options, shape, folders, views, copies, spine })
    }

    fn measure(&self, peers: Option<&mut Peers>) -> Result<Map<String, Value>> {
        self.warm()?;
        let features = (0..self.shape.lake.features).map(feature_name);
        let keys = KEY_COLUMNS.map(str::to_owned);
        let floor = self.decode(keys.iter().cloned().chain(features).collect())?;
        let keys_floor = self.decode(keys.to_vec())?;
        self.talk("floor", &floor);
        self.talk("keys floor", &keys_floor);
        let mut measured = Map::new();
        measured.insert("threads".to_owned(), json!(self.options.threads()));
        measured.insert("floor_seconds".to_owned(), rounded(median(&floor)));
        measured.insert("keys_floor_seconds".to_owned(), rounded(median(&keys_floor)));
        let seconds = match self.join(&self.copies, self.options.reps) {
            Ok(runs) => {
                self.check_copies(&runs, &mut measured)?;
                self.record_join(&runs, median(&floor), &mut measured)
            }
            Err(error) => {
                measured.insert("error".to_owned(), json!(error.to_string()));
                None
            }
        };
        if let Some(peers) = peers {
            for peer in self.shape.peers {
                self.warm()?;
                let outcome = peers.ask(&self.peer_question(*peer), self.options.reps);
                record_peer(*peer, outcome, seconds, &mut measured);
            }
        }
        Ok(measured)
    }

    fn warm(&self) -> Result<()> {
        self.folders.iter().chain(&self.copies).try_for_each(|path| folder::warm(path))?;
        self.spine.parent().map_or(Ok(()), folder::warm)
    }

    /// Seconds of each run.
    fn decode(&self, columns: Vec<String>) -> Result<Vec<f64>> {
        let threads = self.options.threads();
        let question = Question::Decode(Decode { folders: self.views.clone(), columns, threads });
        let runs = (0..self.options.reps).map(|_| child::ask(CHILD, &question));
        runs.map(|run| run.map(|decoded: Decoded| decoded.seconds)).collect()
    }

    /// Reads copies if there are any.
    fn join(&self, copies: &[PathBuf], reps: u32) -> Result<Vec<Joined>> {
        let Shape { labels_max, memory, .. } = self.shape;
        let question = Question::Join(Join {
            views: self.views.clone(),
            copies: copies.to_vec(),
            terms: terms(self.shape),
            spine: self.spine.clone(),
            labels_max: *labels_max,
            memory_bytes_max: match memory {
                Memory::AsAsked => self.options.memory,
                Memory::Bytes(bytes) => *bytes,
                Memory::Unlimited => usize::MAX,
            },
            threads: self.options.threads(),
            explain: self.options.explain,
        });
        (0..reps).map(|_| child::ask(CHILD, &question)).collect()
    }

    /// Answers the question once from the views' files, and compares.
    ///
    /// # Errors
    /// When an answer from copies is another one.
    fn check_copies(&self, runs: &[Joined], measured: &mut Map<String, Value>) -> Result<()> {
        if self.copies.is_empty() {
            return Ok(());
        }
        let plain = self.join(&[], 1)?;
        let plain = plain.first().ok_or("one join has one answer")?;
        self.talk("join without copies", &[plain.seconds]);
        if let Some(other) = runs.iter().find(|run| !run.is_same_answer(plain)) {
            return Err(format!(
                "{}: copies answer {:?} rows of {} with sums {:?}; the files that they are of \
                 answer {:?} of {} with {:?}",
                self.shape.name,
                other.matched,
                other.rows,
                other.sum_f0,
                plain.matched,
                plain.rows,
                plain.sum_f0
            )
            .into());
        }
        // Of each file once, also when several views read it.
        let copies = self.copies.iter().take(self.folders.len());
        let optimized_bytes = optimized::size(copies)?;
        let source_bytes = optimized::size(&self.folders)?;
        let fields = [
            ("plain_seconds", rounded(plain.seconds)),
            ("source_bytes", json!(source_bytes)),
            ("optimized_bytes", json!(optimized_bytes)),
            ("ratio_bytes", rounded(optimized_bytes as f64 / source_bytes as f64)),
        ];
        measured.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        Ok(())
    }

    /// Returns the median of seconds.
    fn record_join(
        &self,
        runs: &[Joined],
        floor: f64,
        measured: &mut Map<String, Value>,
    ) -> Option<f64> {
        let last = runs.last()?;
        let all: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
        self.talk("join", &all);
        let seconds = median(&all);
        let peak = runs.iter().map(|run| run.peak_rss_bytes).max()?;
        let fields = [
            ("seconds", rounded(seconds)),
            ("all", all.into_iter().map(rounded).collect()),
            ("peak_rss_bytes", json!(peak)),
            ("result_bytes", json!(last.result_bytes)),
            ("peak_over_result_bytes", json!(peak.saturating_sub(last.result_bytes))),
            ("rows", json!(last.rows)),
            ("facts", json!(last.facts)),
            ("matched", json!(last.matched)),
            ("sum_f0", last.sum_f0.iter().copied().map(rounded).collect()),
            ("ratio_floor", rounded(seconds / floor)),
        ];
        measured.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        Some(seconds)
    }

    fn peer_question(&self, peer: Peer) -> PeerQuestion {
        PeerQuestion {
            peer,
            views: self.views.clone(),
            features: self.shape.lake.features,
            spine: self.spine.clone(),
            labels_max: self.shape.labels_max,
            threads: self.options.threads(),
        }
    }

    fn talk(&self, what: &str, seconds: &[f64]) {
        let seconds: Vec<String> = seconds.iter().map(|run| format!("{run:.2}")).collect();
        eprintln!("{}: {what} {} s", self.shape.name, seconds.join(", "));
    }
}

fn terms(shape: &Shape) -> Terms {
    Terms { features: shape.lake.features, key: shape.lake.key, known: shape.known }
}

/// Adds what a peer answered, under its name.
fn record_peer(
    peer: Peer,
    outcome: &Outcome,
    ours: Option<f64>,
    measured: &mut Map<String, Value>,
) {
    let name = peer.name();
    let runs = match outcome {
        Ok(runs) => runs,
        Err(error) => {
            measured.insert(format!("{name}_error"), json!(error));
            return;
        }
    };
    let Some(last) = runs.last() else { return };
    let all: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    let seconds = median(&all);
    let peak = runs.iter().map(|run| run.peak_rss_bytes).max();
    let fields = [
        ("seconds", rounded(seconds)),
        ("all", all.into_iter().map(rounded).collect()),
        ("peak_rss_bytes", json!(peak)),
        ("rows", json!(last.rows)),
        ("matched", json!(last.matched)),
        ("sum_f0", last.sum_f0.iter().copied().map(rounded).collect()),
        ("version", json!(last.version)),
    ];
    measured.extend(fields.map(|(field, value)| (format!("{name}_{field}"), value)));
    if let Some(ours) = ours {
        measured.insert(format!("ratio_{name}"), rounded(ours / seconds));
    }
}

/// The middle one, or the mean of the middle two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

/// Three places: more would be noise.
pub fn rounded(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}
