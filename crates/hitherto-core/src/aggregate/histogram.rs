//! Quantiles from the leading bits of numbers: exact arithmetic on rounded values.
//!
//! A float64's sign, exponent and first few bits name a bucket, in the order of the numbers;
//! the state counts what is in each. The answer is the middle of the bucket in which the value
//! of rank `max(1, ceil(p * N))` is: the exact quantile, rounded to so many bits. With 7 of
//! them it is off by 0.4 % at most. Counts can be added and taken away, whatever the order;
//! sketches with a bound on their size cannot, and depend on the order of merging.
//!
//! ```text
//! how many | { bucket less the one before, count }
//! ```

use std::collections::BTreeMap;

use super::bytes::{put_signed, put_unsigned, take_signed, take_unsigned};
use super::exact::round;
use super::exact::wide::{Magnitude, Sign};
use super::sums::scaled;
use super::value::{self, Value};

/// Bits of a float64 below its leading one.
const MANTISSA_BITS: u32 = 52;

/// What is kept.
#[derive(Clone, Debug)]
pub struct Histogram {
    scale: i8,
    bits: u8,
    counts: BTreeMap<u32, i64>,
}

impl Histogram {
    /// Of nothing.
    pub fn new(scale: i8, bits: u8) -> Self {
        Self { scale, bits, counts: BTreeMap::new() }
    }

    /// Changes how often a number is there; `None` for what is none.
    pub fn change(&mut self, value: &Value<'_>, by: i64) -> Option<()> {
        let number = match *value {
            Value::Float(number) => number,
            Value::Int(number) => number as f64,
            Value::UInt(number) => number as f64,
            Value::Decimal(number) => self.unscaled(number),
            _ => return None,
        };
        self.change_bucket((value::ordered(value::normal(number)) >> self.dropped()) as u32, by);
        Some(())
    }

    /// The float64 nearest to a decimal.
    fn unscaled(&self, number: i128) -> f64 {
        let whole = number.unsigned_abs();
        let magnitude = Magnitude::trimmed(0, vec![whole as u64, (whole >> 64) as u64]);
        let (top, exponent) = scaled(magnitude, &[], self.scale.into());
        round::nearest(Sign::of((number >> 64) as u64), top, exponent)
    }

    fn change_bucket(&mut self, bucket: u32, by: i64) {
        let count = self.counts.entry(bucket).or_default();
        *count = count.wrapping_add(by);
        if *count == 0 {
            self.counts.remove(&bucket);
        }
    }

    /// Adds all of another state.
    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(bucket, count)| self.change_bucket(*bucket, *count));
    }

    /// The quantile; `None` of nothing.
    pub fn quantile(&self, millionths: u32) -> Option<f64> {
        let present = || self.counts.iter().filter(|(_, count)| **count > 0);
        let total: u128 = present().map(|(_, count)| *count as u128).sum();
        let rank = (total * u128::from(millionths)).div_ceil(1_000_000).max(1);
        let mut seen = 0;
        let bucket = present().find(|(_, count)| {
            seen += **count as u128;
            seen >= rank
        });
        bucket.map(|(bucket, _)| self.middle(*bucket))
    }

    /// The middle of a bucket; of those beside zero 0.0, of those at the ends an infinity or
    /// NaN, which have no middle.
    fn middle(&self, bucket: u32) -> f64 {
        let (low, half) = (u64::from(bucket) << self.dropped(), 1 << (self.dropped() - 1));
        let first = value::from_ordered(low);
        let last = value::from_ordered(low | (2 * half - 1));
        match (first, last) {
            (_, f64::NEG_INFINITY) => f64::NEG_INFINITY,
            (f64::INFINITY, _) => f64::INFINITY,
            _ if first.is_nan() => f64::NAN,
            _ if first == 0.0 || last == 0.0 => 0.0,
            // Numbers below zero run the other way, and answer as those above.
            _ if last < 0.0 => value::from_ordered(low | (half - 1)),
            _ => value::from_ordered(low | half),
        }
    }

    /// Bits of a number that do not matter.
    fn dropped(&self) -> u32 {
        MANTISSA_BITS - u32::from(self.bits)
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_unsigned(out, self.counts.len() as u64);
        let mut before = 0;
        for (bucket, count) in &self.counts {
            put_unsigned(out, u64::from(bucket - before));
            put_signed(out, *count);
            before = *bucket;
        }
    }

    /// Takes a state off the front of bytes; `None` if they are none.
    pub(super) fn decode(scale: i8, bits: u8, bytes: &mut &[u8]) -> Option<Self> {
        let mut state = Self::new(scale, bits);
        let mut bucket = 0;
        for index in 0..take_unsigned(bytes)? {
            let step = u32::try_from(take_unsigned(bytes)?).ok()?;
            bucket = u32::checked_add(bucket, step)?;
            let count = take_signed(bytes)?;
            let is_bucket = bucket >> (12 + bits) == 0 && (index == 0 || step > 0);
            if !is_bucket || count == 0 {
                return None;
            }
            state.counts.insert(bucket, count);
        }
        Some(state)
    }
}
