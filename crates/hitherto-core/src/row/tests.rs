//! Rows read back what was written, and refuse what they cannot be.

use super::*;
use crate::Kind;
use crate::column::{Column, Status, Values};

const TIMES: Times = Times { event: 1, known: -2 };

fn schema(types: &[DataType]) -> RowSchema {
    RowSchema::new(types, 3)
}

#[test]
fn a_row_has_the_bytes_that_the_module_draws() {
    let schema = schema(&[DataType::Int16, DataType::String, DataType::Bool]);
    let mut row = Vec::new();
    let mut writer = schema.write(&mut row, TIMES, FLAG_DELETION);
    writer.set_fixed(0, &(-2_i16).to_le_bytes());
    writer.set_varlen(1, b"hi").unwrap();
    let mut expected = vec![1, 1, 3, 0];
    expected.extend_from_slice(&1_i64.to_le_bytes());
    expected.extend_from_slice(&(-2_i64).to_le_bytes());
    expected.push(0b100);
    expected.extend_from_slice(&[0xFE, 0xFF]);
    expected.extend_from_slice(&32_u32.to_le_bytes());
    expected.extend_from_slice(&2_u32.to_le_bytes());
    expected.extend_from_slice(&[0, b'h', b'i']);
    assert_eq!(row, expected);
    assert_eq!(times(&row).unwrap(), TIMES);
    assert!(is_deletion(&row));
}

#[test]
fn every_width_comes_back_in_a_column() {
    let cases: Vec<(DataType, Vec<u8>, Values)> = vec![
        (DataType::Bool, vec![1], Values::Bool(vec![true, false])),
        (DataType::Int8, vec![0xFF], Values::I32(vec![-1, 0])),
        (DataType::Int16, (-300_i16).to_le_bytes().to_vec(), Values::I32(vec![-300, 0])),
        (DataType::Int32, i32::MIN.to_le_bytes().to_vec(), Values::I32(vec![i32::MIN, 0])),
        (DataType::Int64, i64::MIN.to_le_bytes().to_vec(), Values::I64(vec![i64::MIN, 0])),
        (DataType::UInt8, vec![255], Values::U32(vec![255, 0])),
        (DataType::UInt16, u16::MAX.to_le_bytes().to_vec(), Values::U32(vec![65_535, 0])),
        (DataType::UInt32, u32::MAX.to_le_bytes().to_vec(), Values::U32(vec![u32::MAX, 0])),
        (DataType::UInt64, u64::MAX.to_le_bytes().to_vec(), Values::U64(vec![u64::MAX, 0])),
        (DataType::Float32, 1.5_f32.to_le_bytes().to_vec(), Values::F32(vec![1.5, 0.0])),
        (DataType::Float64, (-0.0_f64).to_le_bytes().to_vec(), Values::F64(vec![-0.0, 0.0])),
        (
            DataType::Decimal128 { precision: 38, scale: 2 },
            i128::MIN.to_le_bytes().to_vec(),
            Values::I128(vec![i128::MIN, 0]),
        ),
    ];
    for (data_type, slot, expected) in cases {
        let schema = schema(std::slice::from_ref(&data_type));
        let (mut full, mut null) = (Vec::new(), Vec::new());
        schema.write(&mut full, TIMES, 0).set_fixed(0, &slot);
        schema.write(&mut null, TIMES, 0);
        let mut column = Column::with_capacity(String::from("f0"), data_type.clone(), 2);
        column.push_row(&schema.read(&full).unwrap(), 0).unwrap();
        column.push_row(&schema.read(&null).unwrap(), 0).unwrap();
        assert_eq!(column.values, expected, "{data_type}");
        assert_eq!([column.status(0), column.status(1)], [Status::Present, Status::Null]);
    }
}

#[test]
fn text_comes_back_in_a_column_with_absent_rows_between() {
    let schema = schema(&[DataType::String, DataType::Binary]);
    let mut row = Vec::new();
    let mut writer = schema.write(&mut row, TIMES, 0);
    writer.set_varlen(0, "grüß".as_bytes()).unwrap();
    writer.set_varlen(1, &[]).unwrap();
    let row = schema.read(&row).unwrap();
    let mut text = Column::with_capacity(String::from("f0"), DataType::String, 3);
    text.push_row(&row, 0).unwrap();
    text.push_absent(Status::Expired);
    text.push_row(&row, 0).unwrap();
    assert_eq!(
        [text.varlen(0), text.varlen(1), text.varlen(2)],
        ["grüß".as_bytes(), b"", "grüß".as_bytes()]
    );
    let mut bytes = Column::with_capacity(String::from("f1"), DataType::Binary, 1);
    bytes.push_row(&row, 1).unwrap();
    assert_eq!((bytes.status(0), bytes.varlen(0)), (Status::Present, b"".as_slice()));
}

#[test]
fn a_null_leaves_no_trace_of_what_was_there() {
    let schema = schema(&[DataType::Int64]);
    let mut row = vec![0xAA; 200];
    schema.write(&mut row, TIMES, 0);
    let mut fresh = Vec::new();
    schema.write(&mut fresh, TIMES, 0);
    assert_eq!(row, fresh);
}

#[test]
fn bytes_that_are_not_a_row_are_refused_by_kind() {
    let schema = schema(&[DataType::String]);
    let mut row = Vec::new();
    schema.write(&mut row, TIMES, 0).set_varlen(0, b"abc").unwrap();
    let kind = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = row.clone();
        change(&mut bytes);
        schema.read(&bytes).err().map(|error| error.kind())
    };
    assert_eq!(kind(&|_| {}), None);
    assert_eq!(kind(&|row| row.truncate(10)), Some(Kind::Corrupt));
    assert_eq!(kind(&|row| row[0] = 2), Some(Kind::Invalid), "a newer format");
    assert_eq!(kind(&|row| row[1] = 2), Some(Kind::Invalid), "an encrypted row");
    assert_eq!(kind(&|row| row[2] = 9), Some(Kind::Corrupt), "another schema");
    row.truncate(schema.fixed_bytes());
    let pointing_outside = schema.read(&row).unwrap().varlen(0);
    assert_eq!(pointing_outside.unwrap_err().kind(), Kind::Corrupt);
}
