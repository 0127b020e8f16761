//! DER, as far as it is needed to find what others' parsers of certificates do not tell: who may
//! sign with a key, and until when it counts.
//!
//! ```text
//! element      tag, length, content             of one byte's tag
//! certificate  SEQUENCE { tbs SEQUENCE {
//!                [0] version, serial, algorithm, issuer, validity, subject, key,
//!                [3] { SEQUENCE { SEQUENCE { OID, critical?, OCTET STRING } ... } } } ... }
//! ```

pub const BOOLEAN: u8 = 0x01;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const UTC_TIME: u8 = 0x17;
pub const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The first element: its tag, its content, and what follows it.
pub fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let (length, rest) = match head[1] {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            // No certificate is so long that its length would have more bytes.
            let count = usize::from(long & 0x7f);
            let (length, rest) = rest.split_at_checked(count).filter(|_| count <= 3)?;
            (length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((head[0], content, rest))
}

/// The content of the first element, which must have this tag, and what follows it.
pub fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = next(bytes)?;
    (found == tag).then_some((content, rest))
}

/// What is read of a certificate.
pub struct Certificate<'c> {
    /// The element that says until when it counts.
    pub not_after: (u8, &'c [u8]),
    extensions: &'c [u8],
}

impl<'c> Certificate<'c> {
    /// Reads what a verifier has read before.
    pub fn read(certificate: &'c [u8]) -> Option<Self> {
        let (certificate, _) = take(SEQUENCE, certificate)?;
        let (tbs, _) = take(SEQUENCE, certificate)?;
        let (_, tbs) = take(VERSION, tbs)?;
        // Serial number, algorithm and issuer.
        let tbs = (0..3).try_fold(tbs, |tbs, _| Some(next(tbs)?.2))?;
        let (validity, tbs) = take(SEQUENCE, tbs)?;
        let (tag, not_after, _) = next(next(validity)?.2)?;
        let mut rest = tbs;
        while let Some((tag_of, content, after)) = next(rest) {
            if tag_of == EXTENSIONS {
                let (extensions, _) = take(SEQUENCE, content)?;
                return Some(Self { not_after: (tag, not_after), extensions });
            }
            rest = after;
        }
        Some(Self { not_after: (tag, not_after), extensions: &[] })
    }

    /// What is inside of an extension, by the content of its OID.
    pub fn extension(&self, oid: &[u8]) -> Option<&'c [u8]> {
        let mut rest = self.extensions;
        while let Some((extension, after)) = take(SEQUENCE, rest) {
            let (found, value) = take(OID, extension)?;
            let value = take(BOOLEAN, value).map_or(value, |(_, value)| value);
            if found == oid {
                return Some(take(OCTET_STRING, value)?.0);
            }
            rest = after;
        }
        None
    }
}
