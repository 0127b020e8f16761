//! From exact numbers to the nearest float64, ties to even: the one rounding of an answer.
//!
//! A quotient or a root has bits without end. Of those the first 64 or more are kept, and the
//! lowest of them is set where anything is left below: that bit is far below the half that
//! decides, so it says "a little more" and never makes a tie or ends one wrongly.

use super::wide::Sign;

/// Bits of a float64 below its leading one.
const MANTISSA_BITS: i32 = 52;
/// The exponent of the lowest bit of all.
const LOWEST: i32 = -1_074;

/// The float64 nearest to `number * 2^exponent`; beyond all of them an infinity, as IEEE 754
/// addition has it. Zero is +0.0.
pub fn nearest(sign: Sign, number: u128, exponent: i32) -> f64 {
    if number == 0 {
        return 0.0;
    }
    let highest = 127 - number.leading_zeros() as i32 + exponent;
    if highest > 1_023 {
        return signed(sign, f64::INFINITY);
    }
    let lowest = (highest - MANTISSA_BITS).max(LOWEST);
    let mantissa = match lowest - exponent {
        raise @ ..=0 => (number << -raise) as u64,
        drop @ 1..=127 => {
            let (kept, half) = (number >> drop, 1 << (drop - 1));
            let rest = number & ((1 << drop) - 1);
            (kept + u128::from(rest > half || (rest == half && kept & 1 == 1))) as u64
        }
        128 => u64::from(number > 1 << 127),
        _ => 0,
    };
    // One more than the greatest mantissa is the least of the next exponent: it carries.
    let bits = (((lowest - LOWEST) as u64) << MANTISSA_BITS) + mantissa;
    signed(sign, f64::from_bits(bits))
}

/// `number / divisor` as a number times 2^exponent, with the lowest bit set for any rest.
pub fn divided(number: u128, divisor: u64) -> (u128, i32) {
    if number == 0 {
        return (0, 0);
    }
    let zero_bits = number.leading_zeros();
    let (number, divisor) = (number << zero_bits, u128::from(divisor));
    ((number / divisor) | u128::from(!number.is_multiple_of(divisor)), -(zero_bits as i32))
}

/// The root of `number * 2^exponent`, of which the top bit is set, likewise.
pub fn root(number: u128, exponent: i32) -> (u128, i32) {
    let is_odd = exponent.rem_euclid(2) == 1;
    let (number, exponent) = match is_odd {
        true => (number >> 1 | number & 1, exponent + 1),
        false => (number, exponent),
    };
    let root = number.isqrt();
    (root | u128::from(root * root != number), exponent / 2)
}

fn signed(sign: Sign, number: f64) -> f64 {
    if sign == Sign::Minus { -number } else { number }
}
