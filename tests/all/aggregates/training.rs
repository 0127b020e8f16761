//! Aggregates in training sets, from YAML and Parquet to rows: the example of the documents, and
//! random worlds against the naive oracle.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type};
use hitherto_api::TrainingSetReport;
use hitherto_core::aggregate::{Basis, Function, Nulls, Outcome, SumType, Value};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::Runtime;

use super::oracle::{self, Fact, Question};
use crate::repo::{Repo, batch, training_set, write_parquet_as};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

fn times(times: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(times))
}

const CARD: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: customer }
spec: { keys: [{ name: customer, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: card }
spec:
  entity: customer
  source: { parquet: card/, eventTime: e, knownTime: n, deleted: gone, id: tx }
  aggregates:
    - { function: sum, column: amount, windows: [1h] }
    - { function: count, windows: [1h] }
    - { function: max, column: amount, windows: [1h] }
    - { function: sum, column: amount, windows: [1h], where: \"tx <> 'c'\", name: not_c }
";

/// Minutes after nine, in microseconds.
fn minute(minute: i64) -> i64 {
    9 * HOUR + minute * 60 * SECOND
}

async fn card(rows: &[i64], known_by: Option<i64>) -> (RecordBatch, TrainingSetReport) {
    let repo = Repo::new(CARD);
    let amounts = [Some(10.0), Some(20.0), Some(2.0), Some(40.0), None, Some(5.0)];
    let at = |minutes: [i64; 6]| times(minutes.map(|at| Some(minute(at))));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("customer", Arc::new(Int64Array::from(vec![17; 6]))),
        ("tx", Arc::new(StringArray::from(vec!["a", "b", "b", "c", "c", "d"]))),
        ("e", at([0, 20, 20, 40, 40, 60])),
        ("n", at([0, 50, 70, 40, 65, 60])),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
        ("gone", Arc::new(BooleanArray::from_iter((0..6).map(|row| Some(row == 4))))),
    ];
    // One fact a file, the last first: versions of one event lie in different files.
    let all = batch(columns);
    std::fs::create_dir_all(repo.path().join("card")).unwrap();
    for row in 0..6 {
        let path = repo.path().join(format!("card/{}.parquet", 9 - row));
        write_parquet_as(&path, &all.slice(row, 1), WriterProperties::default());
    }
    let engine = repo.applied().await;
    let spine = batch(vec![
        ("customer", Arc::new(Int64Array::from(vec![17; rows.len()]))),
        ("at", times(rows.iter().map(|at| Some(minute(*at))))),
    ]);
    let features = ["card:amount_sum_1h", "card:count_1h", "card:amount_max_1h", "card:not_c"];
    let (batches, report) = training_set(&engine, &features, spine, known_by).await.unwrap();
    (concat_batches(&batches[0].schema(), &batches).unwrap(), report)
}

#[track_caller]
fn check_floats(rows: &RecordBatch, name: &str, expected: &[Option<f64>]) {
    let column = rows.column_by_name(name).unwrap().as_primitive::<Float64Type>();
    assert_eq!(column.iter().collect::<Vec<_>>(), expected, "{name}");
}

#[track_caller]
fn check_counts(rows: &RecordBatch, expected: &[i64]) {
    let column = rows.column_by_name("count_1h").unwrap().as_primitive::<Int64Type>();
    assert_eq!(column.null_count(), 0, "an empty window has a count");
    assert_eq!(column.values(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_documents() {
    let (rows, report) = card(&[0, 45, 50, 60, 65, 70, 80, 120, -1], None).await;
    let some = |numbers: &[f64]| numbers.iter().map(|number| Some(*number)).collect::<Vec<_>>();
    let sums = some(&[10.0, 50.0, 70.0, 65.0, 25.0, 7.0, 5.0]);
    check_floats(&rows, "amount_sum_1h", &[sums, vec![None, None]].concat());
    check_counts(&rows, &[1, 2, 3, 3, 2, 2, 1, 0, 0]);
    let greatest = some(&[10.0, 40.0, 40.0, 40.0, 20.0, 5.0, 5.0]);
    check_floats(&rows, "amount_max_1h", &[greatest, vec![None, None]].concat());
    let others = some(&[10.0, 10.0, 30.0, 25.0, 25.0, 7.0, 5.0]);
    check_floats(&rows, "not_c", &[others, vec![None, None]].concat());
    let view = &report.views[0];
    assert_eq!((view.facts, view.present, view.absent["empty_window"]), (6, 7, 2));
    assert_eq!(view.nulls[0].reasons, [(String::from("empty_window"), 2)].into());
    assert_eq!(view.nulls[1].rows, 0);
    // A join on event time alone knows from the first that b is 2.0 and that c is gone.
    assert_eq!((view.leaks, report.leaky_rows), (4, 4), "at 09:45, 09:50, 10:00 and 10:05");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_after_the_cutoff_is_not_there() {
    let (rows, _) = card(&[80, 65], Some(minute(60))).await;
    check_floats(&rows, "amount_sum_1h", &[Some(45.0), Some(65.0)]);
    check_counts(&rows, &[2, 3]);
    check_floats(&rows, "amount_max_1h", &[Some(40.0), Some(40.0)]);
}

/// A function as it is written over the float and the integer column of a world.
fn functions() -> Vec<(&'static str, Function, &'static str)> {
    let n = 3;
    let sum = |output| Function::Sum { scale: 0, output };
    vec![
        ("function: count", Function::Count, "count"),
        ("function: count, column: x", Function::Count, "x_count"),
        ("function: sum, column: x", sum(SumType::Float64), "x_sum"),
        ("function: min, column: x", Function::Min, "x_min"),
        ("function: max, column: x", Function::Max, "x_max"),
        ("function: first, column: x", Function::First(Nulls::Skip), "x_first"),
        ("function: last, column: x", Function::Last(Nulls::Skip), "x_last"),
        (
            "function: last_n, column: x, n: 3, nulls: keep",
            Function::LastN { n, nulls: Nulls::Keep },
            "x_last_3",
        ),
        ("function: max_n, column: x, n: 3", Function::MaxN { n }, "x_max_3"),
        (
            "function: count_distinct, column: x",
            Function::CountDistinct { limit: 1_000 },
            "x_count_distinct",
        ),
        (
            "function: count_distinct, column: x, limit: 2, name: few",
            Function::CountDistinct { limit: 2 },
            "few",
        ),
        ("function: mode, column: x", Function::Mode { limit: 1_000 }, "x_mode"),
        (
            "function: mode, column: x, limit: 2, name: few_modes",
            Function::Mode { limit: 2 },
            "few_modes",
        ),
        ("function: top_k, column: x, k: 2", Function::TopK { k: 2, limit: 1_000 }, "x_top_2"),
        (
            "function: approx_quantile, column: x, p: [0.5]",
            Function::ApproxQuantile { scale: 0, bits: 7, millionths: 500_000 },
            "x_p50",
        ),
        ("function: seconds_since_last", Function::SecondsSinceLast, "seconds_since_last"),
        ("function: max_by, column: x, by: y, byType: int64", Function::MaxBy, "x_max_by_y"),
        ("function: sum, column: y, type: int64", sum(SumType::Int64), "y_sum"),
        ("function: mean, column: y, type: int64", Function::Mean { scale: 0 }, "y_mean"),
        (
            "function: variance, column: y, type: int64",
            Function::Variance { scale: 0, of: Basis::Sample },
            "y_variance",
        ),
    ]
}

/// Whether a function is of the integer column.
fn is_of_integers(written: &str) -> bool {
    written.contains("column: y")
}

/// Facts of some entities, and what is asked of them.
#[derive(Clone, Debug)]
struct World {
    facts: Vec<(i64, Fact)>,
    rows: Vec<(i64, i64)>,
    /// Of all aggregates.
    question: Question,
    is_filtered: bool,
    files: usize,
    group_rows: usize,
}

fn worlds() -> impl Strategy<Value = World> {
    let seconds = |range: std::ops::Range<i64>| range.prop_map(|second| second * SECOND);
    let number = prop_oneof![
        1 => Just(Value::Null),
        6 => select(vec![0.0, -0.0, 0.1, 0.2, 1e300, -1e300, 5e-324, 7.5]).prop_map(Value::Float),
        1 => select(vec![f64::NAN, f64::INFINITY]).prop_map(Value::Float),
    ];
    let known = prop_oneof![1 => Just(None), 9 => seconds(0..40).prop_map(Some)];
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.8));
    let fact = (0..4_i64, seconds(0..30), 0..2_u8, known, flags, number, -3..4_i64);
    let fact = fact.prop_map(|(entity, event, id, known, (is_deletion, passes), value, by)| {
        (entity, Fact { event, id, known, is_deletion, passes, value, by, row: 0 })
    });
    let facts = prop::collection::vec(fact, 0..120).prop_map(|mut facts| {
        let mut seen = std::collections::BTreeSet::new();
        let identity = |(entity, fact): &(i64, Fact)| {
            (*entity, fact.event, fact.id, fact.known, fact.is_deletion)
        };
        facts.retain(|fact| seen.insert(identity(fact)));
        facts
    });
    let rows = prop::collection::vec((0..5_i64, seconds(-2..45)), 1..60);
    let length = prop_oneof![1 => Just(None), 3 => seconds(1..20).prop_map(Some)];
    let offset = prop_oneof![2 => Just(0), 1 => seconds(1..6)];
    let ttl = prop_oneof![3 => Just(None), 1 => seconds(1..15).prop_map(Some)];
    let known_by = prop_oneof![2 => Just(i64::MAX), 1 => seconds(0..40)];
    let flags = (prop::bool::weighted(0.2), any::<bool>());
    let question = (length, offset, ttl, known_by, prop::bool::weighted(0.2));
    (facts, rows, question, flags, 1..4_usize, 1..40_usize).prop_map(
        |(facts, rows, question, (excludes_current_time, is_filtered), files, group_rows)| {
            let (length, offset, ttl, known_by, ignores_known) = question;
            // A lifetime has no offset.
            let offset = if length.is_some() { offset } else { 0 };
            let question = Question {
                at: 0,
                known_by,
                ignores_known,
                length,
                offset,
                excludes_current_time,
                ttl,
            };
            World { facts, rows, question, is_filtered, files, group_rows }
        },
    )
}

impl World {
    fn yaml(&self) -> String {
        let Question { length, offset, excludes_current_time, ttl, ignores_known, .. } =
            self.question;
        let seconds = |micros: i64| format!("{}s", micros / SECOND);
        let mut more = format!("windows: [{}]", length.map_or("lifetime".into(), seconds));
        if offset > 0 {
            more.push_str(&format!(", offset: {}", seconds(offset)));
        }
        if excludes_current_time {
            more.push_str(", excludeCurrentTime: true");
        }
        if self.is_filtered {
            more.push_str(", where: passes");
        }
        let aggregates =
            functions().into_iter().map(|(written, ..)| format!("    - {{ {written}, {more} }}\n"));
        let ttl = ttl.map_or(String::new(), |ttl| format!("  ttl: {}\n", seconds(ttl)));
        let known = if ignores_known { "  known: ignore\n" } else { "" };
        format!(
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: k }}\nspec: {{ keys: [{{ \
             name: k, type: int64 }}] }}\n---\napiVersion: hitherto/v1\nkind: FeatureView\n\
             metadata: {{ name: v }}\nspec:\n  entity: k\n{ttl}{known}  source: {{ parquet: v/, \
             eventTime: e, knownTime: n, deleted: gone, id: [id] }}\n  aggregates:\n{}",
            aggregates.collect::<String>()
        )
    }

    /// The name that a feature has beside its window.
    fn name(&self, written: &str, stem: &str) -> String {
        if written.contains("name:") {
            return stem.to_owned();
        }
        let Question { length, offset, .. } = self.question;
        let window = length.map_or("lifetime".into(), |length| format!("{}s", length / SECOND));
        match offset {
            0 => format!("{stem}_{window}"),
            offset => format!("{stem}_{window}_offset_{}s", offset / SECOND),
        }
    }

    fn write(&self, repo: &Repo) {
        std::fs::create_dir_all(repo.path().join("v")).unwrap();
        for file in 0..self.files {
            let facts: Vec<&(i64, Fact)> =
                self.facts.iter().skip(file).step_by(self.files).collect();
            let floats = facts.iter().map(|(_, fact)| match &fact.value {
                Value::Float(number) => Some(*number),
                _ => None,
            });
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("k", Arc::new(Int64Array::from_iter_values(facts.iter().map(|(k, _)| *k)))),
                ("e", times(facts.iter().map(|(_, fact)| Some(fact.event)))),
                ("n", times(facts.iter().map(|(_, fact)| fact.known))),
                (
                    "id",
                    Arc::new(Int64Array::from_iter_values(
                        facts.iter().map(|(_, fact)| fact.id.into()),
                    )),
                ),
                (
                    "gone",
                    Arc::new(BooleanArray::from_iter(
                        facts.iter().map(|(_, fact)| Some(fact.is_deletion)),
                    )),
                ),
                (
                    "passes",
                    Arc::new(BooleanArray::from_iter(
                        // A null is not true either.
                        facts.iter().map(|(_, fact)| fact.passes.then_some(true)),
                    )),
                ),
                ("x", Arc::new(Float64Array::from_iter(floats))),
                (
                    "y",
                    Arc::new(Int64Array::from_iter_values(facts.iter().map(|(_, fact)| fact.by))),
                ),
            ];
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(self.group_rows))
                .build();
            let path = repo.path().join(format!("v/{file}.parquet"));
            write_parquet_as(&path, &batch(columns), properties);
        }
    }

    async fn rows(&self) -> RecordBatch {
        let repo = Repo::new(&self.yaml());
        self.write(&repo);
        let engine = repo.applied_in_memory().await;
        let spine = batch(vec![
            ("k", Arc::new(Int64Array::from_iter_values(self.rows.iter().map(|(k, _)| *k)))),
            ("at", times(self.rows.iter().map(|(_, at)| Some(*at)))),
        ]);
        let known_by = Some(self.question.known_by).filter(|known_by| *known_by < i64::MAX);
        let (batches, report) = training_set(&engine, &["v:*"], spine, known_by).await.unwrap();
        assert_eq!(report.leaky_rows, self.leaks() as u64, "leaks of {self:?}");
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    /// Facts of an entity as its question sees them.
    fn facts_of(&self, entity: i64) -> Vec<Fact> {
        let facts = self.facts.iter().filter(|(of, _)| *of == entity);
        let facts = facts
            .map(|(_, fact)| Fact { passes: fact.passes || !self.is_filtered, ..fact.clone() });
        facts.collect()
    }

    /// Rows for which a join on event time alone would see other versions.
    fn leaks(&self) -> usize {
        let leaks = |(entity, at): &&(i64, i64)| {
            let facts = self.facts_of(*entity);
            let seen = |ignores_known: bool| {
                let question = Question { at: *at, ignores_known, ..self.question };
                let counting = oracle::counting(&facts, question);
                counting.iter().map(|fact| (fact.event, fact.id, fact.known)).collect::<Vec<_>>()
            };
            let sorted = |mut versions: Vec<(i64, u8, Option<i64>)>| {
                versions.sort_unstable();
                versions
            };
            sorted(seen(false)) != sorted(seen(true))
        };
        self.rows.iter().filter(leaks).count()
    }

    fn check(&self, rows: &RecordBatch) {
        for (written, function, stem) in functions() {
            let column = rows.column_by_name(&self.name(written, stem)).unwrap();
            for (row, (entity, at)) in self.rows.iter().enumerate() {
                let mut facts = self.facts_of(*entity);
                if is_of_integers(written) {
                    facts.iter_mut().for_each(|fact| fact.value = Value::Int(fact.by));
                }
                let is_of_events = !written.contains("column");
                if is_of_events {
                    facts.iter_mut().for_each(|fact| fact.value = Value::Bool(true));
                }
                let question = Question { at: *at, ..self.question };
                let counting = oracle::counting(&facts, question);
                let expected = oracle::answer(&counting, function, *at);
                let found = shown(column, row);
                assert_eq!(
                    found,
                    expected_of(&expected),
                    "{written} at {at} of {entity}: {self:?}"
                );
            }
        }
    }
}

/// A value of a column, with all its bits.
fn shown(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return String::from("null");
    }
    match column.data_type() {
        ArrowType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        ArrowType::Float64 => bits(column.as_primitive::<Float64Type>().value(row)),
        ArrowType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len()).map(|item| shown(&items, item)).collect();
            format!("[{}]", items.join(", "))
        }
        other => panic!("{other} is not asked for"),
    }
}

fn bits(number: f64) -> String {
    format!("{number:?} {:016x}", number.to_bits())
}

fn expected_of(outcome: &Outcome) -> String {
    let value = |value: &Value<'_>| match value {
        Value::Null => String::from("null"),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => bits(*number),
        other => panic!("{other:?} is not asked for"),
    };
    match outcome {
        Outcome::Value(found) => value(found),
        Outcome::List(values) => {
            format!("[{}]", values.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Outcome::Absent(_) => String::from("null"),
    }
}

#[test]
fn training_sets_answer_as_the_oracle() {
    let runtime = Runtime::new().unwrap();
    let config = ProptestConfig { cases: 60, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let checked = runner.run(&worlds(), |world| {
        let rows = runtime.block_on(world.rows());
        world.check(&rows);
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
}

/// What planning says of a view with this source and aggregate.
async fn planned(source: &str, aggregate: &str) -> String {
    let yaml = CARD.split("  aggregates:").next().unwrap().replace(", id: tx", source);
    let repo = Repo::new(&format!("{yaml}  aggregates:\n    - {{ {aggregate} }}\n"));
    repo.parquet(
        "card/0.parquet",
        vec![
            ("customer", Arc::new(Int64Array::from(vec![1]))),
            ("e", times([Some(0)])),
            ("n", times([Some(0)])),
            ("gone", Arc::new(BooleanArray::from(vec![false]))),
            ("tx", Arc::new(StringArray::from(vec!["a"]))),
            ("amount", Arc::new(Int64Array::from(vec![1]))),
            ("x", Arc::new(Float64Array::from(vec![1.0]))),
        ],
    );
    let engine = repo.open(hitherto_engine::Access::ReadWrite).unwrap();
    match engine.plan(crate::repo::grant()).await {
        Ok(_) => String::new(),
        Err(error) => error.chain(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_does_not_bear_out_is_said_with_what_to_write() {
    let count = "function: count, windows: [1d]";
    for (source, aggregate, words) in [
        (", id: tx", "function: sum, column: amount, windows: [1d]", "declare int64"),
        (", id: tx", "function: sum, column: amuont, windows: [1d]", "did you mean \"amount\""),
        (", id: x", count, "can be no id"),
        (", id: ty", count, "the source has no column \"ty\"; did you mean \"tx\""),
        (", id: tx", &format!("{count}, where: x"), "neither true nor false"),
        (", id: tx", &format!("{count}, where: random() < x"), "random()"),
        (", id: tx", &format!("{count}, where: now() > e"), "now()"),
        (", id: tx", &format!("{count}, where: x > avg(x)"), "looks at other rows"),
        (", id: tx", &format!("{count}, where: y > 1"), "does not run over its source"),
        (", id: tx", &format!("{count}, where: 'x >'"), "does not run over its source"),
    ] {
        let error = planned(source, aggregate).await;
        assert!(error.contains(words), "{aggregate}: {error:?} has no {words:?}");
    }
    assert_eq!(planned(", id: tx", count).await, "");
    assert_eq!(
        planned(", id: [tx, amount]", &format!("{count}, where: x > 1 AND tx = 'a'")).await,
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_online_yet_says_so() {
    let repo = Repo::new(CARD);
    repo.parquet(
        "card/0.parquet",
        vec![
            ("customer", Arc::new(Int64Array::from(vec![17]))),
            ("e", times([Some(0)])),
            ("n", times([Some(0)])),
            ("gone", Arc::new(BooleanArray::from(vec![false]))),
            ("tx", Arc::new(StringArray::from(vec!["a"]))),
            ("amount", Arc::new(Float64Array::from(vec![1.0]))),
        ],
    );
    let engine = repo.applied_in_memory().await;
    let keys = || {
        vec![hitherto_api::KeyColumn {
            name: String::from("customer"),
            parts: vec![Some(hitherto_core::key::OwnedPart::Int(17))],
        }]
    };
    let error = crate::repo::lookup(&engine, &["card:count_1h"], keys(), None, 1).unwrap_err();
    assert!(error.to_string().contains("it cannot be looked up; ask for its features"), "{error}");
    let request = hitherto_api::MaterializeRequest {
        views: vec![String::from("card")],
        ..Default::default()
    };
    let grant = crate::repo::grant();
    let error = engine.materialize(grant, &request, 1, &crate::repo::Silent).await.unwrap_err();
    assert!(error.to_string().contains("it cannot be materialized"), "{error}");
    // Of all views it is left out.
    let all = hitherto_api::MaterializeRequest::default();
    assert!(engine.materialize(grant, &all, 1, &crate::repo::Silent).await.unwrap().is_empty());
}
