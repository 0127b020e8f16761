//! Lookups over plain HTTP.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{TimestampMicrosecondType, UInt8Type};
use arrow::ipc::reader::StreamReader;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_core::column::Status;
use hitherto_core::limits::HTTP_BODY_BYTES_MAX;
use serde_json::{Value, json};

use super::*;
use crate::json::LookupAnswer;

impl Served {
    /// Posts JSON: the status line, the headers and the JSON that came back.
    async fn post(&self, path: &str, body: &str) -> (u16, String, Value) {
        let answer = self.call("POST", path, body).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_in_json_is_a_lookup() {
    let server = Served::start().await;
    let body = |more: &str| {
        format!(
            r#"{{"service": "deterioration_v1", "keys": {{"stay_id": [1, null, 2, 3]}}{more}}}"#
        )
    };
    let past = r#", "as_of": "1970-01-01T00:00:00.000025Z", "with_times": true"#;
    for (more, request) in [
        (past, lookup("deterioration_v1", Some(25))),
        (r#", "with_times": true"#, lookup("deterioration_v1", None)),
    ] {
        let (status, _, answer) = server.post("/v1/lookup", &body(more)).await;
        let local = server.engine.lookup(grant(), &request, NOW).unwrap();
        let local = LookupAnswer::new(&request.keys, &local).unwrap();
        assert_eq!((status, answer), (200, serde_json::to_value(&local).unwrap()));
    }
    let (_, _, answer) = server.post("/v1/lookup", &body(past)).await;
    let expected = json!({
        "value": 1.5,
        "status": "PRESENT",
        "event_time": "1970-01-01T00:00:00.00001Z",
        "known_time": "1970-01-01T00:00:00.00001Z",
    });
    assert_eq!(answer["entities"][0]["features"]["labs:lactate"], expected);
    let absent = json!({ "value": null, "status": "NOT_FOUND" });
    assert_eq!(answer["entities"][3]["features"]["labs:note"], absent);
    assert_eq!(answer["entities"][1]["keys"], json!({ "stay_id": null }));

    let by_features = r#"{"features": ["labs:note"], "keys": {"stay_id": [1]}}"#;
    let (_, _, answer) = server.post("/v1/lookup", by_features).await;
    let expected = json!({ "labs:note": { "value": "élevé", "status": "PRESENT" } });
    assert_eq!(answer["entities"][0]["features"], expected);
    let metrics = server.get("/metrics").await;
    let line = "hitherto_requests_total{method=\"http_lookup\",outcome=\"ok\"} 4";
    assert!(metrics.contains(line), "{metrics}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_lookup_in_json_says_what_is_wrong() {
    let server = Served::start().await;
    for (body, status, kind, word) in [
        (r#"{"service": "x", "keys": {"stay_id": [1]}}"#, 404, "not_found", "\"x\""),
        (r#"{"keys": {"stay_id": [1]}}"#, 400, "invalid", "asks for nothing"),
        (r#"{"service": "x", "features": []}"#, 400, "invalid", "set one of them"),
        (r#"{"service": "deterioration_v1", "#, 400, "invalid", "column"),
        (r#"{"servise": "deterioration_v1"}"#, 400, "invalid", "servise"),
        (r#"{"features": ["labs"]}"#, 400, "invalid", "labs"),
        (r#"{"features": ["labs:*"], "keys": {"stay_id": [1.5]}}"#, 400, "invalid", "no integer"),
        (r#"{"features": ["labs:*"], "keys": {"stay_id": ["1"]}}"#, 400, "invalid", "int64"),
        (r#"{"features": ["labs:*"], "keys": {}}"#, 400, "invalid", "stay_id"),
        (r#"{"features": ["labs:*"], "as_of": "yesterday"}"#, 400, "invalid", "yesterday"),
        ("", 400, "invalid", "openapi"),
        ("[]", 400, "invalid", "openapi"),
    ] {
        let (code, _, answer) = server.post("/v1/lookup", body).await;
        assert_eq!((code, &answer["error"]["kind"]), (status, &json!(kind)), "{body}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{body}: {message}");
    }
    let answer = server.get("/v1/lookup").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: post"), "{answer}");
    assert!(server.get("/v1/lookups").await.contains("POST /v1/lookup"));

    let large = "x".repeat(HTTP_BODY_BYTES_MAX + 1);
    for path in ["/v1/lookup", "/get-online-features"] {
        let (code, _, answer) = server.post(path, &large).await;
        assert_eq!((code, &answer["error"]["kind"]), (413, &json!("invalid")), "{answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_server_says_when_to_come_back() {
    let is_closed = Arc::new(AtomicBool::new(true));
    let config = ServerConfig { lookups_in_flight_max: 1, ..Config::default().server };
    let gate = Arc::clone(&is_closed);
    // A lookup asks for the time once it has its place.
    let clock: Clock = Arc::new(move || {
        // What its thread was to run next is for others meanwhile.
        tokio::task::block_in_place(|| {
            while gate.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        NOW
    });
    let server = Served::start_with(config, clock).await;

    let client = server.client.clone();
    let first = tokio::spawn(async move { client.lookup(&lookup("deterioration_v1", None)).await });
    let in_flight = "hitherto_requests_in_flight{method=\"lookup\"} 1\n";
    while !server.get("/metrics").await.contains(in_flight) {}
    let body = r#"{"features": ["labs:*"], "keys": {"stay_id": [1]}}"#;
    for path in ["/v1/lookup", "/get-online-features"] {
        let (code, head, _) = server.post(path, body).await;
        assert_eq!(code, 429, "{head}");
        assert!(head.contains("retry-after: 1"), "{head}");
    }
    let mut grpc = LookupServiceClient::new(server.channel().await);
    let request = convert::lookup::encode_request(&lookup("deterioration_v1", None)).unwrap();
    let refusal = grpc.lookup(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert_eq!(refusal.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
    is_closed.store(false, Ordering::Relaxed);
    assert_eq!(first.await.unwrap().unwrap().rows, 4);
    drop(grpc);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feasts_clients_find_feasts_json() {
    let server = Served::start().await;
    let body = r#"{
        "features": ["labs:lactate", "labs:note"],
        "entities": { "stay_id": [1, 2, 3] },
        "full_feature_names": true,
        "of_a_later_release": 1
    }"#;
    let (status, _, answer) = server.post("/get-online-features", body).await;
    let [first, second, never] =
        ["1970-01-01T00:00:00.00002Z", "1970-01-01T00:00:00.00001Z", "1970-01-01T00:00:00Z"];
    let expected = json!({
        "metadata": { "feature_names": ["stay_id", "labs__lactate", "labs__note"] },
        "results": [
            {
                "values": [1, 2, 3],
                "statuses": ["PRESENT", "PRESENT", "PRESENT"],
                "event_timestamps": [never, never, never],
            },
            {
                "values": [4.5, null, null],
                "statuses": ["PRESENT", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [first, second, never],
            },
            {
                "values": ["élevé", "", null],
                "statuses": ["PRESENT", "PRESENT", "NOT_FOUND"],
                "event_timestamps": [first, second, never],
            },
        ],
        "status": true,
    });
    assert_eq!((status, answer), (200, expected));

    let body = r#"{"feature_service": "deterioration_v2", "entities": {"stay_id": [1]}}"#;
    let (status, _, answer) = server.post("/get-online-features", body).await;
    let detail: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    assert_eq!((status, &detail["class"]), (404, &json!("FeastError")));
    assert!(detail["message"].as_str().unwrap().contains("deterioration_v2"), "{detail}");
    for body in [r#"{"entities": {"stay_id": [1.5]}, "features": ["labs:*"]}"#, "{}", ""] {
        assert_eq!(server.post("/get-online-features", body).await.0, 400, "{body}");
    }
    assert!(server.get("/health").await.contains("ok"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_what_is_served() {
    let server = Served::start().await;
    let answer = server.get("/openapi.json").await;
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    let description: Value = serde_json::from_str(json).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let expected = ["/get-online-features", "/healthz", "/metrics", "/v1/lookup"];
    assert_eq!(paths.keys().collect::<Vec<_>>(), expected);
    // Whatever is referred to is there.
    for reference in json.split("\"$ref\":\"#").skip(1) {
        let pointer = &reference[..reference.find('"').unwrap()];
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_data_say_what_columns_say() {
    let server = Served::start().await;
    let request = lookup("deterioration_v1", Some(25));
    let local = server.engine.lookup(grant(), &request, NOW).unwrap();
    let mut asked = convert::lookup::encode_request(&request).unwrap();
    asked.as_arrow = true;
    let mut client = LookupServiceClient::new(server.channel().await);
    let answer = client.lookup(asked).await.unwrap().into_inner();
    assert_eq!((answer.rows, answer.at_micros, answer.columns.len()), (4, 25, 0));

    let body = r#"{"service": "deterioration_v1", "keys": {"stay_id": [1, null, 2, 3]},
                   "as_of": "1970-01-01T00:00:00.000025Z", "with_times": true}"#;
    let accepted = "application/vnd.apache.arrow.stream";
    let over_http = server.call_accepting(accepted, "POST", "/v1/lookup", body).await;
    assert!(over_http.ends_with(&answer.arrow), "the same bytes over HTTP");

    let mut read = StreamReader::try_new(answer.arrow.as_slice(), None).unwrap();
    let batch = read.next().unwrap().unwrap();
    assert!(read.next().is_none());
    let features = to_record_batch(&local).unwrap();
    let names: Vec<_> = (0..features.num_columns()).collect();
    assert_eq!(batch.project(&names).unwrap().columns(), features.columns());
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("{name}"));
    let statuses: Vec<u8> = (0..4)
        .map(|row| match local.columns[0].status(row) {
            Status::Null => 0,
            status => status as u8,
        })
        .collect();
    let view = local.columns[0].name.split_once(':').unwrap().0;
    let found = column(&format!("{view}@status")).as_primitive::<UInt8Type>().values();
    assert_eq!(found.as_ref(), statuses);
    let times = local.times[0].times.iter().map(|times| times.map(|times| times.event));
    let event = column(&format!("{view}@event_time"));
    let event = event.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(event.iter().collect::<Vec<_>>(), times.collect::<Vec<_>>());
    server.stop().await;
}
