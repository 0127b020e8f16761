//! Who asks, on calls and on streams that go on while what was shown ends.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::TimestampMicrosecondArray;
use hitherto_api::{Ack, Assurance, PushRequest, SubjectKind};
use hitherto_client::{Credentials, MaterializeWork, Work};
use hitherto_core::time::format_timestamp;
use hitherto_proto::v1::push_service_client::PushServiceClient;
use hitherto_trust::identity::token::{self, Digest};
use hitherto_trust::identity::tokens::Entry;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use super::security::{Authority, Secured, write_secret};
use super::*;

/// Within which what was taken back ends, by the file's own interval and some for a busy
/// machine.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// When what expires in a test does so.
const LATER: i64 = 2_000_000_000_000_000;

fn made(name: &str) -> (String, Entry) {
    let token = token::make(name, &[name.len() as u8; token::SECRET_BYTES]);
    let digest = Digest::of(token.as_bytes());
    (token, Entry::new(name, digest))
}

fn with(token: &str) -> Credentials {
    Credentials { token: Some(token.parse().unwrap()), ..Credentials::default() }
}

/// A server that knows these.
async fn knowing(file: &Path, entries: &[&Entry], clock: Clock) -> Secured {
    let lines: Vec<String> = entries.iter().map(ToString::to_string).collect();
    write_secret(file, lines.join("\n"));
    let settings = ServerConfig { token_file: Some(file.to_owned()), ..Default::default() };
    Secured::start_at(&settings, clock).await
}

fn showing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let shown: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", shown);
    request
}

async fn channel(server: &Secured) -> Channel {
    Endpoint::from_shared(server.url.clone()).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_who_it_is() {
    let authority = Authority::new();
    let ((token, entry), file) = (made("nightly-etl"), authority.path("tokens"));
    let entry = Entry {
        expires: Some(LATER),
        roles: vec!["steward".into()],
        purposes: vec!["operations".into()],
        ..entry
    };
    let server = knowing(&file, &[&entry], Arc::new(|| 1_000)).await;
    let client = Client::connect_with(&server.url, &with(&token)).await.unwrap();
    let told = client.who_am_i().await.unwrap();
    assert_eq!(told.subject, "token/nightly-etl");
    assert_eq!((told.kind, told.assurance), (SubjectKind::Workload, Assurance::SharedSecret));
    assert_eq!((told.roles, told.expires), (entry.roles, Some(LATER)));
    assert_eq!(told.purposes, Some(entry.purposes));
    let nobody = Client::connect(&server.url).await.unwrap();
    assert_eq!(nobody.who_am_i().await.unwrap_err().kind(), Kind::Denied);
    drop((client, nobody));
    server.stop().await;

    let server = Served::start().await;
    assert_eq!(server.client.who_am_i().await.unwrap().subject, "anonymous");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_it_is_and_when_it_ends() {
    let authority = Authority::new();
    let (clock, client_ca) = (Arc::new(AtomicI64::new(0)), Some(authority.path("ca.pem")));
    let shown = Arc::clone(&clock);
    let wall = Arc::new(move || shown.load(Ordering::Relaxed));
    let settings = ServerConfig { client_ca, ..authority.settings() };
    let server = Secured::start_at(&settings, wall).await;
    let identity = authority.sign("client.pem", "icu.wards.org", 2020..2090);
    let known = Credentials { identity: Some(identity), ..authority.trusted() };
    let client = Client::connect_with(&server.url, &known).await.unwrap();
    let told = client.who_am_i().await.unwrap();
    assert_eq!((&*told.subject, told.assurance), ("certificate/icu.wards.org", Assurance::Key));
    assert_eq!(told.expires.map(format_timestamp).unwrap(), "2090-01-01T00:00:00Z");
    // The connection was made while it was good.
    clock.store(told.expires.unwrap(), Ordering::Relaxed);
    let ended = client.who_am_i().await.unwrap_err();
    assert!(ended.to_string().contains("has expired since the connection began"), "{ended}");
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_what_its_caller_showed() {
    let authority = Authority::new();
    let file = authority.path("tokens");
    let clock = Arc::new(AtomicI64::new(1_000));
    let shown = Arc::clone(&clock);
    let ((token, entry), (_, other)) = (made("stream"), made("somebody-else"));
    let entry = Entry { expires: Some(LATER), ..entry };
    let wall: Clock = Arc::new(move || shown.load(Ordering::Relaxed));
    let server = knowing(&file, &[&entry, &other], wall).await;
    let ask = || convert::lookup::encode_request(&lookup("deterioration_v1", None)).unwrap();
    for is_revoked in [false, true] {
        let (sender, requests) = tokio::sync::mpsc::channel(1);
        let requests = futures::stream::unfold(requests, |mut requests| async {
            Some((requests.recv().await?, requests))
        });
        let mut client = LookupServiceClient::new(channel(&server).await);
        let answers = client.lookup_stream(showing(requests, &token)).await.unwrap();
        let mut answers = answers.into_inner();
        sender.send(ask()).await.unwrap();
        assert!(answers.message().await.unwrap().is_some());
        match is_revoked {
            false => clock.store(LATER, Ordering::Relaxed),
            true => fs::write(&file, other.to_string()).unwrap(),
        }
        let begun = Instant::now();
        let ended = loop {
            if sender.send(ask()).await.is_err() {
                panic!("the stream was broken off");
            }
            match answers.message().await {
                Ok(answer) => assert!(answer.is_some() && begun.elapsed() < ENDS_WITHIN),
                Err(ended) => break ended,
            }
        };
        assert_eq!(ended.code(), Code::Unauthenticated, "{ended:?}");
        let why = if is_revoked { "was taken back" } else { "expired at 2033-05-18T03:33:20Z" };
        assert!(ended.message().contains(why), "{ended:?}");
        // Nothing is for ever: a line that is written again is a token again.
        if !is_revoked {
            let longer = Entry { expires: Some(2 * LATER), ..entry.clone() };
            fs::write(&file, format!("{longer}\n{other}\n")).unwrap();
            let begun = Instant::now();
            let client = Client::connect_with(&server.url, &with(&token)).await.unwrap();
            while client.who_am_i().await.is_err() {
                assert!(begun.elapsed() < ENDS_WITHIN);
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_watches_and_training_sets_end_when_a_token_is_taken_back() {
    let authority = Authority::new();
    let file = authority.path("tokens");
    let ((token, entry), (others, other)) = (made("stream"), made("somebody-else"));
    let server = knowing(&file, &[&entry, &other], Arc::new(|| 1_000)).await;
    let client = Client::connect_with(&server.url, &with(&token)).await.unwrap();
    let set = client.training_set(&training("deterioration_v1"), spine()).await.unwrap();
    let times = |micros| {
        let times = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        Arc::new(times) as ArrayRef
    };
    let facts = RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("drawn", times(40)),
        ("resulted", times(40)),
        ("lactate", Arc::new(Float64Array::from(vec![2.5])) as ArrayRef),
        ("note", Arc::new(StringArray::from(vec!["pushed"])) as ArrayRef),
    ]);
    let push = PushRequest {
        view: "labs".into(),
        facts: facts.unwrap(),
        idempotency_key: String::new(),
        ack: Ack::Durable,
    };
    let push = || convert::push::encode_request(&push).unwrap();
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let requests = futures::stream::unfold(requests, |mut requests| async {
        Some((requests.recv().await?, requests))
    });
    let mut pushes = PushServiceClient::new(channel(&server).await);
    sender.send(push()).await.unwrap();
    let answers = pushes.push(showing(requests, &token)).await.unwrap();
    let mut answers = answers.into_inner();
    assert!(answers.message().await.unwrap().is_some());
    fs::write(&file, other.to_string()).unwrap();
    let begun = Instant::now();
    let ended = loop {
        sender.send(push()).await.unwrap();
        match answers.message().await {
            Ok(answer) => assert!(answer.is_some() && begun.elapsed() < ENDS_WITHIN),
            Err(ended) => break ended,
        }
    };
    assert!(ended.message().contains("was taken back"), "{ended:?}");
    // Its rows may have been on their way already: they are few.
    let _ = set;
    let known = Client::connect_with(&server.url, &with(&others)).await.unwrap();
    let job = known.start_job(Work::Materialize(MaterializeWork::default())).await.unwrap();
    assert_eq!(client.watch_job(job.id, |_| ()).await.unwrap_err().kind(), Kind::Denied);
    drop((client, known, pushes));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_counted_by_why() {
    let authority = Authority::new();
    let file = authority.path("tokens");
    let ((token, entry), (late, expired)) = (made("known"), made("of-yesterday"));
    let expired = Entry { expires: Some(999), ..expired };
    let server = knowing(&file, &[&entry, &expired], Arc::new(|| 1_000)).await;
    for shown in [&token[..40], &made("nobody-known").0, &late] {
        let client = Client::connect_with(&server.url, &with(shown)).await.unwrap();
        assert_eq!(client.who_am_i().await.unwrap_err().kind(), Kind::Denied);
    }
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("Host: here\r\nConnection: close\r\nAuthorization: Bearer {token}");
    let head = format!("GET /metrics HTTP/1.1\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).await.unwrap();
    for (reason, count) in
        [("malformed_token", 1), ("unknown_token", 1), ("expired_token", 1), ("no_token", 0)]
    {
        let line = format!("hitherto_credentials_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    server.stop().await;
}
