//! Features that are computed when they are asked for: lookups as of t give what training sets
//! give at t, bit for bit, and both what the same arithmetic gives by hand.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use hitherto_api::arrow::to_column;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{KeyColumn, Lookup, LookupRequest, MaterializeMode, Selection};
use hitherto_core::column::{Column, Status};
use hitherto_core::key::OwnedPart;
use hitherto_core::{Kind, Result};
use hitherto_engine::Engine;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::Runtime;

use crate::repo::{Repo, batch, grant, materialize, training_set};

const SECOND: i64 = 1_000_000;
/// After every fact of a world.
const NOW: i64 = 100 * SECOND;
const FEATURES: [&str; 4] = ["v:*", "w:*", "risk:*", "verdict:*"];

const DEFINITIONS: &str = "apiVersion: hitherto/v1
kind: Entity
metadata: { name: k }
spec: { keys: [{ name: k, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: v }
spec:
  entity: k
  source: { parquet: facts/, eventTime: e, knownTime: n, deleted: gone }
  ttl: 20s
  features:
    - { name: x, type: float64 }
    - { name: y, type: int64, default: 7 }
    - { name: s, type: string }
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: w }
spec:
  entity: k
  source: { parquet: facts/, eventTime: e, knownTime: n, deleted: gone, id: [id] }
  aggregates:
    - { function: count, windows: [10s] }
    - { function: sum, column: x, windows: [10s] }
    - { function: mean, column: x, windows: [10s] }
  online: { history: 1h }
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: risk }
spec:
  request:
    - { name: amount, type: float64 }
    - { name: times, type: int64 }
  inputs: [\"v:*\", \"w:*\"]
  features:
    - { name: ratio, type: float64, expr: amount / v.x }
    - { name: whole, type: int64, expr: v.y * times / w.count_10s }
    - { name: capped, type: float64, expr: \"coalesce(least(amount, x_mean_10s), -1)\" }
    - { name: large, type: bool, expr: amount > 2 * x_sum_10s OR s LIKE 'a%' }
    - { name: second, type: int64, expr: to_unix(request_time()) }
    - name: label
      type: string
      expr: CASE WHEN x IS NULL THEN 'none' WHEN x < 0 THEN upper(s) ELSE concat(s, '!') END
      default: nothing
    - { name: log, type: float64, expr: ln(1 + abs(amount)), default: -1 }
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: verdict }
spec:
  inputs: [\"risk:ratio\", \"risk:log\", \"risk:whole\"]
  features:
    - { name: score, type: float64, expr: ratio * log + CAST(whole AS DOUBLE) }
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: fraud }
spec: { features: [\"verdict:score\", \"v:y\", \"risk:ratio\"] }
";

#[derive(Clone, Debug)]
struct Fact {
    k: i64,
    event: i64,
    known: Option<i64>,
    gone: bool,
    x: Option<f64>,
    y: Option<i64>,
    s: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Row {
    k: i64,
    at: i64,
    amount: Option<f64>,
    times: Option<i64>,
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let floats = select(vec![0.0, -0.0, 0.1, -2.5, 1e300, 5e-324, f64::NAN, f64::INFINITY]);
    let whole = select(vec![0, 1, -3, 7, i64::MAX, i64::MIN]);
    let text = select(vec!["", "abc", "Zürich", "x y"]);
    let known = prop_oneof![1 => Just(None), 9 => (0..40_i64).prop_map(Some)];
    let values = (prop::option::of(floats), prop::option::of(whole), prop::option::of(text));
    let fact = (0..4_i64, 0..30_i64, known, prop::bool::weighted(0.1), values);
    let fact = fact.prop_map(|(k, event, known, gone, (x, y, s))| Fact {
        k,
        event: event * SECOND,
        known: known.map(|known| known * SECOND),
        gone,
        x,
        y,
        s,
    });
    prop::collection::vec(fact, 0..60)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let amount = prop::option::weighted(0.9, select(vec![0.0, -1.5, 99.9, 1e308, f64::NAN]));
    let times = prop::option::weighted(0.9, select(vec![0, 1, -1, 2, i64::MAX]));
    let row = (0..5_i64, -2..45_i64, amount, times);
    let row = row.prop_map(|(k, at, amount, times)| Row { k, at: at * SECOND, amount, times });
    prop::collection::vec(row, 1..40)
}

fn times(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(times))
}

async fn engine(repo: &Repo, facts: &[Fact]) -> Engine {
    let number = (0..facts.len()).map(|number| number as i64);
    repo.parquet(
        "facts/0.parquet",
        vec![
            ("k", Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| fact.k)))),
            ("e", times(facts.iter().map(|fact| Some(fact.event)))),
            ("n", times(facts.iter().map(|fact| fact.known))),
            ("gone", Arc::new(BooleanArray::from_iter(facts.iter().map(|fact| Some(fact.gone))))),
            ("id", Arc::new(Int64Array::from_iter_values(number))),
            ("x", Arc::new(Float64Array::from_iter(facts.iter().map(|fact| fact.x)))),
            ("y", Arc::new(Int64Array::from_iter(facts.iter().map(|fact| fact.y)))),
            ("s", Arc::new(StringArray::from_iter(facts.iter().map(|fact| fact.s)))),
        ],
    );
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    engine
}

fn spine(rows: &[Row]) -> RecordBatch {
    batch(vec![
        ("k", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.k)))),
        ("at", times(rows.iter().map(|row| Some(row.at)))),
        ("amount", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.amount)))),
        ("times", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.times)))),
    ])
}

/// What one row brings to a lookup.
fn brought(row: &Row) -> Vec<Column> {
    let amount: ArrayRef = Arc::new(Float64Array::from(vec![row.amount]));
    let times: ArrayRef = Arc::new(Int64Array::from(vec![row.times]));
    let column = |name: &str, data_type: &str, array| {
        to_column(name.to_owned(), &data_type.parse().unwrap(), array).unwrap()
    };
    vec![column("amount", "float64", &amount), column("times", "int64", &times)]
}

fn look_up(engine: &Engine, features: &[&str], row: &Row, request: Vec<Column>) -> Result<Lookup> {
    let request = LookupRequest {
        selection: Selection::features(features)?,
        keys: vec![KeyColumn { name: "k".into(), parts: vec![Some(OwnedPart::Int(row.k))] }],
        request,
        as_of: Some(row.at),
        with_times: true,
    };
    engine.lookup(grant(), &request, NOW)
}

async fn trained(engine: &Engine, features: &[&str], spine: RecordBatch) -> RecordBatch {
    let (batches, _) = training_set(engine, features, spine, None).await.unwrap();
    concat_batches(batches[0].schema_ref(), &batches).unwrap()
}

/// A value with all its bits; `None` is null.
fn float(rows: &RecordBatch, name: &str, row: usize) -> Option<f64> {
    let column = rows.column_by_name(name).unwrap().as_primitive::<Float64Type>();
    column.is_valid(row).then(|| column.value(row))
}

fn whole(rows: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = rows.column_by_name(name).unwrap().as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// The same arithmetic by hand, over the inputs of the row.
fn check_by_hand(rows: &RecordBatch, row: usize) {
    let bits = |number: Option<f64>| {
        number.map(|number| if number.is_nan() { 0 } else { number.to_bits() })
    };
    let (amount, x) = (float(rows, "amount", row), float(rows, "x", row));
    let ratio = amount.zip(x).map(|(amount, x)| amount / x);
    assert_eq!(bits(float(rows, "ratio", row)), bits(ratio));
    let product = whole(rows, "y", row).zip(whole(rows, "times", row));
    let product = product.and_then(|(y, times)| y.checked_mul(times));
    let count = whole(rows, "count_10s", row);
    let expected = product.zip(count).and_then(|(product, count)| product.checked_div(count));
    assert_eq!(whole(rows, "whole", row), expected);
    let log = amount.map_or(-1.0, |amount| libm::log(1.0 + amount.abs()));
    assert_eq!(bits(float(rows, "log", row)), bits(Some(log)));
    let score = ratio.zip(expected).map(|(ratio, whole)| ratio * log + whole as f64);
    assert_eq!(bits(float(rows, "score", row)), bits(score));
    let text = |name: &str| {
        let column = rows.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    let label = match (x, text("s")) {
        (None, _) => Some(String::from("none")),
        (Some(x), text) if x < 0.0 => text.map(str::to_uppercase),
        // concat takes null for nothing.
        (Some(_), text) => Some(format!("{}!", text.unwrap_or_default())),
    };
    assert_eq!(text("label"), Some(label.as_deref().unwrap_or("nothing")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_lookup_gives_what_a_training_row_has(facts in facts(), rows in rows()) {
        Runtime::new().unwrap().block_on(async {
            let repo = Repo::new(DEFINITIONS);
            let engine = engine(&repo, &facts).await;
            let offline = trained(&engine, &FEATURES, spine(&rows)).await;
            for (index, row) in rows.iter().enumerate() {
                check_by_hand(&offline, index);
                let answer = look_up(&engine, &FEATURES, row, brought(row)).unwrap();
                let online = to_record_batch(&answer).unwrap();
                for (place, column) in answer.columns.iter().enumerate() {
                    let offline = offline.column(4 + place).slice(index, 1);
                    // Arrays are equal when their bits are; null only equals null.
                    assert_eq!(
                        offline.to_data(), online.column(place).to_data(),
                        "{} of {row:?}", column.name,
                    );
                }
                let status = |name: &str| {
                    let mut columns = answer.columns.iter();
                    columns.find(|column| column.name == name).unwrap().status(0)
                };
                let ratio = float(&offline, "ratio", index);
                let worst = status("v:x").max(Status::Null);
                let expected = if ratio.is_some() { Status::Present } else { worst };
                assert_eq!(status("risk:ratio"), expected);
                // Of inputs that nobody asked for nothing is told.
                let alone = look_up(&engine, &["risk:ratio"], row, brought(row)).unwrap();
                assert_eq!((alone.columns.len(), alone.times.len()), (1, 0));
                assert!(alone.columns[0].is_same(0, &answer.columns[6], 0));
            }
        });
    }
}

fn few_facts() -> Vec<Fact> {
    let fact = |k, event, x, y| Fact {
        k,
        event: event * SECOND,
        known: Some(event * SECOND),
        gone: false,
        x: Some(x),
        y: Some(y),
        s: Some("abc"),
    };
    vec![fact(1, 1, 2.0, 10), fact(1, 5, 4.0, i64::MAX), fact(2, 3, 0.0, 3)]
}

#[tokio::test]
async fn batches_and_hidden_inputs_change_nothing() {
    let repo = Repo::new(DEFINITIONS);
    let engine = engine(&repo, &few_facts()).await;
    let rows: Vec<Row> = (0..20_000_i64)
        .map(|row| Row {
            k: row % 3,
            at: (row % 40) * SECOND,
            amount: (row % 7 > 0).then_some(row as f64),
            times: Some(row % 5),
        })
        .collect();
    let all = trained(&engine, &FEATURES, spine(&rows)).await;
    assert_eq!(all.num_rows(), rows.len());
    (0..rows.len()).step_by(97).for_each(|row| check_by_hand(&all, row));
    let alone = trained(&engine, &["verdict:score", "risk:label"], spine(&rows)).await;
    assert_eq!(alone.num_columns(), 4 + 2);
    for name in ["score", "label"] {
        assert_eq!(alone.column_by_name(name), all.column_by_name(name), "{name}");
    }
    let few = trained(&engine, &FEATURES, spine(&rows[9_000..9_010])).await;
    assert_eq!(few, all.slice(9_000, 10));
}

#[tokio::test]
async fn nulls_are_counted_with_their_reasons() {
    let repo = Repo::new(DEFINITIONS);
    let engine = engine(&repo, &few_facts()).await;
    let row = |k, amount, times| Row { k, at: 6 * SECOND, amount, times };
    let rows = [
        row(1, Some(1.0), Some(2)),
        row(1, None, Some(1)),
        row(3, Some(1.0), Some(1)),
        row(2, Some(1.0), None),
    ];
    let selection = ["risk:whole", "risk:ratio", "risk:log"];
    let (_, report) = training_set(&engine, &selection, spine(&rows), None).await.unwrap();
    let risk = &report.on_demand[0];
    assert_eq!((report.on_demand.len(), risk.view.as_str()), (1, "risk"));
    let of = |feature: &str| {
        let nulls = risk.nulls.iter().find(|nulls| nulls.feature == feature).unwrap();
        let reasons: Vec<String> =
            nulls.reasons.iter().map(|(reason, rows)| format!("{reason} {rows}")).collect();
        (nulls.rows, reasons.join(", "))
    };
    assert_eq!(of("whole"), (3, "division_by_zero 1, null_input 1, overflow 1".into()));
    assert_eq!(of("ratio"), (2, "null_input 2".into()));
    assert_eq!(of("log"), (1, "null_input 1".into()), "a default is no value");
    for row in &rows {
        look_up(&engine, &["risk:whole"], row, brought(row)).unwrap();
    }
    let counts = engine.on_demand_counts();
    let counts = counts[&("risk".to_owned(), "whole".to_owned())].read();
    let counts: Vec<u64> = counts.map(|(_, rows)| rows).collect();
    assert_eq!(counts, [1, 1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_request_without_what_it_must_bring_is_refused() {
    let repo = Repo::new(DEFINITIONS);
    let engine = engine(&repo, &few_facts()).await;
    let row = Row { k: 1, at: 6 * SECOND, amount: Some(1.0), times: Some(1) };
    let refused = |features: &[&str], request: Vec<Column>, expected: &str| {
        let error = look_up(&engine, features, &row, request).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains(expected)),
            (Kind::Invalid, true),
            "{error}"
        );
        assert!(error.to_string().contains("; "), "{error}");
    };
    let [amount, times] = <[Column; 2]>::try_from(brought(&row)).unwrap();
    let one = ["verdict:score"];
    refused(
        &one,
        vec![amount.clone()],
        "field \"times\" (int64) is missing from the request; give",
    );
    refused(
        &one,
        vec![amount.clone(), times.clone(), times.clone()],
        "is given twice; give it once",
    );
    let odd = Column { name: "amount".into(), ..times.clone() };
    refused(
        &one,
        vec![odd, times.clone()],
        "field \"amount\" of the request has type float64, found int64",
    );
    let short = Column { statuses: Vec::new(), ..amount.clone() };
    refused(&one, vec![short, times.clone()], "has 0 values for 1 entities");
    let other = Column { name: "amuont".into(), ..amount.clone() };
    refused(&one, vec![amount.clone(), times.clone(), other], "did you mean \"amount\"?");
    refused(
        &["v:x"],
        vec![amount],
        "is not a field of the request that the features asked for read",
    );
    refused(&["risk[k=j]:*"], brought(&row), "an on-demand view, which has none of its own");

    let without = |name: &str| {
        let whole = spine(std::slice::from_ref(&row));
        let kept = (0..4).filter(|column| whole.schema().field(*column).name() != name);
        whole.project(&kept.collect::<Vec<_>>()).unwrap()
    };
    let error = training_set(&engine, &one, without("times"), None).await.unwrap_err();
    assert!(error.to_string().contains("the spine has no column \"times\" (int64)"), "{error}");
    let mut columns: Vec<(&str, ArrayRef)> = vec![("amount", Arc::new(Int64Array::from(vec![1])))];
    let rest = without("amount");
    let schema = rest.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    columns.extend(names.zip(rest.columns().iter().cloned()));
    let error = training_set(&engine, &one, batch(columns), None).await.unwrap_err();
    assert!(error.to_string().contains("column \"amount\" is int64"), "{error}");
}

#[tokio::test]
async fn what_does_not_compile_is_told_with_its_place_and_nothing_is_applied() {
    let repo = Repo::new(DEFINITIONS);
    let engine = engine(&repo, &few_facts()).await;
    let version = engine.catalog().version;
    let told = async |from: &str, to: &str, expected: &str| {
        assert_eq!(DEFINITIONS.matches(from).count(), 1, "{from}");
        repo.write("definitions.yaml", &DEFINITIONS.replace(from, to));
        let error = engine.plan(grant()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let ratio = "expr: amount / v.x }";
    told(
        ratio,
        "expr: amount / v.z }",
        "definitions.yaml:40:43: on-demand view \"risk\": feature \"ratio\": the expression reads",
    )
    .await;
    told(
        ratio,
        "expr: times }",
        "it is declared float64, and its expression is int64; write CAST(... AS DOUBLE)",
    )
    .await;
    told(ratio, "expr: random() * amount }", "calls random(), which is none of its functions")
        .await;
    told(
        ratio,
        "expr: amount / (SELECT 1) }",
        "on-demand view \"risk\": feature \"ratio\": the expression",
    )
    .await;
    told(
        ratio,
        "expr: amount / q.x }",
        "view \"q\" is not among the inputs; add \"q:x\" to inputs",
    )
    .await;
    told(
        "expr: v.y * times / w.count_10s",
        "expr: v.y / w.count_10s",
        "no expression reads field \"times\" of the request; remove it",
    )
    .await;
    told(
        "\"v:*\", \"w:*\"",
        "\"v:*\", \"w:*\", \"verdict:score\"",
        "it reads itself: risk -> verdict -> risk",
    )
    .await;
    repo.write("definitions.yaml", DEFINITIONS);
    assert!(engine.plan(grant()).await.unwrap().is_empty());
    assert_eq!(engine.catalog().version, version);
}

#[tokio::test]
async fn a_service_names_them_and_a_store_opened_again_has_them() {
    let repo = Repo::new(DEFINITIONS);
    drop(engine(&repo, &few_facts()).await);
    let engine = repo.open(hitherto_engine::Access::ReadWrite).unwrap();
    let row = Row { k: 1, at: 6 * SECOND, amount: Some(8.0), times: Some(0) };
    let request = LookupRequest {
        selection: Selection::Service(String::from("fraud")),
        keys: vec![KeyColumn { name: "k".into(), parts: vec![Some(OwnedPart::Int(1))] }],
        request: brought(&row),
        as_of: Some(row.at),
        with_times: false,
    };
    let answer = engine.lookup(grant(), &request, NOW).unwrap();
    let names: Vec<&str> = answer.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["verdict:score", "v:y", "risk:ratio"]);
    let rows = to_record_batch(&answer).unwrap();
    assert_eq!(float(&rows, "risk:ratio", 0), Some(2.0));
    assert_eq!(float(&rows, "verdict:score", 0), Some(2.0 * libm::log(9.0)));
    let described = engine.describe_lookup(grant(), &request.selection).unwrap();
    assert!(described.ends_with("; 4 computed"), "{described}");
    // Of what is computed nothing is loaded, pushed or explained.
    let request = hitherto_api::MaterializeRequest {
        views: vec![String::from("risk")],
        ..hitherto_api::MaterializeRequest::default()
    };
    let error = engine.materialize(grant(), &request, NOW, &crate::repo::Silent).await.unwrap_err();
    assert!(error.to_string().contains("\"risk\" is an on-demand view"), "{error}");
}
