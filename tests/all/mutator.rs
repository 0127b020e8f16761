//! Bytes that are nearly sound, for tests that read anything; the server's tests use this
//! file, too.

use std::time::Duration;

/// Unless `HITHERTO_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 3;

/// Changes bytes in an order that a seed decides.
pub struct Mutator(pub u64);

impl Mutator {
    /// A number below so many.
    pub fn roll(&mut self, sides: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides.max(1)
    }

    /// One to four changes: a bit, a byte, a number that is often a bound, a piece gone,
    /// doubled, or of another input.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len());
            let end = (at + self.roll(16)).min(bytes.len());
            match self.roll(7) {
                _ if bytes.is_empty() => bytes.push(self.roll(256) as u8),
                0 => bytes[at] ^= 1 << self.roll(8),
                1 => bytes[at] = self.roll(256) as u8,
                2 => {
                    let bound = [0, 1, 0x7F, 0x80, 0xFF, u32::MAX, i32::MAX as u32][self.roll(7)];
                    let bound = bound.to_le_bytes();
                    let room = (bytes.len() - at).min(4);
                    bytes[at..at + room].copy_from_slice(&bound[..room]);
                }
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
                5 => bytes.truncate(at),
                _ if other.is_empty() => {}
                _ => {
                    let from = self.roll(other.len());
                    let to = (from + self.roll(32)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
            }
        }
    }
}

/// How long to go on.
pub fn fuzz_time() -> Duration {
    let setting = std::env::var("HITHERTO_FUZZ_SECONDS");
    Duration::from_secs(setting.map_or(SECONDS, |seconds| seconds.parse().unwrap()))
}
