use std::collections::BTreeMap;

use hitherto_core::definition::Known;
use hitherto_core::row::RowSchema;
use proptest::collection;
use proptest::prelude::*;

use super::*;

type Fact = (Vec<u8>, Times, Vec<u8>);

/// A fact whose row has some more bytes, so that rows of equal times differ.
fn fact(key: &[u8], event: i64, known: i64, more: &[u8]) -> Fact {
    let times = Times { event, known };
    let mut row = Vec::new();
    RowSchema::new(&[], 1).write(&mut row, times, 0);
    row.extend_from_slice(more);
    (key.to_vec(), times, row)
}

/// What is kept, by looking at all facts of each entity.
fn judge(facts: &[Fact], horizon: i64) -> Vec<Fact> {
    let mut greatest: BTreeMap<(&[u8], std::cmp::Reverse<Times>), &[u8]> = BTreeMap::new();
    for (key, times, row) in facts {
        let held = greatest.entry((key, std::cmp::Reverse(*times))).or_insert(row);
        *held = (*held).max(row);
    }
    let is_visible = |times: Times| times.visible(Known::Honor) <= horizon;
    let is_kept = |key: &[u8], times: Times| {
        !is_visible(times)
            || facts
                .iter()
                .all(|(other, above, _)| other != key || *above <= times || !is_visible(*above))
    };
    let kept = greatest.into_iter().filter(|((key, times), _)| is_kept(key, times.0));
    kept.map(|((key, times), row)| (key.to_vec(), times.0, row.to_vec())).collect()
}

/// The same by spreading them, from two threads.
fn spread(facts: &[Fact], horizon: i64, memory: usize) -> Vec<Fact> {
    let spread = Spread::new(|key| key, horizon, memory);
    std::thread::scope(|scope| {
        for half in facts.chunks(facts.len().div_ceil(2).max(1)) {
            let spread = &spread;
            scope.spawn(move || {
                let mut writer = spread.writer();
                for (number, (key, _, row)) in half.iter().enumerate() {
                    writer.push(key, row).unwrap();
                    if number % 7 == 0 {
                        writer.flush().unwrap();
                    }
                }
                writer.flush().unwrap();
            });
        }
    });
    let mut kept = Vec::new();
    for part in spread.finish(5).unwrap() {
        part.visit(&mut |key, times, row| {
            kept.push((key.to_vec(), times, row.to_vec()));
            Ok(())
        })
        .unwrap();
    }
    kept
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    (1..400_u32).prop_flat_map(|entities| {
        let one = (0..entities, 0..40_i64, 0..40_i64, 0..3_u8);
        let one = one.prop_map(|(entity, event, known, more)| {
            fact(format!("entity-{entity}").as_bytes(), event, known, &[more; 3])
        });
        collection::vec(one, 0..1_000)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_size_and_order_keeps_the_same_facts(
        mut facts in facts(),
        horizon in prop_oneof![Just(i64::MIN), Just(20), Just(i64::MAX)],
    ) {
        let expected = judge(&facts, horizon);
        for order in ["as drawn", "ascending", "descending"] {
            match order {
                "ascending" => facts.sort(),
                "descending" => facts.reverse(),
                _ => {}
            }
            // All in memory; room made once and again; spilled; every fact by itself.
            for memory in [1 << 20, 40_000, 4_000, 1] {
                let kept = spread(&facts, horizon, memory);
                prop_assert!(kept == expected, "{} with {} bytes", order, memory);
            }
        }
    }
}

#[test]
fn facts_of_one_moment_are_one_however_many() {
    let facts: Vec<Fact> = (0..3_000_u32).map(|n| fact(b"one", 5, 5, &n.to_be_bytes())).collect();
    for memory in [1 << 20, 2_000, 1] {
        assert_eq!(spread(&facts, i64::MIN, memory), [facts.last().cloned().unwrap()]);
    }
}

#[test]
fn no_facts_are_none() {
    assert_eq!(spread(&[], 0, 1), []);
}
