//! Whole numbers of any size, in limbs of 64 bits on one grid: limb `i` stands for
//! `2^(64 * i)`, below zero for fractions. Only what a number's limbs reach is held, so a sum
//! of numbers of like size is short, however many bits float64 could ask for.
//!
//! What the arithmetic costs is a limb or two for numbers of like size; it is used where the
//! narrow part of a sum is carried over, and at reads.

/// Whether a number is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Not below zero.
    Plus,
    /// Below zero.
    Minus,
}

impl Sign {
    /// The sign of a number in two's complement, or of a float, by its highest bits.
    pub fn of(highest: u64) -> Sign {
        if highest >> 63 == 0 { Sign::Plus } else { Sign::Minus }
    }

    /// The sign of a product.
    #[must_use]
    pub fn times(self, other: Sign) -> Sign {
        if self == other { Sign::Plus } else { Sign::Minus }
    }
}

/// A number with a sign, that others are added to: two's complement. The top limb is nothing
/// but the sign, so that one addition cannot leave the range.
#[derive(Clone, Debug, Default)]
pub struct Wide {
    low: i32,
    limbs: Vec<u64>,
}

impl Wide {
    /// Adds, or takes away, `magnitude * 2^exponent`.
    pub fn add(&mut self, sign: Sign, magnitude: &[u64], exponent: i32) {
        let (from, bits) = (exponent.div_euclid(64), exponent.rem_euclid(64) as u32);
        self.reach(from, from + magnitude.len() as i32 + 1);
        let mask = if sign == Sign::Minus { u64::MAX } else { 0 };
        let mut carry = mask & 1;
        let mut above = 0;
        let start = (from - self.low) as usize;
        for (index, limb) in self.limbs[start..].iter_mut().enumerate() {
            let shifted = u128::from(magnitude.get(index).copied().unwrap_or(0)) << bits;
            let addend = (shifted as u64 | above) ^ mask;
            above = (shifted >> 64) as u64;
            let wide = u128::from(*limb) + u128::from(addend) + u128::from(carry);
            *limb = wide as u64;
            carry = (wide >> 64) as u64;
        }
        let top = self.limbs.last().copied().unwrap_or(0);
        if top != 0 && top != u64::MAX {
            self.limbs.push(extension(top));
        }
    }

    /// Sign and magnitude.
    pub fn magnitude(&self) -> (Sign, Magnitude) {
        let mut limbs = self.limbs.clone();
        let sign = limbs.last().map_or(Sign::Plus, |top| Sign::of(*top));
        if sign == Sign::Minus {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        (sign, Magnitude::trimmed(self.low, limbs))
    }

    /// Makes room from one limb up to another, and for the sign above.
    fn reach(&mut self, from: i32, to: i32) {
        if self.limbs.is_empty() {
            self.low = from;
        }
        if from < self.low {
            let missing = (self.low - from) as usize;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.low = from;
        }
        let sign = extension(self.limbs.last().copied().unwrap_or(0));
        let length = (to - self.low) as usize + 1;
        if self.limbs.len() < length {
            self.limbs.resize(length, sign);
        }
    }
}

/// The limb that carries a sign on.
fn extension(top: u64) -> u64 {
    ((top as i64) >> 63) as u64
}

/// A number without a sign: `limbs * 2^(64 * low)`, with neither end zero. Zero has no limbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Magnitude {
    /// The place of the lowest limb.
    pub low: i32,
    /// Lowest first.
    pub limbs: Vec<u64>,
}

impl Magnitude {
    /// A number from limbs that may be zero at both ends.
    pub fn trimmed(low: i32, mut limbs: Vec<u64>) -> Self {
        let end = limbs.iter().rposition(|limb| *limb != 0).map_or(0, |top| top + 1);
        limbs.truncate(end);
        let zeros = limbs.iter().take_while(|limb| **limb == 0).count();
        limbs.drain(..zeros);
        let low = if limbs.is_empty() { 0 } else { low + zeros as i32 };
        Self { low, limbs }
    }

    /// The number times another.
    #[must_use]
    pub fn times(&self, other: &[u64], other_low: i32) -> Self {
        let mut out = vec![0_u64; self.limbs.len() + other.len()];
        for (start, limb) in self.limbs.iter().enumerate() {
            let mut carry = 0_u128;
            for (index, other) in other.iter().enumerate() {
                let wide =
                    u128::from(*limb) * u128::from(*other) + u128::from(out[start + index]) + carry;
                out[start + index] = wide as u64;
                carry = wide >> 64;
            }
            out[start + other.len()] = carry as u64;
        }
        Self::trimmed(self.low + other_low, out)
    }

    /// The number less another; `None` if that is the greater one.
    pub fn less(&self, other: &Self) -> Option<Self> {
        let mut wide = Wide::default();
        wide.add(Sign::Plus, &self.limbs, 64 * self.low);
        wide.add(Sign::Minus, &other.limbs, 64 * other.low);
        let (sign, magnitude) = wide.magnitude();
        (sign == Sign::Plus).then_some(magnitude)
    }

    /// The number if it is whole and has at most 128 bits.
    pub fn whole(&self) -> Option<u128> {
        if self.limbs.is_empty() {
            return Some(0);
        }
        let low = usize::try_from(self.low).ok()?;
        let limb = |place: usize| {
            let index = place.checked_sub(low);
            u128::from(index.and_then(|index| self.limbs.get(index)).copied().unwrap_or(0))
        };
        (low + self.limbs.len() <= 2).then(|| limb(1) << 64 | limb(0))
    }

    /// The number over these divisors as 128 bits, the top one set, times 2^exponent. What
    /// is left below sets the lowest bit.
    pub fn divided(&self, divisors: &[u64]) -> (u128, i32) {
        if self.limbs.is_empty() {
            return (0, 0);
        }
        // Each division takes 64 bits at most off the top, and 128 are wanted.
        let zeros = divisors.len() + 2;
        let mut limbs = vec![0; zeros];
        limbs.extend_from_slice(&self.limbs);
        let mut is_rest = false;
        for divisor in divisors {
            let mut rest = 0_u128;
            for limb in limbs.iter_mut().rev() {
                let part = rest << 64 | u128::from(*limb);
                *limb = (part / u128::from(*divisor)) as u64;
                rest = part % u128::from(*divisor);
            }
            is_rest |= rest != 0;
        }
        let top = limbs.iter().rposition(|limb| *limb != 0).expect("two limbs were added");
        let (below, [third, second, first]) =
            limbs[..=top].split_last_chunk().expect("two limbs were added");
        let zero_bits = first.leading_zeros();
        let number = u128::from(*first) << 64 | u128::from(*second);
        let third = u128::from(*third) << zero_bits;
        is_rest |= third as u64 != 0 || below.iter().any(|limb| *limb != 0);
        let number = number << zero_bits | third >> 64 | u128::from(is_rest);
        let place = self.low - zeros as i32 + top as i32 - 1;
        (number, 64 * place - zero_bits as i32)
    }
}
