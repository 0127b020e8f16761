//! Sentences about facts that were written out by hand.

use hitherto_core::rule::ALWAYS;
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_core::why::Verdict;

use super::*;

#[test]
fn durations_are_said_in_two_units() {
    let hour = 3_600 * MICROS_PER_SECOND;
    for (micros, words) in [
        (0, "0s"),
        (1, "1us"),
        (1_500_000, "1s 500ms"),
        (26 * hour / 60, "26m"),
        (94 * hour / 60, "1h 34m"),
        (49 * hour + 1, "2d 1h"),
        (48 * hour + 1, "2d"),
    ] {
        assert_eq!(rough(micros), words);
    }
}

fn fact(event: i64, known: i64) -> ShownFact {
    ShownFact {
        event,
        known,
        is_deletion: false,
        verdict: Verdict::Answers,
        missed_by_micros: 0,
        arrived: None,
    }
}

#[test]
fn what_lost_says_by_what() {
    let lost = |event, known| superseded(&fact(5, 7), Some(&fact(event, known)));
    assert_eq!(lost(6, 7), "superseded by the fact of 1970-01-01T00:00:00.000006Z");
    assert_eq!(lost(5, 8), "superseded by a later version of the same event");
    let words =
        "of the same times as the one that counts, and less in its bytes, which decide then";
    assert_eq!(lost(5, 7), words);
    // What always was has no later version.
    assert_eq!(superseded(&fact(ALWAYS, ALWAYS), Some(&fact(ALWAYS, ALWAYS))), words);
}

#[test]
fn a_late_result_says_how_late() {
    assert_eq!(released(&fact(0, 68 * 60 * MICROS_PER_SECOND)), "released 1h 8m after");
    assert_eq!(released(&fact(7, 7)), "at once");
    assert_eq!(released(&fact(7, 5)), "known 2us before");
}
