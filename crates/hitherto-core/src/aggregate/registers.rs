//! About how many values differ: HyperLogLog (Flajolet et al. 2007) with the estimator of
//! Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs
//! no table, no correction and no logarithm. A logarithm would be the platform's, and its last
//! bit another one elsewhere; addition, multiplication and square roots are IEEE 754's.
//!
//! The first `precision` bits of a value's hash choose a register; it holds the greatest
//! position of the first one bit among the rest. Taking the greatest twice changes nothing, so
//! the order does not matter. The hash is XXH3-64 with seed 0 of the value's bytes: it is
//! stored, in effect, and never changes.
//!
//! ```text
//! 00 | how many | { register less the one before, rank }     up to a quarter of them
//! 01 | one byte a register                                    more
//! ```

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{put_unsigned, take, take_array, take_unsigned};

/// What is kept.
#[derive(Clone, Debug)]
pub struct Registers {
    precision: u8,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    /// Those that are not zero, in order.
    Few(Vec<(u16, u8)>),
    All(Box<[u8]>),
}

impl Registers {
    /// Of nothing.
    pub fn new(precision: u8) -> Self {
        Self { precision, held: Held::Few(Vec::new()) }
    }

    /// Adds a value, given by its bytes.
    pub fn add(&mut self, item: &[u8]) {
        let hash = xxh3_64(item);
        let register = (hash >> (64 - self.precision)) as u16;
        // The bit that is set ends the count where all others are zero.
        let rest = hash << self.precision | 1 << (self.precision - 1);
        self.raise(register, rest.leading_zeros() as u8 + 1);
    }

    /// Adds all of another state.
    pub fn merge(&mut self, other: &Self) {
        match &other.held {
            Held::Few(few) => few.iter().for_each(|(register, rank)| self.raise(*register, *rank)),
            Held::All(all) => {
                for (register, rank) in all.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                    self.raise(register as u16, *rank);
                }
            }
        }
    }

    fn raise(&mut self, register: u16, rank: u8) {
        match &mut self.held {
            Held::All(all) => {
                let held = &mut all[usize::from(register)];
                *held = rank.max(*held);
            }
            Held::Few(few) => {
                match few.binary_search_by_key(&register, |(register, _)| *register) {
                    Ok(index) => few[index].1 = rank.max(few[index].1),
                    Err(index) => {
                        few.insert(index, (register, rank));
                        if few.len() > few_max(self.precision) {
                            let mut all = vec![0; 1 << self.precision].into_boxed_slice();
                            few.iter()
                                .for_each(|(register, rank)| all[usize::from(*register)] = *rank);
                            self.held = Held::All(all);
                        }
                    }
                }
            }
        }
    }

    /// The estimate, rounded to the nearest whole number.
    pub fn estimate(&self) -> i64 {
        let registers = 1_u32 << self.precision;
        let rank_max = 64 - usize::from(self.precision);
        let mut counts = [0_u32; 65];
        let mut count = |rank: u8| counts[usize::from(rank)] += 1;
        match &self.held {
            Held::All(all) => all.iter().for_each(|rank| count(*rank)),
            Held::Few(few) => few.iter().for_each(|(_, rank)| count(*rank)),
        }
        counts[0] = registers - counts[1..].iter().sum::<u32>();
        let m = f64::from(registers);
        let mut z = m * tau(1.0 - f64::from(counts[rank_max + 1]) / m);
        for rank in (1..=rank_max).rev() {
            z = 0.5 * (z + f64::from(counts[rank]));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        // 1 / (2 ln 2)
        (0.721_347_520_444_481_7 * m * m / z).round_ties_even() as i64
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.held {
            Held::Few(few) => {
                out.push(0);
                put_unsigned(out, few.len() as u64);
                let mut before = 0;
                for (register, rank) in few {
                    put_unsigned(out, u64::from(register - before));
                    out.push(*rank);
                    before = *register;
                }
            }
            Held::All(all) => {
                out.push(1);
                out.extend_from_slice(all);
            }
        }
    }

    /// Takes a state off the front of bytes; `None` if they are none.
    pub(super) fn decode(precision: u8, bytes: &mut &[u8]) -> Option<Self> {
        let held = match take_array(bytes)? {
            [0] => Held::Few(decode_few(precision, bytes)?),
            [1] => Held::All(take(bytes, 1 << precision)?.into()),
            _ => return None,
        };
        let is_sound = match &held {
            Held::Few(few) => few.iter().all(|(_, rank)| (1..=65 - precision).contains(rank)),
            Held::All(all) => {
                all.iter().filter(|rank| **rank > 0).count() > few_max(precision)
                    && all.iter().all(|rank| *rank <= 65 - precision)
            }
        };
        is_sound.then_some(Self { precision, held })
    }
}

fn decode_few(precision: u8, bytes: &mut &[u8]) -> Option<Vec<(u16, u8)>> {
    let length = take_unsigned(bytes)?;
    if length > few_max(precision) as u64 {
        return None;
    }
    let mut few: Vec<(u16, u8)> = Vec::new();
    for _ in 0..length {
        let step = u16::try_from(take_unsigned(bytes)?).ok()?;
        let register = match few.last() {
            None => step,
            Some((last, _)) if step > 0 => last.checked_add(step)?,
            Some(_) => return None,
        };
        if u32::from(register) >> precision != 0 {
            return None;
        }
        let [rank] = take_array(bytes)?;
        few.push((register, rank));
    }
    Some(few)
}

/// How many registers are held one by one.
fn few_max(precision: u8) -> usize {
    (1 << precision) / 4
}

/// x + sum of x^(2^k) * 2^(k-1) for k from 1 on.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// (1 - x - sum of (1 - x^(2^-k))^2 * 2^-k for k from 1 on) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}
