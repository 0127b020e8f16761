//! The rule at its bounds, on facts written out by hand.

use super::*;
use crate::row::{FLAG_DELETION, RowSchema};

/// Facts as (event, known, label), asked at a moment; the label that answers.
fn check(facts: &[(i64, i64, u8)], moment: Moment, ttl: Option<i64>) -> Result<u8, Absence> {
    let schema = RowSchema::new(&[], 1);
    let mut rows: Vec<(Times, Vec<u8>)> = facts
        .iter()
        .map(|(event, known, label)| {
            let times = Times { event: *event, known: *known };
            let mut row = Vec::new();
            schema.write(&mut row, times, if *label == 0 { FLAG_DELETION } else { 0 });
            row.push(*label);
            (times, row)
        })
        .collect();
    rows.sort_by(|a, b| rank((b.0, &b.1), (a.0, &a.1)));
    answer(rows.iter().map(|(times, row)| (*times, row.as_slice())), moment, ttl)
        .map(|row| row[row.len() - 1])
}

fn at(time: i64) -> Moment {
    Moment::new(time, Known::Honor)
}

#[test]
fn bounds_are_inclusive_and_one_microsecond_beyond_is_out() {
    let fact = [(100, 100, 7)];
    assert_eq!(check(&fact, at(99), Some(10)), Err(Absence::NeverSeen));
    assert_eq!(check(&fact, at(100), Some(10)), Ok(7));
    assert_eq!(check(&fact, at(110), Some(10)), Ok(7));
    assert_eq!(check(&fact, at(111), Some(10)), Err(Absence::Expired));
    assert_eq!(check(&fact, at(i64::MAX), None), Ok(7));
}

#[test]
fn late_lab_result_is_not_seen_before_its_release() {
    let drawn_early_released_late = [(100, 160, 7)];
    assert_eq!(check(&drawn_early_released_late, at(130), None), Err(Absence::NotYetKnown));
    assert_eq!(check(&drawn_early_released_late, at(159), None), Err(Absence::NotYetKnown));
    assert_eq!(check(&drawn_early_released_late, at(160), None), Ok(7));
    let ignoring = Moment::new(130, Known::Ignore);
    assert_eq!(check(&drawn_early_released_late, ignoring, None), Ok(7));
}

#[test]
fn an_older_known_fact_answers_until_the_newer_one_is_known() {
    let facts = [(50, 55, 1), (100, 160, 2)];
    assert_eq!(check(&facts, at(159), None), Ok(1));
    assert_eq!(check(&facts, at(160), None), Ok(2));
    assert_eq!(check(&facts, at(159), Some(60)), Err(Absence::Expired));
}

#[test]
fn correction_changes_answers_from_its_known_time_on_and_not_before() {
    let facts = [(100, 100, 1), (100, 200, 2)];
    assert_eq!(check(&facts, at(199), None), Ok(1));
    assert_eq!(check(&facts, at(200), None), Ok(2));
    let cutoff = Moment { at: 500, known_by: 150, known: Known::Honor };
    assert_eq!(check(&facts, cutoff, None), Ok(1));
}

#[test]
fn a_fact_known_before_it_happens_waits_for_its_event() {
    let forecast = [(100, 40, 7)];
    assert_eq!(check(&forecast, at(99), None), Err(Absence::NeverSeen));
    assert_eq!(check(&forecast, at(100), None), Ok(7));
}

#[test]
fn of_equal_times_the_greater_bytes_answer() {
    assert_eq!(check(&[(1, 1, 3), (1, 1, 9), (1, 1, 5)], at(1), None), Ok(9));
}

#[test]
fn a_deletion_hides_what_came_before_and_not_what_comes_after() {
    let facts = [(10, 10, 1), (20, 20, 0), (30, 30, 2)];
    assert_eq!(check(&facts, at(19), None), Ok(1));
    assert_eq!(check(&facts, at(20), None), Err(Absence::Deleted));
    assert_eq!(check(&facts, at(30), None), Ok(2));
    assert_eq!(Absence::Deleted.status(), Status::NotFound);
}

#[test]
fn a_ttl_reaching_before_all_time_never_expires() {
    assert_eq!(check(&[(i64::MIN, i64::MIN, 7)], at(-10), Some(i64::MAX)), Ok(7));
    assert!(!is_expired(i64::MIN, i64::MIN + 5, Some(10)));
}
