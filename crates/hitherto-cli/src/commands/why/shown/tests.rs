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

#[test]
fn a_late_result_says_how_late() {
    let fact = |event, known| ShownFact {
        event,
        known,
        is_deletion: false,
        verdict: Verdict::Answers,
        missed_by_micros: 0,
        arrived: None,
    };
    assert_eq!(released(&fact(0, 68 * 60 * MICROS_PER_SECOND)), "released 1h 8m after");
    assert_eq!(released(&fact(7, 7)), "at once");
    assert_eq!(released(&fact(7, 5)), "known 2us before");
}
