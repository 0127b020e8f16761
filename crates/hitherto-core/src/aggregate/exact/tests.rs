use super::super::sums::Sums;
use super::super::{Basis, SumType, Value};
use super::*;

fn sum_of(values: impl IntoIterator<Item = f64>) -> Sums {
    let mut sums = Sums::with_squares();
    for value in values {
        sums.add(Sign::Plus, &Value::Float(value)).unwrap();
    }
    sums
}

fn total(sums: &Sums) -> f64 {
    match sums.sum(0, SumType::Float64) {
        super::super::Outcome::Value(Value::Float(sum)) => sum,
        other => panic!("{other:?}"),
    }
}

fn bytes(sums: &Sums) -> Vec<u8> {
    let mut out = Vec::new();
    sums.encode(&mut out);
    out
}

/// `benches/judges/exact.py` made the file, with Python's own arithmetic.
#[test]
fn every_bit_is_that_of_pythons_fractions() {
    let judged = include_str!("../../../../../fixtures/aggregates/exact.txt");
    let float = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    let mut lines = 0;
    for line in judged.lines() {
        let [_, values, answers] = line.split(": ").collect::<Vec<_>>()[..] else {
            panic!("{line:?} has not three parts");
        };
        let values: Vec<f64> = values.split(' ').map(float).collect();
        let sums = sum_of(values.iter().copied());
        let mine = [
            Some(total(&sums)),
            Some(sums.mean(0)),
            sums.variance(0, Basis::Sample),
            sums.stddev(0, Basis::Sample),
            sums.variance(0, Basis::Population),
            sums.stddev(0, Basis::Population),
        ];
        let mine =
            mine.map(|number| number.map_or("-".into(), |it| format!("{:016x}", it.to_bits())));
        assert_eq!(mine.join(" "), answers, "of {values:?}");
        // From behind, and with everything taken out again that was added twice.
        let mut again = sum_of(values.iter().rev().chain(&values).copied());
        for value in &values {
            again.add(Sign::Minus, &Value::Float(*value)).unwrap();
        }
        assert_eq!(bytes(&again), bytes(&sums), "of {values:?}");
        lines += 1;
    }
    assert!(lines > 200, "{lines} lines are judged");
}

#[test]
fn a_number_that_does_not_fit_leaves_nothing_behind_when_it_is_taken_out() {
    let mut sums = sum_of([0.1, 1e300, 5e-324, -1e-300, 1.5]);
    for value in [1e300, 5e-324, -1e-300] {
        sums.add(Sign::Minus, &Value::Float(value)).unwrap();
    }
    assert_eq!(bytes(&sums), {
        let mut expected = sum_of([1.5, 0.1]);
        expected.merge(&sum_of([]));
        bytes(&expected)
    });
    assert_eq!(total(&sums), 1.6);
}

#[test]
fn the_narrow_part_is_carried_over_when_it_is_full() {
    let mut sum = ExactSum::<2>::default();
    let full = [u64::MAX, u64::MAX >> 1];
    for _ in 0..1_000 {
        sum.add(Sign::Plus, &full, 0);
    }
    assert_eq!(sum.quotient(&[1_000]), (1_u128 << 127) as f64);
    for _ in 0..2_000 {
        sum.add(Sign::Minus, &full, 0);
    }
    assert_eq!(sum.quotient(&[1_000]), -((1_u128 << 127) as f64));
    for _ in 0..1_000 {
        sum.add(Sign::Plus, &full, 0);
    }
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    assert_eq!(bytes, [0], "zero is one byte");
}

#[test]
fn integers_and_decimals_are_exact_up_to_the_type_of_the_answer() {
    let sum = |values: &[Value<'_>], output| {
        let mut sums = Sums::new();
        values.iter().for_each(|value| sums.add(Sign::Plus, value).unwrap());
        sums.sum(0, output)
    };
    use super::super::Outcome;
    let value = |value| Outcome::Value(value);
    let overflow = Outcome::Absent(super::super::Reason::Overflow);
    let int = |number| Value::Int(number);
    let max = int(i64::MAX);
    assert_eq!(sum(&[max.clone(), int(1), int(-1)], SumType::Int64), value(max.clone()));
    assert_eq!(sum(&[int(i64::MIN)], SumType::Int64), value(int(i64::MIN)));
    assert_eq!(sum(&[max.clone(), int(1)], SumType::Int64), overflow);
    let wide = value(Value::Decimal(i128::from(i64::MAX) + 1));
    assert_eq!(sum(&[max, int(1)], SumType::Decimal), wide);
    let nines = 10_i128.pow(38) - 1;
    let decimal = |number| Value::Decimal(number);
    assert_eq!(sum(&[decimal(-nines)], SumType::Decimal), value(decimal(-nines)));
    assert_eq!(sum(&[decimal(nines), decimal(1)], SumType::Decimal), overflow);
    let many = [decimal(nines), decimal(nines), decimal(-nines)];
    assert_eq!(sum(&many, SumType::Decimal), value(decimal(nines)));
    assert_eq!(
        sum(&[Value::UInt(u64::MAX)], SumType::Float64),
        value(Value::Float(2_f64.powi(64)))
    );
}

#[test]
fn decimals_are_divided_by_their_scale_before_the_one_rounding() {
    let mut sums = Sums::with_squares();
    for number in [1_i128, 2, 4] {
        sums.add(Sign::Plus, &Value::Decimal(number)).unwrap();
    }
    assert_eq!(sums.mean(1), 7.0 / 30.0);
    assert_eq!(sums.mean(-1), 70.0 / 3.0);
    assert_eq!(sums.variance(1, Basis::Sample), Some(7.0 / 300.0));
    assert_eq!(sums.variance(-2, Basis::Population), Some(140_000.0 / 9.0));
    assert_eq!(sums.mean(38), 7.0 / 3e38);
    // A square of 256 bits.
    let mut large = Sums::with_squares();
    for number in [i128::MAX, i128::MIN + 1] {
        large.add(Sign::Plus, &Value::Decimal(number)).unwrap();
    }
    assert_eq!(large.variance(0, Basis::Population), Some(2_f64.powi(254)));
    assert_eq!(large.stddev(0, Basis::Population), Some(2_f64.powi(127)));
}

#[test]
fn rounding_is_to_the_nearest_and_of_two_to_the_even_one() {
    let nearest = |number, exponent| round::nearest(Sign::Plus, number, exponent);
    let one = 1_u128 << 53;
    assert_eq!(nearest(one + 1, 0), 2_f64.powi(53), "a tie goes down to the even one");
    assert_eq!(nearest(one + 3, 0), 2_f64.powi(53) + 4.0, "and up");
    assert_eq!(nearest((one + 1) << 60 | 1, -60), 2_f64.powi(53) + 2.0, "no tie");
    assert_eq!(nearest(1, -1_075), 0.0, "half of the smallest");
    assert_eq!(nearest(3, -1_075), 1e-323, "one and a half of it");
    assert_eq!(nearest((1 << 127) + 1, -1_202), 5e-324, "a little more than half of it");
    assert_eq!(nearest(1 << 127, -1_202), 0.0);
    assert_eq!(nearest(1 << 127, -1_203), 0.0);
    assert_eq!(nearest((1 << 53) - 1, -1_075), f64::MIN_POSITIVE, "a subnormal carries");
    assert_eq!(nearest((1 << 54) - 1, 970), f64::INFINITY, "so does the greatest");
    assert_eq!(nearest((1 << 53) - 1, 971), f64::MAX);
    assert_eq!(round::nearest(Sign::Minus, 1, 2_000), f64::NEG_INFINITY);
}
