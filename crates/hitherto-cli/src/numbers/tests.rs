use super::*;

#[test]
fn counts_have_their_thousands_apart() {
    let written = [0, 999, 1_000, 51_433, 1_000_000].map(count);
    assert_eq!(written, ["0", "999", "1,000", "51,433", "1,000,000"]);
    assert_eq!([0, 1, 2].map(|n| counted(n, "view")), ["0 views", "1 view", "2 views"]);
    assert_eq!([1, 2_000].map(|n| counted(n, "entity")), ["1 entity", "2,000 entities"]);
}

#[test]
fn sizes_and_spans_keep_the_digits_that_matter() {
    assert_eq!([0, 1023, 1024, 2 << 20].map(bytes), ["0 B", "1023 B", "1.0 KiB", "2.0 MiB"]);
    let spans = [420, 25_000, 1_830_000, 300_000_000].map(Duration::from_micros).map(span);
    assert_eq!(spans, ["0.42 ms", "25 ms", "1.8 s", "5 min"]);
}

#[test]
fn a_pace_has_three_digits_that_matter() {
    let paces = [0.0, 14.54, 99.96, 812.4, 2_410_748.490_9, f64::INFINITY].map(rate);
    let written = ["0.0", "14.5", "100", "812", "2,410,000", "0"].map(|n| format!("{n} a second"));
    assert_eq!(paces.as_slice(), written);
}

#[test]
fn a_share_of_nothing_is_no_number() {
    assert_eq!(share(820, 8_139), "10.1%");
    assert_eq!(share(0, 0), "-");
}
