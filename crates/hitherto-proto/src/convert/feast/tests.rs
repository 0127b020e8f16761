use super::*;

/// One column of two rows: `values`, and then an absent one.
fn column(data_type: &str, values: Values) -> Column {
    let statuses = vec![Status::Present as u8, Status::Expired as u8];
    let data_type = data_type.parse().unwrap();
    Column { name: "v:f".into(), data_type, statuses, values, is_filled: false }
}

#[track_caller]
fn check(data_type: &str, held: Values, expected: Val) {
    let written = values(&column(data_type, held)).unwrap();
    assert_eq!(written, [Value { val: Some(expected) }, Value { val: None }], "{data_type}");
}

fn bytes(bytes: &[u8]) -> Values {
    let end = bytes.len() as u32;
    Values::Varlen { ends: vec![end, end], data: bytes.to_vec() }
}

#[test]
fn every_type_has_its_kind() {
    check("bool", Values::Bool(vec![true, false]), Val::BoolVal(true));
    check("int8", Values::I32(vec![-1, 0]), Val::Int32Val(-1));
    check("int64", Values::I64(vec![i64::MIN, 0]), Val::Int64Val(i64::MIN));
    check("uint16", Values::U32(vec![65_535, 0]), Val::Int32Val(65_535));
    check("uint32", Values::U32(vec![u32::MAX, 0]), Val::Int64Val(u32::MAX.into()));
    check("uint64", Values::U64(vec![7, 0]), Val::Int64Val(7));
    check("float32", Values::F32(vec![0.1, 0.0]), Val::FloatVal(0.1));
    check("float64", Values::F64(vec![0.1, 0.0]), Val::DoubleVal(0.1));
    check("string", bytes("é".as_bytes()), Val::StringVal("é".into()));
    check("binary", bytes(&[0, 255]), Val::BytesVal(vec![0, 255]));
    check("date32", Values::I32(vec![-1, 0]), Val::UnixTimestampVal(-86_400));
    check("timestamp(us)", Values::I64(vec![-1, 0]), Val::UnixTimestampVal(-1));
    check("timestamp(ms, UTC)", Values::I64(vec![1_999, 0]), Val::UnixTimestampVal(1));
    let list = Val::Int32ListVal(Int32List { val: vec![-1, 7] });
    check("list(int8)", bytes(&[2, 0, 0, 0, 255, 7]), list);
    let items = [Some(Val::Int32Val(255)), None].map(|val| Value { val }).to_vec();
    let list = Val::ListVal(RepeatedValue { val: items });
    check("list(uint8)", bytes(&[2, 0, 0, 0, 255, 0, 0b10]), list);
}

#[test]
fn decimals_keep_their_digits() {
    for (unscaled, scale, text) in [
        (12_345, 2, "123.45"),
        (-5, 2, "-0.05"),
        (7, 0, "7"),
        (7, -2, "700"),
        (i128::MIN, 0, "-170141183460469231731687303715884105728"),
    ] {
        assert_eq!(decimal_text(unscaled, scale), text);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = values(&column("uint64", Values::U64(vec![u64::MAX, 0]))).unwrap_err();
    assert!(error.to_string().contains("beyond int64"), "{error}");
    let odd = RepeatedValue { val: vec![Value { val: Some(Val::DoubleVal(1.0)) }] };
    let error = parts("stay_id", &odd).unwrap_err();
    assert!(error.to_string().contains("stay_id"), "{error}");
}

#[test]
fn a_time_before_1970_has_positive_nanoseconds() {
    assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
}
