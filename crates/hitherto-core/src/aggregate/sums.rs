//! Count, sum and sum of squares of a column, and what is read from them: each answer is the
//! float64 nearest to the exact one.
//!
//! ```text
//! count | of those NaN, +inf, -inf | sum | sum of squares, where it is asked for
//! ```
//!
//! NaN and infinities are counted beside the sum, so that they leave it again. The variance
//! is the fraction `(N*Q - S*S) / (N*(N-1))` of whole numbers, or over `N*N`, divided once;
//! floating point would lose every digit of it where the mean is large beside the spread.

use super::bytes::{put_signed, take_signed};
use super::exact::wide::{Magnitude, Sign};
use super::exact::{ExactSum, round};
use super::finish::{Outcome, Reason};
use super::function::{Basis, SumType};
use super::value::Value;

/// The least decimal that 38 digits cannot write.
const DECIMAL_END: u128 = 10_u128.pow(38);

/// What is kept.
#[derive(Clone, Debug)]
pub struct Sums {
    count: i64,
    specials: [i64; 3],
    sum: ExactSum<2>,
    squares: Option<Box<ExactSum<4>>>,
}

/// Which of the specials a number is.
const NAN: usize = 0;
const PLUS_INFINITY: usize = 1;
const MINUS_INFINITY: usize = 2;

impl Sums {
    /// Of nothing.
    pub fn new() -> Self {
        Self { count: 0, specials: [0; 3], sum: ExactSum::default(), squares: None }
    }

    /// Of nothing, with squares.
    pub fn with_squares() -> Self {
        Self { squares: Some(Box::default()), ..Self::new() }
    }

    /// How many numbers.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Adds a number, or takes it away; `None` for what is none.
    pub fn add(&mut self, sign: Sign, value: &Value<'_>) -> Option<()> {
        let step = if sign == Sign::Plus { 1 } else { -1 };
        match *value {
            Value::Float(number) => self.add_float(sign, step, number),
            Value::Int(number) => {
                let sign = sign.times(Sign::of(number as u64));
                self.add_whole(sign, number.unsigned_abs().into());
            }
            Value::UInt(number) => self.add_whole(sign, number.into()),
            Value::Decimal(number) => {
                let sign = sign.times(Sign::of((number >> 64) as u64));
                self.add_whole(sign, number.unsigned_abs());
            }
            _ => return None,
        }
        self.count = self.count.wrapping_add(step);
        self.square(sign, value);
        Some(())
    }

    fn add_float(&mut self, sign: Sign, step: i64, number: f64) {
        let special = match float_parts(number) {
            // Most columns have zeros, and a sum has no place for them.
            Some((_, 0, _)) => return,
            Some((number_sign, mantissa, exponent)) => {
                return self.sum.add(sign.times(number_sign), &[mantissa], exponent);
            }
            None if number.is_nan() => NAN,
            None if number > 0.0 => PLUS_INFINITY,
            None => MINUS_INFINITY,
        };
        self.specials[special] = self.specials[special].wrapping_add(step);
    }

    fn add_whole(&mut self, sign: Sign, magnitude: u128) {
        self.sum.add(sign, &limbs(magnitude), 0);
    }

    fn square(&mut self, sign: Sign, value: &Value<'_>) {
        let Some(squares) = &mut self.squares else { return };
        let (magnitude, exponent) = match *value {
            Value::Float(number) => match float_parts(number) {
                Some((_, mantissa, exponent)) => (u128::from(mantissa), exponent),
                None => return,
            },
            Value::Int(number) => (u128::from(number.unsigned_abs()), 0),
            Value::UInt(number) => (u128::from(number), 0),
            Value::Decimal(number) => (number.unsigned_abs(), 0),
            _ => return,
        };
        match magnitude.checked_mul(magnitude) {
            Some(square) => squares.add(sign, &limbs(square), 2 * exponent),
            None => {
                let root = Magnitude::trimmed(0, limbs(magnitude).to_vec());
                let square = root.times(&root.limbs, root.low);
                squares.add(sign, &square.limbs, 64 * square.low);
            }
        }
    }

    /// Adds all of another state.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        for (mine, theirs) in self.specials.iter_mut().zip(other.specials) {
            *mine = mine.wrapping_add(theirs);
        }
        self.sum.merge(&other.sum);
        if let (Some(squares), Some(other)) = (&mut self.squares, &other.squares) {
            squares.merge(other);
        }
    }

    /// The sum of a column with that scale.
    pub fn sum(&self, scale: i8, output: SumType) -> Outcome {
        if output == SumType::Float64 {
            return Outcome::Value(Value::Float(self.fraction(scale, &[])));
        }
        // Integers and decimals have no bits below 2^0 and no infinities.
        let (sign, magnitude) = self.sum.total();
        let signed = magnitude.whole().and_then(|whole| match sign {
            Sign::Plus => i128::try_from(whole).ok(),
            Sign::Minus => 0_i128.checked_sub_unsigned(whole),
        });
        let value = match output {
            SumType::Int64 => signed.and_then(|sum| i64::try_from(sum).ok()).map(Value::Int),
            _ => signed.filter(|sum| sum.unsigned_abs() < DECIMAL_END).map(Value::Decimal),
        };
        value.map_or(Outcome::Absent(Reason::Overflow), Outcome::Value)
    }

    /// The mean.
    pub fn mean(&self, scale: i8) -> f64 {
        self.fraction(scale, &[self.count.unsigned_abs()])
    }

    /// The sum over 10^scale and a divisor.
    fn fraction(&self, scale: i8, divisors: &[u64]) -> f64 {
        match self.specials {
            [0, 0, 0] => {}
            [0, _, 0] => return f64::INFINITY,
            [0, 0, _] => return f64::NEG_INFINITY,
            _ => return f64::NAN,
        }
        if scale == 0 {
            return self.sum.quotient(divisors);
        }
        let (sign, magnitude) = self.sum.total();
        let (number, exponent) = scaled(magnitude, divisors, scale.into());
        round::nearest(sign, number, exponent)
    }

    /// The variance; `None` for a sample of one.
    pub fn variance(&self, scale: i8, of: Basis) -> Option<f64> {
        self.spread(scale, of, round::nearest)
    }

    /// Its root, from the exact variance.
    pub fn stddev(&self, scale: i8, of: Basis) -> Option<f64> {
        self.spread(scale, of, |sign, number, exponent| {
            let (number, exponent) = round::root(number, exponent);
            round::nearest(sign, number, exponent)
        })
    }

    fn spread(&self, scale: i8, of: Basis, read: fn(Sign, u128, i32) -> f64) -> Option<f64> {
        let count = self.count.unsigned_abs();
        let divisor = if of == Basis::Sample { count - 1 } else { count };
        if divisor == 0 {
            return None;
        }
        if self.specials != [0; 3] {
            return Some(f64::NAN);
        }
        let (_, sum) = self.sum.total();
        let (_, squares) = self.squares.as_ref().map(|squares| squares.total())?;
        let squared = sum.times(&sum.limbs, sum.low);
        // Never below zero, for numbers that were added and not only taken away.
        let numerator = squares.times(&[count], 0).less(&squared).unwrap_or_default();
        let (number, exponent) = scaled(numerator, &[count, divisor], 2 * i32::from(scale));
        Some(read(Sign::Plus, number, exponent))
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_signed(out, self.count);
        self.specials.iter().for_each(|count| put_signed(out, *count));
        self.sum.encode(out);
        if let Some(squares) = &self.squares {
            squares.encode(out);
        }
    }

    /// Takes a state off the front of bytes into one of the same form; `None` if they are none.
    pub(super) fn decode(mut self, bytes: &mut &[u8]) -> Option<Self> {
        self.count = take_signed(bytes)?;
        for count in &mut self.specials {
            *count = take_signed(bytes)?;
        }
        self.sum = ExactSum::decode(bytes)?;
        if let Some(squares) = &mut self.squares {
            **squares = ExactSum::decode(bytes)?;
        }
        Some(self)
    }
}

/// A magnitude over divisors and 10^scale.
pub(super) fn scaled(magnitude: Magnitude, divisors: &[u64], scale: i32) -> (u128, i32) {
    const STEP: u32 = 19;
    let digits = scale.unsigned_abs();
    let powers = (0..digits.div_ceil(STEP)).map(|step| 10_u64.pow(STEP.min(digits - step * STEP)));
    if scale < 0 {
        let magnitude = powers.fold(magnitude, |product, power| product.times(&[power], 0));
        return magnitude.divided(divisors);
    }
    magnitude.divided(&divisors.iter().copied().chain(powers).collect::<Vec<_>>())
}

/// Sign, mantissa and exponent; `None` for NaN and infinities.
#[inline]
fn float_parts(number: f64) -> Option<(Sign, u64, i32)> {
    let bits = number.to_bits();
    let (exponent, mantissa) = ((bits >> 52 & 0x7FF) as i32, bits & ((1 << 52) - 1));
    let sign = Sign::of(bits);
    match exponent {
        0x7FF => None,
        0 => Some((sign, mantissa, -1_074)),
        _ => Some((sign, mantissa | 1 << 52, exponent - 1_075)),
    }
}

fn limbs(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}
