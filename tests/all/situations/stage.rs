//! A repository in which every situation is a view of its own, materialized
//! into RocksDB and into the in-memory mirror; and one question asked of it in
//! every way that there is. A check returns what is wrong, in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_api::{KeyColumn, MaterializeRequest};
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_engine::Engine;

use super::script::{Entity, History, Question, Situation};
use crate::repo::{Repo, Silent, batch, grant, lookup, training_set};

/// The order of facts in their file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// And materialized after everything has happened.
    AsWritten,
    /// And materialized before anything has.
    Reversed,
}

/// Both stores, filled.
pub struct Stage {
    rocks: Engine,
    mirror: Engine,
    /// When each situation was materialized.
    loaded: Vec<i64>,
    /// Keeps the folder.
    _repo: Repo,
}

impl Stage {
    pub async fn new(situations: &[Situation], order: Order) -> Self {
        let repo = Repo::new(&definitions(situations));
        let after_everything = parse_timestamp("2030-01-01").unwrap();
        let mut loaded = Vec::new();
        for (view, situation) in situations.iter().enumerate() {
            write_facts(&repo, view, situation, order);
            let first = situation.facts.iter().map(|fact| fact.event).min().unwrap();
            loaded.push(situation.loaded.unwrap_or(match order {
                Order::AsWritten => after_everything,
                Order::Reversed => first - 1,
            }));
        }
        let (rocks, mirror) = (repo.applied().await, repo.applied_in_memory().await);
        for (view, now) in loaded.iter().enumerate() {
            let request = MaterializeRequest {
                views: vec![view_name(view)],
                ..MaterializeRequest::default()
            };
            for engine in [&rocks, &mirror] {
                engine.materialize(grant(), &request, *now, &Silent).await.unwrap();
            }
        }
        Self { rocks, mirror, loaded, _repo: repo }
    }

    /// Asks as of the question's time, and at it, on both stores.
    pub fn check_lookups(
        &self,
        view: usize,
        situation: &Situation,
        asked: &Question,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (store, engine) in [("RocksDB", &self.rocks), ("memory", &self.mirror)] {
            let loaded = self.loaded[view];
            let mut ways = vec![("as of", Some(asked.at), loaded.max(asked.at))];
            if asked.at >= loaded {
                ways.push(("at", None, asked.at));
            }
            for (way, as_of, now) in ways {
                let keys = key_columns(&asked.entity);
                let found = lookup(engine, &[&feature(view)], keys, as_of, now).unwrap();
                let column = &found.columns[0];
                let value = match (&column.values, asked.answer.value()) {
                    (Values::I64(values), Some(_)) => Some(values[0]),
                    _ => None,
                };
                let found = (column.status(0), value);
                let expected = (asked.answer.status(), asked.answer.value());
                if found != expected {
                    let how = format!("{way} on {store}");
                    wrong.push(told(situation, asked, &how, &expected, &found));
                }
            }
        }
        wrong
    }

    /// Asks for a training set of this one row, whose report gives the reason.
    pub async fn check_reason(
        &self,
        view: usize,
        situation: &Situation,
        asked: &Question,
    ) -> Option<String> {
        let spine = spine([(&asked.entity, asked.at)]);
        let (batches, report) =
            training_set(&self.rocks, &[&feature(view)], spine, asked.known_by).await.unwrap();
        let mut reasons = report.views[0].absent.clone();
        reasons.retain(|_, rows| *rows > 0);
        let value = values(&batches)[0];
        let expected_reasons = asked.answer.reason().map(|reason| (reason.to_owned(), 1));
        let expected_reasons: BTreeMap<_, _> = expected_reasons.into_iter().collect();
        let expected = (asked.answer.value(), expected_reasons);
        let found = (value, reasons);
        (found != expected).then(|| told(situation, asked, "in training", &expected, &found))
    }

    /// Asks all questions of one cutoff as one training set, in their order.
    /// Returns how many rows there were, too.
    pub async fn check_training_sets(
        &self,
        view: usize,
        situation: &Situation,
    ) -> (usize, Vec<String>) {
        let mut by_cutoff: BTreeMap<Option<i64>, Vec<&Question>> = BTreeMap::new();
        for question in &situation.questions {
            by_cutoff.entry(question.known_by).or_default().push(question);
        }
        let (mut rows, mut wrong) = (0, Vec::new());
        for (known_by, asked) in by_cutoff {
            let spine = spine(asked.iter().map(|question| (&question.entity, question.at)));
            for (store, engine) in [("RocksDB", &self.rocks), ("memory", &self.mirror)] {
                let feature = feature(view);
                let built = training_set(engine, &[&feature], spine.clone(), known_by).await;
                let (batches, report) = built.unwrap();
                let found = values(&batches);
                assert_eq!(found.len(), asked.len(), "{}: rows", situation.name);
                assert_eq!(report.rows as usize, asked.len(), "{}: counted", situation.name);
                for (question, found) in asked.iter().zip(found) {
                    let expected = question.answer.value();
                    if found != expected {
                        let how = format!("in a training set beside {store}");
                        wrong.push(told(situation, question, &how, &expected, &found));
                    }
                }
            }
            rows += asked.len();
        }
        (rows, wrong)
    }
}

/// One line about a wrong answer.
fn told<T: std::fmt::Debug>(
    situation: &Situation,
    asked: &Question,
    how: &str,
    expected: &T,
    found: &T,
) -> String {
    format!(
        "{}: {} ({}): {:?} {how} {}: {expected:?} is right, found {found:?}",
        asked.place,
        situation.name,
        situation.why,
        asked.entity,
        format_timestamp(asked.at)
    )
}

fn view_name(view: usize) -> String {
    format!("situation_{view}")
}

fn feature(view: usize) -> String {
    format!("{}:value", view_name(view))
}

fn definitions(situations: &[Situation]) -> String {
    let mut yaml = String::from(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: pair }
spec: { keys: [{ name: first, type: string }, { name: second, type: string }] }
",
    );
    for (view, situation) in situations.iter().enumerate() {
        let name = view_name(view);
        let ttl = situation.ttl.map(|ttl| format!("  ttl: {ttl}us\n")).unwrap_or_default();
        let known = if situation.is_known_ignored { "  known: ignore\n" } else { "" };
        let online = match situation.history {
            None => String::from("  online: { history: 36500d }\n"),
            Some(History::Nothing) => String::new(),
            Some(History::Micros(micros)) => format!("  online: {{ history: {micros}us }}\n"),
        };
        let deleted = if has_deletions(situation) { ", deleted: deleted" } else { "" };
        yaml.push_str(&format!(
            "---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: {name} }}
spec:
  entity: pair
  source: {{ parquet: {name}.parquet, eventTime: event, knownTime: known{deleted} }}
  features: [{{ name: value, type: int64 }}]
{ttl}{known}{online}"
        ));
    }
    yaml
}

fn write_facts(repo: &Repo, view: usize, situation: &Situation, order: Order) {
    let mut facts = situation.facts.clone();
    if order == Order::Reversed {
        facts.reverse();
    }
    let first = facts.iter().map(|fact| fact.entity.0.as_deref());
    let second = facts.iter().map(|fact| fact.entity.1.as_deref());
    let event = facts.iter().map(|fact| fact.event);
    let known = facts.iter().map(|fact| fact.known);
    // What a deletion's other columns hold means nothing.
    let values = facts.iter().map(|fact| if fact.is_deletion { Some(99) } else { fact.value });
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("first", Arc::new(StringArray::from_iter(first))),
        ("second", Arc::new(StringArray::from_iter(second))),
        ("event", Arc::new(TimestampMicrosecondArray::from_iter_values(event))),
        ("known", Arc::new(TimestampMicrosecondArray::from_iter(known))),
        ("value", Arc::new(Int64Array::from_iter(values))),
    ];
    if has_deletions(situation) {
        // False or null: neither is a deletion.
        let flags = facts.iter().enumerate().map(|(row, fact)| match fact.is_deletion {
            true => Some(true),
            false => (row % 2 == 0).then_some(false),
        });
        columns.push(("deleted", Arc::new(BooleanArray::from_iter(flags))));
    }
    repo.parquet(&format!("{}.parquet", view_name(view)), columns);
}

fn has_deletions(situation: &Situation) -> bool {
    situation.facts.iter().any(|fact| fact.is_deletion)
}

fn spine<'a>(rows: impl IntoIterator<Item = (&'a Entity, i64)>) -> RecordBatch {
    let rows: Vec<_> = rows.into_iter().collect();
    let first = rows.iter().map(|(entity, _)| entity.0.as_deref());
    let second = rows.iter().map(|(entity, _)| entity.1.as_deref());
    let at = rows.iter().map(|(_, at)| *at);
    batch(vec![
        ("first", Arc::new(StringArray::from_iter(first))),
        ("second", Arc::new(StringArray::from_iter(second))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(at))),
    ])
}

fn key_columns(entity: &Entity) -> Vec<KeyColumn> {
    [("first", &entity.0), ("second", &entity.1)]
        .map(|(name, part)| KeyColumn {
            name: name.to_owned(),
            parts: vec![part.as_ref().map(|part| OwnedPart::Bytes(part.clone().into_bytes()))],
        })
        .to_vec()
}

/// The feature column, after the three of the spine.
fn values(batches: &[RecordBatch]) -> Vec<Option<i64>> {
    let all = concat_batches(&batches[0].schema(), batches).unwrap();
    all.column(3).as_primitive::<Int64Type>().iter().collect()
}
