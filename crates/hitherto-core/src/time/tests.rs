use super::*;

#[test]
fn a_year_of_a_duration_is_365_days() {
    let days = |count: i64| count * 86_400 * MICROS_PER_SECOND;
    assert_eq!(parse_duration("10y").unwrap(), days(3_650));
    assert_eq!(parse_duration("1y6h").unwrap(), days(365) + days(1) / 4);
    assert_eq!(parse_duration("1w").unwrap(), days(7));
    assert!(parse_duration("10years").is_err());
    // Years that are whole are said as years, everything else in days.
    let said = [days(3_650), days(365), days(400), days(14)].map(format_duration);
    assert_eq!(said, ["10y", "1y", "400d", "14d"]);
}

#[test]
fn a_duration_of_another_form_is_told_what_is_missing() {
    let refused = [
        ("30", "a unit is missing"),
        ("1h30", "a unit is missing"),
        ("-1d", "it is negative"),
        ("PT12H", "PT12H is 12h"),
        ("P1D", "PT12H is 12h"),
        ("1.5h", "its unit is not known"),
        ("h", "a number is missing"),
    ];
    for (text, why) in refused {
        let error = parse_duration(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
