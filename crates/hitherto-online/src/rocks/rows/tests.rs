use std::collections::HashMap;

use proptest::prelude::*;

use super::shard::Shard;
use super::{RowTable, SnapshotRows, hash};
use crate::keys::{self, LatestKeys};
use crate::store::{GenerationId, Rows};

const ONE: GenerationId = GenerationId { view: 1, number: 1 };
const TWO: GenerationId = GenerationId { view: 2, number: 1 };

fn now(table: &RowTable) -> SnapshotRows<'_> {
    table.of_snapshot(table.stamp())
}

/// What is here for an entity: nothing, that there is no row, or a row.
fn take(mut rows: SnapshotRows<'_>, key: &[u8]) -> Option<Option<Vec<u8>>> {
    let (mut keys, mut taken) = (LatestKeys::default(), Rows::default());
    let id = if key.starts_with(&keys::generation(ONE)) { ONE } else { TWO };
    keys.push(id, &key[keys::GENERATION_BYTES..]);
    taken.reset(1);
    let missing = rows.take(&keys, &mut taken);
    missing.is_empty().then(|| taken.get(0).map(<[u8]>::to_vec))
}

fn row(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    Some(Some(bytes.to_vec()))
}

#[test]
fn a_row_that_was_left_is_found_until_its_generation_is_written() {
    let table = RowTable::new(1 << 20);
    let (one, two) = (keys::latest(ONE, b"a"), keys::latest(TWO, b"a"));
    assert_eq!(take(now(&table), &one), None);
    now(&table).leave(&one, Some(b"1"));
    now(&table).leave(&two, None);
    assert_eq!(take(now(&table), &one), row(b"1"));
    assert_eq!(take(now(&table), &two), Some(None), "it is known that there is none");
    drop(table.begin_load(ONE));
    assert_eq!(take(now(&table), &one), None, "the write may have changed it");
    assert_eq!(take(now(&table), &two), Some(None), "of another generation");
    assert_eq!((table.hits(), table.misses()), (3, 2));
}

#[test]
fn while_a_generation_is_written_nobody_takes_or_leaves_its_rows() {
    let table = RowTable::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let stamp = table.stamp();
    table.of_snapshot(stamp).leave(&key, Some(b"old"));
    assert!(table.are_not_loaded_since(stamp, &[ONE, TWO]));
    let write = table.begin_load(ONE);
    assert!(!table.are_not_loaded_since(stamp, &[ONE, TWO]), "one is being written");
    assert!(table.are_not_loaded_since(stamp, &[TWO]));
    assert_eq!(take(table.of_snapshot(stamp), &key), None);
    table.of_snapshot(stamp).leave(&key, Some(b"half"));
    drop(write);
    assert!(!table.are_not_loaded_since(stamp, &[ONE]), "it was written");
    assert!(table.are_not_loaded_since(table.stamp(), &[ONE]));
    assert_eq!(take(now(&table), &key), None);
}

#[test]
fn a_row_read_before_a_write_and_left_after_it_is_never_taken() {
    let table = RowTable::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let stamp = table.stamp();
    drop(table.begin_load(ONE));
    table.of_snapshot(stamp).leave(&key, Some(b"old"));
    assert_eq!(take(now(&table), &key), None);
}

#[test]
fn a_snapshot_does_not_take_what_a_later_one_left() {
    let table = RowTable::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let before = table.stamp();
    drop(table.begin_load(ONE));
    now(&table).leave(&key, Some(b"new"));
    assert_eq!(take(table.of_snapshot(before), &key), None);
    assert_eq!(take(now(&table), &key), row(b"new"));
}

#[test]
fn many_rows_are_taken_together() {
    let table = RowTable::new(32 << 20);
    let mut keys = LatestKeys::default();
    for entity in 0..1_000_u32 {
        keys.push(ONE, &entity.to_be_bytes());
        let row = entity.to_string().repeat(entity as usize % 9);
        let row = (entity % 7 != 0).then_some(row.as_bytes());
        if entity % 5 != 0 {
            now(&table).leave(keys.get(entity as usize), row);
        }
    }
    let mut rows = Rows::default();
    rows.reset(keys.len());
    let missing = now(&table).take(&keys, &mut rows);
    assert_eq!(missing, (0..1_000).step_by(5).collect::<Vec<_>>());
    for (entity, row) in rows.iter().enumerate() {
        let expected = entity.to_string().repeat(entity % 9);
        let is_there = entity % 5 != 0 && entity % 7 != 0;
        assert_eq!(row, is_there.then_some(expected.as_bytes()), "{entity}");
    }
}

#[test]
fn readers_of_many_rows_and_writers_get_on() {
    let table = RowTable::new(16 << 20);
    let key = |entity: u64| keys::latest(ONE, &entity.to_be_bytes());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let table = &table;
            scope.spawn(move || {
                let mut rows = Rows::default();
                for round in 0..1_000 {
                    // Every shard, beginning with another one each time.
                    let entities = (0..64).map(|entity| (entity * 7 + thread * 31 + round) % 97);
                    let mut keys = LatestKeys::default();
                    entities.clone().for_each(|entity| keys.push(ONE, &entity.to_be_bytes()));
                    rows.reset(keys.len());
                    let missing = now(table).take(&keys, &mut rows);
                    for (entity, row) in entities.zip(rows.iter()) {
                        assert!(row.is_none_or(|row| row == entity.to_be_bytes()));
                    }
                    let written = (round * 13 + thread) % 97;
                    now(table).leave(&key(written), Some(&written.to_be_bytes()));
                    assert!(missing.len() <= 64);
                }
            });
        }
    });
    assert_eq!(table.hits() + table.misses(), 4 * 1_000 * 64);
}

#[test]
fn it_holds_no_more_bytes_than_it_may() {
    for bytes_max in [64 << 10, 3 << 20] {
        let table = RowTable::new(bytes_max);
        for entity in 0..20_000_u32 {
            now(&table).leave(&keys::latest(ONE, &entity.to_be_bytes()), Some(&[7; 400]));
        }
        let bytes = table.bytes() as usize;
        assert!((bytes_max / 2..=bytes_max).contains(&bytes), "{bytes} of {bytes_max} bytes");
    }
}

#[test]
fn what_is_asked_for_stays_longer() {
    let mut shard = Shard::new(64 << 10);
    let key = |number: u32| number.to_be_bytes();
    let get = |shard: &Shard, number: u32| {
        let hash = hash(&key(number));
        let candidate = shard.candidate(hash)?;
        shard.read(hash, &key(number), candidate).map(|entry| entry.stamp)
    };
    for number in 0..2_000 {
        shard.write(hash(&key(number)), &key(number), number.into(), Some(&[1; 200]));
        assert_eq!(get(&shard, 0), Some(0), "after {number} others");
        assert_eq!(get(&shard, number), Some(number.into()));
    }
    assert_eq!(get(&shard, 1), None);
}

proptest! {
    /// Whatever is written, in rings of any size: what is found is what was written
    /// last for the key.
    #[test]
    fn a_shard_has_what_was_written_last_or_nothing(
        bytes in 0_usize..6_000,
        steps in prop::collection::vec((0_u8..40, 0_usize..300, any::<bool>()), 1..400),
    ) {
        let mut shard = Shard::new(bytes);
        let mut written = HashMap::new();
        for (stamp, (key, row_bytes, is_there)) in (0_u64..).zip(steps) {
            let key_bytes = vec![key; usize::from(key % 5) + 1];
            let row = vec![stamp as u8; row_bytes];
            let row = is_there.then_some(row);
            shard.write(hash(&key_bytes), &key_bytes, stamp, row.as_deref());
            written.insert(key_bytes.clone(), (stamp, row));
            for (key, (stamp, row)) in &written {
                let candidate = shard.candidate(hash(key));
                if let Some(entry) = candidate.and_then(|held| shard.read(hash(key), key, held)) {
                    prop_assert_eq!((entry.stamp, entry.row), (*stamp, row.as_deref()));
                }
            }
            // With its header and a key of at most 5 bytes.
            let is_kept = shard.candidate(hash(&key_bytes)).is_some();
            prop_assert!(is_kept || row_bytes + 32 > shard.entry_bytes_max());
        }
    }
}
