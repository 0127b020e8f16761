//! That nobody is served past the door: every route of every protocol.

use std::collections::BTreeMap;

use futures::future::join_all;
use hitherto_proto::FILE_DESCRIPTOR_SET;
use prost::Message;

use super::security::{Authority, NEXT_TOKEN, Secured, TOKEN, write_secret};
use super::*;
use crate::web;

/// Descriptors, as far as paths are made of them.
#[derive(Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
}

/// The paths of all methods of these descriptors.
fn paths(descriptors: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    for File { package, services } in FileSet::decode(descriptors).unwrap().files {
        for Service { name, methods } in services {
            let path = |method: Method| format!("/{package}.{name}/{}", method.name);
            paths.extend(methods.into_iter().map(path));
        }
    }
    paths
}

/// What each route is counted as; nothing for those that ask no engine.
pub const ROUTES: [(&str, &str); 32] = [
    ("/arrow.flight.protocol.FlightService/DoAction", ""),
    ("/arrow.flight.protocol.FlightService/DoExchange", "training_set"),
    ("/arrow.flight.protocol.FlightService/DoGet", ""),
    ("/arrow.flight.protocol.FlightService/DoPut", ""),
    ("/arrow.flight.protocol.FlightService/GetFlightInfo", ""),
    ("/arrow.flight.protocol.FlightService/GetSchema", ""),
    ("/arrow.flight.protocol.FlightService/Handshake", ""),
    ("/arrow.flight.protocol.FlightService/ListActions", ""),
    ("/arrow.flight.protocol.FlightService/ListFlights", ""),
    ("/arrow.flight.protocol.FlightService/PollFlightInfo", ""),
    ("/feast.serving.ServingService/GetFeastServingInfo", ""),
    ("/feast.serving.ServingService/GetOnlineFeatures", "get_online_features"),
    ("/get-online-features", "http_get_online_features"),
    ("/health", ""),
    ("/healthz", ""),
    ("/hitherto.v1.AccessService/WhoAmI", "who_am_i"),
    ("/hitherto.v1.DiagnosticsService/Verify", "verify"),
    ("/hitherto.v1.DiagnosticsService/Why", "why"),
    ("/hitherto.v1.JobService/CancelJob", "job"),
    ("/hitherto.v1.JobService/ListJobs", "job"),
    ("/hitherto.v1.JobService/StartJob", "job"),
    ("/hitherto.v1.JobService/WatchJob", "job"),
    ("/hitherto.v1.LookupService/Lookup", "lookup"),
    ("/hitherto.v1.LookupService/LookupStream", "lookup_stream"),
    ("/hitherto.v1.PushService/Push", "push"),
    ("/hitherto.v1.RegistryService/Apply", "apply"),
    ("/hitherto.v1.RegistryService/GetCatalog", "get_catalog"),
    ("/hitherto.v1.RegistryService/Rollback", "rollback"),
    ("/metrics", ""),
    ("/openapi.json", ""),
    ("/v1/lookup", "http_lookup"),
    ("/nowhere", ""),
];

/// Every route but of health and reflection, which come with others' descriptors.
fn routes() -> Vec<String> {
    let http = web::table().into_iter().map(|(path, _)| path.to_owned());
    let mut routes: Vec<String> = paths(FILE_DESCRIPTOR_SET).into_iter().chain(http).collect();
    routes.sort();
    routes
}

fn is_grpc(path: &str) -> bool {
    path.matches('/').count() == 2 && path.contains('.')
}

/// The head of the answer to one empty message, or to an empty body.
pub async fn call(url: &str, path: &str, token: &str) -> String {
    let (method, content_type, body) = match (is_grpc(path), path) {
        (true, _) => ("POST", "application/grpc", &[0; 5][..]),
        (false, "/v1/lookup" | "/get-online-features") => ("POST", "application/json", &b"{}"[..]),
        (false, _) => ("GET", "application/json", &[][..]),
    };
    let mut stream = TcpStream::connect(url.split_once("://").unwrap().1).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_opens_no_route() {
    let authority = Authority::new();
    let token_file = authority.path("tokens");
    write_secret(&token_file, TOKEN.to_owned());
    let settings = ServerConfig { token_file: Some(token_file), ..Default::default() };
    let server = Secured::start(&settings).await;
    let reflection = ["v1", "v1alpha"]
        .map(|version| format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"));
    let nowhere = ["/nowhere", "/no.Where/Is"].map(str::to_owned);
    let closed = routes().into_iter().chain(reflection).chain(nowhere);
    let closed: Vec<String> = closed.filter(|path| !path.starts_with("/health")).collect();
    assert_eq!(closed.len(), ROUTES.len() - 3 + 4);
    let refused = join_all(closed.iter().map(|path| call(&server.url, path, NEXT_TOKEN))).await;
    for (path, answer) in closed.iter().zip(refused) {
        let refusal = if is_grpc(path) { "grpc-status: 16" } else { "http/1.1 401" };
        assert!(answer.contains(refusal), "{path}: {answer}");
    }
    let open = paths(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let open = open.iter().filter(|path| path.ends_with("/Check")).map(String::as_str);
    for path in open.chain(["/health", "/healthz"]) {
        let answer = call(&server.url, path, NEXT_TOKEN).await;
        assert!(answer.starts_with("http/1.1 200"), "{path}: {answer}");
        assert!(!answer.contains("grpc-status: 16"), "{path}: {answer}");
    }
    server.stop().await;
}

/// How many calls of each method have ended.
async fn counted(server: &Served) -> BTreeMap<String, u64> {
    let metrics = server.get("/metrics").await;
    let mut counted = BTreeMap::new();
    for line in metrics.lines() {
        let Some(labels) = line.strip_prefix("hitherto_requests_total{method=\"") else { continue };
        let method = labels.split('"').next().unwrap().to_owned();
        let count: u64 = labels.rsplit(' ').next().unwrap().parse().unwrap();
        *counted.entry(method).or_default() += count;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_asks_the_engine_is_served_in_the_one_way() {
    let known = ROUTES.iter().map(|(path, _)| *path).filter(|path| *path != "/nowhere");
    assert_eq!(routes(), known.collect::<Vec<_>>(), "say here what a new route is counted as");
    let server = Served::start().await;
    let mut expected = counted(&server).await;
    for (path, method) in ROUTES {
        call(server.client.url(), path, "").await;
        if !method.is_empty() {
            *expected.get_mut(method).unwrap() += 1;
        }
        assert_eq!(counted(&server).await, expected, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lookup_of_a_stream_is_a_call_of_its_own() {
    let server = Served::start().await;
    let ask = |service| convert::lookup::encode_request(&lookup(service, None)).unwrap();
    let requests = [ask("deterioration_v1"), ask("deterioration_v2")];
    let mut client = LookupServiceClient::new(server.channel().await);
    let answers = client.lookup_stream(futures::stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    assert!(answers.message().await.unwrap().is_some());
    assert_eq!(answers.message().await.unwrap_err().code(), Code::NotFound);
    let metrics = server.get("/metrics").await;
    for outcome in ["ok", "not_found"] {
        let labels = format!("{{method=\"lookup_stream\",outcome=\"{outcome}\"}}");
        let line = format!("hitherto_requests_total{labels} 1\n");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    drop((answers, client));
    server.stop().await;
}
