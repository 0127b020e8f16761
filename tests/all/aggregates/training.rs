//! Aggregates in training sets, from YAML and Parquet to rows: the example of the documents, and
//! random worlds against the naive oracle.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use hitherto_api::TrainingSetReport;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::oracle::{self, Question};
use super::world::{SECOND, World, times, worlds};
use crate::repo::{Repo, batch, training_set, write_parquet_as};

const HOUR: i64 = 3_600 * SECOND;

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

impl World {
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
