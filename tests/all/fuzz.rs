//! Stored bytes that are anything: an error or values, never a panic or an endless answer.
//!
//! Sound rows are mutated for as many seconds as `HITHERTO_FUZZ_SECONDS` says, and read
//! as a lookup reads them.

use std::time::Instant;

use hitherto_core::Kind;
use hitherto_core::column::Column;
use hitherto_core::list::Items;
use hitherto_core::row::{self, Gather, RowSchema};
use hitherto_core::rule::{self, Times};
use hitherto_core::types::DataType;

use crate::mutator::{Mutator, fuzz_time};

/// A schema of every shape of feature, and sound rows of it.
fn sound() -> (RowSchema, Vec<DataType>, Vec<Vec<u8>>) {
    let types = [
        DataType::Bool,
        DataType::Int64,
        DataType::String,
        DataType::Decimal128 { precision: 20, scale: 3 },
        DataType::list(DataType::Float32, None).unwrap(),
        DataType::list(DataType::Int16, Some(3)).unwrap(),
        DataType::Binary,
        DataType::UInt8,
    ];
    let schema = RowSchema::new(&types, 1);
    let rows = (0..4_i64).map(|number| {
        let mut bytes = Vec::new();
        let times = Times { event: number, known: number + 1 };
        let mut row = schema.write(&mut bytes, times, 0);
        row.set_fixed(0, &[1]);
        row.set_fixed(1, &number.to_le_bytes());
        row.set_varlen(2, "élevé".repeat(number as usize).as_bytes()).unwrap();
        row.set_fixed(3, &i128::from(number).to_le_bytes());
        let floats: Vec<u8> = (0..number).flat_map(|item| (item as f32).to_le_bytes()).collect();
        row.set_list(4, Items { bytes: &floats, width: 4, nulls: None }).unwrap();
        let nulls = [false, true, false];
        let items = Items { bytes: &[1, 0, 0, 0, 3, 0], width: 2, nulls: Some(&nulls) };
        row.set_list(5, items).unwrap();
        row.set_varlen(6, &[0, 255]).unwrap();
        bytes
    });
    let rows = rows.collect();
    (schema, types.to_vec(), rows)
}

#[test]
fn stored_rows_that_are_anything_are_values_or_an_error() {
    let (schema, types, rows) = sound();
    let (mut mutator, end) = (Mutator(7), Instant::now() + fuzz_time());
    let (mut read, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        for _ in 0..256 {
            let mut bytes = rows[mutator.roll(rows.len())].clone();
            let other = rows[mutator.roll(rows.len())].clone();
            mutator.mutate(&mut bytes, &other);
            let _ = row::times(&bytes).map(|times| (times, row::is_deletion(&bytes)));
            let _ = rule::greater(&bytes, &other).map(<[u8]>::len);
            row::count_nulls(&bytes, &[0xFF; 4]);
            let mut gather = Gather::with_capacity(&schema, 2);
            let gathered =
                gather.push(Ok(&other)).and_then(|()| gather.push(Ok(&bytes))).and_then(|()| {
                    types.iter().enumerate().try_for_each(|(feature, data_type)| {
                        let mut column = Column::with_capacity(String::new(), data_type.clone(), 2);
                        column.extend(&gather, feature)?;
                        assert_eq!(column.len(), 2);
                        assert!(column.varlen_bytes() <= 2 * (bytes.len() + other.len()) + 64);
                        column.is_same(0, &column, 1);
                        Ok(())
                    })
                });
            match gathered {
                Ok(()) => read += 1,
                Err(error) => {
                    assert!(matches!(error.kind(), Kind::Corrupt | Kind::Invalid), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}
