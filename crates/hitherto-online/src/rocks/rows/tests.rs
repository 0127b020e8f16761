use super::{RowCache, SnapshotRows};
use crate::keys;
use crate::store::GenerationId;

const ONE: GenerationId = GenerationId { view: 1, number: 1 };
const TWO: GenerationId = GenerationId { view: 2, number: 1 };

fn now(cache: &RowCache) -> SnapshotRows<'_> {
    cache.of_snapshot(cache.stamp())
}

#[test]
fn a_row_that_was_left_is_found_until_its_generation_is_written() {
    let cache = RowCache::new(1 << 20);
    let (one, two) = (keys::latest(ONE, b"a"), keys::latest(TWO, b"a"));
    assert_eq!(now(&cache).get(&one), None);
    now(&cache).put(&one, b"1");
    now(&cache).put(&two, b"2");
    assert_eq!(now(&cache).get(&one).as_deref(), Some(&b"1"[..]));
    drop(cache.begin_write(ONE));
    assert_eq!(now(&cache).get(&one), None, "the write may have changed it");
    assert_eq!(now(&cache).get(&two).as_deref(), Some(&b"2"[..]), "of another generation");
}

#[test]
fn while_a_generation_is_written_nobody_takes_or_leaves_its_rows() {
    let cache = RowCache::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let stamp = cache.stamp();
    cache.of_snapshot(stamp).put(&key, b"old");
    let write = cache.begin_write(ONE);
    assert_eq!(cache.of_snapshot(stamp).get(&key), None);
    cache.of_snapshot(stamp).put(&key, b"half");
    drop(write);
    assert_eq!(now(&cache).get(&key), None);
}

#[test]
fn a_row_read_before_a_write_and_left_after_it_is_never_taken() {
    let cache = RowCache::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let mut before = now(&cache);
    assert_eq!(before.get(&key), None);
    drop(cache.begin_write(ONE));
    before.put(&key, b"old");
    assert_eq!(now(&cache).get(&key), None);
}

#[test]
fn a_snapshot_does_not_take_what_a_later_one_left() {
    let cache = RowCache::new(1 << 20);
    let key = keys::latest(ONE, b"a");
    let before = cache.stamp();
    drop(cache.begin_write(ONE));
    now(&cache).put(&key, b"new");
    assert_eq!(cache.of_snapshot(before).get(&key), None);
    assert_eq!(now(&cache).get(&key).as_deref(), Some(&b"new"[..]));
}

#[test]
fn it_holds_no_more_bytes_than_it_may() {
    let cache = RowCache::new(64 << 10);
    for entity in 0..10_000_u32 {
        now(&cache).put(&keys::latest(ONE, &entity.to_be_bytes()), &[7; 400]);
    }
    assert!(cache.bytes() <= 64 << 10, "{} bytes", cache.bytes());
    assert!(cache.bytes() > 16 << 10, "{} bytes", cache.bytes());
}
