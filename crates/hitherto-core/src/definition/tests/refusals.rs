//! What is refused, and in which words: one situation per entry.

use super::{REPOSITORY, check, load_one, with};
use crate::definition::load;
use crate::limits::{DEFINITION_FILE_BYTES_MAX, ENTITY_KEYS_MAX, VIEW_FEATURES_MAX};

/// Per entry a test: what of the repository is written how, and every line that
/// loading then reports, without the file's name.
macro_rules! refused {
    ($($situation:ident: $from:expr => $to:expr, $($line:expr),+;)*) => {
        $(#[test] fn $situation() { check(&with($from, $to), &[$($line),+]) })*
    };
}

refused! {
    // Shape.
    unknown_field_in_spec: "eventTime:" => "eventtime:",
        r#"17:5: feature view "lactate": unknown field "eventtime"; did you mean "eventTime"?"#;
    unknown_field_in_metadata: "owner:" => "ownr:",
        r#"10:28: feature view "lactate": unknown field "ownr"; did you mean "owner"?"#;
    unknown_field_of_a_document: "kind: FeatureService" => "kind: FeatureService\nspecs: 1",
        r#"29:1: feature service "risk": unknown field "specs"; did you mean "spec"?"#;
    unknown_field_unlike_any_other: "ttl: 24h" => "retention: 24h",
        r#"19:3: feature view "lactate": unknown field "retention"; there is entity, source, ttl, known, features, aggregates, online"#;
    field_of_the_source_beside_it: "  ttl: 24h" => "  timeless: true",
        r#"19:3: feature view "lactate": unknown field "timeless"; it belongs below source"#;
    missing_field: "    eventTime: collected\n" => "",
        r#"14:14: feature view "lactate": the source says nothing of time; name the column that says when a thing happened, as eventTime, or write timeless: true for attributes that have none"#;
    timeless_beside_event_time: "knownTime: released" => "knownTime: released\n    timeless: true",
        r#"17:16: feature view "lactate": source.eventTime and source.timeless exclude each other; remove one"#,
        r#"20:8: feature view "lactate": a timeless view has no ttl: what always was does not age; remove the ttl"#;
    timeless_with_what_counts_from_an_event: "eventTime: collected\n    knownTime: released" =>
        "timeless: true\n    delay: 1h",
        r#"18:12: feature view "lactate": a timeless source has no delay: there is no event to count from; name a knownTime"#,
        r#"19:8: feature view "lactate": a timeless view has no ttl: what always was does not age; remove the ttl"#,
        r#"23:22: feature view "lactate": a timeless view without knownTime needs no online.history: it answers every moment; remove it"#;
    timeless_that_is_no_bool: "eventTime: collected" => "timeless: maybe",
        r#"17:15: feature view "lactate": source.timeless is "maybe"; write true, or leave it out"#,
        r#"19:8: feature view "lactate": a timeless view has no ttl: what always was does not age; remove the ttl"#;
    missing_name: "{ name: risk }" => "{ owner: icu }",
        r#"29:13: feature service without a name: field "name" is missing here; write it"#;
    missing_type: "name: unit, type: string" => "name: unit",
        r#"22:9: feature view "lactate": field "type" is missing here; write it"#;
    field_written_twice: "ttl: 24h" => "ttl: 24h\n  ttl: 12h",
        r#"20:3: feature view "lactate": field "ttl" is written twice; keep one"#;
    list_where_text_belongs: "ttl: 24h" => "ttl: [24h]",
        r#"19:8: feature view "lactate": field "ttl" has "[24h]"; write text"#;
    text_where_a_list_belongs: r#"["lactate:unit", "lactate:value"]"# => "lactate:*",
        r#"31:13: feature service "risk": field "features" has "lactate:*"; write a list"#;
    text_where_a_mapping_belongs: "{ history: 7d }" => "7d",
        r#"23:11: feature view "lactate": field "online" has "7d"; write a mapping"#;
    item_of_a_list_that_is_no_mapping: "{ name: unit, type: string }" => "unit",
        r#"22:7: feature view "lactate": here is "unit"; write a mapping"#;
    nothing_where_text_belongs: "entity: stay" => "entity:",
        r#"12:9: feature view "lactate": field "entity" has nothing; write text"#;
    nothing_where_a_mapping_belongs: "{ name: risk }" => "",
        r#"29:9: feature service without a name: field "metadata" has nothing; write a mapping"#;
    document_that_is_a_list: "# only comments here" => "- a",
        r#"25:1: document: here is "- a"; write a mapping"#;
    document_that_is_not_yaml: "  ttl: 24h" => " ttl: 24h",
        r#"19:2: document: not valid YAML; mend indentation, brackets or quotes here: while parsing a block mapping, did not find expected key"#;
    unclosed_quote: "data/labs.parquet" => "'data",
        r#"14:14: document: not valid YAML; mend indentation, brackets or quotes here: unclosed quote"#;
    alias_of_nothing: "data/labs.parquet" => "*labs",
        r#"14:14: document: not valid YAML; mend indentation, brackets or quotes here: reference to unknown value"#;
    no_kind: "kind: FeatureService\n" => "",
        r#"27:1: document has no kind; write one of Entity, FeatureView, OnDemandView, FeatureService"#;
    no_api_version: "# only comments here" => "\n# a view\nkind: FeatureView",
        r#"27:1: document has no apiVersion; write "apiVersion: hitherto/v1""#;
    unknown_kind: "kind: FeatureService" => "kind: FeatureServise",
        r#"28:7: kind "FeatureServise" is not known; did you mean "FeatureService"?"#;
    api_version_of_another_release: "# only comments here" => "apiVersion: hitherto/v9\nkind: Thing",
        r#"25:13: apiVersion "hitherto/v9" is not known; write "hitherto/v1", which this release reads"#;
    // Names.
    bad_resource_name: "name: risk" => "name: Risk-1",
        r#"29:19: feature service "Risk-1": name "Risk-1" is not allowed; begin with a letter a-z, and write only a-z, 0-9 and _"#;
    bad_feature_name: "name: value" => "name: Value",
        r#"21:15: feature view "lactate": feature name "Value" is not allowed; begin with a letter a-z, and write only a-z, 0-9 and _"#,
        r#"31:30: feature service "risk": feature view "lactate" has no feature "value"; did you mean "Value"?"#;
    name_that_yaml_reads_as_a_number: "name: risk" => "name: 5",
        r#"29:19: feature service "5": name "5" is not allowed; begin with a letter a-z, and write only a-z, 0-9 and _"#;
    two_features_of_one_name: "name: unit" => "name: value",
        r#"22:15: feature view "lactate": feature "value" is already at repo.yaml:21:15; rename or remove one"#,
        r#"31:14: feature service "risk": feature view "lactate" has no feature "unit"; there is value"#;
    two_keys_of_one_name: "type: string }]" => "type: string }, { name: stay_id, type: int64 }]",
        r#"6:51: entity "stay": join key "stay_id" is already at repo.yaml:6:18; rename or remove one"#;
    feature_named_like_a_key: "name: unit" => "name: stay_id",
        r#"22:15: feature view "lactate": feature "stay_id" is a join key of the view's entity, which every answer has already; remove it, or give it another name in source.columns"#,
        r#"31:14: feature service "risk": feature view "lactate" has no feature "unit"; there is value, stay_id"#;
    default_of_a_key: "stay_id, type: string" => "stay_id, type: string, default: none",
        r#"6:50: entity "stay": a join key has no default; remove it, or give it to a feature"#;
    default_of_another_type: "name: value, type: float64" => "name: value, type: float64, default: none",
        r#"21:46: feature view "lactate": feature "value": default "none" is no value of type float64; write one, or remove it"#;
    // Types and durations.
    unknown_type_of_a_feature: "type: float64" => "type: flaot64",
        r#"21:28: feature view "lactate": feature "value": type "flaot64" is not known; did you mean "float64"?; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    type_of_elsewhere: "type: float64" => "type: double",
        r#"21:28: feature view "lactate": feature "value": type "double" is not known; did you mean "float64"?; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    type_of_either_width: "type: float64" => "type: Float",
        r#"21:28: feature view "lactate": feature "value": type "Float" is not known; did you mean "float64", or "float32" if the column is that?; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    unknown_type_of_a_key: "stay_id, type: string" => "stay_id, type: uuid",
        r#"6:33: entity "stay": join key "stay_id": type "uuid" is not known; there is bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, string, binary, date32; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    floating_point_key: "stay_id, type: string" => "stay_id, type: float64",
        r#"6:33: entity "stay": join key "stay_id" has type float64, but keys are compared for exact equality; use an integer, string, binary, bool or date32"#;
    bad_ttl: "24h" => "24 parsecs",
        r#"19:8: feature view "lactate": ttl "24 parsecs" is not a duration: its unit is not known; write 500ms, 30s, 15m, 24h, 7d, 2w, 10y (of 365 days) or a sum like 1h30m"#;
    ttl_without_a_unit: "24h" => "86400",
        r#"19:8: feature view "lactate": ttl "86400" is not a duration: a unit is missing; write 500ms, 30s, 15m, 24h, 7d, 2w, 10y (of 365 days) or a sum like 1h30m"#;
    ttl_of_zero: "24h" => "0s",
        r#"19:8: feature view "lactate": ttl is zero; write more, or leave it out"#;
    negative_ttl: "24h" => "-1h",
        r#"19:8: feature view "lactate": ttl "-1h" is not a duration: it is negative; write 500ms, 30s, 15m, 24h, 7d, 2w, 10y (of 365 days) or a sum like 1h30m"#;
    history_of_zero: "7d" => "0d",
        r#"23:22: feature view "lactate": online.history is zero; write more, or leave it out"#;
    negative_delay: "knownTime: released" => "delay: -5m",
        r#"18:12: feature view "lactate": source.delay "-5m" is not a duration: it is negative; write 500ms, 30s, 15m, 24h, 7d, 2w, 10y (of 365 days) or a sum like 1h30m"#;
    delay_beside_known_time: "knownTime: released" => "knownTime: released\n    delay: 5m",
        r#"19:12: feature view "lactate": source.delay and source.knownTime exclude each other; a column says when each fact was known, so remove the delay"#;
    unknown_period: "sql: >\n      SELECT * FROM source\n" => "partitionedBy: week\n",
        r#"15:20: feature view "lactate": source.partitionedBy: "week" is no period; write year, month, day or hour"#;
    period_of_a_query: "knownTime: released" => "partitionedBy: day",
        r#"18:20: feature view "lactate": source.partitionedBy and source.sql exclude each other; event times are what the SQL makes of them, so name the period there in a WHERE"#;
    unknown_timezone: "knownTime: released" => "timezone: Berlin",
        r#"18:15: feature view "lactate": source.timezone: "Berlin" is no time zone; name one as the IANA database does, such as Europe/Berlin or UTC"#;
    timezone_of_nothing: "eventTime: collected\n    knownTime: released" => "timeless: true\n    timezone: UTC",
        r#"18:15: feature view "lactate": source.timezone is of event and known times, of which the source has neither; remove it"#,
        r#"19:8: feature view "lactate": a timeless view has no ttl: what always was does not age; remove the ttl"#,
        r#"23:22: feature view "lactate": a timeless view without knownTime needs no online.history: it answers every moment; remove it"#;
    partition_of_no_name: "sql: >\n      SELECT * FROM source\n" => "partitions: [{ name: Region=, type: string }]\n",
        r#"15:26: feature view "lactate": partition name "Region=" is none that a path can have; write what stands before the = in it"#;
    partition_of_no_type: "sql: >\n      SELECT * FROM source\n" => "partitions: [{ name: region, type: text }]\n",
        r#"15:40: feature view "lactate": partition "region": type "text" is not known; did you mean "string"?; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    partition_with_a_default: "sql: >\n      SELECT * FROM source\n" => "partitions: [{ name: region, type: string, default: EU }]\n",
        r#"15:57: feature view "lactate": a partition has no default: every path names its value; remove it"#;
    unknown_known: "ttl: 24h" => "known: honour",
        r#"19:10: feature view "lactate": known: "honour" is not a choice; did you mean "honor"?"#;
    // Emptiness and limits.
    empty_path: "data/labs.parquet" => r#""""#,
        r#"14:14: feature view "lactate": source.parquet is empty; write a value"#;
    empty_sql: ">\n      SELECT * FROM source\n" => "''\n",
        r#"15:10: feature view "lactate": source.sql is empty; write a value"#;
    entity_without_keys: "[{ name: stay_id, type: string }]" => "[]",
        r#"6:9: entity "stay": there is no join key; write at least one"#;
    service_without_features: r#"["lactate:unit", "lactate:value"]"# => "[]",
        r#"31:13: feature service "risk": there is no feature; write at least one"#;
    // References.
    unknown_entity: "entity: stay" => "entity: stya",
        r#"12:11: feature view "lactate": entity "stya" is not defined; did you mean "stay"?"#;
    column_of_no_field: "knownTime: released" => "knownTime: released\n    columns: { vale: LAC }",
        r#"19:22: feature view "lactate": source.columns names "vale", which is neither a join key nor a feature; did you mean "value"?"#;
    key_of_no_view: "lactate:unit" => "lactate[stay=x]:unit",
        r#"31:14: feature service "risk": "stay" in "lactate[stay=x]" is not a join key of feature view "lactate"; there is stay_id"#;
    one_name_for_two_views: "lactate:unit" => "lactate[stay_id=x]:unit",
        r#"31:41: feature service "risk": "lactate" and "lactate[stay_id=x]" have one name in the answer; give one of them another, such as "other=lactate:*""#;
    list_of_text: "type: float64" => "type: list(string)",
        r#"21:28: feature view "lactate": feature "value": type "list(string)" is not known; there is bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, string, binary, date32; parameterized types are written decimal128(10, 2), timestamp(us, UTC), list(float32) and list(float32, 768)"#;
    unknown_view: "lactate:unit" => "lactat:unit",
        r#"31:14: feature service "risk": feature view "lactat" is not defined; did you mean "lactate"?"#;
    unknown_feature: "lactate:unit" => "lactate:units",
        r#"31:14: feature service "risk": feature view "lactate" has no feature "units"; did you mean "unit"?"#;
    view_without_its_features: r#""lactate:unit""# => "lactate",
        r#"31:14: feature service "risk": "lactate" is no feature reference; write view:feature, view:* or alias=view[key=column]:feature; did you mean "lactate:*"?"#;
    reference_to_no_view: r#""lactate:unit""# => "foo",
        r#"31:14: feature service "risk": "foo" is no feature reference; write view:feature, view:* or alias=view[key=column]:feature"#;
    feature_listed_twice: r#""lactate:unit""# => r#""lactate:value""#,
        r#"31:31: feature service "risk": feature "lactate:value" is already at repo.yaml:31:14; remove one"#;
    feature_listed_beside_its_wildcard: r#""lactate:unit""# => r#""lactate:*""#,
        r#"31:27: feature service "risk": feature "lactate:value" is already at repo.yaml:31:14; remove one"#;
}

#[test]
fn a_name_that_is_too_long() {
    let error = load_one(&with("name: risk", &format!("name: {}", "r".repeat(129)))).unwrap_err();
    assert!(error.to_string().ends_with("and 128 is the limit; write a shorter one"), "{error}");
}

#[test]
fn more_keys_than_an_entity_may_have() {
    let keys: Vec<_> =
        (0..=ENTITY_KEYS_MAX).map(|n| format!("{{ name: k{n}, type: int8 }}")).collect();
    check(
        &with("{ name: stay_id, type: string }", &keys.join(", ")),
        &[r#"6:9: entity "stay": there are 17 join keys, and 16 is the limit; write fewer"#],
    );
}

#[test]
fn more_features_than_a_view_may_have() {
    let features: Vec<_> = (0..VIEW_FEATURES_MAX - 1)
        .map(|n| format!("    - {{ name: f{n}, type: int8 }}\n"))
        .collect();
    let text = with("  online:", &format!("{}  online:", features.concat()));
    check(
        &text,
        &[
            r#"21:5: feature view "lactate": there are 4097 features, and 4096 is the limit; write fewer"#,
        ],
    );
}

#[test]
fn a_file_that_is_too_large_and_is_not_even_read() {
    let text = "x".repeat(DEFINITION_FILE_BYTES_MAX as usize + 1);
    check(&text, &["1:1: file has 4194305 bytes, and 4194304 is the limit; split it"]);
}

#[test]
fn nothing_to_load() {
    let files = [(String::from("a.yaml"), String::from("# nothing yet\n---\n---\n# here\n..."))];
    let error = load(&files).unwrap_err().to_string();
    assert!(error.starts_with("no definitions found in 1 YAML files"), "{error}");
}

#[test]
fn two_resources_of_one_kind_and_name() {
    let files = ["b.yaml", "a.yaml"].map(|file| (String::from(file), REPOSITORY.to_owned()));
    let error = load(&files).unwrap_err().to_string();
    let expected = [
        r#"b.yaml:4:19: entity "stay": already defined at a.yaml:4:19; rename or remove one of the two"#,
        r#"b.yaml:10:19: feature view "lactate": already defined at a.yaml:10:19; rename or remove one of the two"#,
        r#"b.yaml:29:19: feature service "risk": already defined at a.yaml:29:19; rename or remove one of the two"#,
    ];
    assert_eq!(error, expected.join("\n"));
}

#[test]
fn every_problem_of_every_file_is_reported_by_file_and_line() {
    let unchecked = with("24h", "0s").replace("float64", "flaot64").replace("risk", "Risk");
    let unread = "kind: Thing\n---\n[\n---\napiVersion: hitherto/v1\n";
    let files = [("z.yaml", unread), ("a.yaml", unchecked.as_str())]
        .map(|(file, text)| (String::from(file), text.to_owned()));
    let error = load(&files).unwrap_err().to_string();
    let places: Vec<_> = error.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let expected =
        ["a.yaml:19:8", "a.yaml:21:28", "a.yaml:29:19", "z.yaml:1:1", "z.yaml:3:1", "z.yaml:5:1"];
    assert_eq!(places, expected);
}

#[test]
fn what_may_be_in_an_unread_document_is_not_called_missing() {
    check(
        &with("    parquet:", "    parket:"),
        &[r#"14:5: feature view "lactate": unknown field "parket"; did you mean "parquet"?"#],
    );
    let unread = with("kind: Entity", "kind: Entity\n- oops");
    assert_eq!(load_one(&unread).unwrap_err().to_string().lines().count(), 1);
}
