//! Every place where a fact, a join key or who asked for what lies: who reads it, what removes it,
//! and the test that shows so.
//!
//! A repository in which everything was done that writes is walked: a file in no row of the table
//! is a place that nobody thought of, and one that holds a person's key or value though its row
//! says that it does not is worse.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use hitherto_api::{Ack, MaterializeMode, OptimizeMode, PushRequest};
use hitherto_client::Client;
use hitherto_engine::config::{AuditConfig, AuditLevel};
use hitherto_engine::{BackupFiles, Config, Engine};
use hitherto_server::{Audit, Security, ServeOptions, bind, serve};
use tokio::sync::oneshot;

use crate::crashes::{NOW, YAML};
use crate::repo::{self, Repo, Silent, apply, grant, materialize};
use crate::tidy::files;

/// What lies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Join keys and values of people.
    Facts,
    /// Who asked for what, of whom as keyed hashes.
    Calls,
    /// Secrets of the server.
    Secrets,
    /// Nothing of anybody.
    Nothing,
}

/// A place: a path in the repository, or what is in memory.
struct Place {
    path: &'static str,
    holds: Holds,
    /// The sources that read it, and that remove what is in it.
    reader: &'static str,
    remover: &'static str,
    /// The test that shows what is removed.
    test: &'static str,
}

const fn place(
    path: &'static str,
    holds: Holds,
    reader: &'static str,
    remover: &'static str,
    test: &'static str,
) -> Place {
    Place { path, holds, reader, remover, test }
}

/// Nobody but whoever owns it.
const OWNER: &str = "its owner";

/// Every place.
const PLACES: [Place; 21] = [
    place("labs/*", Holds::Facts, "hitherto-offline/src/source/mod.rs", OWNER, ""),
    place("definitions.yaml", Holds::Nothing, "hitherto-engine/src/repository.rs", OWNER, ""),
    place(
        ".hitherto/online/rocksdb/**",
        Holds::Facts,
        "hitherto-online/src/rocks/read.rs",
        "hitherto-online/src/rocks/retain.rs",
        "history_before_the_horizon_is_reclaimed_and_nothing_after_it_changes",
    ),
    place(
        ".hitherto/online/FORMAT",
        Holds::Nothing,
        "hitherto-online/src/rocks/folder.rs",
        OWNER,
        "",
    ),
    place(
        ".hitherto/online/acknowledged",
        Holds::Nothing,
        "hitherto-online/src/rocks/acknowledged.rs",
        OWNER,
        "",
    ),
    place(
        ".hitherto/online/owner",
        Holds::Nothing,
        "hitherto-online/src/rocks/owner.rs",
        OWNER,
        "",
    ),
    place(
        ".hitherto/online/staging/**",
        Holds::Facts,
        "hitherto-online/src/rocks/load.rs",
        "hitherto-online/src/rocks/load.rs",
        "",
    ),
    place(
        ".hitherto/pushed/**",
        Holds::Facts,
        "hitherto-offline/src/pushed/mod.rs",
        "hitherto-engine/src/push/folder.rs",
        "",
    ),
    place(
        ".hitherto/optimized/**",
        Holds::Facts,
        "hitherto-engine/src/optimize/choose.rs",
        "hitherto-engine/src/optimize/mod.rs",
        "",
    ),
    place(
        ".hitherto/temporary/**",
        Holds::Facts,
        "hitherto-offline/src/sorted/spread.rs",
        "hitherto-engine/src/lib.rs",
        "",
    ),
    place("backup/**", Holds::Facts, "hitherto-engine/src/backup/mod.rs", OWNER, ""),
    place(
        "the table of rows in memory",
        Holds::Facts,
        "hitherto-online/src/rocks/rows/mod.rs",
        "hitherto-online/src/rocks/rows/mod.rs",
        "",
    ),
    place(
        "tiles in memory",
        Holds::Facts,
        "hitherto-online/src/rocks/events.rs",
        "hitherto-online/src/rocks/events.rs",
        "",
    ),
    place(
        "audit/*.audit",
        Holds::Calls,
        "hitherto-trust/src/audit/read.rs",
        "hitherto-trust/src/audit/log/keeper.rs",
        "what_is_old_goes_whole_and_the_rest_is_still_verified",
    ),
    place(
        "audit/*.checkpoints",
        Holds::Nothing,
        "hitherto-trust/src/audit/checkpoint.rs",
        OWNER,
        "",
    ),
    place("audit/key.pem", Holds::Nothing, "hitherto-trust/src/audit/keys.rs", OWNER, ""),
    place("audit/lock", Holds::Nothing, "hitherto-trust/src/audit/log/open.rs", OWNER, ""),
    place(
        "audit/holds/*",
        Holds::Calls,
        "hitherto-trust/src/audit/retention.rs",
        "hitherto-trust/src/audit/retention.rs",
        "nothing_goes_under_a_hold_or_by_a_clock_that_jumped",
    ),
    place("audit-keys/signing.pem", Holds::Secrets, "hitherto-trust/src/audit/keys.rs", OWNER, ""),
    place(
        "audit-keys/entities-*",
        Holds::Secrets,
        "hitherto-trust/src/audit/entity.rs",
        OWNER,
        "an_entity_has_one_hash_a_year",
    ),
    place(
        "audit-keys/last.checkpoint",
        Holds::Nothing,
        "hitherto-server/src/audit/mod.rs",
        OWNER,
        "",
    ),
];

impl Place {
    fn has(&self, path: &str) -> bool {
        if let Some(folder) = self.path.strip_suffix("**") {
            return path.starts_with(folder);
        }
        match self.path.split_once('*') {
            None => path == self.path,
            Some((begin, end)) => {
                let middle = path.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
                middle.is_some_and(|middle| !middle.contains('/'))
            }
        }
    }
}

#[test]
fn every_place_has_a_reader_and_what_removes_it() {
    let sources = files(&[".rs"]);
    let is_source = |name: &str| sources.iter().any(|(path, _)| path == &format!("crates/{name}"));
    for Place { path, reader, remover, test, .. } in &PLACES {
        assert!(is_source(reader), "{path}: {reader} is not there");
        assert!(*remover == OWNER || is_source(remover), "{path}: {remover} is not there");
        let shows = format!("fn {test}(");
        let is_shown = test.is_empty() || sources.iter().any(|(_, text)| text.contains(&shows));
        assert!(is_shown, "{path}: no test is called {test}");
    }
}

/// A person's key and value, as nothing else is written.
const KEY: &str = "CANARY-KEY-Zw7q";
const VALUE: i64 = 0x5A3C_96A5_C3F0_0F3C;

fn fact(number: i64) -> arrow::array::RecordBatch {
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![number]));
    repo::batch(vec![
        ("stay", Arc::new(StringArray::from(vec![KEY])) as ArrayRef),
        ("event", Arc::clone(&times)),
        ("known", times),
        ("value", Arc::new(Int64Array::from(vec![VALUE]))),
    ])
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}

/// Does everything that writes.
async fn everything(repo: &Repo) {
    fs::create_dir_all(repo.path().join("labs")).unwrap();
    repo::write_parquet(&repo.path().join("labs/a.parquet"), &fact(-5));
    let engine = Arc::new(repo.open(hitherto_engine::Access::ReadWrite).unwrap());
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    serve_and_ask(repo.path(), &engine).await;
    let at = TimestampMicrosecondArray::from(vec![NOW]);
    let stays = Arc::new(StringArray::from(vec![KEY])) as ArrayRef;
    let spine = repo::batch(vec![("stay", stays), ("at", Arc::new(at))]);
    repo::training_set(&engine, &["labs:value"], spine, None).await.unwrap();
    engine.optimize(grant(), "labs", OptimizeMode::Full, &Silent).await.unwrap();
    materialize(&engine, MaterializeMode::Full, NOW).await;
    let backup = repo.path().join("backup");
    engine.backup(grant(), &backup, BackupFiles::Copied, NOW).unwrap();
}

/// Pushes and looks up over the wire, where both are recorded.
async fn serve_and_ask(root: &Path, engine: &Arc<Engine>) {
    let audit = AuditConfig { level: AuditLevel::Strict, ..AuditConfig::default() };
    let audit = Audit::open(&audit.within(root), Arc::new(|| NOW)).unwrap();
    let hold = hitherto_trust::audit::Hold {
        name: String::from("CASE-7"),
        from: 0,
        by: String::from("ada"),
        reason: String::from("a question"),
    };
    hold.place(&root.join("audit")).unwrap();
    let listener = bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve(
        Arc::clone(engine),
        ServeOptions {
            listener,
            security: Security::default(),
            config: Config::default().server,
            clock: Arc::new(|| NOW),
            audit,
            shutdown: async { stopped.await.unwrap_or(()) },
        },
    ));
    let client = Client::connect(&url).await.unwrap();
    let request = PushRequest {
        view: String::from("labs"),
        facts: fact(5),
        idempotency_key: String::from("one"),
        ack: Ack::Durable,
    };
    client.push(&[request]).await.unwrap();
    let parts = vec![Some(hitherto_core::key::OwnedPart::Bytes(KEY.as_bytes().to_vec()))];
    let keys = vec![hitherto_api::KeyColumn { name: String::from("stay"), parts }];
    let selection = hitherto_api::Selection::features(["labs:value"]).unwrap();
    let request = hitherto_api::LookupRequest {
        selection,
        keys,
        request: Vec::new(),
        as_of: None,
        with_times: false,
    };
    client.lookup(&request).await.unwrap();
    drop(client);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_in_a_place_that_says_what_it_holds() {
    let repo = Repo::new(YAML);
    everything(&repo).await;
    let mut found = Vec::new();
    walk(repo.path(), &mut found);
    let value = VALUE.to_le_bytes();
    let mut has_facts = 0;
    for path in &found {
        let name = path.strip_prefix(repo.path()).unwrap().to_string_lossy().into_owned();
        let places: Vec<&Place> = PLACES.iter().filter(|place| place.has(&name)).collect();
        assert_eq!(
            places.len(),
            1,
            "{name} is in {} places: say here who removes it",
            places.len()
        );
        let bytes = fs::read(path).unwrap();
        let has = |sought: &[u8]| bytes.windows(sought.len()).any(|found| found == sought);
        if has(KEY.as_bytes()) || has(&value) {
            has_facts += 1;
            assert_eq!(places[0].holds, Holds::Facts, "{name} has somebody's key or value");
        }
    }
    assert!(
        has_facts > 3,
        "the canary is in {has_facts} files: it is looked for in the wrong form"
    );
    for place in PLACES.iter().filter(|place| place.path.starts_with("audit")) {
        let is_there =
            |path: &PathBuf| place.has(&path.strip_prefix(repo.path()).unwrap().to_string_lossy());
        assert!(found.iter().any(is_there), "{} was never written", place.path);
    }
}
