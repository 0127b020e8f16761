//! What whoever watches a run is told: names for all that is done, and counts that end right.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use hitherto_api::{
    Ack, MaterializeMode, MaterializeRequest, OptimizeMode, Progress, PushRequest, Stage,
};

use crate::repo::{Repo, batch, grant, materialize};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: at }
  features: [{ name: value, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: some }
spec:
  entity: stay
  source:
    parquet: labs
    eventTime: at
    sql: SELECT stay, at, value FROM source WHERE value < 3
  features: [{ name: value, type: int64 }]
";

/// Notes what it is told, in words.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, words: String) {
        let mut told = self.0.lock().unwrap();
        // Told the same again, it is not news.
        if told.last() != Some(&words) {
            told.push(words);
        }
    }

    fn all(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Progress for Told {
    fn begin(&self, view: &str, rows: u64) {
        self.note(format!("{view}: {rows} rows"));
    }

    fn stage(&self, _: &str, stage: Stage) {
        self.note(String::from(stage.name()));
    }

    fn advance(&self, _: &str, facts: u64) {
        self.note(format!("{facts} so far"));
    }

    fn end(&self, view: &str, facts: u64) {
        self.note(format!("{view}: {facts} facts"));
    }
}

fn facts(stays: &[i64]) -> RecordBatch {
    let times = stays.iter().map(|stay| 10 * stay);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stay", Arc::new(Int64Array::from(stays.to_vec()))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times))),
        ("value", Arc::new(Int64Array::from(stays.to_vec()))),
    ];
    batch(columns)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_done_has_a_name_and_counts_end_right() {
    let repo = Repo::new(YAML);
    std::fs::create_dir_all(repo.path().join("labs")).unwrap();
    crate::repo::write_parquet(&repo.path().join("labs/a.parquet"), &facts(&[1, 2, 3, 4]));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 100).await;
    let request = PushRequest {
        view: String::from("labs"),
        facts: facts(&[5]),
        idempotency_key: String::new(),
        ack: Ack::Durable,
    };
    engine.push(grant(), &request, 100).unwrap();

    let told = Told::default();
    let all = MaterializeRequest { mode: MaterializeMode::Full, ..Default::default() };
    engine.materialize(grant(), &all, 100, &told).await.unwrap();
    let found = told.all();
    let (labs, some) =
        found.split_at(found.iter().position(|said| said.starts_with("some")).unwrap());
    // What was pushed is among the rows. What is read when is the threads' affair.
    let is_count = |said: &&String| said.ends_with("so far");
    let without_counts = |said: &[String]| -> Vec<String> {
        said.iter().filter(|said| !is_count(said)).cloned().collect()
    };
    let stages = ["reading", "sorting", "writing", "committing"];
    let expected =
        |first: &'static str, last: &'static str| [&[first], &stages[..], &[last]].concat();
    assert_eq!(without_counts(labs), expected("labs: 5 rows", "labs: 5 facts"));
    assert_eq!(labs.iter().rfind(is_count).unwrap(), "5 so far");
    assert_eq!(without_counts(some), expected("some: 4 rows", "some: 2 facts"));
    assert_eq!(some.iter().rfind(is_count).unwrap(), "2 so far");

    engine.materialize(grant(), &MaterializeRequest::default(), 100, &told).await.unwrap();
    let nothing = ["labs: 0 rows", "labs: 0 facts", "some: 0 rows", "some: 0 facts"];
    assert_eq!(told.all(), nothing);

    engine.optimize(grant(), "some", OptimizeMode::IfChanged, &told).await.unwrap();
    let copied = ["some: 4 rows", "sorting", "writing", "2 so far", "committing", "some: 2 facts"];
    assert_eq!(told.all(), copied);
}
