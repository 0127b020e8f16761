//! Reasons for facts written out by hand. That the answer is the rule's, for
//! any facts in any order, is a property in the workspace's `tests` package.

use super::Verdict::*;
use super::{Counts, *};
use crate::definition::Known;
use crate::limits::WHY_CANDIDATES_DEFAULT;
use crate::row::{FLAG_DELETION, RowSchema};

/// Facts as (event, known, label), label 0 a deletion; the finding.
fn find(facts: &[(i64, i64, u8)], moment: Moment, ttl: Option<i64>) -> Finding {
    let schema = RowSchema::new(&[], 1);
    let mut inquiry = Inquiry::new(moment, ttl, WHY_CANDIDATES_DEFAULT);
    for (event, known, label) in facts {
        let times = Times { event: *event, known: *known };
        let mut row = Vec::new();
        schema.write(&mut row, times, if *label == 0 { FLAG_DELETION } else { 0 });
        row.push(*label);
        inquiry.show(times, &row, None);
    }
    inquiry.finish()
}

/// Event time, verdict and by how much it was missed, newest first.
fn verdicts(finding: &Finding) -> Vec<(i64, Verdict, i64)> {
    let candidates = finding.candidates.iter();
    candidates.map(|one| (one.times.event, one.verdict, one.missed_by_micros)).collect()
}

fn at(time: i64) -> Moment {
    Moment::new(time, Known::Honor)
}

#[test]
fn each_fact_says_what_kept_it_from_answering() {
    let facts = [(10, 12, 1), (50, 55, 2), (90, 126, 3), (95, 99, 4), (140, 141, 5)];
    let moment = Moment { known_by: 98, ..at(100) };
    let finding = find(&facts, moment, Some(60));
    let expected = [
        (140, NotYetHappened, 40),
        (95, AfterCutoff, 1),
        (90, NotYetKnown, 26),
        (50, Answers, 0),
        (10, Superseded, 0),
    ];
    assert_eq!(verdicts(&finding), expected);
    assert_eq!(finding.answer, Ok(3));
    let counts = Counts { seen: 2, not_yet_known: 1, after_cutoff: 1, not_yet_happened: 1 };
    assert_eq!(finding.counts, counts);
}

#[test]
fn an_expired_winner_says_by_how_much() {
    let finding = find(&[(10, 10, 1), (5, 5, 2)], at(100), Some(60));
    assert_eq!(finding.answer, Err(Absence::Expired));
    assert_eq!(verdicts(&finding), [(10, Expired, 30), (5, Superseded, 0)]);
}

#[test]
fn a_deletion_wins_and_nothing_answers() {
    let finding = find(&[(10, 10, 1), (20, 20, 0)], at(100), Some(60));
    assert_eq!(finding.answer, Err(Absence::Deleted));
    assert_eq!(verdicts(&finding), [(20, Deleted, 0), (10, Superseded, 0)]);
    assert!(finding.candidates[0].is_deletion());
}

#[test]
fn without_a_fact_that_is_seen_the_absence_says_which() {
    assert_eq!(find(&[], at(1), None).answer, Err(Absence::NeverSeen));
    assert_eq!(find(&[(2, 2, 1)], at(1), None).answer, Err(Absence::NeverSeen));
    assert_eq!(find(&[(1, 2, 1)], at(1), None).answer, Err(Absence::NotYetKnown));
}

#[test]
fn a_fact_read_twice_is_listed_once_and_counted_twice() {
    let finding = find(&[(10, 10, 1), (10, 10, 1)], at(10), None);
    assert_eq!(verdicts(&finding), [(10, Answers, 0)]);
    assert_eq!(finding.counts.seen, 2);
}

#[test]
fn only_the_nearest_of_many_are_listed() {
    let facts: Vec<(i64, i64, u8)> = (0..200).map(|time| (time * 7 % 200, 0, 1)).collect();
    let finding = find(&facts, at(99), None);
    let max = WHY_CANDIDATES_DEFAULT as i64;
    let events: Vec<i64> = finding.candidates.iter().map(|one| one.times.event).collect();
    let nearest: Vec<i64> = (100 - max..100 + max).rev().collect();
    assert_eq!(events, nearest);
    assert_eq!((finding.counts.seen, finding.counts.not_yet_happened), (100, 100));
}
