//! RocksDB and the in-memory store side by side: every step on both, every
//! answer equal.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU8, Ordering};

use hitherto_core::aggregate::Moments;
use hitherto_core::key::EventKey;
use hitherto_core::row::RowSchema;
use hitherto_core::rule::Times;
use hitherto_core::types::DataType;
use hitherto_core::{Kind, Result};
use hitherto_online::keys::{self, LatestKeys};
use hitherto_online::memory::MemoryStore;
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{
    Access, BatchName, Beneath, Durability, EventVersion, Fact, GenerationId, Horizon, LogEntry,
    Meta, MetaKey, PushLog, Reach, RowStore, Rows, Snapshot,
};
use proptest::prelude::*;

/// All that a store can be.
trait Store: RowStore + PushLog + Meta {}

impl<S: RowStore + PushLog + Meta> Store for S {}

/// One step that both stores take.
#[derive(Clone, Debug)]
enum Step {
    Load { generation: u32, latest: Vec<(u8, u8)>, history: Vec<(u8, i64, i64, u8)> },
    Put { generation: u32, facts: Vec<(u8, i64, i64, u8)> },
    Append { batches: Vec<(u8, u8)> },
    Trim { view: u8, batches: u8, names: u8 },
    CarryNames { from: u8, to: u8 },
    Drop { generation: u32 },
    Meta { key: u8, value: Option<u8> },
}

fn steps() -> impl Strategy<Value = Step> {
    let latest = prop::collection::vec((0..6_u8, any::<u8>()), 0..8);
    let history = prop::collection::vec((0..6_u8, -3..3_i64, -3..3_i64, any::<u8>()), 0..12);
    let batches = prop::collection::vec((0..2_u8, 0..9_u8), 0..6);
    prop_oneof![
        6 => (1..3_u32, history.clone())
            .prop_map(|(generation, facts)| Step::Put { generation, facts }),
        2 => batches.prop_map(|batches| Step::Append { batches }),
        1 => (0..2_u8, 0..9_u8, 0..9_u8)
            .prop_map(|(view, batches, names)| Step::Trim { view, batches, names }),
        6 => (1..3_u32, latest, history)
            .prop_map(|(generation, latest, history)| Step::Load { generation, latest, history }),
        1 => (0..2_u8, 0..2_u8).prop_map(|(from, to)| Step::CarryNames { from, to }),
        1 => (1..3_u32).prop_map(|generation| Step::Drop { generation }),
        1 => (0..3_u8, prop::option::of(any::<u8>()))
            .prop_map(|(key, value)| Step::Meta { key, value }),
    ]
}

fn id(number: u32) -> GenerationId {
    GenerationId { view: 7, number }
}

/// Entity keys of different lengths, none a prefix of another.
fn entity(number: u8) -> Vec<u8> {
    let mut key = vec![b'k'; usize::from(number)];
    key.extend_from_slice(&[0, 0]);
    key
}

/// The row of a fact that is known at once, and its times.
pub fn row_of(event: i64) -> (Times, Vec<u8>) {
    let times = Times { event, known: event };
    (times, row(times, 1))
}

/// A row of one small feature.
fn row(times: Times, value: u8) -> Vec<u8> {
    let mut row = Vec::new();
    RowSchema::new(&[DataType::UInt8], 1).write(&mut row, times, 0).set_fixed(0, &[value]);
    row
}

fn meta_key(number: u8) -> MetaKey {
    MetaKey::Consumed { view: number.into() }
}

fn value_of(row: &[u8]) -> u8 {
    row[row.len() - 1]
}

/// A latest row; the greater the value, the greater its rank.
fn latest_row(value: u8) -> Vec<u8> {
    row(Times { event: i64::from(value / 64) - 2, known: i64::from(value / 16) }, value)
}

fn take(store: &dyn Store, step: &Step) -> Result<()> {
    match step {
        Step::Load { generation, latest, history } => {
            let mut latest: Vec<_> = latest.iter().map(|(key, row)| (entity(*key), *row)).collect();
            latest.sort();
            latest.dedup_by(|a, b| a.0 == b.0);
            let mut history: Vec<_> = history
                .iter()
                .map(|(key, event, known, row)| {
                    let times = Times { event: *event, known: *known };
                    (
                        keys::history(id(*generation), &entity(*key), times),
                        entity(*key),
                        times,
                        *row,
                    )
                })
                .collect();
            history.sort();
            history.dedup_by(|a, b| a.0 == b.0);
            let load = store.load(id(*generation), Beneath::Rows)?;
            let mut part = load.part()?;
            for (key, value) in latest {
                part.put_latest(&key, &latest_row(value))?;
            }
            for (_, key, times, value) in history {
                part.put_history(&key, times, &row(times, value))?;
            }
            part.finish()?;
            load.finish().map(|_| ())
        }
        Step::Put { generation, facts } => {
            let facts: Vec<_> = facts
                .iter()
                .map(|(key, event, known, value)| {
                    let times = Times { event: *event, known: *known };
                    (entity(*key), times, row(times, *value))
                })
                .collect();
            let facts: Vec<_> = facts
                .iter()
                .map(|(entity_key, times, row)| Fact { entity_key, times: *times, row })
                .collect();
            store.put(id(*generation), &facts)
        }
        Step::Append { batches } => {
            let entries: Vec<_> = batches
                .iter()
                .map(|(view, number)| LogEntry {
                    view: (*view).into(),
                    number: (*number).into(),
                    // A number has one name for ever, or none.
                    name: (number % 3 > 0)
                        .then(|| BatchName { name: (*number).into(), content: u128::MAX - 5 }),
                    arrived: i64::from(*number) - 2,
                    bytes: std::slice::from_ref(number),
                })
                .collect();
            store.append_log(&entries, Durability::Buffered)
        }
        Step::Trim { view, batches, names } => {
            store.trim_log((*view).into(), (*batches).into(), (*names).into())
        }
        Step::CarryNames { from, to } => store.carry_names((*from).into(), (*to).into()),
        Step::Drop { generation } => store.drop_generation(id(*generation)),
        Step::Meta { key, value } => {
            store.commit_meta(&[(meta_key(*key), value.map(|value| vec![value]))])
        }
    }
}

/// Everything that the store can be asked.
fn all_answers(store: &dyn Store) -> Vec<String> {
    let snapshot = store.snapshot(Reach::Disk, &[id(1), id(2)]);
    let mut answers = Vec::new();
    for generation in 1..3 {
        let mut keys = LatestKeys::default();
        (0..6).for_each(|key| keys.push(id(generation), &entity(key)));
        // The second time rows come from memory.
        for time in 0..2 {
            let mut rows = Rows::default();
            snapshot.read_latest(&keys, &mut rows).unwrap();
            let rows: Vec<_> = rows.iter().collect();
            answers.push(format!("latest {generation} time {time} {rows:?}"));
        }
        let mut histories = snapshot.histories().unwrap();
        for (key, at) in (0..6).flat_map(|key| (-4..4).map(move |at| (key, at))) {
            let mut seen = |times: Times, row: &[u8]| {
                answers.push(format!("history {generation} {key} {at} {times:?} {row:?}"));
                if value_of(row).is_multiple_of(4) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            histories.scan(id(generation), &entity(key), at, &mut seen).unwrap();
        }
    }
    for view in 0..2 {
        for from in [0, 4] {
            let mut log = Vec::new();
            let mut show = |number: u64, bytes: &[u8]| {
                log.push((number, bytes.to_vec()));
                Ok(())
            };
            store.read_log(view, from, &mut show).unwrap();
            answers.push(format!("log {view} {from} {log:?}"));
        }
        for name in 0..9 {
            answers
                .push(format!("name {view} {name} {:?}", store.find_logged(view, name).unwrap()));
        }
    }
    answers.push(format!("arrived {:?}", store.arrived().unwrap()));
    for key in 0..3 {
        answers.push(format!("meta {key} {:?}", store.read_meta(meta_key(key)).unwrap()));
    }
    answers
}

pub fn rocks(folder: &std::path::Path) -> Result<RocksStore> {
    RocksStore::open(folder, Access::ReadWrite, RocksOptions::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rocksdb_answers_like_the_mirror(steps in prop::collection::vec(steps(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let mirror = MemoryStore::default();
        let store = rocks(folder.path()).unwrap();
        for generation in 1..3 {
            store.load(id(generation), Beneath::Nothing).unwrap().finish().unwrap();
            prop_assert_eq!(store.visible_by(id(generation)).unwrap(), Some(i64::MIN));
        }
        for step in &steps {
            take(&mirror, step).unwrap();
            take(&store, step).unwrap();
            prop_assert_eq!(all_answers(&store), all_answers(&mirror), "after {:?}", step);
            for generation in 1..3 {
                let moment = store.visible_by(id(generation)).unwrap();
                let least = mirror.visible_by(id(generation)).unwrap();
                prop_assert!(moment.is_none() || moment >= least, "{moment:?} < {least:?}");
            }
        }
        drop(store);
        let reopened = rocks(folder.path()).unwrap();
        prop_assert_eq!(all_answers(&reopened), all_answers(&mirror), "after reopening");
    }
}

#[test]
fn a_snapshot_does_not_see_what_came_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    let load = |row| Step::Load { generation: 1, latest: vec![(1, row)], history: vec![] };
    take(&store, &load(1)).unwrap();
    let mut key = LatestKeys::default();
    key.push(id(1), &entity(1));
    let mut seen = Vec::new();
    let mut read = |snapshot: &dyn Snapshot| {
        let mut rows = Rows::default();
        snapshot.read_latest(&key, &mut rows).unwrap();
        seen.push(rows.get(0).map(value_of));
    };
    let (before, early) =
        (store.snapshot(Reach::Disk, &[id(1)]), store.snapshot(Reach::Disk, &[id(1)]));
    read(&*early);
    take(&store, &load(2)).unwrap();
    let after = store.snapshot(Reach::Disk, &[id(1)]);
    // Whoever reads first leaves the row in memory for the others.
    for snapshot in [&before, &after, &before, &after, &early] {
        read(&**snapshot);
    }
    assert_eq!(seen, [1, 1, 2, 1, 2, 1].map(Some));
}

#[test]
fn rows_in_memory_are_those_of_the_snapshot_while_loads_go_on() {
    const LOADS: u8 = 60;
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    let load = |row| Step::Load { generation: 1, latest: vec![(1, row)], history: vec![] };
    let loaded = AtomicU8::new(0);
    let mut key = LatestKeys::default();
    key.push(id(1), &entity(1));
    let read = |snapshot: &dyn Snapshot| {
        let mut rows = Rows::default();
        snapshot.read_latest(&key, &mut rows).unwrap();
        rows.get(0).map_or(0, value_of)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for row in 1..=LOADS {
                take(&store, &load(row)).unwrap();
                loaded.store(row, Ordering::SeqCst);
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                while loaded.load(Ordering::SeqCst) < LOADS {
                    let least = loaded.load(Ordering::SeqCst);
                    let snapshot = store.snapshot(Reach::Disk, &[id(1)]);
                    let greatest = loaded.load(Ordering::SeqCst) + 1;
                    let first = read(&*snapshot);
                    assert!((least..=greatest).contains(&first), "{least} {first} {greatest}");
                    let other = read(&*store.snapshot(Reach::Disk, &[id(1)]));
                    assert!(other >= first, "{first} then {other}");
                    assert_eq!(read(&*snapshot), first);
                }
            });
        }
    });
    assert_eq!(read(&*store.snapshot(Reach::Disk, &[id(1)])), LOADS);
}

/// Two entities are always put together; no snapshot, however it reads, may see one of
/// them without the other, and none an older pair than one that was put before it was
/// made. Loads go on beside, which never undo a put.
#[test]
fn what_is_put_together_is_seen_together_while_loads_go_on() {
    const PUTS: u8 = 120;
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    let put = AtomicU8::new(0);
    let mut keys = LatestKeys::default();
    (1..4).for_each(|key| keys.push(id(1), &entity(key)));
    let read = |snapshot: &dyn Snapshot| {
        let mut rows = Rows::default();
        snapshot.read_latest(&keys, &mut rows).ok()?;
        let values = rows.iter().map(|row| row.map_or(0, value_of));
        Some(values.collect::<Vec<u8>>())
    };
    let fact = |key: u8, value: u8| {
        let times = Times { event: value.into(), known: value.into() };
        (key, times.event, times.known, value)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=PUTS {
                let facts = vec![fact(1, value), fact(3, value)];
                take(&store, &Step::Put { generation: 1, facts }).unwrap();
                put.store(value, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            while put.load(Ordering::SeqCst) < PUTS {
                // Of the least rank: it must never come through where something was put.
                let load = store.load(id(1), Beneath::Rows).unwrap();
                let mut part = load.part().unwrap();
                let old = row(Times { event: -9, known: -9 }, 0);
                for key in 1..4 {
                    part.put_latest(&entity(key), &old).unwrap();
                }
                part.finish().unwrap();
                load.finish().unwrap();
            }
        });
        for reach in [Reach::Disk, Reach::Memory, Reach::Disk] {
            let (store, put, read) = (&store, &put, &read);
            scope.spawn(move || {
                while put.load(Ordering::SeqCst) < PUTS {
                    let least = put.load(Ordering::SeqCst);
                    let snapshot = store.snapshot(reach, &[id(1)]);
                    let Some(values) = read(&*snapshot) else {
                        assert_eq!(reach, Reach::Memory, "a disk is always in reach");
                        continue;
                    };
                    assert_eq!(values[0], values[2], "{values:?}");
                    assert!(values[0] >= least, "{values:?} after {least}");
                    if let Some(again) = read(&*snapshot) {
                        assert_eq!(again, values, "a snapshot is of one moment");
                    }
                }
            });
        }
    });
    assert_eq!(read(&*store.snapshot(Reach::Disk, &[id(1)])), Some(vec![PUTS, 0, PUTS]));
}

#[test]
fn history_before_the_horizon_is_reclaimed_and_nothing_after_it_changes() {
    const FACTS: i64 = 300;
    const HORIZON: i64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    for number in 0..FACTS {
        // One in ten is known so late that it answers after the horizon only.
        let known = if number % 10 == 0 { number + 150 } else { number };
        let facts = vec![(1, number, known, 1), (2, number % 20, number % 20, 1)];
        take(&store, &Step::Put { generation: 1, facts }).unwrap();
    }
    let answers = |at: i64, key: u8| {
        let snapshot = store.snapshot(Reach::Disk, &[id(1)]);
        let mut histories = snapshot.histories().unwrap();
        let mut found = None;
        let mut show = |times: Times, _: &[u8]| {
            if times.known > at {
                return ControlFlow::Continue(());
            }
            found = Some(times);
            ControlFlow::Break(())
        };
        histories.scan(id(1), &entity(key), at, &mut show).unwrap();
        found
    };
    let all = || -> Vec<_> {
        (HORIZON..FACTS + 200).flat_map(|at| [answers(at, 1), answers(at, 2)]).collect()
    };
    let before = all();
    store.compact().unwrap();
    let rows = store.usage().history_rows;
    assert_eq!(all(), before);
    store.retain(id(1), Horizon { moment: HORIZON, event: i64::MIN });
    store.compact().unwrap();
    assert_eq!(all(), before);
    let kept = store.usage().history_rows;
    // Entity 1: those after the horizon, the one that answers at it, and five that were
    // known late. Entity 2: its newest.
    assert!(rows >= 320 && (100..130).contains(&kept), "{kept} of {rows} rows");
}

#[test]
fn events_that_no_window_reaches_are_given_up() {
    let horizon = Horizon { moment: 100, event: 60 };
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    // Each event has an id of its own or shares its time with another, and two corrections.
    let versions = (0..150).flat_map(|event| {
        let known = [event, event + 5, event + 120];
        [1_u8, 2].into_iter().flat_map(move |id| known.map(|known| (event, id, known)))
    });
    let versions: Vec<(i64, u8, i64)> = versions.collect();
    for (event, id_byte, known) in &versions {
        let (entity, row) = (entity(1), latest_row(7));
        let event = EventKey { entity: &entity, event: *event, id: &[*id_byte] };
        store.put_events(id(1), &[EventVersion { event, known: *known, row: &row }]).unwrap();
    }
    let kept = || {
        let snapshot = store.snapshot(Reach::Disk, &[id(1)]);
        let mut found = Vec::new();
        let mut show = |times: Times, _: &[u8]| {
            found.push((times.event, times.known));
            ControlFlow::Continue(())
        };
        let mut events = snapshot.events().unwrap();
        events.begin(id(1), &entity(1)).unwrap();
        events.scan(Moments::ALL, &mut show).unwrap();
        drop(events);
        found
    };
    let newest_first = |versions: &[(i64, u8, i64)]| {
        let mut sorted = versions.to_vec();
        sorted.sort_by_key(|(event, id, known)| (-event, *id, -known));
        sorted.into_iter().map(|(event, _, known)| (event, known)).collect::<Vec<_>>()
    };
    store.compact().unwrap();
    assert_eq!(kept(), newest_first(&versions));
    store.retain(id(1), horizon);
    store.compact().unwrap();
    let answers = |(event, id, known): &(i64, u8, i64)| {
        let visible = (*event).max(*known);
        let later = versions.iter().filter(|(e, i, n)| (e, i) == (event, id) && n > known);
        let is_superseded = later.into_iter().any(|(e, _, n)| (*e).max(*n) <= horizon.moment);
        *event >= horizon.event && (visible > horizon.moment || !is_superseded)
    };
    let expected: Vec<_> = versions.iter().filter(|version| answers(version)).copied().collect();
    assert_eq!(kept(), newest_first(&expected));
    assert!(expected.len() < versions.len() * 3 / 5, "{} of {}", expected.len(), versions.len());
}

#[test]
fn a_load_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    let load = store.load(id(1), Beneath::Rows).unwrap();
    for is_finished in [true, false] {
        let mut part = load.part().unwrap();
        part.put_latest(&entity(1), &latest_row(1)).unwrap();
        if is_finished {
            part.finish().unwrap();
        }
    }
    drop(load);
    assert_eq!(all_answers(&store), all_answers(&MemoryStore::default()));
    assert_eq!(std::fs::read_dir(folder.path().join("staging")).unwrap().count(), 0);
}

#[test]
fn keys_out_of_order_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = rocks(folder.path()).unwrap();
    let load = store.load(id(1), Beneath::Nothing).unwrap();
    let mut part = load.part().unwrap();
    let row = latest_row(1);
    part.put_latest(&entity(2), &row).unwrap();
    assert_eq!(part.put_latest(&entity(3), &row).err().map(|error| error.kind()), None);
    assert_eq!(part.put_latest(&entity(3), &row).unwrap_err().kind(), Kind::Internal);
}

#[test]
fn the_second_writer_is_told_who_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = rocks(folder.path()).unwrap();
    let error = rocks(folder.path()).err().unwrap();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(error.to_string().contains("if that is a server, go through it with --server URL"));
    first.announce("http://127.0.0.1:7411").unwrap();
    let error = rocks(folder.path()).err().unwrap().to_string();
    assert!(error.contains("a server at http://127.0.0.1:7411; go through it with --server"));
    take(&first, &Step::Meta { key: 1, value: Some(5) }).unwrap();
    let reader =
        RocksStore::open(folder.path(), Access::ReadOnly, RocksOptions::default()).unwrap();
    assert_eq!(
        reader.read_meta(meta_key(1)).unwrap(),
        Some(vec![5]),
        "a reader sees what was there"
    );
    assert_eq!(reader.commit_meta(&[]).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_reader_keeps_what_it_opened_while_a_writer_drops_it() {
    let folder = tempfile::tempdir().unwrap();
    let writer = rocks(folder.path()).unwrap();
    let load = Step::Load { generation: 1, latest: vec![(1, 7)], history: vec![(1, 0, 0, 7)] };
    take(&writer, &load).unwrap();
    let reader =
        RocksStore::open(folder.path(), Access::ReadOnly, RocksOptions::default()).unwrap();
    let before = {
        let mirror = MemoryStore::default();
        take(&mirror, &load).unwrap();
        all_answers(&mirror)
    };
    take(&writer, &Step::Drop { generation: 1 }).unwrap();
    let files = std::fs::read_dir(folder.path().join("rocksdb")).unwrap();
    let is_table = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".sst");
    assert!(!files.into_iter().any(|file| is_table(&file.unwrap().file_name())), "files are gone");
    assert_eq!(all_answers(&reader), before);
}
