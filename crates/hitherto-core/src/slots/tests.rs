//! Slots on hand-written spines. The property tests against a naive oracle are
//! in the workspace's `tests` package.

use super::*;
use crate::row::RowSchema;

const TERMS: Terms = Terms { ttl_micros: None, known_by: i64::MAX, known: Known::Honor };

/// A spine of (key, time) rows and facts (key, event, known, label); the label
/// or absence for every spine row, and whether it leaks.
fn check(
    spine: &[(Option<&str>, i64)],
    facts: &[(&str, i64, i64, u8)],
    terms: Terms,
) -> Vec<(Result<u8, Absence>, bool)> {
    let mut builder = SpineBuilder::default();
    for (key, at) in spine {
        builder.push(key.map(str::as_bytes), *at).unwrap();
    }
    let schema = RowSchema::new(&[], 1);
    let mut slots = Slots::new(Arc::new(builder.build()), terms);
    for (key, event, known, label) in facts {
        let times = Times { event: *event, known: *known };
        let encode = |row: &mut Vec<u8>| {
            schema.write(row, times, 0);
            row.push(*label);
            Ok(())
        };
        slots.offer(key.as_bytes(), times, encode).unwrap();
    }
    let answers = slots.finish();
    let row = |index| (answers.of_row(index).map(|row| row[row.len() - 1]), answers.is_leak(index));
    (0..spine.len()).map(row).collect()
}

#[test]
fn rows_keep_their_order_and_number_whatever_they_hold() {
    let spine = [(Some("b"), 20), (None, 20), (Some("a"), 10), (Some("b"), 20), (Some("b"), 5)];
    let answers = check(&spine, &[("b", 10, 10, 1), ("a", 11, 11, 2)], TERMS);
    let answers: Vec<_> = answers.into_iter().map(|(answer, _)| answer).collect();
    let expected =
        [Ok(1), Err(Absence::NullKey), Err(Absence::NeverSeen), Ok(1), Err(Absence::NeverSeen)];
    assert_eq!(answers, expected);
}

#[test]
fn a_winner_is_carried_on_until_a_greater_fact_is_visible() {
    let spine = [(Some("a"), 10), (Some("a"), 20), (Some("a"), 30), (Some("a"), 40)];
    // The newer event is known late; the older one answers until then.
    let facts = [("a", 9, 31, 2), ("a", 5, 5, 1)];
    let answers = check(&spine, &facts, TERMS);
    assert_eq!(answers, [(Ok(1), true), (Ok(1), true), (Ok(1), true), (Ok(2), false)]);
}

#[test]
fn a_late_fact_with_an_older_event_never_wins_over_a_newer_event() {
    let spine = [(Some("a"), 50)];
    let answers = check(&spine, &[("a", 10, 40, 1), ("a", 20, 20, 2)], TERMS);
    assert_eq!(answers, [(Ok(2), false)]);
}

#[test]
fn a_leak_needs_a_fact_that_ttl_would_have_let_through() {
    let spine = [(Some("a"), 100)];
    let facts = [("a", 50, 120, 1)];
    let terms = |ttl| Terms { ttl_micros: Some(ttl), ..TERMS };
    assert_eq!(check(&spine, &facts, terms(50)), [(Err(Absence::NotYetKnown), true)]);
    assert_eq!(check(&spine, &facts, terms(49)), [(Err(Absence::NotYetKnown), false)]);
}

#[test]
fn a_fact_after_the_cutoff_is_never_known() {
    let terms = Terms { known_by: 30, ..TERMS };
    let answers = check(&[(Some("a"), 100)], &[("a", 10, 31, 2), ("a", 5, 30, 1)], terms);
    assert_eq!(answers[0].0, Ok(1));
}

#[test]
fn rows_are_encoded_only_for_winners_and_ties() {
    let mut builder = SpineBuilder::default();
    builder.push(Some(b"a"), 100).unwrap();
    let mut slots = Slots::new(Arc::new(builder.build()), TERMS);
    let mut encoded = 0;
    for (key, event) in [("a", 50), ("a", 40), ("a", 60), ("z", 99), ("a", 101), ("a", 60)] {
        let times = Times { event, known: event };
        slots
            .offer(key.as_bytes(), times, |row| {
                encoded += 1;
                row.clear();
                row.extend_from_slice(&[1; 24]);
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(encoded, 3, "50 wins, 60 wins, the second 60 ties");
}

#[test]
fn an_empty_spine_has_no_rows() {
    assert_eq!(check(&[], &[("a", 1, 1, 1)], TERMS), []);
    assert_eq!(check(&[(None, 1)], &[("a", 1, 1, 1)], TERMS), [(Err(Absence::NullKey), false)]);
}
