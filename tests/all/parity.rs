//! Online as of t gives what offline gives at t, and both what the oracle says,
//! however the facts were split into files, ordered, materialized or repeated.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_api::{KeyColumn, MaterializeMode};
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_engine::Engine;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::oracle::{self, Answer, Fact, Question};
use crate::repo::{self, Repo, lookup, materialize, training_set};
use crate::world::{World, worlds};

/// After every fact of a world; long before that its history begins.
const NOW: i64 = 1_000;

pub fn definitions(ttl: Option<i64>) -> String {
    let ttl = ttl.map(|ttl| format!("ttl: {ttl}us")).unwrap_or_default();
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: pair }}
spec: {{ keys: [{{ name: first, type: string }}, {{ name: second, type: string }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: facts }}
spec:
  entity: pair
  source: {{ parquet: facts, eventTime: event, knownTime: known, deleted: gone }}
  {ttl}
  features: [{{ name: value, type: int64 }}]
  online: {{ history: 1h }}
"
    )
}

pub fn write_facts(repo: &Repo, name: &str, facts: &[Fact]) {
    repo.parquet(&format!("facts/{name}.parquet"), columns(facts));
}

/// The columns of these facts, in the order of a source file.
pub fn columns(facts: &[Fact]) -> Vec<(&'static str, ArrayRef)> {
    let text = |part: fn(&Fact) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(facts.iter().map(part)))
    };
    let times = |time: fn(&Fact) -> Option<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter(facts.iter().map(time)))
    };
    vec![
        ("first", text(|fact| &fact.key.0)),
        ("second", text(|fact| &fact.key.1)),
        ("event", times(|fact| Some(fact.event))),
        ("known", times(|fact| fact.known)),
        // False or null: neither is a deletion.
        (
            "gone",
            Arc::new(BooleanArray::from_iter(facts.iter().map(|fact| match fact.is_deletion {
                true => Some(true),
                false => fact.value.map(|_| false),
            }))),
        ),
        ("value", Arc::new(Int64Array::from_iter(facts.iter().map(|fact| fact.value)))),
    ]
}

pub fn spine(world: &World) -> RecordBatch {
    let rows = &world.spine;
    repo::batch(vec![
        ("first", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0.as_deref())))),
        ("second", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1.as_deref())))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.2)))),
    ])
}

pub fn expected(world: &World, known_by: Option<i64>) -> Vec<Answer> {
    let ask = |(first, second, at): &(Option<String>, Option<String>, i64)| {
        let (Some(first), Some(second)) = (first, second) else { return Answer::NotFound };
        let question = Question { at: *at, known_by: known_by.unwrap_or(i64::MAX), ttl: world.ttl };
        oracle::answer(&world.facts, &(first.clone(), second.clone()), question)
    };
    world.spine.iter().map(ask).collect()
}

/// The lookup of every spine row, each as of its own time.
pub fn online(engine: &Engine, world: &World, now: i64) -> Vec<Answer> {
    let ask = |(first, second, at): &(Option<String>, Option<String>, i64)| {
        let column = |name: &str, part: &Option<String>| KeyColumn {
            name: name.to_owned(),
            parts: vec![part.as_ref().map(|part| OwnedPart::Bytes(part.clone().into_bytes()))],
        };
        let keys = vec![column("first", first), column("second", second)];
        let found = lookup(engine, &["facts:value"], keys, Some(*at), now).unwrap();
        match (found.columns[0].status(0), &found.columns[0].values) {
            (Status::Present, Values::I64(values)) => Answer::Value(values[0]),
            (Status::Null, _) => Answer::Null,
            (Status::NotFound, _) => Answer::NotFound,
            (Status::Expired, _) => Answer::Expired,
            other => panic!("unexpected column {other:?}"),
        }
    };
    world.spine.iter().map(ask).collect()
}

/// Values only: a training set has nulls where a lookup has statuses.
pub fn values(answers: &[Answer]) -> Vec<Option<i64>> {
    let value = |answer: &Answer| match answer {
        Answer::Value(value) => Some(*value),
        _ => None,
    };
    answers.iter().map(value).collect()
}

pub async fn offline(engine: &Engine, world: &World, known_by: Option<i64>) -> Vec<Option<i64>> {
    let spine = spine(world);
    let (batches, report) =
        training_set(engine, &["facts:value"], spine.clone(), known_by).await.unwrap();
    assert_eq!(report.rows as usize, world.spine.len());
    let Some(first) = batches.first() else { return Vec::new() };
    let all = concat_batches(&first.schema(), &batches).unwrap();
    assert_eq!(all.project(&[0, 1, 2]).unwrap(), spine, "the spine passes through untouched");
    all.column(3).as_primitive::<Int64Type>().iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Facts arrive in up to three files, one run after each, any of them twice.
    #[test]
    fn lookups_and_training_sets_answer_like_the_oracle(
        world in worlds(),
        arrivals in prop::collection::vec(0..3_usize, 60),
        order in Just([0, 1, 2]).prop_shuffle(),
        early in 0..60_i64,
    ) {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let repo = Repo::new(&definitions(world.ttl));
            write_facts(&repo, "empty", &[]);
            let engine = repo.applied().await;
            let mirror = repo.applied_in_memory().await;
            for file in order {
                let arrived: Vec<Fact> = world.facts.iter().zip(&arrivals)
                    .filter(|(_, arrival)| **arrival == file)
                    .map(|(fact, _)| fact.clone())
                    .collect();
                write_facts(&repo, &format!("{file}"), &arrived);
                // Runs at a time when some facts are still in the future.
                materialize(&engine, MaterializeMode::Incremental, early).await;
                materialize(&mirror, MaterializeMode::Incremental, early).await;
            }
            let expected_now = expected(&world, None);
            assert_eq!(online(&engine, &world, NOW), expected_now, "RocksDB");
            assert_eq!(online(&mirror, &world, NOW), expected_now, "memory");
            assert_eq!(offline(&engine, &world, None).await, values(&expected_now), "offline");
            let cut = world.known_by;
            assert_eq!(offline(&engine, &world, cut).await, values(&expected(&world, cut)), "cutoff");
            materialize(&engine, MaterializeMode::Full, NOW).await;
            assert_eq!(online(&engine, &world, NOW), expected_now, "after a full run");
        });
    }
}
