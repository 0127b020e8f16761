//! Which part of the key space an entity is in, for ever.
//!
//! Whatever cuts entities apart (nodes, files, parts of a load, tasks) cuts by hash slots, so that
//! two cuts fit each other. A hash slot is of the *encoded* key: it is asked for and never computed
//! by whoever else hashes join keys.

use xxhash_rust::xxh3::xxh3_64;

/// How many hash slots there are: as many as a Redis Cluster has.
pub const HASH_SLOTS: u16 = 1 << 14;

/// The hash slot of an encoded entity key, below [`HASH_SLOTS`].
pub fn hash_slot(entity_key: &[u8]) -> u16 {
    (xxh3_64(entity_key) >> (64 - HASH_SLOTS.trailing_zeros())) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_slots_are_those_that_another_library_computed() {
        let golden = include_str!("../../../../fixtures/hash_slots.txt");
        let mut count = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let (hex, expected) = line.split_once(' ').unwrap();
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            assert_eq!(hash_slot(&bytes), expected.parse::<u16>().unwrap(), "{hex}");
            count += 1;
        }
        assert!(count > 20);
    }
}
