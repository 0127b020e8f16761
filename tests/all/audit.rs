//! The audit log of whole servers: read by another's decoder, on a full disk, and after kill -9.
//!
//! A child process, this test binary again, serves a repository in strict mode. Its parent asks,
//! kills it, and looks for the record of every answer that it got.
//!
//! ```text
//! HITHERTO_AUDIT_KILLS=500 cargo test --test all audit::
//! ```

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hitherto_api::{KeyColumn, LookupRequest, MaterializeMode, Selection};
use hitherto_client::Client;
use hitherto_core::Kind;
use hitherto_core::key::OwnedPart;
use hitherto_engine::config::{AuditConfig, AuditLevel};
use hitherto_engine::{Access, Config, Engine};
use hitherto_server::{Audit, Security, ServeOptions, bind, serve};
use hitherto_trust::audit::{Event, PublicKey, Record, Trusted, read, verify};
use prost::Message;
use tokio::runtime::Runtime;

use crate::crashes::{Dice, NOW, YAML, fact};
use crate::repo::{self, apply, materialize};
use crate::small_disk::{SmallDisk, on_small_disk};

/// Kills of one test run, unless `HITHERTO_AUDIT_KILLS` says otherwise.
const KILLS: u64 = 5;
const KILLS_SETTING: &str = "HITHERTO_AUDIT_KILLS";
/// Tells a child which repository it serves.
const CHILD_SETTING: &str = "HITHERTO_AUDIT_SERVER";

/// A record as the contract has it, by a decoder that others wrote.
#[derive(Clone, PartialEq, Message)]
struct Other {
    #[prost(int64, tag = "1")]
    time_micros: i64,
    #[prost(int32, tag = "2")]
    event: i32,
    #[prost(uint64, tag = "3")]
    call: u64,
    #[prost(string, tag = "4")]
    caller: String,
    #[prost(string, tag = "5")]
    address: String,
    #[prost(string, tag = "6")]
    method: String,
    #[prost(string, tag = "7")]
    service: String,
    #[prost(string, repeated, tag = "8")]
    views: Vec<String>,
    #[prost(uint64, tag = "9")]
    features: u64,
    #[prost(int64, optional, tag = "10")]
    as_of_micros: Option<i64>,
    #[prost(uint64, tag = "11")]
    entities: u64,
    #[prost(fixed64, repeated, tag = "12")]
    entity_hashes: Vec<u64>,
    #[prost(uint64, tag = "13")]
    count: u64,
    #[prost(int32, tag = "14")]
    decision: i32,
    #[prost(string, tag = "15")]
    outcome: String,
    #[prost(uint64, tag = "16")]
    duration_micros: u64,
    #[prost(string, tag = "17")]
    detail: String,
    #[prost(uint64, tag = "18")]
    catalog_version: u64,
}

#[test]
fn another_decoder_reads_the_same_records() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/audit/1");
    let mut seen = 0;
    for read in read(Path::new(folder)).unwrap() {
        let (_, record) = read.unwrap();
        let bytes = record.encode();
        let other = Other::decode(&bytes[1..]).unwrap();
        assert_eq!(other.encode_to_vec(), bytes[1..], "its own spelling is the same");
        assert_eq!((other.time_micros, other.event), (record.time, record.event as i32));
        assert_eq!((other.as_of_micros, &other.views), (record.as_of, &record.views));
        assert_eq!((other.entities, &other.entity_hashes), (record.entities, &record.hashes));
        assert_eq!((other.decision, &other.outcome), (record.decision as i32, &record.outcome));
        assert_eq!((other.call, &other.detail), (record.call, &record.detail));
        seen += 1;
    }
    assert_eq!(seen, 9);
    let contract = fs::read_to_string("../proto/hitherto/audit/v1/record.proto").unwrap();
    let fields = contract.lines().take_while(|line| !line.contains("enum"));
    let fields = fields.filter(|line| line.contains(" = ") && line.ends_with(';')).skip(1);
    assert_eq!(fields.count(), 18, "a field that is not known here");
}

/// Opens a repository with a view of stays, which is made if it is not there.
async fn repository(root: &Path) -> Engine {
    let is_new = !root.join("definitions.yaml").exists();
    if is_new {
        fs::create_dir_all(root.join("labs")).unwrap();
        fs::write(root.join("definitions.yaml"), YAML).unwrap();
        repo::write_parquet(&root.join("labs/first.parquet"), &fact("stay 0", -10_000));
    }
    let engine = Engine::open(root, &Config::default(), Access::ReadWrite).unwrap();
    if is_new {
        apply(&engine).await;
        materialize(&engine, MaterializeMode::Full, NOW).await;
    }
    engine
}

fn strict(root: &Path) -> AuditConfig {
    AuditConfig { level: AuditLevel::Strict, ..AuditConfig::default() }.within(root)
}

/// Serves a repository in strict mode until the end; says where.
async fn serve_strictly(root: &Path, say: impl FnOnce(&str)) {
    let engine = Arc::new(repository(root).await);
    let audit = Audit::open(&strict(root), Arc::new(|| NOW)).unwrap();
    let listener = bind("127.0.0.1:0").await.unwrap();
    say(&format!("http://{}", listener.local_addr().unwrap()));
    let options = ServeOptions {
        listener,
        security: Security::default(),
        config: Config::default().server,
        clock: Arc::new(|| NOW),
        audit,
        shutdown: std::future::pending(),
    };
    serve(engine, options).await.unwrap();
}

/// A lookup that is known by its moment.
fn asks(as_of: i64) -> LookupRequest {
    let parts = vec![Some(OwnedPart::Bytes(b"stay 0".to_vec()))];
    LookupRequest {
        selection: Selection::features(["labs:value"]).unwrap(),
        keys: vec![KeyColumn { name: String::from("stay"), parts }],
        request: Vec::new(),
        as_of: Some(as_of),
        with_times: false,
    }
}

/// The moments of all lookups that were answered, as they are recorded.
fn recorded(root: &Path) -> HashSet<i64> {
    let records = read(&strict(root).folder).unwrap().map(|record| record.unwrap().1);
    let is_answer = |record: &Record| record.event == Event::Call && record.outcome == "ok";
    records.filter(is_answer).filter_map(|record| record.as_of).collect()
}

fn check(root: &Path) {
    let folder = strict(root).folder;
    let key = PublicKey::read(&folder.join("key.pem")).unwrap();
    let report = verify(&folder, Trusted { key, since: None }).unwrap();
    assert_eq!(report.problem, None);
}

/// What a child does until it is killed. Run by itself it does nothing.
#[test]
fn child() {
    let Ok(root) = env::var(CHILD_SETTING) else { return };
    Runtime::new().unwrap().block_on(serve_strictly(&PathBuf::from(root), |url| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "serving {url}").unwrap();
        output.flush().unwrap();
    }));
}

#[test]
fn no_answer_is_without_its_record_after_kill_9() {
    let kills = env::var(KILLS_SETTING).map_or(KILLS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let runtime = Runtime::new().unwrap();
    drop(runtime.block_on(repository(root)));
    let (next, mut dice) = (Arc::new(AtomicI64::new(NOW - (1 << 32))), Dice(5));
    let mut answered: Vec<i64> = Vec::new();
    for kill in 0..kills {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["audit::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_SETTING, root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        // The harness has begun the line.
        let url = output
            .find_map(|line| line.ok()?.split_once("serving ").map(|(_, url)| url.to_owned()));
        let url = url.expect("the child serves");
        let askers: Vec<_> = (0..3)
            .map(|_| {
                let (url, next) = (url.clone(), Arc::clone(&next));
                runtime.spawn(async move {
                    let client = Client::connect(&url).await.unwrap();
                    let mut answered = Vec::new();
                    loop {
                        let moment = next.fetch_add(1, Ordering::Relaxed);
                        match client.lookup(&asks(moment)).await {
                            Ok(_) => answered.push(moment),
                            Err(_) => return answered,
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(60 + dice.roll(200)));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = answered.len();
        for asker in askers {
            answered.extend(runtime.block_on(asker).unwrap());
        }
        let recorded = recorded(root);
        let missed = answered[before..].iter().filter(|moment| !recorded.contains(moment)).count();
        assert_eq!(missed, 0, "kill {kill}: answers without a record");
        check(root);
        if kill % 25 == 24 {
            fs::remove_dir_all(strict(root).folder).unwrap();
            fs::remove_dir_all(strict(root).keys).unwrap();
        }
    }
    assert!(answered.len() as u64 > kills * 5, "{} answers", answered.len());
}

#[test]
fn a_full_disk_refuses_at_once_and_calls_go_on_when_there_is_room() {
    on_small_disk(
        "audit::a_full_disk_refuses_at_once_and_calls_go_on_when_there_is_room",
        |disk| {
            Runtime::new().unwrap().block_on(goes_on(disk));
        },
    );
}

async fn goes_on(disk: &SmallDisk) {
    let root = disk.path().join("repository");
    fs::create_dir_all(&root).unwrap();
    let (told, url) = tokio::sync::oneshot::channel();
    let serving = root.clone();
    let server = tokio::spawn(async move {
        serve_strictly(&serving, |url| told.send(url.to_owned()).unwrap()).await;
    });
    let client = Client::connect(&url.await.unwrap()).await.unwrap();
    let (mut moment, mut answered) = (NOW - (1 << 32), Vec::new());
    for _ in 0..3 {
        let (filler, is_full) = (disk.clone(), Arc::new(AtomicBool::new(false)));
        let filling = {
            let is_full = Arc::clone(&is_full);
            thread::spawn(move || {
                filler.fill(0);
                is_full.store(true, Ordering::Relaxed);
            })
        };
        let mut refused = 0;
        while refused < 50 {
            moment += 1;
            let begun = Instant::now();
            match client.lookup(&asks(moment)).await {
                Ok(_) => answered.push(moment),
                Err(refusal) => {
                    assert_eq!(refusal.kind(), Kind::Unavailable, "{}", refusal.chain());
                    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
                    refused += u32::from(is_full.load(Ordering::Relaxed));
                }
            }
        }
        filling.join().unwrap();
        disk.clear();
        let begun = Instant::now();
        while client.lookup(&asks(moment)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "there is room again");
        }
        answered.push(moment);
    }
    let recorded = recorded(&root);
    assert!(answered.iter().all(|moment| recorded.contains(moment)), "none is lost");
    check(&root);
    let records = read(&strict(&root).folder).unwrap().map(|record| record.unwrap().1);
    let refused = records.filter(|record| record.event == Event::Refused);
    assert!(refused.map(|record| record.count).sum::<u64>() >= 3 * 50, "how many were refused");
    server.abort();
}
