use super::*;

#[test]
fn a_misspelt_name_is_corrected() {
    assert_eq!(suggestion("lactat", ["note", "lactate"]), "; did you mean \"lactate\"?");
    assert_eq!(suggestion("lactate", []), "; there is none");
}

#[test]
fn names_are_shown_all_or_else_those_most_alike() {
    let columns: Vec<String> = (0..NAMES_SHOWN_MAX).map(|n| format!("c{n}")).collect();
    let few: Vec<&str> = columns.iter().map(String::as_str).collect();
    let shown = suggestion("event_timestamp", few.iter().copied());
    assert!(few.iter().all(|name| shown.contains(name)), "{shown}");

    let many = few.into_iter().chain(["event_of_draw"]);
    let shown = suggestion("event_timestamp", many);
    assert!(shown.starts_with("; there are 31, those most alike are event_of_draw, "), "{shown}");
}
