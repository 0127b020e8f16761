//! Kill -9 at any moment: what was acknowledged is there, and nothing is half there.
//!
//! A child process, this test binary again, pushes, materializes, goes back, lands and
//! compacts as a seed says, and tells each acknowledged push. Its parent kills it, opens
//! the repository and asks.
//!
//! ```text
//! HITHERTO_CRASHES=5000 cargo test --release --test all crashes::
//! ```

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_api::{Ack, KeyColumn, MaterializeMode, PushRequest, VerifyRequest};
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_engine::{Access, Config, Engine};
use tokio::runtime::Runtime;

use crate::repo::{self, Repo, apply, grant, lookup, materialize, training_set};

/// Kills of one test run, unless `HITHERTO_CRASHES` says otherwise.
const CRASHES: u64 = 60;
const CRASHES_SETTING: &str = "HITHERTO_CRASHES";
/// Tells a child where it works, and with which seed.
const CHILD_SETTING: &str = "HITHERTO_CRASH_CHILD";
/// After every fact.
pub const NOW: i64 = 1 << 40;
const STAYS: u64 = 5;

pub const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: string }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: event, knownTime: known }
  features: [{ name: value, type: int64 }]
  online: { history: 365d }
";

/// Small numbers in an order that a seed decides.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn stay(number: u64) -> String {
    format!("stay {}", number % STAYS)
}

/// One fact of a stay, known at once; its time says which it is.
pub fn fact(stay: &str, number: i64) -> RecordBatch {
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![number]));
    repo::batch(vec![
        ("stay", Arc::new(StringArray::from(vec![stay])) as ArrayRef),
        ("event", Arc::clone(&times)),
        ("known", times),
        ("value", Arc::new(Int64Array::from(vec![number]))),
    ])
}

fn engine(root: &Path) -> Engine {
    Engine::open(root, &Config::default(), Access::ReadWrite).unwrap()
}

/// Value and event time of a stay's latest fact.
fn latest(engine: &Engine, stay: &str, as_of: Option<i64>) -> Option<i64> {
    let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let found = lookup(engine, &["labs:value"], keys, as_of, NOW).unwrap();
    match (found.columns[0].status(0), &found.columns[0].values) {
        (Status::Present, Values::I64(values)) => Some(values[0]),
        (Status::NotFound, _) => None,
        other => panic!("{other:?}"),
    }
}

async fn trained(engine: &Engine, asked: &[(String, i64)]) -> Vec<Option<i64>> {
    let stays = StringArray::from_iter_values(asked.iter().map(|(stay, _)| stay));
    let times = TimestampMicrosecondArray::from_iter_values(asked.iter().map(|(_, at)| *at));
    let spine = repo::batch(vec![("stay", Arc::new(stays) as ArrayRef), ("at", Arc::new(times))]);
    let (batches, _) = training_set(engine, &["labs:value"], spine, None).await.unwrap();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    all.column(2).as_primitive::<Int64Type>().iter().collect()
}

/// Whoever works on a repository, as a seed says.
pub struct Worker {
    engine: Engine,
    runtime: Runtime,
    dice: Dice,
    /// The last push.
    number: i64,
}

impl Worker {
    pub fn open(root: &Path, dice: Dice) -> Self {
        let engine = engine(root);
        let held = (0..STAYS).filter_map(|each| latest(&engine, &stay(each), None));
        // Facts of files have numbers below 0.
        let number = held.max().unwrap_or(0).max(0);
        Self { engine, runtime: Runtime::new().unwrap(), dice, number }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Ends the process that worked, as far as the store can tell, and begins another.
    pub fn again(self) -> Self {
        let Self { engine, dice, .. } = self;
        let root = engine.root().to_owned();
        drop(engine);
        Self::open(&root, dice)
    }

    /// Does one thing; the stay and number of a push that was acknowledged.
    pub fn step(&mut self) -> Option<(String, i64)> {
        let Self { engine, runtime, dice, number } = self;
        let engine = &*engine;
        match dice.roll(40) {
            0 => drop(runtime.block_on(materialize(engine, MaterializeMode::Full, NOW))),
            1 | 2 => {
                // Facts of files are older than every pushed one. Now and then a file takes
                // the place of another, and everything is built anew.
                let path = engine.root().join(format!("labs/{}.parquet", dice.roll(40)));
                let writing = path.with_extension("writing");
                let event = -1 - dice.roll(1_000) as i64;
                repo::write_parquet(&writing, &fact(&stay(dice.roll(STAYS)), event));
                std::fs::rename(&writing, &path).unwrap();
                runtime.block_on(materialize(engine, MaterializeMode::Incremental, NOW));
            }
            3 => drop(runtime.block_on(engine.rollback(grant(), "labs"))),
            4 | 5 => drop(runtime.block_on(trained(engine, &[(stay(0), NOW)]))),
            _ => {
                *number += 1;
                let stay = stay(dice.roll(STAYS));
                let request = PushRequest {
                    view: String::from("labs"),
                    facts: fact(&stay, *number),
                    idempotency_key: number.to_string(),
                    ack: Ack::Durable,
                };
                engine.push(grant(), &request, NOW).unwrap();
                return Some((stay, *number));
            }
        }
        None
    }
}

/// What a child does until it is killed. Run by itself it does nothing.
#[test]
fn child() {
    let Ok(setting) = env::var(CHILD_SETTING) else { return };
    let (seed, root) = setting.split_once(' ').unwrap();
    let mut worker = Worker::open(Path::new(root), Dice(seed.parse().unwrap()));
    loop {
        if let Some((stay, number)) = worker.step() {
            let mut output = std::io::stdout().lock();
            writeln!(output, "acknowledged {number} {stay}").unwrap();
            output.flush().unwrap();
        }
    }
}

/// A repository with one fact in a file, of which nothing is applied.
pub fn new_repo() -> Repo {
    let repo = Repo::new(YAML);
    std::fs::create_dir_all(repo.path().join("labs")).unwrap();
    repo::write_parquet(&repo.path().join("labs/first.parquet"), &fact("stay 0", -10_000));
    repo
}

/// Opens a repository, and makes of it what its definitions and files say.
pub async fn build(root: &Path) {
    let engine = engine(root);
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_nothing_is_torn() {
    let crashes = env::var(CRASHES_SETTING).map_or(CRASHES, |text| text.parse().unwrap());
    let repo = new_repo();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(build(repo.path()));
    // Every push: its moment, and whose it is.
    let mut acknowledged: Vec<(String, i64)> = Vec::new();
    let mut dice = Dice(7);
    for crash in 0..crashes {
        let setting = format!("{crash} {}", repo.path().display());
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["crashes::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_SETTING, setting)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let acknowledged = output.lines().map_while(Result::ok).filter_map(|line| {
                let (number, stay) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
                Some((stay.to_owned(), number.parse::<i64>().ok()?))
            });
            acknowledged.collect::<Vec<_>>()
        });
        sleep(Duration::from_millis(40 + dice.roll(260)));
        assert_eq!(child.try_wait().unwrap(), None, "crash {crash}: the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
        runtime.block_on(check(repo.path(), &acknowledged, crash));
    }
    assert!(acknowledged.len() as u64 > crashes, "{} pushes", acknowledged.len());
}

/// Asks for everything that was acknowledged, and compares both sides.
pub async fn check(root: &Path, acknowledged: &[(String, i64)], crash: u64) {
    let engine = engine(root);
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for (stay, number) in acknowledged {
        let newest = newest.entry(stay).or_default();
        *newest = (*newest).max(*number);
    }
    for (stay, number) in &newest {
        let latest = latest(&engine, stay, None);
        assert!(latest >= Some(*number), "crash {crash}: {stay} has {latest:?}, not {number}");
    }
    // The last of them one by one, in history and in training sets.
    let asked = &acknowledged[acknowledged.len().saturating_sub(200)..];
    for (stay, number) in asked {
        let found = latest(&engine, stay, Some(*number));
        assert_eq!(found, Some(*number), "crash {crash}: {stay} as of {number}");
    }
    if !asked.is_empty() {
        let expected: Vec<_> = asked.iter().map(|(_, number)| Some(*number)).collect();
        assert_eq!(trained(&engine, asked).await, expected, "crash {crash}");
    }
    // A file may have changed and the run that was to read it been killed.
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    let verified = engine.verify(grant(), &VerifyRequest::default(), NOW).await.unwrap();
    assert_eq!(verified.differences(), 0, "crash {crash}: {verified:?}");
    assert_eq!(verified.stale().count(), 0, "crash {crash}: {verified:?}");
}
