//! What a token looks like, and how one is made.
//!
//! ```text
//! hth_ 1f3a09bc _ 43 characters of base64url _ 6 digits to base 62
//!      of whom    256 random bits              CRC-32 of all before it
//! ```
//!
//! The beginning and the checksum let scanners find one that was committed by accident, and
//! nothing else. All that is kept of it is its SHA-256: of 256 random bits nobody finds the
//! token again, so that no slower function would protect better, and each wrong token that
//! anybody sends costs a microsecond.

use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::ConstantTimeEq;

/// How every token begins that is made here.
pub const PREFIX: &str = "hth_";

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;

const CHECKSUM_DIGITS: usize = 6;

/// What is kept of a token.
#[derive(Clone, Copy, Debug)]
pub struct Digest(pub [u8; SHA256_OUTPUT_LEN]);

/// In time that does not tell how much of which is equal.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl Digest {
    /// That of a token.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    /// Reads 64 digits to base 16.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        if text.len() != 2 * bytes.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 digits to base 16.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// The token of `name` with this secret, which is random.
pub fn make(name: &str, secret: &[u8; SECRET_BYTES]) -> String {
    let whose = hex(&Digest::of(name.as_bytes()).0[..4]);
    let token = format!("{PREFIX}{whose}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
    let sum = checksum(&token);
    format!("{token}_{sum}")
}

/// Whether a token looks like one that was made here and is not whole.
pub fn is_damaged(shown: &[u8]) -> bool {
    let Some(shown) = str::from_utf8(shown).ok().filter(|shown| shown.starts_with(PREFIX)) else {
        return false;
    };
    shown.rsplit_once('_').is_none_or(|(token, sum)| checksum(token) != sum)
}

fn checksum(token: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(token.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % DIGITS.len()];
        rest /= DIGITS.len();
    }
    String::from_utf8_lossy(&digits).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
