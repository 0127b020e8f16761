//! A server whose disk is full, and has room again: it says so, answers lookups, and takes
//! pushes again without a restart; nothing that was acknowledged is lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use hitherto_api::{Ack, MaterializeMode, PushRequest};
use hitherto_client::Client;
use hitherto_core::{Kind, Result};
use hitherto_engine::{Config, Engine};
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{Access, Durability, Fact, GenerationId, LogEntry, PushLog, RowStore};
use hitherto_server::{Security, ServeOptions, bind, serve};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::pushing::{VALUE, facts, labs, times, value};
use crate::repo::{self, apply, materialize};
use crate::small_disk::{SmallDisk, on_small_disk};
use crate::stores::row_of;

/// After everything.
const NOW: i64 = 1 << 40;
/// In which a server goes on.
const RESUMED: Duration = Duration::from_secs(5);

async fn engine(root: &Path) -> Engine {
    std::fs::create_dir_all(root.join("labs")).unwrap();
    std::fs::write(root.join("definitions.yaml"), labs(", knownTime: known", VALUE)).unwrap();
    repo::write_parquet(&root.join("labs/a.parquet"), &fact(0));
    let engine = Engine::open(root, &Config::default(), Access::ReadWrite).unwrap();
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, 1).await;
    engine
}

/// A fact that is known at once.
fn fact(number: i64) -> RecordBatch {
    let mut columns = facts(&[("x", number, number)]);
    columns.push(("known", times([number].into_iter())));
    repo::batch(columns)
}

async fn push(client: &Client, number: i64) -> Result<()> {
    let request = PushRequest {
        view: String::from("labs"),
        facts: fact(number),
        idempotency_key: number.to_string(),
        ack: Ack::Durable,
    };
    client.push(&[request]).await.map(drop)
}

/// What is answered to a probe over plain HTTP.
fn probe(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until the server says so of pushes; how long that took.
async fn told(client: &Client, takes_pushes: bool) -> Duration {
    let begun = Instant::now();
    while client.takes_pushes().await.unwrap() != takes_pushes {
        assert!(begun.elapsed() < RESUMED, "it does not say {takes_pushes}");
        sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

#[test]
fn a_server_goes_on_when_its_disk_has_room_again() {
    on_small_disk("full_disk::a_server_goes_on_when_its_disk_has_room_again", |disk| {
        Runtime::new().unwrap().block_on(goes_on(disk));
    });
}

async fn goes_on(disk: &SmallDisk) {
    let root = disk.path().join("repository");
    let engine = Arc::new(engine(&root).await);
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve(
        Arc::clone(&engine),
        ServeOptions {
            listener,
            security: Security::default(),
            config: Config::default().server,
            clock: Arc::new(|| NOW),
            audit: None,
            shutdown: async { stopped.await.unwrap_or(()) },
        },
    ));
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let (mut number, mut acknowledged) = (0, Vec::new());
    for _ in 0..3 {
        // The disk is filled while pushes go on.
        let filler = disk.clone();
        let filling = spawn_blocking(move || filler.fill(0));
        while !filling.is_finished() {
            number += 1;
            acknowledged.extend(push(&client, number).await.is_ok().then_some(number));
        }
        filling.await.unwrap();
        number += 1;
        let refusal = push(&client, number).await.unwrap_err();
        assert_eq!(refusal.kind(), Kind::Unavailable, "{}", refusal.chain());
        assert!(refusal.chain().contains("make room"), "{}", refusal.chain());
        told(&client, false).await;
        assert!(client.is_serving().await.unwrap(), "lookups are answered");
        let said = probe(&address);
        assert!(said.starts_with("HTTP/1.0 200") && said.contains("pushes: not"), "{said}");
        let newest = acknowledged.last().copied().unwrap_or(0);
        assert!(value(&engine, "x", None, NOW).unwrap() >= newest);

        disk.clear();
        let begun = Instant::now();
        while push(&client, number).await.is_err() {
            assert!(begun.elapsed() < RESUMED, "there is room again");
            sleep(Duration::from_millis(20)).await;
        }
        acknowledged.push(number);
        told(&client, true).await;
        assert!(probe(&address).ends_with("ok\n"));
    }
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    drop(engine);
    let engine = Engine::open(&root, &Config::default(), Access::ReadWrite).unwrap();
    for number in acknowledged {
        assert_eq!(value(&engine, "x", Some(number), NOW), Ok(number));
    }
}

#[test]
fn a_database_that_stopped_goes_on_by_itself() {
    on_small_disk("full_disk::a_database_that_stopped_goes_on_by_itself", |disk| {
        let folder = disk.path().join("store");
        let store = RocksStore::open(&folder, Access::ReadWrite, RocksOptions::default()).unwrap();
        let bytes = vec![9; 64 << 10];
        let append = |number| {
            let entry = LogEntry { view: 7, number, name: None, arrived: 1, bytes: &bytes };
            store.append_log(&[entry], Durability::Synced)
        };
        append(0).unwrap();
        disk.fill(0);
        // What has begun may take what is kept free; here it is gone, as if it had been
        // filled within that moment.
        let generation = GenerationId { view: 7, number: 1 };
        let mut number = 0_u64;
        let failed = loop {
            number += 1;
            let (times, row) = row_of(number as i64);
            let key = [number.to_be_bytes().as_slice(), &[0; 4_000]].concat();
            let fact = Fact { entity_key: &key, times, row: &row };
            if let Err(error) = store.put(generation, &[fact]) {
                break error;
            }
        };
        assert_eq!(failed.kind(), Kind::Unavailable, "{}", failed.chain());
        disk.clear();
        let begun = Instant::now();
        while store.check_writes().is_err() {
            // It looks every five seconds.
            assert!(begun.elapsed() < RESUMED + Duration::from_secs(1), "there is room again");
            thread::sleep(Duration::from_millis(20));
        }
        append(1).unwrap();
        drop(store);
        let store = RocksStore::open(&folder, Access::ReadWrite, RocksOptions::default()).unwrap();
        let mut numbers = Vec::new();
        let mut note = |number, _: &[u8]| {
            numbers.push(number);
            Ok(())
        };
        store.read_log(7, 0, &mut note).unwrap();
        assert_eq!(numbers, [0, 1]);
    });
}
