//! Aggregates as they are written: what they become, and what is refused in which words.

use crate::definition::{Definitions, FeatureView, load};

/// A view of these aggregates, lines of YAML in a list.
fn text(source: &str, aggregates: &str) -> String {
    format!(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: customer }}\nspec: {{ keys: [{{ \
         name: customer, type: int64 }}] }}\n---\napiVersion: hitherto/v1\nkind: FeatureView\n\
         metadata: {{ name: card }}\nspec:\n  entity: customer\n  source: {{ parquet: d/, eventTime: \
         e{source} }}\n  aggregates:\n{aggregates}"
    )
}

fn loaded(source: &str, aggregates: &str) -> Result<Definitions, String> {
    let text = text(source, aggregates);
    let loaded = load(&[(String::from("v.yaml"), text)]);
    loaded.map(|loaded| loaded.definitions).map_err(|error| error.to_string())
}

fn view(aggregates: &str) -> FeatureView {
    let definitions = loaded(", id: tx", aggregates).unwrap_or_else(|error| panic!("{error}"));
    definitions.view("card").unwrap().clone()
}

fn names(aggregates: &str) -> Vec<String> {
    let view = view(aggregates);
    let types =
        view.features.iter().map(|feature| format!("{}: {}", feature.name, feature.data_type));
    types.collect()
}

#[test]
fn features_are_named_after_what_they_are() {
    let all = names(
        "
    - { function: sum, column: amount, windows: [1h, 7d, lifetime] }
    - { function: count, windows: [1h] }
    - { function: count, column: amount, windows: [1h] }
    - { function: mean, column: amount, windows: [30d], where: \"channel = 'web'\", name: web_mean }
    - { function: approx_quantile, column: amount, p: [0.5, 0.95, 0.999], windows: [30d] }
    - { function: last_n, column: price, type: int16, n: 5, windows: [30d] }
    - { function: last_n_distinct, column: price, type: int16, n: 2, windows: [30d] }
    - { function: top_k, column: price, type: int16, k: 3, windows: [30d] }
    - { function: max_by, column: shop, type: string, by: amount, windows: [1d] }
    - { function: count, windows: [7d], buckets: { column: kind, values: [visa, Mc-1], other: true } }
    - { function: sum, column: cents, type: int32, windows: [7d], offset: 7d }
    - { function: sum, column: cents, type: int32, windows: [8d], sumType: decimal }
    - { function: sum, column: price2, type: 'decimal128(10, 2)', windows: [7d] }
    - { function: seconds_since_last, windows: [30d] }
    - { function: any, column: flag, type: bool, windows: [1d] }
",
    );
    let expected = [
        "amount_sum_1h: float64",
        "amount_sum_7d: float64",
        "amount_sum_lifetime: float64",
        "count_1h: int64",
        "amount_count_1h: int64",
        "web_mean: float64",
        "amount_p50_30d: float64",
        "amount_p95_30d: float64",
        "amount_p99_9_30d: float64",
        "price_last_5_30d: list(int16)",
        "price_last_distinct_2_30d: list(int16)",
        "price_top_3_30d: list(int16)",
        "shop_max_by_amount_1d: string",
        "count_7d_visa: int64",
        "count_7d_mc_1: int64",
        "count_7d_other: int64",
        "cents_sum_7d_offset_7d: int64",
        "cents_sum_8d: decimal128(38, 0)",
        "price2_sum_7d: decimal128(38, 2)",
        "seconds_since_last_30d: float64",
        "flag_any_1d: bool",
    ];
    assert_eq!(all, expected);
}

#[test]
fn how_each_is_computed_can_be_read() {
    let view = view(
        "
    - { function: last_n, column: price, type: int16, n: 5, nulls: keep, windows: [30d], offset: 1d }
    - { function: count, windows: [lifetime], where: a > 1, excludeCurrentTime: true,
        buckets: { column: 'K\"', values: [\"it's\"] } }
",
    );
    let described = view.describe(&[]);
    let of = |path: &str| {
        let aspect = described.iter().find(|aspect| aspect.path == path);
        aspect.unwrap_or_else(|| panic!("{path} of {described:?}")).value.clone()
    };
    assert_eq!(of("source.id"), "tx");
    assert_eq!(
        of("aggregates.price_last_5_30d_offset_1d"),
        "last_n (n 5, nulls keep) of price (int16) over 30d, 1d before"
    );
    assert_eq!(
        of("aggregates.count_lifetime_it_s"),
        "count over a lifetime, without the current time where (a > 1) AND (\"K\"\"\" = 'it''s')"
    );
}

/// Per entry a test: an aggregate, and the refusal without the place.
macro_rules! refused {
    ($($situation:ident: $aggregate:expr => $words:expr;)*) => {$(
        #[test]
        fn $situation() {
            let error = loaded(", id: tx", &format!("    - {{ {} }}\n", $aggregate)).unwrap_err();
            let lines: Vec<&str> = error.lines().collect();
            let words: &str = $words;
            assert!(lines.len() == 1 && lines[0].ends_with(words), "{error}");
        }
    )*};
}

refused! {
    an_unknown_function: "function: suum, column: x, windows: [1d]" =>
        r#"there is no function "suum"; did you mean "sum"?"#;
    no_column: "function: sum, windows: [1d]" =>
        "sum is of a column; name it, as column: amount";
    a_column_of_events: "function: seconds_since_last, column: x, windows: [1d]" =>
        "seconds_since_last is of events and no column; remove the column";
    a_type_without_a_column: "function: count, type: int64, windows: [1d]" =>
        "a type is of a column, and there is none; remove it";
    a_sum_of_text: "function: sum, column: x, type: string, windows: [1d]" =>
        "sum is of integers, floating point or decimals, and column \"x\" is string; take another function or column, or cast it in source.sql";
    a_list_of_text: "function: last_n, column: x, type: string, n: 3, windows: [1d]" =>
        "last_n is of integers or floating point, and column \"x\" is string; take another function or column, or cast it in source.sql";
    any_of_numbers: "function: any, column: x, windows: [1d]" =>
        "any is of bools, and column \"x\" is float64; take another function or column, or cast it in source.sql";
    an_unknown_type: "function: sum, column: x, type: flaot64, windows: [1d]" =>
        r#"column "x": type "flaot64" is not known; did you mean "float64"?; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    no_windows: "function: count, windows: []" =>
        "count has 0 windows; write 1 to 16, such as windows: [1h, 7d]";
    a_window_of_zero: "function: count, windows: [0s]" =>
        "a window of count is 0s; choose one from 1s to 100y, or lifetime";
    a_window_of_less_than_a_second: "function: count, windows: [999ms], name: c" =>
        "a window of count is 999ms; choose one from 1s to 100y, or lifetime";
    a_window_of_a_century_and_more: "function: count, windows: [101y]" =>
        "a window of count is 101y; choose one from 1s to 100y, or lifetime";
    a_lifetime_that_is_moved: "function: count, windows: [lifetime], offset: 1d" =>
        "a lifetime has no offset: it is all events there are; remove one";
    a_parameter_of_another_function: "function: sum, column: x, windows: [1d], n: 3" =>
        "sum takes no n; remove it";
    a_list_without_a_length: "function: last_n, column: x, windows: [1d]" =>
        "last_n needs n; write n: 5, for example";
    a_list_that_is_too_long: "function: last_n, column: x, windows: [1d], n: 1001" =>
        "n is 1001; choose one from 1 to 1000";
    quantiles_that_are_left_out: "function: approx_quantile, column: x, windows: [1d], name: q" =>
        "approx_quantile needs p; write p: [0.5, 0.95], for example";
    a_quantile_in_percent: "function: approx_quantile, column: x, windows: [1d], p: [95], name: q" =>
        "p is \"95\"; write numbers from 0 to 1, such as 0.95";
    a_number_that_is_none: "function: top_k, column: x, windows: [1d], k: few, name: t" =>
        "\"few\" is no number that fits here; write one";
    nulls_of_another_word: "function: last, column: x, windows: [1d], nulls: kep" =>
        r#""kep" is not a choice; did you mean "keep"?"#;
    a_sum_as_what_it_is_not: "function: sum, column: x, windows: [1d], sumType: int64" =>
        "a sum of float64 is not of that type; leave sumType out, or write float64";
    max_by_nothing: "function: max_by, column: x, windows: [1d]" =>
        "max_by needs a column that decides; name it, as by: price";
    max_by_a_list: "function: max_by, column: x, windows: [1d], by: y, byType: list(int8)" =>
        "max_by is by what sorts, and lists do not; name another column";
    one_name_for_two: "function: count, windows: [1d, 2d], name: c" =>
        "name \"c\" is one feature's, and this aggregate is 2; leave the name out, or write them one by one";
    a_column_that_makes_no_name: "function: sum, column: Amount, windows: [1d]" =>
        "a feature's name \"Amount_sum_1d\" is not allowed; begin with a letter a-z, and write only a-z, 0-9 and _; give it one, as name: amount_7d";
    an_empty_condition: "function: count, windows: [1d], where: ''" =>
        "aggregates.where is empty; write a value";
    buckets_of_nothing: "function: count, windows: [1d], buckets: { column: k, values: [] }" =>
        "there are 0 buckets; write 1 to 256 values of the column";
    a_default_of_another_type: "function: count, windows: [1d], default: none" =>
        "feature \"count_1d\": default \"none\" is no value of type int64; write one, or remove it";
    a_feature_that_is_a_key: "function: count, windows: [1d], name: customer" =>
        "feature \"customer\" is a join key of the view's entity, which every answer has already; remove it, or give it another name in source.columns";
    a_flag_that_is_none: "function: count, windows: [1d], excludeCurrentTime: yes" =>
        r#""yes" is not a choice; there is true, false"#;
}

#[test]
fn two_of_one_name_are_told_both_places() {
    let twice =
        "    - { function: count, windows: [1d] }\n    - { function: count, windows: [1d] }\n";
    let error = loaded(", id: tx", twice).unwrap_err();
    let words = "feature \"count_1d\" is already at v.yaml:13:36; give one of them a name";
    assert!(error.ends_with(words), "{error}");
}

#[test]
fn events_are_told_apart_by_something() {
    let count = "    - { function: count, windows: [1d] }\n";
    let error = loaded("", count).unwrap_err();
    assert!(error.contains("source.id is missing: name the columns"), "{error}");
    assert!(loaded(", id: eventTime", count).unwrap().view("card").is_some());
    let error = loaded(", id: []", count).unwrap_err();
    assert!(error.contains("source.id names no column"), "{error}");
    let both = format!("{count}  features: [{{ name: x, type: int8 }}]\n");
    let error = loaded(", id: tx", &both).unwrap_err();
    assert!(error.contains("features and aggregates exclude each other"), "{error}");
}

#[test]
fn a_service_takes_them_as_any_feature() {
    let service = "---\napiVersion: hitherto/v1\nkind: FeatureService\nmetadata: { name: s }\nspec: { \
                   features: [\"card:count_2d\", \"card:count_1dd\"] }\n";
    let aggregates = "    - { function: count, windows: [1d, 2d] }\n";
    let error = loaded(", id: tx", &format!("{aggregates}{service}")).unwrap_err();
    let words = "feature view \"card\" has no feature \"count_1dd\"; did you mean \"count_1d\"?";
    assert!(error.lines().count() == 1 && error.ends_with(words), "{error}");
}
