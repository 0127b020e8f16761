//! That every call has its record, by whatever route it comes, and none an answer without.

use std::path::PathBuf;

use hitherto_api::{Ack, PushRequest, Scan, Spine};
use hitherto_client::{MaterializeWork, Work};
use hitherto_engine::config::{AuditConfig, AuditLevel};
use hitherto_trust::audit::{
    Decision, EntityKeys, Event, KeyText, PublicKey, Record, Trusted, read, verify,
};

use super::door::{ROUTES, call};
use super::security::{Authority, NEXT_TOKEN, Secured, TOKEN, write_secret};
use super::*;

/// 2026-12-01T00:00:00Z, where the world is while the server answers for another time.
const WORLD: i64 = 1_796_083_200_000_000;

/// A log beside the repository.
struct Logged {
    folder: TempDir,
    level: AuditLevel,
}

impl Logged {
    fn new(level: AuditLevel) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), level }
    }

    fn config(&self) -> AuditConfig {
        AuditConfig { level: self.level, ..AuditConfig::default() }.within(self.folder.path())
    }

    fn log(&self) -> PathBuf {
        self.config().folder
    }

    fn open(&self) -> Option<Arc<Audit>> {
        Audit::open(&self.config(), Arc::new(|| WORLD)).unwrap()
    }

    async fn serve(&self) -> Served {
        let clock: Clock = Arc::new(|| NOW);
        Served::start_recorded(Config::default().server, clock, self.open()).await
    }

    /// What is recorded of calls.
    fn calls(&self) -> Vec<Record> {
        let all = read(&self.log()).unwrap().map(|record| record.unwrap().1);
        all.filter(|record| record.call != 0).collect()
    }

    /// Those that have ended.
    fn ended(&self) -> Vec<Record> {
        self.calls().into_iter().filter(|record| record.event == Event::Call).collect()
    }

    /// Waits for the record of a call, and gives the last.
    async fn last(&self, method: &str) -> Record {
        for _ in 0..500 {
            if let Some(last) = self.ended().into_iter().rfind(|record| record.method == method) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no record of {method}: {:?}", self.calls());
    }

    fn hash(&self, stay: i64) -> u64 {
        let key = EntityKeys::new(&self.config().keys).kept(WORLD).unwrap().unwrap();
        let value = KeyText::typed(&stay.to_string());
        key.hash("stay", [("stay_id", &value)].into_iter())
    }

    fn check(&self) {
        let key = PublicKey::read(&self.log().join("key.pem")).unwrap();
        let report = verify(&self.log(), Trusted { key, since: None }).unwrap();
        assert_eq!((report.problem, report.unsigned), (None, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_asks_the_engine_has_its_record() {
    for level in [AuditLevel::Strict, AuditLevel::BestEffort] {
        let logged = Logged::new(level);
        let server = logged.serve().await;
        let url = server.client.url().to_owned();
        for (path, _) in ROUTES {
            call(&url, path, "").await;
        }
        server.stop().await;
        let expected = ROUTES.iter().map(|(_, method)| *method).filter(|method| !method.is_empty());
        let ended = logged.ended();
        let found: Vec<&str> = ended.iter().map(|record| record.method.as_str()).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "the engine's own reads are here too");
        for record in &ended {
            assert_eq!((&*record.caller, &*record.address), ("anonymous", "127.0.0.1"));
            assert_eq!((record.decision, record.time), (Decision::Permitted, WORLD));
            assert!(!record.outcome.is_empty(), "{record:?}");
        }
        let calls: std::collections::BTreeSet<u64> = ended.iter().map(|one| one.call).collect();
        assert_eq!(calls.len(), ended.len(), "each is a call of its own");
        // What changes something said so before.
        let begun = logged.calls();
        let begun = begun.iter().filter(|record| record.event == Event::Begun);
        let begun: Vec<&str> = begun.map(|record| record.method.as_str()).collect();
        assert_eq!(begun, ["job", "job", "job", "job", "push", "apply", "rollback"]);
        logged.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_says_of_whom_by_hash() {
    let logged = Logged::new(AuditLevel::Strict);
    let server = logged.serve().await;
    server.client.lookup(&lookup("deterioration_v1", Some(25))).await.unwrap();
    let record = logged.last("lookup").await;
    let mut hashes = [1, 2, 3].map(|stay| logged.hash(stay)).to_vec();
    hashes.sort_unstable();
    assert_eq!((record.entities, record.hashes), (3, hashes));
    assert_eq!((&*record.service, record.as_of), ("deterioration_v1", Some(25)));
    assert_eq!((record.features, record.count, &*record.outcome), (2, 4, "ok"));
    assert_eq!(record.catalog_version, server.engine.catalog().version);

    // Under another name of the join key it is the same stay.
    let features = Selection::features(["home=labs[stay_id=home]:lactate", "labs:note"]).unwrap();
    let column = |name: &str, stay| KeyColumn {
        name: name.to_owned(),
        parts: vec![Some(OwnedPart::Int(stay))],
    };
    let keys = vec![column("home", 2), column("stay_id", 1)];
    let request = LookupRequest {
        selection: features,
        keys,
        request: Vec::new(),
        as_of: None,
        with_times: false,
    };
    server.client.lookup(&request).await.unwrap();
    let record = logged.last("lookup").await;
    let mut hashes = [1, 2].map(|stay| logged.hash(stay)).to_vec();
    hashes.sort_unstable();
    assert_eq!((record.hashes, record.views), (hashes, vec![String::from("labs")]));

    // Of very many some are listed, and all counted.
    let mut request = large_lookup();
    request.keys[0].parts = (0..2_000).map(|stay| Some(OwnedPart::Int(stay))).collect();
    server.client.lookup(&request).await.unwrap();
    let record = logged.last("lookup").await;
    assert_eq!((record.hashes.len(), record.entities, record.count), (1_024, 2_000, 2_000));
    assert_eq!(record.is_about(logged.hash(7)), Some(true));
    assert_eq!(record.is_about(logged.hash(1_999)), None);

    // What failed says what was asked for.
    server.client.lookup(&lookup("deterioration_v2", None)).await.unwrap_err();
    let record = logged.last("lookup").await;
    assert_eq!((&*record.service, &*record.outcome), ("deterioration_v2", "not_found"));
    assert_eq!((record.entities, record.count), (4, 0));
    server.stop().await;
    logged.check();
    let all = std::fs::read(first_file(&logged)).unwrap();
    let has = |text: &[u8]| all.windows(text.len()).any(|found| found == text);
    assert!(has(b"deterioration_v1") && !has(b"\xc3\xa9lev\xc3\xa9"), "no value is recorded");
}

fn first_file(logged: &Logged) -> PathBuf {
    logged.log().join("0000000000000000.audit")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_stream_has_its_record() {
    let logged = Logged::new(AuditLevel::Strict);
    let server = logged.serve().await;
    let ask = |service| convert::lookup::encode_request(&lookup(service, None)).unwrap();
    let requests = [ask("deterioration_v1"), ask("deterioration_v1"), ask("deterioration_v2")];
    let mut client = LookupServiceClient::new(server.channel().await);
    let answers = client.lookup_stream(futures::stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    for answered in 1..3 {
        assert!(answers.message().await.unwrap().is_some());
        let ended = logged.ended();
        assert!(ended.len() >= answered, "the answer is here before its record: {ended:?}");
    }
    assert_eq!(answers.message().await.unwrap_err().code(), Code::NotFound);
    drop((answers, client));
    server.stop().await;
    let outcomes: Vec<_> = logged.ended().into_iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, ["ok", "ok", "not_found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_training_sets_and_jobs_say_what_they_did() {
    let logged = Logged::new(AuditLevel::Strict);
    let server = logged.serve().await;
    let push = |facts: RecordBatch| PushRequest {
        view: String::from("labs"),
        facts,
        idempotency_key: String::new(),
        ack: Ack::Durable,
    };
    server.client.push(&[push(labs())]).await.unwrap();
    let record = logged.last("push").await;
    let mut both = [1, 2].map(|stay| logged.hash(stay)).to_vec();
    both.sort_unstable();
    assert_eq!((record.count, record.entities, &record.hashes), (3, 2, &both));
    assert_eq!(record.views, ["labs"]);

    let request = training("deterioration_v1");
    let mut set = server.client.training_set(&request, spine()).await.unwrap();
    let begun = logged.calls().into_iter().rfind(|record| record.method == "training_set");
    let begun = begun.expect("rows are on their way, and there is no record");
    assert_eq!((begun.event, &*begun.service), (Event::Begun, "deterioration_v1"));
    while set.next().await.transpose().unwrap().is_some() {}
    let finished = set.finish().unwrap();
    let record = logged.last("training_set").await;
    assert_eq!((record.count, record.entities, &record.hashes), (4, 2, &both));
    assert_eq!(record.detail, finished.manifest.content.hash);
    assert_eq!(record.call, begun.call);

    // Of a spine that is made here, only how many rows.
    let scan = Spine::Scan(Scan::At(NOW));
    let mut set = server.client.training_set(&request, scan).await.unwrap();
    while set.next().await.transpose().unwrap().is_some() {}
    set.finish().unwrap();
    let record = logged.last("training_set").await;
    assert_eq!((record.entities, record.count, record.hashes.len()), (2, 2, 0));
    assert_eq!(record.is_about(logged.hash(1)), None);

    let work = MaterializeWork { views: vec!["labs".into()], full: true, ..Default::default() };
    server.client.start_job(Work::Materialize(work)).await.unwrap();
    let is_over = |record: &Record| record.event == Event::JobEnded;
    for _ in 0..500 {
        if logged.calls().iter().any(is_over) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let job = logged.calls().into_iter().find(is_over).expect("the job has ended");
    let record = logged.last("job").await;
    assert_eq!((job.call, &job.detail), (record.call, &record.detail));
    assert_eq!((&*job.detail, &*job.outcome), ("materialize labs --full", "ok"));
    server.stop().await;
    logged.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_is_recorded() {
    let logged = Logged::new(AuditLevel::Strict);
    let authority = Authority::new();
    let token_file = authority.path("tokens");
    write_secret(&token_file, TOKEN.to_owned());
    let settings = ServerConfig { token_file: Some(token_file), ..Default::default() };
    let server = Secured::start_recorded(&settings, Arc::new(|| WORLD), logged.open()).await;
    let path = "/hitherto.v1.LookupService/Lookup";
    call(&server.url, path, NEXT_TOKEN).await;
    call(&server.url, path, TOKEN).await;
    server.stop().await;
    let records: Vec<Record> =
        read(&logged.log()).unwrap().map(|record| record.unwrap().1).collect();
    let denied = records.iter().find(|record| record.event == Event::Denied).unwrap();
    assert_eq!((&*denied.method, &*denied.address), (path, "127.0.0.1"));
    assert_eq!((denied.decision, denied.caller.is_empty()), (Decision::Denied, true));
    assert_eq!(logged.ended()[0].caller, "token/line-1");
    let all = std::fs::read(first_file(&logged)).unwrap();
    let has = |text: &str| all.windows(text.len()).any(|found| found == text.as_bytes());
    assert!(!has(TOKEN) && !has(NEXT_TOKEN), "no token is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_while_nothing_can_be_recorded() {
    let logged = Logged::new(AuditLevel::Strict);
    let server = logged.serve().await;
    let request = lookup("deterioration_v1", None);
    server.client.lookup(&request).await.unwrap();
    // Nobody can make a file in what is none.
    let aside = logged.folder.path().join("aside");
    std::fs::rename(logged.log(), &aside).unwrap();
    std::fs::write(logged.log(), "").unwrap();
    let begun = Instant::now();
    let refusal = loop {
        if let Err(refusal) = server.client.lookup(&request).await {
            break refusal;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "it is answered");
    };
    assert_eq!(refusal.kind(), Kind::Unavailable, "{refusal}");
    assert!(refusal.to_string().contains("audit log"), "{refusal}");
    let health = server.get("/healthz").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("audit log"), "{health}");
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("hitherto_audit_writable 0"), "{metrics}");
    std::fs::remove_file(logged.log()).unwrap();
    let begun = Instant::now();
    while server.client.lookup(&request).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not go on by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
    let records: Vec<Record> =
        read(&logged.log()).unwrap().map(|record| record.unwrap().1).collect();
    let told = records.iter().find(|record| record.event == Event::Refused).unwrap();
    assert!(told.count > 0, "how many were refused is recorded: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_has_a_record() {
    let logged = Logged::new(AuditLevel::Strict);
    let server = logged.serve().await;
    let set = server.client.training_set(&training("deterioration_v1"), spine()).await.unwrap();
    drop(set);
    let record = logged.last("training_set").await;
    assert!(["cancelled", "ok"].contains(&&*record.outcome), "{record:?}");
    server.stop().await;
}
