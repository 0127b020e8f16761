//! The encoded keys of a request's entities.

/// One encoded key for each entity of a request, side by side in one buffer.
#[derive(Debug, Default)]
pub(super) struct Entities {
    bytes: Vec<u8>,
    /// Where each key ends; `None` is an entity that cannot exist, because its
    /// key is null or does not fit its type.
    ends: Vec<Option<usize>>,
}

impl Entities {
    pub fn with_capacity(rows: usize) -> Self {
        Self { bytes: Vec::with_capacity(rows * 16), ends: Vec::with_capacity(rows) }
    }

    /// Appends an entity whose key `encode` writes, or that cannot exist if it
    /// gives up.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Option<()>) {
        let start = self.bytes.len();
        let encoded = encode(&mut self.bytes);
        if encoded.is_none() {
            self.bytes.truncate(start);
        }
        self.ends.push(encoded.map(|()| self.bytes.len()));
    }

    /// Each entity's key, from a row on.
    pub fn iter_from(&self, row: usize) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = self.ends[..row].iter().rev().flatten().next().copied().unwrap_or(0);
        self.ends[row..]
            .iter()
            .map(move |end| end.map(|end| &self.bytes[std::mem::replace(&mut start, end)..end]))
    }
}
