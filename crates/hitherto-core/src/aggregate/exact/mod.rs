//! Sums without rounding: they come to the same whatever the order, however they are split
//! and merged, and after any value was taken out again.
//!
//! A float64 is a whole number of 53 bits times a power of two, so a sum of them is a whole
//! number times the least of those powers. It is kept in two parts:
//!
//! ```text
//!                 2^1024 ............................................. 2^-1074
//! wide            |         limbs of 64 bits, as many as there is need for     |
//! narrow                    | LIMBS * 64 bits, from `base` up |
//! a value                       |<--- 53 bits --->|
//! ```
//!
//! A value that fits the narrow part is a shift and an addition there. One that does not has
//! the narrow part carried over into the wide one, and begun anew where that value is. Of the
//! numbers people have nearly none does: 128 bits hold ten million amounts in cents,
//! coordinates or laboratory values. Integers and decimals are summed alike, at 2^0.
//!
//! The one rounding is at the read, to the nearest float64, ties to even: see [`round`].
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`wide`] | whole numbers of any size |
//! | [`round`] | from those to the nearest float64: quotients and roots among them |

pub mod round;
pub mod wide;

use super::bytes::{take, take_array};
use crate::limits::EXACT_LIMBS_MAX;
use wide::{Magnitude, Sign, Wide};

/// Bits that are kept below the value with which the narrow part begins: those to come may be
/// finer.
const GUARD_BITS: i32 = 24;

/// An exact sum with `LIMBS` limbs of 64 bits at hand: two are enough for numbers, four for
/// their squares.
#[derive(Clone, Debug)]
pub struct ExactSum<const LIMBS: usize> {
    /// The narrow part, in two's complement, times 2^base.
    narrow: [u64; LIMBS],
    base: i32,
    wide: Option<Box<Wide>>,
}

impl<const LIMBS: usize> Default for ExactSum<LIMBS> {
    fn default() -> Self {
        Self { narrow: [0; LIMBS], base: 0, wide: None }
    }
}

impl<const LIMBS: usize> ExactSum<LIMBS> {
    /// Adds, or takes away, `magnitude * 2^exponent`; limbs come lowest first.
    #[inline]
    pub fn add(&mut self, sign: Sign, magnitude: &[u64], exponent: i32) {
        if self.add_narrow(sign, magnitude, exponent).is_none() {
            self.add_elsewhere(sign, magnitude, exponent);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        let (sign, magnitude) = absolute(other.narrow);
        self.add(sign, &magnitude, other.base);
        if let Some(wide) = &other.wide {
            let (sign, magnitude) = wide.magnitude();
            self.wide.get_or_insert_default().add(sign, &magnitude.limbs, 64 * magnitude.low);
        }
    }

    /// The sum as a number with all its bits.
    pub fn total(&self) -> (Sign, Magnitude) {
        let (sign, magnitude) = absolute(self.narrow);
        let mut total = self.wide.as_deref().cloned().unwrap_or_default();
        total.add(sign, &magnitude, self.base);
        total.magnitude()
    }

    /// Appends its bytes: the number of limbs with the sign as top bit, the place of the
    /// lowest, and the limbs, trimmed at both ends. Zero is one byte.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (sign, magnitude) = self.total();
        let sign = if sign == Sign::Minus { 0x80 } else { 0 };
        out.push(magnitude.limbs.len() as u8 | sign);
        if !magnitude.limbs.is_empty() {
            out.push(magnitude.low as i8 as u8);
        }
        magnitude.limbs.iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
    }

    /// Takes a sum off the front of bytes; `None` if they are none.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [count] = take_array(bytes)?;
        let sign = Sign::of(u64::from(count) << 56);
        let count = usize::from(count & 0x7F);
        if count == 0 {
            return (sign == Sign::Plus).then(Self::default);
        }
        let [low] = take_array(bytes)?;
        let low = i32::from(low as i8);
        let half = EXACT_LIMBS_MAX as i32 / 2;
        if low < -half || low + count as i32 > half {
            return None;
        }
        let limbs: Vec<u64> = take(bytes, 8 * count)?
            .chunks_exact(8)
            .map(|limb| limb.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            .collect();
        if limbs[0] == 0 || limbs[count - 1] == 0 {
            return None;
        }
        let mut sum = Self::default();
        sum.add(sign, &limbs, 64 * low);
        Some(sum)
    }

    /// The float nearest to the sum over these divisors, ties to even.
    pub fn quotient(&self, divisors: &[u64]) -> f64 {
        let narrow = self.narrow_alone();
        match (narrow, divisors) {
            (Some((sign, number)), []) => round::nearest(sign, number, self.base),
            (Some((sign, number)), [divisor]) => {
                let (number, exponent) = round::divided(number, *divisor);
                round::nearest(sign, number, self.base + exponent)
            }
            _ => {
                let (sign, magnitude) = self.total();
                let (number, exponent) = magnitude.divided(divisors);
                round::nearest(sign, number, exponent)
            }
        }
    }

    /// The sum if all of it is in a narrow part of 128 bits: the usual case.
    fn narrow_alone(&self) -> Option<(Sign, u128)> {
        if self.wide.is_some() || LIMBS != 2 {
            return None;
        }
        let (sign, limbs) = absolute(self.narrow);
        Some((sign, u128::from(limbs[1]) << 64 | u128::from(limbs[0])))
    }

    /// Adds where the narrow part is; `None` leaves it as it was.
    #[inline]
    fn add_narrow(&mut self, sign: Sign, magnitude: &[u64], exponent: i32) -> Option<()> {
        let addend = shifted(magnitude, u32::try_from(exponent - self.base).ok()?)?;
        self.narrow = sum(self.narrow, addend, sign)?;
        Some(())
    }

    /// Carries the narrow part over, and adds where the value is.
    #[cold]
    fn add_elsewhere(&mut self, sign: Sign, magnitude: &[u64], exponent: i32) {
        if magnitude.iter().all(|limb| *limb == 0) {
            return;
        }
        let (narrow_sign, narrow) = absolute(std::mem::replace(&mut self.narrow, [0; LIMBS]));
        if narrow.iter().any(|limb| *limb != 0) {
            self.wide.get_or_insert_default().add(narrow_sign, &narrow, self.base);
        }
        for guard in [GUARD_BITS, 0] {
            self.base = exponent - guard;
            if self.add_narrow(sign, magnitude, exponent).is_some() {
                return;
            }
        }
        self.wide.get_or_insert_default().add(sign, magnitude, exponent);
    }
}

/// The limbs moved up by so many bits, if all but the sign's bit hold them.
#[inline]
fn shifted<const LIMBS: usize>(magnitude: &[u64], bits: u32) -> Option<[u64; LIMBS]> {
    let (limbs, bits) = ((bits / 64) as usize, bits % 64);
    let mut out = [0; LIMBS];
    for (index, limb) in magnitude.iter().enumerate().filter(|(_, limb)| **limb != 0) {
        let wide = u128::from(*limb) << bits;
        let place = limbs + index;
        *out.get_mut(place)? |= wide as u64;
        let above = (wide >> 64) as u64;
        if above != 0 {
            *out.get_mut(place + 1)? = above;
        }
    }
    (out[LIMBS - 1] >> 63 == 0).then_some(out)
}

/// `number + addend` or `number - addend` in two's complement; `None` if it does not fit. The
/// addend is not negative.
#[inline]
fn sum<const LIMBS: usize>(
    number: [u64; LIMBS],
    addend: [u64; LIMBS],
    sign: Sign,
) -> Option<[u64; LIMBS]> {
    let mut out = [0; LIMBS];
    // Taking away is adding the complement and one.
    let mask = if sign == Sign::Minus { u64::MAX } else { 0 };
    let mut carry = mask & 1;
    for index in 0..LIMBS {
        let wide = u128::from(number[index]) + u128::from(addend[index] ^ mask) + u128::from(carry);
        out[index] = wide as u64;
        carry = (wide >> 64) as u64;
    }
    // It can leave the range only on the side of zero where it was, going further.
    let before = Sign::of(number[LIMBS - 1]);
    let overflows = before == sign && Sign::of(out[LIMBS - 1]) != before;
    (!overflows).then_some(out)
}

/// Sign and magnitude of limbs in two's complement.
fn absolute<const LIMBS: usize>(limbs: [u64; LIMBS]) -> (Sign, [u64; LIMBS]) {
    if Sign::of(limbs[LIMBS - 1]) == Sign::Plus {
        return (Sign::Plus, limbs);
    }
    let mut carry = true;
    let negated = limbs.map(|limb| {
        let (limb, overflows) = (!limb).overflowing_add(u64::from(carry));
        carry = overflows;
        limb
    });
    (Sign::Minus, negated)
}

#[cfg(test)]
mod tests;
