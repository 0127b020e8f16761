//! Callers who mean harm: one request never ends the server, many never fill it, and good
//! callers are answered meanwhile.

use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use hitherto_api::{Ack, LabelFiles, PushRequest, Spine};
use hitherto_core::limits::{MESSAGE_BYTES_MAX, REQUEST_MEMORY_BYTES_MIN, SQL_DEPTH_MAX};
use hitherto_proto::flight::FlightData;
use hitherto_proto::flight::flight_service_client::FlightServiceClient;
use hitherto_proto::ipc::Encoder;
use hitherto_proto::v1;
use hitherto_proto::v1::push_service_client::PushServiceClient;
use http::header::{CONTENT_TYPE, TE};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// A server with so many connections and little memory for requests.
async fn small() -> Served {
    let memory = format!("{REQUEST_MEMORY_BYTES_MIN}B").parse().unwrap();
    let config =
        ServerConfig { connections_max: 16, request_memory: memory, ..ServerConfig::default() };
    Served::start_with(config, Arc::new(|| NOW)).await
}

fn address(server: &Served) -> &str {
    server.client.url().trim_start_matches("http://")
}

/// That a good caller is answered, and health is.
async fn check_answers(server: &Served) {
    let begun = Instant::now();
    server.client.lookup(&lookup("deterioration_v1", Some(35))).await.unwrap();
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

async fn refusal(server: &Served, query: &str) -> String {
    let spine = Spine::Sql { query: query.to_owned(), files: LabelFiles::Closed, bounds: None };
    let begun = Instant::now();
    let outcome = async {
        let mut set = server.client.training_set(&training("deterioration_v1"), spine).await?;
        while let Some(batch) = set.next().await {
            batch?;
        }
        Ok::<_, hitherto_core::Error>(())
    };
    let error = outcome.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_would_fill_a_stack_or_the_memory_is_refused() {
    let server = small().await;
    let many = 3_000;
    for query in [
        format!("SELECT stay_id, 1{} AS n, drawn AS at FROM labs", "+1".repeat(many)),
        format!(
            "SELECT stay_id, drawn AS at FROM labs WHERE stay_id = 1{}",
            " OR true".repeat(20_000)
        ),
        format!("SELECT 1 AS stay_id{}", " UNION ALL SELECT 1".repeat(many)),
        format!("SELECT {}1{} AS stay_id", "(".repeat(many), ")".repeat(many)),
        format!(
            "SELECT {}1{} AS stay_id",
            "CASE WHEN true THEN ".repeat(many),
            " END".repeat(many)
        ),
        format!("SELECT {} true AS stay_id", "NOT ".repeat(many)),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(many), ")".repeat(many)),
        String::from("SELECT stay_id, repeat(note, 1000000000) AS n, drawn AS at FROM labs"),
        String::from("SELECT stay_id, lpad(note, 2000000000, 'x') AS n, drawn AS at FROM labs"),
        String::from("SELECT value AS stay_id FROM generate_series(1, 1000000000000)"),
        format!("SELECT a.stay_id FROM labs a{}", " JOIN labs USING (stay_id)".repeat(40)),
        format!("SELECT stay_id, '{}' AS n FROM labs", "x".repeat(1 << 20)),
    ] {
        let error = refusal(&server, &query).await;
        assert!(error.len() < 3_000, "{error}");
    }
    check_answers(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_as_deep_and_wide_as_may_be_is_answered() {
    let server = small().await;
    let chain = SQL_DEPTH_MAX - 20;
    for query in [
        format!(
            "SELECT stay_id, drawn AS at, stay_id{} AS n FROM labs",
            " + stay_id".repeat(chain)
        ),
        format!(
            "SELECT stay_id, drawn AS at FROM labs WHERE stay_id = 1{}",
            " OR stay_id = 2".repeat(chain / 2)
        ),
        format!(
            "SELECT stay_id, drawn AS at FROM labs{}",
            " UNION ALL SELECT stay_id, drawn FROM labs".repeat(60)
        ),
        (0..10).fold(String::from("SELECT stay_id, drawn AS at FROM labs"), |inner, _| {
            format!("SELECT * FROM ({inner}) t")
        }),
        format!(
            "SELECT l.stay_id, l.drawn AS at FROM labs l{}",
            (0..11)
                .map(|n| format!(
                    " JOIN labs l{n} ON l.stay_id = l{n}.stay_id AND l.drawn = l{n}.drawn"
                ))
                .collect::<String>()
        ),
    ] {
        let spine = Spine::Sql { query, files: LabelFiles::Closed, bounds: None };
        let mut set =
            server.client.training_set(&training("deterioration_v1"), spine).await.unwrap();
        while let Some(batch) = set.next().await {
            batch.unwrap();
        }
    }
    server.stop().await;
}

/// A push of facts that compress, the first buffer of which says it is so long.
fn forged(codec: CompressionType, claim: i64) -> (Vec<u8>, usize) {
    let notes: StringArray = (0..10_000).map(|_| Some("note")).collect();
    let facts = RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![1; 10_000])) as ArrayRef),
        ("note", Arc::new(notes)),
    ])
    .unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), facts.schema_ref(), options).unwrap();
    writer.write(&facts).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    let length = 80_000_i64.to_le_bytes();
    let at = bytes.windows(8).position(|window| window == length).unwrap();
    bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
    (bytes, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_data_that_claims_more_than_there_is_is_refused() {
    let server = small().await;
    let mut pushes = PushServiceClient::new(server.channel().await);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for claim in [1 << 47, i64::MAX, -2, 1 << 32] {
            let (facts, _) = forged(codec, claim);
            let request = v1::PushRequest { view: "labs".into(), facts, ..Default::default() };
            let mut answers = pushes.push(stream::iter([request])).await.unwrap().into_inner();
            let status = answers.message().await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        }
    }
    check_answers(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_that_claims_more_than_there_is_is_refused() {
    let server = small().await;
    let (request, spine) = (training("deterioration_v1"), timed_rows(10_000));
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut tracker = arrow::ipc::writer::DictionaryTracker::new(false);
    let generator = arrow::ipc::writer::IpcDataGenerator::default();
    let mut context = arrow::ipc::writer::IpcWriteContext::default();
    let (_, data) = generator.encode(&spine, &mut tracker, &options, &mut context).unwrap();
    let mut body = data.arrow_data;
    let at = body.windows(8).position(|window| window == 80_000_i64.to_le_bytes()).unwrap();
    body[at..at + 8].copy_from_slice(&(1_i64 << 47).to_le_bytes());
    let data = FlightData {
        data_header: data.ipc_message.into(),
        data_body: body.into(),
        ..FlightData::default()
    };
    let reader = Spine::Rows { batches: vec![], schema: spine.schema() };
    let command = convert::training_set::encode_request(&request, &reader).unwrap();
    let schema = Encoder::new(spine.schema()).1.with_command(command);
    let mut flights = FlightServiceClient::new(server.channel().await);
    let outcome = async {
        let mut answers = flights.do_exchange(stream::iter([schema, data])).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    };
    let status = outcome.await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("claims to be"), "{status}");
    check_answers(&server).await;
    server.stop().await;
}

fn timed_rows(rows: usize) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![25; rows]).with_timezone("UTC");
    RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![1; rows])) as ArrayRef),
        ("at", Arc::new(at)),
    ])
    .unwrap()
}

/// A call whose body goes on as `body` says, over a connection of its own.
async fn call(
    server: &Served,
    path: &str,
    body: Body,
) -> hyper::Result<http::Response<hyper::body::Incoming>> {
    let stream = TcpStream::connect(address(server)).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}{path}", address(server)))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(body)
        .unwrap();
    let answer = sender.send_request(request).await;
    // The connection goes with its last sender.
    std::mem::forget(sender);
    answer
}

/// A message of so many bytes of which all but the last are sent.
fn half_a_message(bytes: u32) -> Body {
    let prefix = [&[0][..], &bytes.to_be_bytes()].concat();
    let piece = Bytes::from(vec![0; 1 << 20]);
    let pieces = (0..bytes / (1 << 20)).map(move |_| Ok(piece.clone()));
    let sent = stream::iter([Ok(Bytes::from(prefix))].into_iter().chain(pieces));
    let sent = sent.map(|piece: Result<Bytes, std::io::Error>| piece);
    Body::from_stream(sent.take(bytes as usize / (1 << 20)).chain(stream::pending()))
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_messages_take_no_more_than_the_budget() {
    let server = small().await;
    let halves = (0..8).map(|_| {
        let body = half_a_message(MESSAGE_BYTES_MAX as u32 - 5);
        let path = "/hitherto.v1.LookupService/Lookup";
        tokio::time::timeout(Duration::from_secs(8), call(&server, path, body))
    });
    let outcomes = futures::future::join_all(halves).await;
    let refused = outcomes.iter().filter(|outcome| {
        let answer = outcome.as_ref().ok().and_then(|answer| answer.as_ref().ok());
        let code = answer.and_then(|answer| answer.headers().get("grpc-status"));
        code.is_some_and(|code| code == "8")
    });
    assert!(refused.count() >= 4, "{outcomes:?}");
    let metrics = server.get("/metrics").await;
    let held = metrics.lines().find_map(|line| line.strip_prefix("hitherto_request_memory_bytes "));
    let held: u64 = held.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap();
    assert!(held <= REQUEST_MEMORY_BYTES_MIN, "{held}");
    check_answers(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_make_room_for_whoever_speaks() {
    let server = small().await;
    // Who has asked for something stays.
    check_answers(&server).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    check_answers(&server).await;
    let metrics = server.get("/metrics").await;
    let count = metrics.lines().find_map(|line| line.strip_prefix("hitherto_connections "));
    assert!(count.unwrap().parse::<usize>().unwrap() <= 16, "{metrics}");
    // The oldest of them were let go.
    let mut byte = [0];
    assert_eq!(silent[0].read(&mut byte).await.unwrap_or(0), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_by_a_server_that_is_full_of_calls() {
    let server = small().await;
    let mut clients = Vec::new();
    // The connection of the server's own client, which is idle, makes room for the last.
    for _ in 0..16 {
        let mut client = LookupServiceClient::new(server.channel().await);
        let idle = Request::new(stream::pending());
        clients.push((client.lookup_stream(idle).await.unwrap(), client.clone()));
    }
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    let body = r#"{"service": "deterioration_v1", "keys": {"stay_id": [1]}}"#;
    let answer = server.call("POST", "/v1/lookup", body).await;
    assert!(answer.contains("server.connectionsMax"), "{answer}");
    drop(clients);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_does_not_hold_up_a_stop() {
    let server = small().await;
    let mut half = TcpStream::connect(address(&server)).await.unwrap();
    let head = "POST /v1/lookup HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{";
    half.write_all(head.as_bytes()).await.unwrap();
    let path = "/hitherto.v1.LookupService/Lookup";
    let other = tokio::spawn({
        let body = half_a_message(2 << 20);
        let (server, path) = (address(&server).to_owned(), path.to_owned());
        async move {
            let stream = TcpStream::connect(&server).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let request = http::Request::post(format!("http://{server}{path}"))
                .header(CONTENT_TYPE, "application/grpc")
                .body(body)
                .unwrap();
            let _ = sender.send_request(request).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    other.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_kept_until_the_answer_is_read() {
    let config = ServerConfig { lookups_in_flight_max: 1, ..ServerConfig::default() };
    let server = Served::start_with(config, Arc::new(|| NOW)).await;
    let stream = TcpStream::connect(address(&server)).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    // More than a connection takes over at once.
    let asked = convert::lookup::encode_request(&large_lookup()).unwrap();
    let message = prost::Message::encode_to_vec(&asked);
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    let path = "/hitherto.v1.LookupService/Lookup";
    let request = http::Request::post(format!("http://{}{path}", address(&server)))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Body::from(framed))
        .unwrap();
    let unread = sender.send_request(request).await.unwrap();
    let refused = server.client.lookup(&lookup("deterioration_v1", None)).await.unwrap_err();
    assert!(refused.to_string().contains("server.lookupsInFlightMax"), "{refused}");
    drop(unread);
    let begun = Instant::now();
    while server.client.lookup(&lookup("deterioration_v1", None)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the place is still taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(sender);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_half_of_the_places_for_training_sets() {
    let server = Served::start().await;
    let other = Client::connect(server.client.url()).await.unwrap();
    let ask = |client: &Client| {
        let client = client.clone();
        async move {
            let idle = stream_of_nothing();
            client.training_set(&training("deterioration_v1"), idle).await
        }
    };
    let own = [ask(&server.client).await.unwrap(), ask(&server.client).await.unwrap()];
    let refused = ask(&server.client).await.unwrap_err();
    assert!(refused.to_string().contains("half of all"), "{refused}");
    let theirs = [ask(&other).await.unwrap(), ask(&other).await.unwrap()];
    drop((own, theirs, other));
    server.stop().await;
}

/// A spine whose rows come when somebody has long gone.
fn stream_of_nothing() -> Spine {
    let rows = (0..).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        Ok(timed_rows(1).slice(0, 0))
    });
    let schema = timed_rows(1).schema();
    let rows = arrow::array::RecordBatchIterator::new(rows.take(200), schema);
    Spine::Reader { rows: Box::new(rows), times: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_names_for_one_view_are_refused_at_once() {
    let server = Served::start().await;
    let features: Vec<String> = (0..9_000).map(|n| format!("a{n}=labs:lactate")).collect();
    let request = LookupRequest {
        selection: Selection::features(&features).unwrap(),
        ..lookup("deterioration_v1", None)
    };
    let begun = Instant::now();
    let error = server.client.lookup(&request).await.unwrap_err();
    assert!(error.to_string().contains("feature views are asked for"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http_1_names_its_host_once() {
    let server = Served::start().await;
    for (head, code) in [
        ("GET /healthz HTTP/1.1\r\n", "400"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "400"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n", "200"),
        ("GET /healthz HTTP/1.0\r\n", "200"),
    ] {
        let mut stream = TcpStream::connect(address(&server)).await.unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.split(' ').nth(1) == Some(code), "{head:?}: {answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_says_a_thing_twice_is_refused_without_its_values() {
    let server = Served::start().await;
    for (path, body) in [
        (
            "/v1/lookup",
            r#"{"service": "deterioration_v1", "keys": {"stay_id": [1], "stay_id": [2]}}"#,
        ),
        (
            "/get-online-features",
            r#"{"features": ["labs:note"], "entities": {"stay_id": [1], "stay_id": [2]}}"#,
        ),
    ] {
        let answer = server.call("POST", path, body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("twice"), "{answer}");
    }
    for body in [
        r#"{"service": "deterioration_v1", "keys": {"stay_id": [{"name": "Jane Doe"}]}}"#,
        r#"{"service": "deterioration_v1", "keys": {"stay_id": "Jane Doe"}}"#,
        r#"{"service": "deterioration_v1", "keys": {"stay_id": ["Jane Doe"]}}"#,
    ] {
        let answer = server.call("POST", "/v1/lookup", body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("Jane"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_refused_for_its_facts_and_kept_for_nothing() {
    let server = small().await;
    // More than the budget has, one after the other: each gives back what it held.
    for _ in 0..12 {
        let request = PushRequest {
            view: String::from("labs"),
            facts: labs(),
            idempotency_key: String::new(),
            ack: Ack::Async,
        };
        let request = convert::push::encode_request(&request).unwrap();
        let padded =
            v1::PushRequest { idempotency_key: "x".repeat(MESSAGE_BYTES_MAX / 2), ..request };
        let mut pushes = PushServiceClient::new(server.channel().await);
        let mut answers = pushes.push(stream::iter([padded])).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
    }
    check_answers(&server).await;
    server.stop().await;
}

/// A push of so many facts of stays that nobody asks for, each with a text of a MiB.
fn large_push(facts: usize, stay: i64) -> PushRequest {
    let times = || {
        let micros = TimestampMicrosecondArray::from_iter_values(10..10 + facts as i64);
        Arc::new(micros.with_timezone("UTC")) as ArrayRef
    };
    let text = "x".repeat(1 << 20);
    let facts = RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(vec![stay; facts])) as ArrayRef),
        ("drawn", times()),
        ("resulted", times()),
        ("lactate", Arc::new(Float64Array::from(vec![1.0; facts]))),
        ("note", Arc::new(StringArray::from(vec![text.as_str(); facts]))),
    ]);
    PushRequest {
        view: String::from("labs"),
        facts: facts.unwrap(),
        idempotency_key: String::new(),
        ack: Ack::Async,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_pushes_go_through_and_several_streams_of_one_connection_do() {
    let server = Served::start().await;
    let a_while = Duration::from_secs(60);
    let push = |facts: usize, stay: i64| {
        let client = server.client.clone();
        async move {
            let request = large_push(facts, stay);
            let pushed = tokio::time::timeout(a_while, client.push(&[request])).await;
            let pushed = pushed.expect("a push has hung").unwrap();
            assert_eq!(pushed[0].facts, facts as u64);
        }
    };
    push(45, 100).await;
    futures::future::join_all((0..6).map(|stream| push(20, 101 + stream))).await;
    check_answers(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_before_a_message_is_refused_is_answered() {
    let server = small().await;
    let request = convert::push::encode_request(&large_push(1, 100)).unwrap();
    let good = prost::Message::encode_to_vec(&request);
    let framed =
        |message: &[u8]| [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
    let body = Body::from([framed(&good), framed(&[0xff; 12])].concat());
    let answer = call(&server, "/hitherto.v1.PushService/Push", body).await.unwrap();
    let answer = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
    // One message, with what is before it.
    let message = answer.get(5..).expect("the first batch is answered");
    let pushed: v1::PushResponse = prost::Message::decode(message).unwrap();
    assert_eq!(pushed.facts, 1);
    server.stop().await;
}
