//! A caller's deadline, from one end to the other.

use hitherto_api::{Ack, PushRequest};
use hitherto_core::limits::LOOKUP_ENTITIES_MAX;

use super::*;

/// The stay with a long history.
const STAY: i64 = 9;
const FACTS: i64 = 4_000;

/// Facts of one stay, none of which is known before the last moment.
fn facts_known_late() -> PushRequest {
    let each = |value: fn(i64) -> i64| (0..FACTS).map(value).collect::<Vec<_>>();
    let times = |micros: Vec<i64>| {
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")) as ArrayRef
    };
    let facts = RecordBatch::try_from_iter([
        ("stay_id", Arc::new(Int64Array::from(each(|_| STAY))) as ArrayRef),
        ("drawn", times(each(|event| event))),
        ("resulted", times(each(|_| NOW))),
        ("lactate", Arc::new(Float64Array::from_iter_values((0..FACTS).map(|at| at as f64)))),
        ("note", Arc::new(StringArray::from_iter_values((0..FACTS).map(|_| "")))),
    ]);
    PushRequest {
        view: String::from("labs"),
        facts: facts.unwrap(),
        idempotency_key: String::new(),
        ack: Ack::Async,
    }
}

/// A lookup that takes long: for each entity all of that history is searched.
fn long_lookup() -> Request<hitherto_proto::v1::LookupRequest> {
    let mut request = lookup("deterioration_v1", Some(NOW - 1));
    request.keys[0].parts = vec![Some(OwnedPart::Int(STAY)); LOOKUP_ENTITIES_MAX];
    Request::new(convert::lookup::encode_request(&request).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_past_a_deadline_is_dropped_and_its_place_is_free() {
    let config = ServerConfig { lookups_in_flight_max: 1, ..ServerConfig::default() };
    let server = Served::start_with(config, Arc::new(|| NOW)).await;
    server.engine.push(grant(), &facts_known_late(), NOW).unwrap();
    let mut client = LookupServiceClient::new(server.channel().await);
    let counted = async |outcome: &str| {
        let line = format!("hitherto_requests_total{{method=\"lookup\",outcome=\"{outcome}\"}} ");
        let metrics = server.get("/metrics").await;
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line));
        count.unwrap_or("0").parse::<u64>().unwrap()
    };
    let begun = Instant::now();
    client.lookup(long_lookup()).await.unwrap();
    let whole = begun.elapsed();
    assert!(whole > Duration::from_millis(100), "too short to tell: {whole:?}");

    let mut request = long_lookup();
    request.set_timeout(whole / 20);
    let begun = Instant::now();
    let refused = client.lookup(request).await.unwrap_err();
    assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused:?}");
    // The only place is free again long before the work would have been done.
    let small = || {
        Request::new(convert::lookup::encode_request(&lookup("deterioration_v1", None)).unwrap())
    };
    while let Err(full) = client.lookup(small()).await {
        assert_eq!(full.code(), Code::ResourceExhausted);
        tokio::time::sleep(whole / 50).await;
    }
    assert!(begun.elapsed() < whole / 2, "{:?} of {whole:?}", begun.elapsed());
    assert_eq!((counted("ok").await, counted("cancelled").await), (2, 1));
    server.stop().await;
}
