//! The key of an event: whose it is, when it happened, and its id.
//!
//! ```text
//! entity key | !e | id | bytes of the id u16
//! ```
//!
//! Plain bytewise order puts an entity's events side by side, the newest first, and those of
//! one moment by their ids. The length comes last, so that a key can be divided without
//! knowing of what types an entity's are; it changes no order, because no id begins with
//! another ([`crate::aggregate::identity`]).

use super::{descending, from_descending};

/// Bytes of an event's key beside the entity's and the id.
const FIXED_BYTES: usize = 10;

/// The parts of an event's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey<'k> {
    /// The encoded entity key.
    pub entity: &'k [u8],
    /// The event time, microseconds UTC.
    pub event: i64,
    /// The id.
    pub id: &'k [u8],
}

impl<'k> EventKey<'k> {
    /// Appends the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.entity);
        out.extend_from_slice(&descending(self.event));
        out.extend_from_slice(self.id);
        out.extend_from_slice(&(self.id.len() as u16).to_be_bytes());
    }

    /// Divides a key; `None` if it is none.
    pub fn split(key: &'k [u8]) -> Option<Self> {
        let (rest, length) = key.split_last_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (rest, id) = rest.split_at_checked(rest.len().checked_sub(length)?)?;
        let (entity, event) = rest.split_last_chunk()?;
        Some(Self { entity, event: from_descending(*event), id })
    }

    /// How many bytes the key has.
    pub fn bytes(&self) -> usize {
        self.entity.len() + self.id.len() + FIXED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_entity_then_newest_then_id_and_come_apart() {
        let keys = [
            EventKey { entity: b"a", event: 9, id: b"\x02x" },
            EventKey { entity: b"a", event: 9, id: b"\x03" },
            EventKey { entity: b"a", event: -9, id: b"" },
            EventKey { entity: b"b", event: i64::MAX, id: b"" },
            EventKey { entity: b"b", event: i64::MIN, id: &[7; 300] },
        ];
        let encode = |key: &EventKey<'_>| {
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            bytes
        };
        let encoded: Vec<Vec<u8>> = keys.iter().map(encode).collect();
        assert!(encoded.is_sorted());
        for (key, encoded) in keys.iter().zip(&encoded) {
            assert_eq!(EventKey::split(encoded).as_ref(), Some(key));
            assert_eq!(key.bytes(), encoded.len());
        }
        assert_eq!(EventKey::split(b"short"), None);
        assert_eq!(EventKey::split(&[255; 12]), None);
    }
}
