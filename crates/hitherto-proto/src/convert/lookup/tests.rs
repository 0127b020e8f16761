use hitherto_core::Kind;
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::types::DataType;
use prost::Message;

use super::*;

fn column(name: &str, statuses: [Status; 2]) -> Column {
    Column {
        name: name.into(),
        data_type: DataType::Int64,
        statuses: statuses.map(|status| status as u8).to_vec(),
        values: Values::I64(vec![1, 0]),
        is_filled: false,
    }
}

/// Two entities; the first has a fact of view `labs`, the second has not.
fn answer() -> Lookup {
    let answered = Times { event: 0, known: 0 };
    Lookup {
        at: -5,
        rows: 2,
        columns: vec![
            column("labs_extra:value", [Status::Expired, Status::Present]),
            column("labs:value", [Status::Null, Status::Expired]),
        ],
        times: vec![ViewTimes { view: "labs".into(), times: vec![Some(answered), None] }],
        catalog_version: 9,
        entities: [].into(),
    }
}

fn sent(answer: Lookup) -> v1::LookupResponse {
    let mut bytes = Vec::new();
    encode_answer(answer).encode(&mut bytes);
    v1::LookupResponse::decode(bytes.as_slice()).unwrap()
}

#[track_caller]
fn check_refused(break_it: impl FnOnce(&mut v1::LookupResponse), reason: &str) {
    let mut wire = sent(answer());
    break_it(&mut wire);
    let error = decode_answer(wire).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.chain().contains(reason), "{}", error.chain());
}

#[test]
fn a_request_survives_the_wire() {
    let keys =
        vec![KeyColumn { name: "stay_id".into(), parts: vec![Some(OwnedPart::Int(7)), None] }];
    let service = Selection::Service("deterioration_v1".into());
    let features = Selection::features(["labs:*", "vitals:heart_rate"]).unwrap();
    for (selection, as_of) in [(service, None), (features, Some(0))] {
        let request = LookupRequest {
            selection,
            keys: keys.clone(),
            request: vec![column("amount", [Status::Present, Status::Null])],
            as_of,
            with_times: true,
        };
        let bytes = encode_request(&request).unwrap().encode_to_vec();
        let wire = v1::LookupRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(format!("{:?}", decode_request(wire).unwrap()), format!("{request:?}"));
    }
}

#[test]
fn an_answer_survives_the_wire() {
    let read = decode_answer(sent(answer())).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", answer()));
}

#[test]
fn a_fact_of_1970_is_told_from_none() {
    let read = decode_answer(sent(answer())).unwrap();
    assert_eq!(read.times[0].times, [Some(Times { event: 0, known: 0 }), None]);
}

#[test]
fn a_request_for_nothing_is_refused() {
    let error = decode_request(v1::LookupRequest::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("set service or features"), "{error}");
}

#[test]
fn a_field_without_statuses_has_a_value_everywhere_and_another_status_is_refused() {
    let brought = v1::FeatureColumn::from(column("amount", [Status::Present, Status::Present]));
    let sent = |statuses: Vec<u8>| {
        let features = v1::FeatureList { features: vec!["risk:*".into()] };
        decode_request(v1::LookupRequest {
            selection: Some(Wire::Features(features)),
            request: vec![v1::FeatureColumn { statuses, ..brought.clone() }],
            ..v1::LookupRequest::default()
        })
    };
    assert_eq!(sent(Vec::new()).unwrap().request[0].statuses, [0, 0]);
    for odd in [vec![0, 2], vec![0]] {
        let error = sent(odd).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("field \"amount\" of the request is malformed"));
    }
}

#[test]
fn a_malformed_answer_is_an_error() {
    check_refused(|wire| wire.rows = 3, "\"labs_extra:value\" has 2 rows");
    check_refused(|wire| wire.columns[0].values = None, "no values");
    check_refused(|wire| wire.times[0].event_micros.clear(), "no times for some");
    check_refused(|wire| wire.times[0].view = "vitals".into(), "times and no column");
}
