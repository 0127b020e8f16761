use hitherto_core::Kind;
use prost::Message;

use super::*;

const PRESENT: u8 = Status::Present as u8;

fn column(data_type: &str, statuses: &[u8], values: Values) -> Column {
    Column {
        name: String::from("labs:value"),
        data_type: data_type.parse().unwrap(),
        statuses: statuses.to_vec(),
        values,
        is_filled: false,
    }
}

/// Sends a column through encoded bytes and back.
fn sent(column: &Column) -> Result<Column> {
    let bytes = v1::FeatureColumn::from(column.clone()).encode_to_vec();
    Column::try_from(v1::FeatureColumn::decode(bytes.as_slice()).unwrap())
}

#[track_caller]
fn check_survives(data_type: &str, values: Values) {
    let statuses = [PRESENT, Status::Expired as u8];
    let column = column(data_type, &statuses, values);
    assert_eq!(sent(&column).unwrap(), column);
}

#[track_caller]
fn check_refused(column: v1::FeatureColumn, reason: &str) {
    let error = Column::try_from(column).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.chain().contains(reason), "{}", error.chain());
    assert!(error.chain().contains("labs:value"), "{}", error.chain());
}

fn wire(data_type: &str, rows: usize, values: Wire) -> v1::FeatureColumn {
    v1::FeatureColumn {
        name: String::from("labs:value"),
        r#type: String::from(data_type),
        statuses: vec![PRESENT; rows],
        values: Some(values),
        is_filled: false,
    }
}

#[test]
fn every_machine_type_survives_the_wire() {
    check_survives("bool", Values::Bool(vec![true, false]));
    let list = vec![1, 0, 0, 0, 0, 0, 128, 63];
    check_survives("list(float32)", Values::Varlen { ends: vec![8, 8], data: list.clone() });
    check_survives("list(float32, 1)", Values::Varlen { ends: vec![8, 8], data: list });
    check_survives("int8", Values::I32(vec![i8::MIN.into(), i8::MAX.into()]));
    check_survives("int16", Values::I32(vec![i16::MIN.into(), i16::MAX.into()]));
    check_survives("int32", Values::I32(vec![i32::MIN, i32::MAX]));
    check_survives("date32", Values::I32(vec![-719_162, 0]));
    check_survives("int64", Values::I64(vec![i64::MIN, i64::MAX]));
    check_survives("timestamp(ns, Europe/Paris)", Values::I64(vec![-1, 0]));
    check_survives("uint8", Values::U32(vec![0, u8::MAX.into()]));
    check_survives("uint16", Values::U32(vec![0, u16::MAX.into()]));
    check_survives("uint32", Values::U32(vec![0, u32::MAX]));
    check_survives("uint64", Values::U64(vec![0, u64::MAX]));
    check_survives("float32", Values::F32(vec![f32::MIN_POSITIVE, f32::NEG_INFINITY]));
    check_survives("float64", Values::F64(vec![-0.0, f64::MAX]));
    check_survives("decimal128(38, 2)", Values::I128(vec![i128::MIN, i128::MAX]));
    check_survives("string", Values::Varlen { ends: vec![4, 4], data: "née".into() });
    check_survives("binary", Values::Varlen { ends: vec![0, 3], data: vec![0, 0xFF, 0] });
}

#[test]
fn a_nan_keeps_its_bits() {
    let bits = 0x7FF8_0000_DEAD_BEEF;
    let column = column("float64", &[PRESENT], Values::F64(vec![f64::from_bits(bits)]));
    let Values::F64(values) = sent(&column).unwrap().values else { panic!() };
    assert_eq!(values[0].to_bits(), bits);
}

#[test]
fn no_rows_survive_as_no_rows() {
    let empty = column("string", &[], Values::Varlen { ends: vec![], data: vec![] });
    assert_eq!(sent(&empty).unwrap(), empty);
}

#[test]
fn statuses_have_the_numbers_of_the_contract() {
    for status in Status::ALL {
        let on_wire = v1::Status::try_from(i32::from(status as u8)).unwrap();
        assert_eq!(on_wire.as_str_name(), format!("STATUS_{}", status.name()));
    }
    assert!(v1::Status::try_from(Status::ALL.len() as i32).is_err());
}

#[test]
fn a_malformed_column_is_an_error() {
    let ints = |values: &[i32]| Wire::I32s(v1::PackedI32 { values: values.to_vec() });
    let text = |ends: &[u32], data: &[u8]| {
        Wire::Varlen(v1::PackedBytes { ends: ends.to_vec(), data: data.to_vec() })
    };
    let without = |column: v1::FeatureColumn| v1::FeatureColumn { values: None, ..column };
    let unknown = |column: v1::FeatureColumn| v1::FeatureColumn { statuses: vec![4], ..column };

    check_refused(wire("vector(3)", 1, ints(&[1])), "vector(3)");
    check_refused(without(wire("int32", 1, ints(&[1]))), "no values");
    check_refused(unknown(wire("int32", 1, ints(&[1]))), "4 is not the number of a status");
    check_refused(wire("int64", 1, ints(&[1])), "do not belong to type int64");
    check_refused(wire("int32", 2, ints(&[1])), "1 values for 2 rows");
    check_refused(wire("int8", 1, ints(&[128])), "does not fit type int8");
    check_refused(
        wire("uint16", 1, Wire::U32s(v1::PackedU32 { values: vec![1 << 16] })),
        "does not fit type uint16",
    );
    check_refused(wire("decimal128(9, 2)", 1, Wire::I128s(vec![0; 15])), "whole groups");
    check_refused(wire("binary", 2, text(&[2, 1], b"ab")), "ascend");
    check_refused(wire("binary", 1, text(&[3], b"ab")), "ascend");
    check_refused(wire("binary", 1, text(&[1], b"ab")), "ascend");
    check_refused(wire("binary", 0, text(&[], b"ab")), "ascend");
    check_refused(wire("string", 1, text(&[1], &[0xFF])), "UTF-8");
    check_refused(wire("string", 2, text(&[1, 2], "é".as_bytes())), "UTF-8");
}
