use hitherto_core::Kind;
use prost::Message;

use super::*;

#[track_caller]
fn check_survives(parts: &[Option<OwnedPart>]) {
    let bytes = encode("stay", parts).unwrap().encode_to_vec();
    let (name, read) = decode(v1::KeyColumn::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!((name.as_str(), read.as_slice()), ("stay", parts));
}

fn refusal(column: v1::KeyColumn) -> String {
    let error = decode(column).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    error.to_string()
}

#[test]
fn every_key_type_survives_the_wire_with_its_nulls() {
    check_survives(&[Some(OwnedPart::Bool(true)), None, Some(OwnedPart::Bool(false))]);
    check_survives(&[None, Some(OwnedPart::Int(i64::MIN)), Some(OwnedPart::Int(0))]);
    check_survives(&[Some(OwnedPart::UInt(u64::MAX)), None]);
    check_survives(&[Some(OwnedPart::Bytes(vec![0, 0xFF])), Some(OwnedPart::Bytes(vec![]))]);
    check_survives(&[None, None]);
    check_survives(&[]);
}

#[test]
fn text_is_read_as_its_bytes() {
    let values = Values::Text(v1::TextValues { values: vec![String::from("né")] });
    let column = v1::KeyColumn { name: "stay".into(), values: Some(values), null_rows: vec![] };
    let (_, parts) = decode(column).unwrap();
    assert_eq!(parts, [Some(OwnedPart::Bytes("né".into()))]);
}

#[test]
fn values_of_different_types_are_refused() {
    let error = encode("stay", &[Some(OwnedPart::Int(1)), Some(OwnedPart::UInt(1))]).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("\"stay\" has values of different types"), "{error}");
}

#[test]
fn a_column_without_values_is_refused() {
    let column = v1::KeyColumn { name: "stay".into(), values: None, null_rows: vec![] };
    assert!(refusal(column).contains("\"stay\" carries no values"));
}

#[test]
fn a_null_row_beyond_the_end_is_refused() {
    let values = Some(Values::Ints(v1::IntValues { values: vec![1] }));
    let column = v1::KeyColumn { name: "stay".into(), values, null_rows: vec![1] };
    let message = "join key \"stay\" has 1 values, and null row 1; number rows from 0";
    assert_eq!(refusal(column), message);
}
