use super::*;

#[test]
fn what_mends_it_stands_below_what_was_found() {
    let findings = vec![
        Finding::fine("clock", "2026-01-01T00:00:00Z"),
        Finding::odd("applied", "not yet: 2 changes", "hitherto apply"),
        Finding::error("definitions", &Error::invalid("a.yaml:1:1: one\nb.yaml:2:2: two")),
    ];
    let report = Report { subjects: vec![Subject { subject: "repository", findings }] };
    let lines = [
        "repository",
        "  fine  clock           2026-01-01T00:00:00Z",
        "  odd   applied         not yet: 2 changes",
        "                        mend: hitherto apply",
        "  WRONG definitions     a.yaml:1:1: one",
        "                        b.yaml:2:2: two",
        "1 thing is wrong, 1 odd",
    ];
    assert_eq!(report.to_string(), lines.join("\n"));
    assert_eq!((report.count(Verdict::Wrong), report.count(Verdict::Odd)), (1, 1));
}

#[test]
fn what_is_damaged_is_restored() {
    let mend = |error: &Error| Finding::error("store", error).mend;
    let restored = mend(&Error::corrupt("a block is not as it was written"));
    assert!(restored.is_some_and(|mend| mend.contains("hitherto restore FOLDER")));
    assert_eq!(mend(&Error::unavailable("not now")), None);
}
