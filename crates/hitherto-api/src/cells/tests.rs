use hitherto_core::column::Status;
use serde_json::json;

use super::*;

/// One column of two rows: `values`, and then an absent one.
fn column(name: &str, data_type: &str, values: Values) -> Column {
    let data_type = data_type.parse().expect("a type");
    let statuses = vec![Status::Present as u8, Status::Expired as u8];
    Column { name: name.to_owned(), data_type, statuses, values, is_filled: false }
}

#[test]
fn times_beyond_the_calendar_are_counts_with_their_unit() {
    let columns = vec![
        column("v:d", "date32", Values::I32(vec![i32::MAX, 0])),
        column("v:s", "timestamp(s)", Values::I64(vec![i64::MAX, 0])),
        column("v:us", "timestamp(us, UTC)", Values::I64(vec![i64::MIN, 0])),
        column("v:z", "timestamp(ms, Asia/Tokyo)", Values::I64(vec![i64::MAX, 0])),
        column("v:y", "date32", Values::I32(vec![2_932_897, 0])),
    ];
    let lookup = Lookup {
        at: 0,
        rows: 2,
        columns,
        times: Vec::new(),
        catalog_version: 1,
        entities: [].into(),
    };
    let cells = Cells::new(&lookup).expect("cells");

    let shown: Vec<Value> = (0..5).map(|column| cells.json(column, 0).expect("json")).collect();
    let expected = json!([
        "2147483647d",
        "9223372036854775807s",
        "-9223372036854775808us",
        "9223372036854775807ms",
        "+10000-01-01",
    ]);
    assert_eq!(Value::Array(shown), expected);
}

/// One list, and then an absent one.
fn list(bytes: &[u8]) -> Values {
    let end = bytes.len() as u32;
    Values::Varlen { ends: vec![end, end], data: bytes.to_vec() }
}

#[test]
fn values_keep_their_type_in_text_and_json() {
    let columns = vec![
        column("v:b", "bool", Values::Bool(vec![true, false])),
        column("v:i", "int64", Values::I64(vec![i64::MAX, 0])),
        column("v:f", "float64", Values::F64(vec![1.1, 0.0])),
        column("v:nan", "float64", Values::F64(vec![f64::NAN, 0.0])),
        column("v:s", "string", Values::Varlen { ends: vec![2, 2], data: b"42".to_vec() }),
        column("v:d", "date32", Values::I32(vec![1, 0])),
        column("v:t", "timestamp(us)", Values::I64(vec![1_000_000, 0])),
        column("v:m", "decimal128(5, 2)", Values::I128(vec![12_345, 0])),
        column("v:l", "list(float32)", list(&[2, 0, 0, 0, 0, 0, 192, 63, 0, 0, 0, 0, 0b10])),
        column("v:e", "list(int8, 2)", list(&[2, 0, 0, 0, 255, 7])),
    ];
    let lookup = Lookup {
        at: 0,
        rows: 2,
        columns,
        times: Vec::new(),
        catalog_version: 1,
        entities: [].into(),
    };
    let cells = Cells::new(&lookup).expect("cells");

    let shown: Vec<Value> = (0..10).map(|column| cells.json(column, 0).expect("json")).collect();
    let expected = json!([
        true,
        i64::MAX,
        1.1,
        "NaN",
        "42",
        "1970-01-02",
        "1970-01-01T00:00:01",
        "123.45",
        [1.5, null],
        [-1, 7],
    ]);
    assert_eq!(Value::Array(shown), expected);
    for column in 0..10 {
        assert_eq!(cells.json(column, 1).expect("json"), Value::Null);
        assert_eq!(cells.text(column, 1).expect("text"), "");
    }
}
