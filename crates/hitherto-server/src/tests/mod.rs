//! A server over a small real repository, called as callers call it.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use std::{fs, path::Path};

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use hitherto_api::{
    FeatureNames, Grant, KeyColumn, Lookup, LookupRequest, MaterializeMode, MaterializeRequest,
    Progress, Selection, TrainingSetRequest, VerifyRequest, WhyRequest,
};
use hitherto_core::key::OwnedPart;
use hitherto_core::{Kind, Result};
use hitherto_engine::config::ServerConfig;
use hitherto_engine::{Access, Config, Engine};
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::{Audit, Security, ServeOptions, bind, serve};
use hitherto_api::Clock;
use hitherto_client::Client;
use hitherto_proto::convert;

mod audited;
mod deadlines;
mod door;
mod fuzz;
mod hostile;
mod identity;
mod reflection;
mod security;
mod spines;
mod web;

const DEFINITIONS: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay_id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs, description: blood }
spec:
  entity: stay
  source: { parquet: labs.parquet, eventTime: drawn, knownTime: resulted }
  features: [{ name: lactate, type: float64 }, { name: note, type: string }]
  online: { history: 7d }
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: deterioration_v1 }
spec: { features: ['labs:*'] }
";

/// What the server's clock says, in microseconds.
const NOW: i64 = 1_000_000;

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: &str, _: u64) {}
    fn end(&self, _: &str, _: u64) {}
}

/// What tests may without a server.
fn grant() -> &'static Grant {
    static GRANT: LazyLock<Grant> = LazyLock::new(|| Grant::in_process("tests"));
    &GRANT
}

/// Two stays: the second result of the first one is drawn at 20 and known at 30.
fn labs() -> RecordBatch {
    let times = |micros: [i64; 3]| {
        Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("UTC")) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![1, 1, 2])) as ArrayRef),
        ("drawn", times([10, 20, 10])),
        ("resulted", times([10, 30, 10])),
        ("lactate", Arc::new(Float64Array::from(vec![Some(1.5), Some(4.5), None]))),
        ("note", Arc::new(StringArray::from(vec!["fine", "élevé", ""]))),
    ])
    .unwrap()
}

/// A repository of [`labs`].
async fn repository(root: &Path) -> Engine {
    let facts = labs();
    let file = fs::File::create(root.join("labs.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, facts.schema(), None).unwrap();
    writer.write(&facts).unwrap();
    writer.close().unwrap();
    fs::write(root.join("labs.yaml"), DEFINITIONS).unwrap();

    let engine = Engine::open(root, &Config::default(), Access::ReadWrite).unwrap();
    engine.apply(grant(), &engine.plan(grant()).await.unwrap(), NOW).await.unwrap();
    let all = MaterializeRequest { mode: MaterializeMode::Full, ..MaterializeRequest::default() };
    engine.materialize(grant(), &all, NOW, &Silent).await.unwrap();
    engine
}

/// A running server and a client of it.
struct Served {
    engine: Arc<Engine>,
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<()>>,
    _folder: TempDir,
}

impl Served {
    async fn start() -> Self {
        Self::start_with(Config::default().server, Arc::new(|| NOW)).await
    }

    async fn start_with(config: ServerConfig, clock: Clock) -> Self {
        Self::start_recorded(config, clock, None).await
    }

    /// The same with a log of its calls.
    async fn start_recorded(config: ServerConfig, clock: Clock, audit: Option<Arc<Audit>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(repository(folder.path()).await);
        let listener = bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let options = ServeOptions {
            listener,
            security: Security::default(),
            config,
            clock,
            audit,
            shutdown: async { stopped.await.unwrap_or(()) },
        };
        let served = tokio::spawn(serve(Arc::clone(&engine), options));
        let client = Client::connect(&url).await.unwrap();
        Self { engine, client, stop, served, _folder: folder }
    }

    /// Stops the server, which must not take until its time is up.
    async fn stop(self) {
        let begun = Instant::now();
        self.stop.send(()).unwrap();
        drop(self.client);
        self.served.await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    async fn channel(&self) -> tonic::transport::Channel {
        let url = self.client.url().to_owned();
        tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// The whole answer to a GET over HTTP/1.
    async fn get(&self, path: &str) -> String {
        self.call("GET", path, "").await
    }

    /// The whole answer to a request over HTTP/1.
    async fn call(&self, method: &str, path: &str, body: &str) -> String {
        String::from_utf8(self.call_accepting("*/*", method, path, body).await).unwrap()
    }

    /// The same, in what the caller accepts.
    async fn call_accepting(
        &self,
        accepted: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Vec<u8> {
        let address = self.client.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\
             Accept: {accepted}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        // A server that refuses a body may answer before it has all of it.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

fn lookup(service: &str, as_of: Option<i64>) -> LookupRequest {
    let parts = [Some(1), None, Some(2), Some(3)].map(|stay| stay.map(OwnedPart::Int)).to_vec();
    LookupRequest {
        selection: Selection::Service(service.into()),
        keys: vec![KeyColumn { name: "stay_id".into(), parts }],
        request: Vec::new(),
        as_of,
        with_times: true,
    }
}

/// A lookup of too many entities to be answered in place.
fn large_lookup() -> LookupRequest {
    let mut request = lookup("deterioration_v1", None);
    request.keys[0].parts = (0..1_000).map(|stay| Some(OwnedPart::Int(stay))).collect();
    request
}

fn training(service: &str) -> TrainingSetRequest {
    TrainingSetRequest {
        selection: Selection::Service(service.into()),
        timestamp: "at".into(),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    }
}

fn spine() -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![25, 35, 5, 25]).with_timezone("UTC");
    RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![1, 1, 1, 2])) as ArrayRef),
        ("at", Arc::new(at)),
        ("label", Arc::new(StringArray::from(vec!["a", "b", "c", "d"]))),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_lookup_is_a_local_one() {
    let server = Served::start().await;
    let requests = [None, Some(25), Some(35)].map(|as_of| lookup("deterioration_v1", as_of));
    for request in requests.into_iter().chain([large_lookup()]) {
        let local = server.engine.lookup(grant(), &request, NOW).unwrap();
        let remote = server.client.lookup(&request).await.unwrap();
        assert_eq!(remote.columns, local.columns);
        // Whom it is about is not in a server's answer.
        let told = Lookup { entities: [].into(), ..local };
        assert_eq!(format!("{remote:?}"), format!("{told:?}"));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_error_is_a_local_one() {
    let server = Served::start().await;
    let request = lookup("deterioration_v2", None);
    let local = server.engine.lookup(grant(), &request, NOW).unwrap_err();
    let remote = server.client.lookup(&request).await.unwrap_err();
    assert_eq!(remote.kind(), Kind::NotFound);
    assert_eq!(remote.to_string(), local.chain());

    let spine = spine();
    let remote = server.client.training_set(&training("deterioration_v2"), spine.clone()).await;
    assert_eq!(remote.unwrap_err().kind(), Kind::NotFound);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_catalog_is_the_local_one() {
    let server = Served::start().await;
    assert_eq!(server.client.catalog().await.unwrap(), *server.engine.catalog());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_explanation_is_the_local_one() {
    let server = Served::start().await;
    // Before the first fact, while the second is not known, and with it.
    for (stay, at) in [(1, Some(5)), (1, Some(25)), (1, Some(35)), (2, None), (3, None)] {
        let parts = vec![Some(OwnedPart::Int(stay))];
        let keys = vec![KeyColumn { name: "stay_id".into(), parts }];
        let plain = WhyRequest { at, ..WhyRequest::new("labs", keys) };
        for request in [WhyRequest { known_by: Some(20), ..plain.clone() }, plain] {
            let local = server.engine.why(grant(), &request, NOW).await.unwrap();
            assert_eq!(server.client.why(&request).await.unwrap(), local);
        }
    }
    let keys = Vec::new();
    let request = WhyRequest::new("lab", keys);
    let error = server.client.why(&request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let metrics = server.get("/metrics").await;
    for line in [
        "hitherto_requests_total{method=\"why\",outcome=\"ok\"} 10",
        "hitherto_requests_total{method=\"why\",outcome=\"not_found\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_verifies_itself() {
    let server = Served::start().await;
    let request = VerifyRequest { seed: 3, ..VerifyRequest::default() };
    let local = server.engine.verify(grant(), &request, NOW).await.unwrap();
    assert_eq!(server.client.verify(&request).await.unwrap(), local);
    assert_eq!((local.differences(), local.stale().count()), (0, 0));
    assert!(local.values() > 0, "{local:?}");
    let unknown = VerifyRequest { views: vec!["lab".into()], ..request };
    assert_eq!(server.client.verify(&unknown).await.unwrap_err().kind(), Kind::NotFound);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_training_set_is_a_local_one() {
    let server = Served::start().await;
    let (request, spine) = (training("deterioration_v1"), spine());
    let batches = vec![spine.slice(0, 1), spine.slice(1, 3)];

    let schema = spine.schema();
    let mut local = server
        .engine
        .training_set(grant(), &request, (batches.clone(), schema.clone()), 0)
        .await
        .unwrap();
    let mut local_rows = Vec::new();
    while let Some(batch) = local.next().await {
        local_rows.push(batch.unwrap());
    }

    let mut remote = server.client.training_set(&request, (batches, schema.clone())).await.unwrap();
    assert_eq!(remote.schema(), local.schema());
    assert!(remote.plan().starts_with("PointInTimeJoinExec: at=at"), "{}", remote.plan());
    assert_eq!(remote.finish().unwrap_err().kind(), Kind::Invalid);
    let mut remote_rows = Vec::new();
    while let Some(batch) = remote.next().await {
        remote_rows.push(batch.unwrap());
    }
    let schema = local.schema();
    let remote_rows = concat_batches(&schema, &remote_rows).unwrap();
    assert_eq!(remote_rows, concat_batches(&schema, &local_rows).unwrap());
    assert_eq!(remote_rows.num_rows(), 4);
    let (remote, local) = (remote.finish().unwrap(), local.finish());
    assert!(remote.plan.contains("output_rows=4"), "{}", remote.plan);
    assert_eq!(remote.report, local.report);
    assert_eq!(remote.manifest, local.manifest().unwrap());
    let metrics = server.get("/metrics").await;
    for line in [
        "hitherto_requests_total{method=\"training_set\",outcome=\"ok\"} 1",
        "hitherto_requests_in_flight{method=\"training_set\"} 0",
        "hitherto_training_set_rows_total 4",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_until_a_request_fails() {
    let server = Served::start().await;
    let ask = |service, as_of| convert::lookup::encode_request(&lookup(service, as_of)).unwrap();
    let requests = [
        ask("deterioration_v1", Some(35)),
        ask("deterioration_v1", Some(25)),
        ask("deterioration_v2", None),
        ask("deterioration_v1", Some(15)),
    ];
    let mut client = LookupServiceClient::new(server.channel().await).send_compressed(Gzip);
    let answers = client.lookup_stream(futures::stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    for at in [35, 25] {
        assert_eq!(answers.message().await.unwrap().unwrap().at_micros, at);
    }
    assert_eq!(answers.message().await.unwrap_err().code(), Code::NotFound);
    drop((answers, client));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_feast_gets_its_columns_in_order() {
    use hitherto_proto::feast::serving::get_online_features_request::Kind as Asked;
    use hitherto_proto::feast::serving::serving_service_client::ServingServiceClient;
    use hitherto_proto::feast::serving::{FeatureList, GetOnlineFeaturesRequest};
    use hitherto_proto::feast::types::{RepeatedValue, Value, value::Val};

    let server = Served::start().await;
    let mut client = ServingServiceClient::new(server.channel().await);
    let stays = [Some(1), None, Some(2), Some(3)];
    let stays = stays.map(|stay| Value { val: stay.map(Val::Int64Val) }).to_vec();
    let asked = ["labs:note", "labs:lactate"].map(String::from).to_vec();
    let mut request = GetOnlineFeaturesRequest {
        kind: Some(Asked::Features(FeatureList { val: asked })),
        entities: [("stay_id".to_owned(), RepeatedValue { val: stays.clone() })].into(),
        ..GetOnlineFeaturesRequest::default()
    };
    let answer = client.get_online_features(request.clone()).await.unwrap().into_inner();
    let names = answer.metadata.unwrap().feature_names.unwrap().val;
    assert_eq!(names, ["stay_id", "note", "lactate"]);
    let [keys, note, lactate] = &answer.results[..] else { panic!("{:?}", answer.results) };
    assert_eq!((&keys.values, &keys.statuses), (&stays, &vec![1, 2, 1, 1]));
    assert_eq!(note.values[0].val, Some(Val::StringVal("élevé".into())));
    assert_eq!((&note.statuses, &lactate.statuses), (&vec![1, 3, 1, 3], &vec![1, 3, 2, 3]));
    assert_eq!(lactate.values[0].val, Some(Val::DoubleVal(4.5)));
    assert!(lactate.values[1..].iter().all(|value| value.val.is_none()));
    assert_eq!(lactate.event_timestamps[0].nanos, 20_000);

    request.full_feature_names = true;
    request.kind = Some(Asked::FeatureService("deterioration_v1".into()));
    let answer = client.get_online_features(request.clone()).await.unwrap().into_inner();
    let names = answer.metadata.unwrap().feature_names.unwrap().val;
    assert_eq!(names, ["stay_id", "labs__lactate", "labs__note"]);

    request.kind = Some(Asked::FeatureService("deterioration_v2".into()));
    let error = client.get_online_features(request).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let metrics = server.get("/metrics").await;
    let line = "hitherto_requests_total{method=\"get_online_features\",outcome=\"ok\"} 2";
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_has_metrics_and_health() {
    let server = Served::start().await;
    server.client.lookup(&lookup("deterioration_v1", None)).await.unwrap();
    let metrics = server.get("/metrics").await;
    for line in [
        "hitherto_requests_total{method=\"lookup\",outcome=\"ok\"} 1",
        "hitherto_lookup_rows_total 4",
        "hitherto_lookup_values_total 8",
        "hitherto_view_watermark_timestamp_seconds{view=\"labs\"} 0.00002",
        "hitherto_view_lookups_total{view=\"labs\",found=\"answered\"} 2",
        "hitherto_view_lookups_total{view=\"labs\",found=\"not_found\"} 2",
        "hitherto_view_null_values_total{view=\"labs\"} 1",
        "hitherto_view_fact_age_seconds_bucket{le=\"1.0\",view=\"labs\"} 2",
        "hitherto_view_fact_age_seconds_bucket{le=\"+Inf\",view=\"labs\"} 2",
        "hitherto_view_fact_age_seconds_count{view=\"labs\"} 2",
        "hitherto_service_lookup_duration_seconds_count{service=\"deterioration_v1\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/").await.starts_with("HTTP/1.1 404"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_streams_that_wait() {
    let server = Served::start().await;
    let channel = server.channel().await;
    let mut health = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest { service: String::new() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);
    let idle = Request::new(futures::stream::pending());
    let mut answers =
        LookupServiceClient::new(channel).lookup_stream(idle).await.unwrap().into_inner();

    server.stop().await;
    assert_eq!(health.message().await.unwrap().unwrap().status, 2);
    assert!(health.message().await.unwrap().is_none());
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_port_in_use_is_a_conflict() {
    let taken = bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = bind(&address).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&address), "{error}");
    assert_eq!(bind("nowhere").await.unwrap_err().kind(), Kind::Invalid);
}
