use hitherto_core::rule::Times;
use hitherto_core::types::DataType;

use super::*;

const TYPES: [DataType; 4] =
    [DataType::Float64, DataType::Int8, DataType::UInt16, DataType::String];

fn schema() -> RowSchema {
    RowSchema::new(&TYPES, 1)
}

fn figures(rows: &[(Option<f64>, i8, u16)]) -> Figures {
    let (schema, mut figures) = (schema(), Figures::default());
    for (float, small, unsigned) in rows {
        let mut bytes = Vec::new();
        let mut row = schema.write(&mut bytes, Times { event: 0, known: 0 }, 0);
        if let Some(float) = float {
            row.set_fixed(0, &float.to_le_bytes());
        }
        row.set_fixed(1, &small.to_le_bytes());
        row.set_fixed(2, &unsigned.to_le_bytes());
        row.set_varlen(3, b"text").unwrap();
        figures.add(&schema, &bytes).unwrap();
    }
    figures
}

#[test]
fn numbers_of_every_width_have_a_range_and_nulls_are_counted() {
    let figures = figures(&[(Some(1.5), -3, 60_000), (None, 7, 2), (Some(f64::NAN), 0, 9)]);
    assert_eq!(figures.rows, 3);
    let expected = [(1, Some((1.5, 1.5))), (0, Some((-3.0, 7.0))), (0, Some((2.0, 60_000.0)))];
    for (figures, (nulls, range)) in figures.features.iter().zip(expected) {
        assert_eq!((figures.nulls, figures.range), (nulls, range));
    }
    assert_eq!(figures.features[3].range, None, "text has no range");
}

#[test]
fn parts_come_together_in_any_order_and_are_kept_as_written() {
    let rows = [(Some(1.0), 1, 1), (None, -9, 2), (Some(f64::INFINITY), 3, 3), (Some(-4.0), 0, 0)];
    let all = figures(&rows);
    for split in 0..=rows.len() {
        let (one, other) = rows.split_at(split);
        assert_eq!(figures(one).and(&figures(other)), all);
        assert_eq!(figures(other).and(&figures(one)), all);
    }
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Figures>(&json).unwrap(), all);
}

#[test]
fn a_deletion_has_no_values() {
    let (schema, mut figures, mut bytes) = (schema(), Figures::default(), Vec::new());
    schema.write(&mut bytes, Times { event: 0, known: 0 }, row::FLAG_DELETION);
    figures.add(&schema, &bytes).unwrap();
    assert_eq!(figures, Figures::default());
}
