//! Parquet's hybrid of repeated and bit-packed numbers, read at ascending
//! positions.
//!
//! ```text
//!   header varint, even:  header / 2 times the value that follows, in whole bytes
//!   header varint, odd:   header / 2 groups of eight values, packed
//! ```

use parquet::errors::{ParquetError, Result as ParquetResult};

/// Numbers of one width.
pub(super) struct Hybrid<'a> {
    /// What follows the current run.
    rest: &'a [u8],
    bits: usize,
    run: Run<'a>,
    /// Position of the run's first number, and how many it has.
    start: usize,
    count: usize,
    /// Ones before the run, where numbers are bits.
    ones_before: usize,
}

#[derive(Clone, Copy)]
enum Run<'a> {
    Repeated(u32),
    Packed(&'a [u8]),
}

impl<'a> Hybrid<'a> {
    /// Numbers of `bits` bits each, at most 32.
    pub fn new(bytes: &'a [u8], bits: u8) -> ParquetResult<Self> {
        if bits > 32 {
            return Err(damaged("numbers of more than 32 bits"));
        }
        let run = Run::Repeated(0);
        Ok(Self { rest: bytes, bits: bits.into(), run, start: 0, count: 0, ones_before: 0 })
    }

    /// Whether the first run has this number, at least so many times.
    pub fn begins_with(&mut self, number: u32, times: usize) -> bool {
        let is_read = self.seek(0).is_ok();
        is_read && self.count >= times && matches!(self.run, Run::Repeated(it) if it == number)
    }

    /// The number at a position, no smaller than that of the call before.
    pub fn get(&mut self, position: usize) -> ParquetResult<u32> {
        self.seek(position)?;
        Ok(match self.run {
            Run::Repeated(value) => value,
            Run::Packed(bytes) => {
                let bit = (position - self.start) * self.bits;
                let word = word_at(bytes, bit / 8);
                ((word >> (bit % 8)) & ((1 << self.bits) - 1)) as u32
            }
        })
    }

    /// Of bits: how many before a position are set. The position is no smaller
    /// than that of the call before.
    pub fn ones_before(&mut self, position: usize) -> ParquetResult<usize> {
        self.seek(position)?;
        Ok(self.ones_before + self.ones_in_run(position - self.start))
    }

    fn ones_in_run(&self, count: usize) -> usize {
        match self.run {
            Run::Repeated(value) => {
                if value == 0 {
                    0
                } else {
                    count
                }
            }
            Run::Packed(bytes) => {
                let (whole, rest) = (count / 8, count % 8);
                let ones = bytes.iter().take(whole).map(|byte| byte.count_ones()).sum::<u32>();
                let last = bytes.get(whole).map_or(0, |byte| byte & ((1 << rest) - 1));
                (ones + last.count_ones()) as usize
            }
        }
    }

    /// Goes on to the run that holds a position.
    fn seek(&mut self, position: usize) -> ParquetResult<()> {
        while position >= self.start + self.count {
            if self.bits == 1 {
                self.ones_before += self.ones_in_run(self.count);
            }
            self.start += self.count;
            self.next_run()?;
        }
        Ok(())
    }

    fn next_run(&mut self) -> ParquetResult<()> {
        let header = self.read_varint()?;
        let count = usize::try_from(header >> 1)?;
        if header & 1 == 0 {
            let bytes = self.take(self.bits.div_ceil(8))?;
            self.run = Run::Repeated(word_at(bytes, 0) as u32);
            self.count = count;
        } else {
            let length = count.checked_mul(self.bits).ok_or_else(|| damaged("a run too long"))?;
            // Some writers leave out what the last group does not need.
            let bytes = self.take(length.min(self.rest.len()))?;
            self.run = Run::Packed(bytes);
            self.count = count.checked_mul(8).ok_or_else(|| damaged("a run too long"))?;
        }
        Ok(())
    }

    fn read_varint(&mut self) -> ParquetResult<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { break };
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged("a run without a length"))
    }

    fn take(&mut self, length: usize) -> ParquetResult<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| damaged("fewer numbers than rows"))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Eight bytes from a place on, little endian; zeros after the end.
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(word)
        }
    }
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("a page holds {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers at these positions.
    fn numbers(bytes: &[u8], bits: u8, positions: &[usize]) -> Vec<u32> {
        let mut hybrid = Hybrid::new(bytes, bits).expect("a width");
        positions.iter().map(|position| hybrid.get(*position).expect("a number")).collect()
    }

    #[test]
    fn runs_of_both_kinds_follow_each_other() {
        // Five times 7; one group of 0 1 2 3 4 5 6 7 in three bits; twice 1.
        let bytes = [0x0A, 7, 0x03, 0x88, 0xC6, 0xFA, 0x04, 1];
        assert_eq!(numbers(&bytes, 3, &[0, 4]), [7, 7]);
        let all: Vec<usize> = (0..15).collect();
        assert_eq!(numbers(&bytes, 3, &all), [7, 7, 7, 7, 7, 0, 1, 2, 3, 4, 5, 6, 7, 1, 1]);
        assert_eq!(numbers(&bytes, 3, &[6, 12, 12, 14]), [1, 7, 7, 1]);
    }

    #[test]
    fn numbers_of_up_to_32_bits_are_read_at_every_offset() {
        for bits in [1_u8, 5, 9, 17, 25, 31, 32] {
            let values: Vec<u32> = (0..64_u32)
                .map(|n| n.wrapping_mul(0x9E37_79B9) & (u64::MAX >> (64 - bits)) as u32)
                .collect();
            let mut packed = vec![0_u8; 8 * usize::from(bits)];
            for (index, value) in values.iter().enumerate() {
                for bit in 0..usize::from(bits) {
                    let at = index * usize::from(bits) + bit;
                    packed[at / 8] |= (((value >> bit) & 1) as u8) << (at % 8);
                }
            }
            let bytes: Vec<u8> = [vec![(8 << 1) | 1], packed].concat();
            assert_eq!(numbers(&bytes, bits, &(0..64).collect::<Vec<_>>()), values, "{bits}");
        }
    }

    #[test]
    fn bits_are_counted_across_runs() {
        // Three ones; a group 1010_1010 (first bit first: 0 1 0 1 ...); four zeros.
        let bytes = [0x06, 1, 0x03, 0b1010_1010, 0x08, 0];
        let mut hybrid = Hybrid::new(&bytes, 1).expect("a width");
        let counts: Vec<usize> =
            (0..15).map(|position| hybrid.ones_before(position).expect("a count")).collect();
        assert_eq!(counts, [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7]);
    }

    #[test]
    fn bytes_that_end_too_early_are_an_error_and_no_panic() {
        for bytes in [&[][..], &[0x80], &[0x0A], &[0x03, 1], &[0xFF; 12]] {
            let mut hybrid = Hybrid::new(bytes, 20).expect("a width");
            let _ = hybrid.get(0);
            assert!(hybrid.get(1_000_000).is_err(), "{bytes:?}");
        }
        assert!(Hybrid::new(&[], 33).is_err());
    }
}
