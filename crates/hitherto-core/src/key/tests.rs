//! Keys order like their values, never collide, and read back.

use super::batch::KeyBatch;
use super::*;

fn encoded(parts: &[(DataType, Part<'_>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (data_type, part) in parts {
        encode_part(&mut bytes, data_type, *part).unwrap();
    }
    bytes
}

fn text(value: &str) -> (DataType, Part<'_>) {
    (DataType::String, Part::Bytes(value.as_bytes()))
}

#[test]
fn composite_keys_that_concatenate_alike_stay_apart() {
    assert_ne!(encoded(&[text("a"), text("bc")]), encoded(&[text("ab"), text("c")]));
    assert_ne!(encoded(&[text("1"), text("23")]), encoded(&[text("12"), text("3")]));
    assert_ne!(encoded(&[text(""), text("a")]), encoded(&[text("a"), text("")]));
}

#[test]
fn text_with_zero_bytes_keeps_its_order() {
    let sorted = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "b"];
    let encoded: Vec<_> = sorted.iter().map(|value| encoded(&[text(value)])).collect();
    assert!(encoded.is_sorted(), "{encoded:?}");
}

#[test]
fn no_key_is_a_prefix_of_another() {
    let keys = ["", "\0", "a", "a\0", "ab"].map(|value| encoded(&[text(value)]));
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate() {
            assert!(i == j || !b.starts_with(a), "{a:?} begins {b:?}");
        }
    }
}

#[test]
fn integers_order_like_numbers_in_every_width() {
    for (data_type, values) in [
        (DataType::Int8, [-128_i64, -1, 0, 127]),
        (DataType::Int16, [-32_768, -1, 0, 32_767]),
        (DataType::Int32, [i32::MIN.into(), -1, 0, i32::MAX.into()]),
        (DataType::Date32, [i32::MIN.into(), -1, 0, i32::MAX.into()]),
        (DataType::Int64, [i64::MIN, -1, 0, i64::MAX]),
    ] {
        let keys: Vec<_> =
            values.iter().map(|value| encoded(&[(data_type.clone(), Part::Int(*value))])).collect();
        assert!(keys.is_sorted(), "{data_type}: {keys:?}");
        assert!(keys.iter().all(|key| key.len() == data_type.slot_bytes()), "{data_type}");
    }
    let keys = [0, 1, u64::MAX].map(|value| encoded(&[(DataType::UInt64, Part::UInt(value))]));
    assert!(keys.is_sorted());
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    let refused = |data_type, part| encode_part(&mut Vec::new(), &data_type, part).is_err();
    assert!(refused(DataType::Int8, Part::Int(128)));
    assert!(refused(DataType::UInt32, Part::Int(-1)));
    assert!(refused(DataType::UInt16, Part::UInt(65_536)));
    assert!(refused(DataType::Int64, Part::UInt(u64::MAX)));
    assert!(refused(DataType::Int64, Part::Bytes(b"1")));
    assert!(refused(DataType::String, Part::Int(1)));
    assert!(!refused(DataType::UInt8, Part::Int(255)));
}

#[test]
fn a_key_beyond_the_limit_is_refused() {
    let long = vec![b'x'; ENTITY_KEY_BYTES_MAX];
    let error = encode_part(&mut Vec::new(), &DataType::String, Part::Bytes(&long)).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Invalid);
}

#[test]
fn every_key_type_reads_back() {
    let field = |data_type: DataType| Field {
        name: String::from("k"),
        data_type,
        description: String::new(),
    };
    for (data_type, part, shown) in [
        (DataType::Bool, Part::Bool(true), "true"),
        (DataType::Int8, Part::Int(-128), "-128"),
        (DataType::Int16, Part::Int(-2), "-2"),
        (DataType::Int32, Part::Int(7), "7"),
        (DataType::Date32, Part::Int(-1), "-1"),
        (DataType::Int64, Part::Int(i64::MIN), "-9223372036854775808"),
        (DataType::UInt8, Part::UInt(255), "255"),
        (DataType::UInt64, Part::UInt(u64::MAX), "18446744073709551615"),
        (DataType::String, Part::Bytes("a\0b".as_bytes()), "a\0b"),
        (DataType::Binary, Part::Bytes(&[0, 255]), "\\x00\\xff"),
    ] {
        let bytes = encoded(&[(data_type.clone(), part)]);
        assert_eq!(decode_to_text(&bytes, &[field(data_type)]).unwrap(), [shown]);
    }
    assert!(decode_to_text(b"abc", &[field(DataType::String)]).is_err());
    assert!(decode_to_text(&[0, 0, 1], &[field(DataType::String)]).is_err());
}

#[test]
fn inverted_times_put_the_newest_first() {
    let times = [i64::MAX, 1, 0, -1, i64::MIN];
    assert!(times.map(descending).is_sorted());
    assert!(times.iter().all(|time| from_descending(descending(*time)) == *time));
    assert!([i64::MIN, -1, 0, 1, i64::MAX].map(ascending).is_sorted());
}

#[test]
fn the_bound_on_one_key_is_no_bound_on_a_batch_of_them() {
    let longest = vec![b'x'; ENTITY_KEY_BYTES_MAX - 2];
    let encode = |row: usize, out: &mut Vec<u8>| {
        encode_part(out, &DataType::String, Part::Bytes(&longest))?;
        Ok(row != 1)
    };
    let keys = KeyBatch::encode_each(3, encode).unwrap();
    let mut key = Vec::new();
    let lengths = [0, 1, 2].map(|row| keys.read_into(row, &mut key).then_some(key.len()));
    assert_eq!(lengths, [Some(ENTITY_KEY_BYTES_MAX), None, Some(ENTITY_KEY_BYTES_MAX)]);
}
