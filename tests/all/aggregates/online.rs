//! Aggregates online: events that come in any way, and lookups of any moment against the naive
//! oracle; what is said of each event, and what a push to such a view is told.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::verify::Outcome;
use hitherto_api::why::Online;
use hitherto_api::{KeyColumn, MaterializeMode, VerifyRequest, WhyRequest};
use hitherto_core::aggregate::Value;
use hitherto_core::column::Values;
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::WHY_CANDIDATES_MAX;
use hitherto_core::rule::NEVER;
use hitherto_core::why::Verdict;
use hitherto_engine::{Access, Engine};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::oracle::{self, Fact, Question};
use super::world::{SECOND, World, columns, functions, times, worlds};
use crate::pushing::{Step, push, steps};
use crate::repo::{Repo, batch, grant, lookup, materialize, training_set};

/// After every fact and question of a world.
const NOW: i64 = 10_000 * SECOND;

/// Parts of the facts: three are pushed, one of them twice, and two are files.
const PARTS: usize = 5;
const FIRST_FILE: usize = 3;

/// A world whose lookups answer at every moment, without a cutoff, which lookups have not.
fn answerable() -> impl Strategy<Value = World> {
    worlds().prop_map(|mut world| {
        world.question.known_by = i64::MAX;
        world
    })
}

fn key(entity: i64) -> Vec<KeyColumn> {
    vec![KeyColumn { name: "k".into(), parts: vec![Some(OwnedPart::Int(entity))] }]
}

impl World {
    fn part(&self, number: usize) -> Vec<&(i64, Fact)> {
        let facts = self.facts.iter().enumerate();
        let of_part = |(index, (_, fact)): &(usize, &(i64, Fact))| {
            // What nobody knows is refused when it is pushed: files have it.
            let part = if fact.known.is_none() { FIRST_FILE } else { index % PARTS };
            part == number
        };
        facts.filter(of_part).map(|(_, fact)| fact).collect()
    }

    /// Facts as a push brings them: what no condition names is not there.
    fn pushed(&self, facts: &[&(i64, Fact)]) -> RecordBatch {
        let all = columns(facts);
        let names = all.schema();
        let wanted = |name: &&str| *name != "passes" || self.is_filtered;
        let names = names.fields().iter().map(|field| field.name().as_str()).filter(wanted);
        batch(names.map(|name| (name, all.column_by_name(name).unwrap().clone())).collect())
    }

    async fn live(&self, repo: &Repo, steps: &[Step]) -> Engine {
        self.write_file(repo, "first", &[]);
        let mut engine = repo.applied().await;
        materialize(&engine, MaterializeMode::Full, NOW).await;
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Push(part) => {
                    // What is remembered before it must not answer after it.
                    self.looked_up(&engine);
                    let facts = self.pushed(&self.part(*part));
                    // What comes twice comes under two names.
                    push(&engine, "v", facts, &format!("{number}"), NOW).unwrap();
                }
                Step::File(file) => {
                    self.write_file(repo, &file.to_string(), &self.part(FIRST_FILE + file));
                }
                Step::Incremental => {
                    materialize(&engine, MaterializeMode::Incremental, NOW).await;
                }
                Step::Full => {
                    materialize(&engine, MaterializeMode::Full, NOW).await;
                }
                Step::Rollback => {
                    // Files that were consumed since are to be consumed again.
                    let _ = engine.rollback(grant(), "v").await;
                }
                Step::Reopen => {
                    drop(engine);
                    engine = repo.open(Access::ReadWrite).unwrap();
                }
            }
        }
        materialize(&engine, MaterializeMode::Incremental, NOW).await;
        engine
    }

    /// Asks why of some questions, with a cutoff and without.
    async fn explained(&self, engine: &Engine) {
        let functions = functions();
        for (number, (entity, at)) in self.rows.iter().take(6).enumerate() {
            let (written, _, stem) = functions[(self.facts.len() + number) % functions.len()];
            let known_by = (number % 2 == 1).then_some(at - 3 * SECOND);
            let of = format!("v:{}", self.name(written, stem));
            let facts = Some(WHY_CANDIDATES_MAX);
            let request =
                WhyRequest { at: Some(*at), known_by, facts, ..WhyRequest::new(&of, key(*entity)) };
            let found = engine.why(grant(), &request, NOW).await.unwrap();
            let question =
                Question { at: *at, known_by: known_by.unwrap_or(i64::MAX), ..self.question };
            let facts = self.facts_of(*entity);
            let Values::Varlen { ends, data } = &found.columns[0].values else {
                panic!("ids are text")
            };
            let mut start = 0;
            let shown = found.candidates.iter().zip(ends).map(|(fact, end)| {
                let id = str::from_utf8(&data[start..*end as usize]).unwrap().parse().unwrap();
                start = *end as usize;
                (fact.event, id, fact.known, fact.is_deletion, fact.verdict)
            });
            let expected = facts.iter().map(|fact| {
                let known = fact.known.unwrap_or(NEVER);
                let verdict = oracle::verdict(&facts, fact, question);
                (fact.event, fact.id, known, fact.is_deletion, verdict)
            });
            let sorted = |facts: &mut dyn Iterator<Item = (i64, u8, i64, bool, Verdict)>| {
                let mut facts: Vec<_> = facts.collect();
                facts.sort_by_key(|(event, id, known, gone, _)| (*event, *id, *known, *gone));
                facts
            };
            assert_eq!(
                sorted(&mut { shown }),
                sorted(&mut { expected }),
                "{request:?} of {self:?}"
            );
            let aggregate = found.aggregate.as_ref().unwrap();
            let counting = oracle::counting(&facts, question).len();
            assert_eq!(aggregate.counts.counts, counting as u64);
            assert!(aggregate.training_set_agrees, "{request:?} of {self:?}");
            match &found.online {
                Online::Answers(answer) => assert!(answer.agrees, "{request:?} of {self:?}"),
                other => assert!(known_by.is_some(), "{other:?}"),
            }
        }
    }

    /// All questions, one by one and those of one moment together.
    fn looked_up(&self, engine: &Engine) -> RecordBatch {
        let answers = self.rows.iter().map(|(entity, at)| {
            let answer = lookup(engine, &["v:*"], key(*entity), Some(*at), NOW).unwrap();
            named(to_record_batch(&answer).unwrap())
        });
        let answers: Vec<RecordBatch> = answers.collect();
        concat_batches(&answers[0].schema(), &answers).unwrap()
    }
}

/// Answers under the features' own names.
fn named(answers: RecordBatch) -> RecordBatch {
    let schema = answers.schema();
    let names = schema.fields().iter().map(|field| field.name().trim_start_matches("v__"));
    let names = names.map(|name| name.trim_start_matches("v:"));
    batch(names.zip(answers.columns().iter().cloned()).collect())
}

#[test]
fn lookups_answer_as_the_oracle() {
    let runtime = Runtime::new().unwrap();
    let config = ProptestConfig { cases: 40, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let checked = runner.run(&(answerable(), steps()), |(world, steps)| {
        let repo = Repo::new(&format!("{}  online: {{ history: 36500d }}\n", world.yaml()));
        runtime.block_on(async {
            let engine = world.live(&repo, &steps).await;
            world.check(&world.looked_up(&engine));
            world.explained(&engine).await;
            // What was pushed is in training sets.
            let spine = batch(vec![
                ("k", Arc::new(Int64Array::from_iter_values(world.rows.iter().map(|(k, _)| *k)))),
                ("at", times(world.rows.iter().map(|(_, at)| Some(*at)))),
            ]);
            let (rows, _) = training_set(&engine, &["v:*"], spine, None).await.unwrap();
            world.check(&concat_batches(&rows[0].schema(), &rows).unwrap());
            let request = VerifyRequest { samples: 30, ..VerifyRequest::default() };
            let verified = engine.verify(grant(), &request, NOW).await.unwrap();
            match &verified.views[0].outcome {
                Outcome::Compared(comparison) => {
                    assert_eq!(comparison.differences, 0, "{comparison:?} of {world:?}");
                }
                // After a rollback files have to be consumed again, and then are.
                other => panic!("{other:?}"),
            }
        });
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
}

/// One entity of so many events that tiles answer for most of them.
fn busy() -> impl Strategy<Value = World> {
    let event = (0..3_000_000_i64, 0..2_u8, -3..4_i64, any::<u32>());
    let events = prop::collection::vec(event, 1_000..2_500);
    let moments = prop::collection::vec(-5..3_100_i64, 12);
    (answerable(), events, moments).prop_map(|(mut world, events, moments)| {
        // Seconds become thousands of them: windows from minutes to hours, or a lifetime.
        let longer = |span: &mut i64| *span *= 60;
        world.question.length.iter_mut().for_each(longer);
        world.question.ttl.iter_mut().for_each(longer);
        longer(&mut world.question.offset);
        world.facts.clear();
        for (millis, id, by, draw) in events {
            // Half of them crowd into a minute.
            let millis = if draw % 2 == 0 { 1_500_000 + millis % 60_000 } else { millis };
            let event = millis * 1_000;
            let fact = |known: i64, is_deletion: bool, number: f64| Fact {
                event,
                id,
                known: Some(known),
                is_deletion,
                passes: draw % 7 > 0,
                value: Value::Float(number),
                by,
                row: 0,
            };
            let number = f64::from(draw % 1_000) / 10.0;
            world.facts.push((1, fact(event + i64::from(draw % 3) * SECOND, false, number)));
            // Some are corrected or deleted, soon or late.
            if draw % 10 == 3 {
                let later = event + i64::from(draw % 900) * SECOND + SECOND;
                world.facts.push((1, fact(later, draw % 20 == 3, number + 1.0)));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        world.facts.retain(|(_, fact)| seen.insert((fact.event, fact.id, fact.known)));
        world.rows = moments.into_iter().map(|at| (1, at * SECOND)).collect();
        world
    })
}

#[test]
fn many_events_answer_as_the_oracle() {
    let runtime = Runtime::new().unwrap();
    let config = ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let checked = runner.run(&(busy(), steps()), |(world, steps)| {
        let repo = Repo::new(&format!("{}  online: {{ history: 36500d }}\n", world.yaml()));
        runtime.block_on(async {
            let mut now = world.clone();
            let late = now.facts.split_off(now.facts.len() * 4 / 5);
            let engine = now.live(&repo, &steps).await;
            // Tiles get as short as they are to be, and are remembered; then nothing but
            // pushes changes what they have.
            for _ in 0..4 {
                now.check(&now.looked_up(&engine));
            }
            for (number, facts) in late.chunks(late.len() / 3 + 1).enumerate() {
                let pushed = now.pushed(&facts.iter().collect::<Vec<_>>());
                push(&engine, "v", pushed, &format!("late {number}"), NOW).unwrap();
                now.facts.extend_from_slice(facts);
                now.check(&now.looked_up(&engine));
            }
        });
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{}", failed.to_string().split_at(600).0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_that_nobody_waits_for_ends() {
    let repo = Repo::new(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: k }\nspec: { keys: [{ name: k, \
         type: int64 }] }\n---\napiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: v }\n\
         spec:\n  entity: k\n  source: { parquet: v/, eventTime: e, id: eventTime }\n  \
         aggregates:\n    - { function: count, windows: [lifetime] }\n",
    );
    let events = 0..20_000_i64;
    let zeros = Int64Array::from_iter_values(events.clone().map(|_| 0));
    repo.parquet(
        "v/0.parquet",
        vec![("k", Arc::new(zeros)), ("e", times(events.map(|event| Some(event * SECOND / 10))))],
    );
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, NOW).await;
    let selection = hitherto_api::Selection::features(["v:*"]).unwrap();
    let request = hitherto_api::LookupRequest {
        selection,
        keys: key(0),
        request: Vec::new(),
        as_of: None,
        with_times: false,
    };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let grant = grant();
    // In memory there is nothing yet, and to compute it takes time.
    assert!(engine.lookup_in_memory(grant, &request, NOW, 100).unwrap().is_none());
    let answer = engine.lookup_until(grant, &request, NOW, &is_over).unwrap();
    assert_eq!(answer.columns[0].values, Values::I64(vec![20_000]));
    let remembered = engine.lookup_in_memory(grant, &request, NOW, 100).unwrap().unwrap();
    assert_eq!(remembered.columns, answer.columns);
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = engine.lookup_until(grant, &request, NOW, &is_over).unwrap_err();
    assert!(error.to_string().contains("given up"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_ttl_reaches_events_that_were_not_kept() {
    let yaml = |ttl: &str| {
        format!(
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: k }}\nspec: {{ keys: [{{ \
             name: k, type: int64 }}] }}\n---\napiVersion: hitherto/v1\nkind: FeatureView\n\
             metadata: {{ name: v }}\nspec:\n  entity: k\n  ttl: {ttl}\n  source: {{ parquet: v/, \
             eventTime: e, id: eventTime }}\n  aggregates:\n    - {{ function: count, windows: \
             [lifetime] }}\n"
        )
    };
    let repo = Repo::new(&yaml("10s"));
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("k", Arc::new(Int64Array::from(vec![0, 0]))),
        ("e", times([Some(NOW - 60 * SECOND), Some(NOW - 5 * SECOND)])),
    ];
    repo.parquet("v/0.parquet", columns);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    let count = || match &lookup(&engine, &["v:*"], key(0), None, NOW).unwrap().columns[0].values {
        Values::I64(counts) => counts[0],
        other => panic!("{other:?}"),
    };
    assert_eq!(count(), 1);
    repo.write("definitions.yaml", &yaml("100s"));
    crate::repo::apply(&engine).await;
    assert_eq!(count(), 1, "by the definition that its copy was built under");
    materialize(&engine, MaterializeMode::Incremental, NOW).await;
    assert_eq!(count(), 2);
}
