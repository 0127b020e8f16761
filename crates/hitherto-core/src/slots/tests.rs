//! Slots on hand-written spines. The property tests against a naive oracle are
//! in the workspace's `tests` package.

use std::sync::Arc;

use super::*;
use crate::key::batch::{Key, KeyBatch, word_part};
use crate::row::{RowBlock, RowSchema};
use crate::rule::Absence;
use crate::types::DataType;

const TERMS: Terms = Terms { ttl_micros: None, known_by: i64::MAX, known: Known::Honor };

/// Encoded keys of a batch, as bytes.
fn keys<'k>(keys: impl Iterator<Item = Option<&'k str>>) -> KeyBatch {
    let (mut bytes, mut ends, mut is_null) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        bytes.extend_from_slice(key.unwrap_or_default().as_bytes());
        ends.push(bytes.len() as u32);
        is_null.push(key.is_none());
    }
    KeyBatch::bytes(bytes, ends, Some(is_null))
}

fn spine(rows: &[(Option<&str>, i64)]) -> Arc<Spine> {
    let mut builder = SpineBuilder::default();
    let times: Vec<i64> = rows.iter().map(|(_, at)| *at).collect();
    builder.push(&keys(rows.iter().map(|(key, _)| *key)), &times).unwrap();
    Arc::new(builder.build())
}

fn schema() -> RowSchema {
    RowSchema::new(&[DataType::UInt8], 1)
}

/// A fact: key, event time, known time, label.
type Fact<'a> = (&'a str, i64, i64, u8);

/// Sends facts through a contest as one batch; returns how many needed rows.
fn offer(contest: &Contest, facts: &[Fact<'_>]) -> usize {
    let event: Vec<i64> = facts.iter().map(|fact| fact.1).collect();
    let known: Vec<i64> = facts.iter().map(|fact| fact.2).collect();
    let times = TimesBatch { event: &event, known: KnownTimes::Column(&known), is_absent: None };
    let mut entries = Entries::default();
    let (keys, mut places) = (keys(facts.iter().map(|fact| Some(fact.0))), Places::default());
    contest.enter(&keys, times, 0, &mut places, &mut entries);
    contest.compete(&mut entries, |_| false);
    contest.retain_leading(&mut entries);
    let mut block = RowBlock::default();
    block.begin(&schema(), entries.facts().iter().map(|entry| entry.times));
    let labels = |index: usize| Some([facts[entries.facts()[index].row as usize].3]);
    block.set_column(&schema(), 0, labels);
    contest.fill(entries.facts(), &block);
    entries.facts().len()
}

/// A spine of (key, time) rows and facts, offered one by one; the label or
/// absence for every spine row, and whether it leaks.
fn check(
    rows: &[(Option<&str>, i64)],
    facts: &[Fact<'_>],
    terms: Terms,
) -> Vec<(Result<u8, Absence>, bool)> {
    let contest = Contest::new(spine(rows), terms, schema());
    for fact in facts {
        offer(&contest, &[*fact]);
    }
    let answers = contest.finish(|_, _| {});
    let row = |index| (answers.of_row(index).map(|row| row[row.len() - 1]), answers.is_leak(index));
    (0..rows.len()).map(row).collect()
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
fn rows_are_needed_only_of_facts_that_lead_or_tie() {
    let contest = Contest::new(spine(&[(Some("a"), 100)]), TERMS, schema());
    let batch = [("a", 50, 50, 1), ("a", 40, 40, 2), ("z", 99, 99, 3), ("a", 101, 101, 4)];
    assert_eq!(offer(&contest, &batch), 1, "50 leads");
    assert_eq!(offer(&contest, &[("a", 60, 60, 5), ("a", 60, 60, 6), ("a", 55, 55, 7)]), 2);
    assert_eq!(offer(&contest, &[("a", 60, 60, 4)]), 1, "a tie is settled by bytes");
    assert_eq!(contest.finish(|_, _| {}).of_row(0).unwrap().last(), Some(&6));
}

#[test]
fn a_slot_that_changes_hands_before_its_row_comes_keeps_the_greater() {
    let contest = Contest::new(spine(&[(Some("a"), 100)]), TERMS, schema());
    let enter = |event: i64| {
        let (event, mut entries) = ([event], Entries::default());
        let times = TimesBatch { event: &event, known: KnownTimes::Delay(0), is_absent: None };
        let (keys, mut places) = (keys([Some("a")].into_iter()), Places::default());
        contest.enter(&keys, times, 0, &mut places, &mut entries);
        contest.compete(&mut entries, |_| false);
        entries
    };
    let (mut older, mut newer) = (enter(40), enter(50));
    let fill = |entries: &Entries, label: u8| {
        let mut block = RowBlock::default();
        block.begin(&schema(), entries.facts().iter().map(|entry| entry.times));
        block.set_column(&schema(), 0, |_| Some([label]));
        contest.fill(entries.facts(), &block);
    };
    fill(&newer, 2);
    fill(&older, 1);
    contest.retain_leading(&mut older);
    contest.retain_leading(&mut newer);
    assert_eq!((older.facts().len(), newer.facts().len()), (0, 1));
    assert_eq!(contest.finish(|_, _| {}).of_row(0).unwrap().last(), Some(&2));
}

#[test]
fn a_contest_is_settled_when_nothing_older_can_answer() {
    let rows = [(Some("a"), 100), (Some("a"), 200), (Some("b"), 100)];
    let contest = Contest::new(spine(&rows), TERMS, schema());
    let all = || contest.spine().all_entities();
    offer(&contest, &[("a", 90, 90, 1), ("a", 150, 150, 2)]);
    assert!(!contest.is_settled(all(), 10), "b has no fact");
    offer(&contest, &[("b", 80, 110, 3)]);
    assert!(!contest.is_settled(all(), 10), "b's fact is not known at its first slot");
    offer(&contest, &[("b", 70, 70, 4)]);
    assert!(contest.is_settled(all(), 69));
    assert!(!contest.is_settled(all(), 70), "an equal event may be known later");
    let a = contest.spine().entities_between(Key::Bytes(b"a"), Key::Bytes(b"a"));
    assert!(contest.is_settled(a, 89));
}

#[test]
fn entities_are_found_by_words_as_by_bytes() {
    check_words(1_000_003);
    // So close together that they are not searched for.
    check_words(3);
}

/// Words as far apart as this.
fn check_words(step: i64) {
    let numbers: Vec<i64> = (0..5_000).map(|n| (n - 2_500) * step).collect();
    let words = numbers.iter().map(|n| word_part(&DataType::Int64, *n as u64)).collect();
    let mut builder = SpineBuilder::default();
    builder.push(&KeyBatch::words(words, 8, None), &vec![10; numbers.len()]).unwrap();
    let spine = builder.build();
    let word = |n: i64| Key::Word(word_part(&DataType::Int64, n as u64));
    assert_eq!(spine.entities_between(word(i64::MIN), word(i64::MAX)), 0..5_000);
    assert_eq!(spine.entities_between(word(-step), word(step)), 2_499..2_502);
    assert_eq!(spine.entities_between(word(1), word(2)).len(), 0);
    let strangers = KeyBatch::words(vec![0, 1, 2], 8, None);
    let mut found = [0; 3];
    spine.find_entities(&strangers, 0..3, &mut found);
    assert_eq!(found, [super::entities::NO_ENTITY; 3]);
    let known = [-2_500, 0, 2_499, 2_500].map(|n| word_part(&DataType::Int64, (n * step) as u64));
    let between = word_part(&DataType::Int64, 1);
    let mut found = [0; 5];
    let words = known.into_iter().chain([between]).collect();
    spine.find_entities(&KeyBatch::words(words, 8, None), 0..5, &mut found);
    let none = super::entities::NO_ENTITY;
    assert_eq!(found, [0, 2_500, 4_999, none, none]);
}

#[test]
fn an_empty_spine_has_no_rows() {
    assert_eq!(check(&[], &[("a", 1, 1, 1)], TERMS), []);
    assert_eq!(check(&[(None, 1)], &[("a", 1, 1, 1)], TERMS), [(Err(Absence::NullKey), false)]);
}
