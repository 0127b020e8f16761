//! Requests that are any bytes: an error or an answer, never a panic.
//!
//! Sound requests of every wire are mutated for as many seconds as
//! `HITHERTO_FUZZ_SECONDS` says, and go the way of those that callers send.

use std::time::Instant;

use hitherto_api::{Ack, PushRequest, QueryBounds, Scan, Spine, WhyRequest};
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::Engine;
use hitherto_proto::v1;
use prost::Message;

use self::mutator::{Mutator, fuzz_time};
use super::{NOW, grant, labs, lookup, repository, training};
use crate::json::{LookupAnswer, LookupBody};
use hitherto_proto::convert;

#[path = "../../../../tests/all/mutator.rs"]
mod mutator;

/// How a request is read.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Lookup,
    Json,
    Why,
    TrainingSet,
    Push,
}

fn sound() -> Vec<(Wire, Vec<u8>)> {
    let json = br#"{"features": ["labs:*"], "keys": {"stay_id": [1, 2, null]},
        "as_of": "1970-01-01T00:00:00.000025Z", "with_times": true}"#;
    let asked = convert::lookup::encode_request(&lookup("deterioration_v1", Some(25))).unwrap();
    let push = PushRequest {
        view: String::from("labs"),
        facts: labs(),
        idempotency_key: String::from("a"),
        ack: Ack::Async,
    };
    let keys = lookup("deterioration_v1", None).keys;
    let why = WhyRequest { at: Some(25), ..WhyRequest::new("labs", keys) };
    let scan = Spine::Scan(Scan::Between { after: 1, until: 25 });
    vec![
        (Wire::Lookup, asked.encode_to_vec()),
        (Wire::Json, json.to_vec()),
        (Wire::Why, convert::why::encode_request(&why).unwrap().encode_to_vec()),
        (
            Wire::TrainingSet,
            convert::training_set::encode_request(&training("deterioration_v1"), &scan).unwrap(),
        ),
        (Wire::Push, convert::push::encode_request(&push).unwrap().encode_to_vec()),
    ]
}

fn unreadable(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid("no request").with_source(cause)
}

/// What a service does with a request.
fn answer(engine: &Engine, wire: Wire, bytes: &[u8]) -> Result<()> {
    match wire {
        Wire::Lookup => {
            let request = v1::LookupRequest::decode(bytes).map_err(unreadable)?;
            let answer = engine.lookup(grant(), &convert::lookup::decode_request(request)?, NOW)?;
            drop(convert::lookup::encode_answer(answer));
        }
        Wire::Json => {
            let body: LookupBody = serde_json::from_slice(bytes).map_err(unreadable)?;
            let request =
                body.into_request(|selection| engine.request_fields(grant(), selection))?;
            let answer = engine.lookup(grant(), &request, NOW)?;
            let answer = LookupAnswer::new(&request.keys, &answer)?;
            serde_json::to_vec(&answer).map_err(unreadable)?;
        }
        Wire::Why => {
            let request = v1::WhyRequest::decode(bytes).map_err(unreadable)?;
            convert::why::decode_request(request)?;
        }
        Wire::TrainingSet => {
            let bounds = QueryBounds { rows_max: 1, seconds_max: 1 };
            drop(convert::training_set::decode_spine(bytes, bounds)?);
            drop(convert::training_set::decode_request(bytes)?);
        }
        Wire::Push => {
            let request = v1::PushRequest::decode(bytes).map_err(unreadable)?;
            engine.push(grant(), &convert::push::decode_request(request)?, NOW)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_anything_are_answered_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = repository(folder.path()).await;
    let sound = sound();
    for (wire, bytes) in &sound {
        answer(&engine, *wire, bytes).unwrap_or_else(|error| panic!("{wire:?}: {}", error.chain()));
    }
    let (mut mutator, end) = (Mutator(11), Instant::now() + fuzz_time());
    let (mut answered, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        let (wire, bytes) = &sound[mutator.roll(sound.len())];
        let other = &sound[mutator.roll(sound.len())].1;
        let mut bytes = bytes.clone();
        mutator.mutate(&mut bytes, other);
        match answer(&engine, *wire, &bytes) {
            Ok(()) => answered += 1,
            Err(error) => {
                // A conflict is one key for other facts.
                let theirs = [Kind::Invalid, Kind::NotFound, Kind::Conflict];
                let is_theirs = theirs.contains(&error.kind());
                assert!(is_theirs, "{wire:?} {bytes:?}: {}", error.chain());
                refused += 1;
            }
        }
    }
    assert!(answered > 100 && refused > 100, "{answered} answered, {refused} refused");
}
