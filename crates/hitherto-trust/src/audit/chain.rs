//! The hash of all records so far, and a record among others.
//!
//! ```text
//! entry  length u32 | body | tag 8 B                                    little endian
//! chain  SHA-256(chain before | length | body)        of the first: see `Chain::begin`
//! tag    the first 8 bytes of the chain
//! ```

use ring::digest::{Context, SHA256};

/// Bytes of an entry before its body, and behind it.
pub const LENGTH_BYTES: usize = 4;
pub const TAG_BYTES: usize = 8;

/// What a chain begins with, before its log's id.
const BEGINS: &[u8] = b"hitherto audit log 1\n";

/// Which log it is: chosen at random when it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogId(pub [u8; 16]);

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of all records so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// Of a log without records.
    pub fn begin(log: LogId) -> Self {
        Self(sha256(&[BEGINS, &log.0]))
    }

    /// Appends a record as an entry, and goes on to it.
    pub fn append(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let length = (body.len() as u32).to_le_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(body);
        self.0 = sha256(&[&self.0, &length, body]);
        out.extend_from_slice(&self.0[..TAG_BYTES]);
    }

    /// Goes on to a record that was read; whether its tag is that of the chain.
    pub fn follow(&mut self, body: &[u8], tag: &[u8]) -> bool {
        let length = (body.len() as u32).to_le_bytes();
        let next = sha256(&[&self.0, &length, body]);
        let is_next = next[..TAG_BYTES] == *tag;
        if is_next {
            self.0 = next;
        }
        is_next
    }
}

/// SHA-256 of parts, one behind the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
