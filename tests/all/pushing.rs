//! Facts that are pushed: beside files, in any order, twice, at the same time as builds.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_api::{
    Ack, KeyColumn, MaterializeMode, MaterializeRequest, Progress, PushRequest, Pushed,
};
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_core::limits::PUSH_FACTS_MAX;
use hitherto_core::{Kind, Result};
use hitherto_engine::{Access, Engine};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::oracle::Fact;
use crate::parity::{columns, definitions, expected, offline, online, values, write_facts};
use crate::repo::{self, Repo, apply, grant, lookup, materialize, training_set};
use crate::world::{World, worlds};

/// After every fact of a world.
const NOW: i64 = 1_000;

/// What happens to a store.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// One third of the pushed facts arrives.
    Push(usize),
    /// One half of the others is there as a file.
    File(usize),
    Incremental,
    Full,
    Rollback,
    Reopen,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let arrivals = Just([
        Step::Push(0),
        Step::Push(1),
        Step::Push(2),
        Step::File(0),
        Step::File(1),
        Step::Push(1),
    ]);
    let others = prop::sample::select(
        &[Step::Incremental, Step::Incremental, Step::Full, Step::Rollback, Step::Reopen][..],
    );
    (arrivals.prop_shuffle(), prop::collection::vec(others, 6)).prop_map(|(arrivals, others)| {
        arrivals.into_iter().zip(others).flat_map(|(one, other)| [one, other]).collect()
    })
}

pub fn push(
    engine: &Engine,
    view: &str,
    facts: RecordBatch,
    key: &str,
    now: i64,
) -> Result<Pushed> {
    let request = PushRequest {
        view: view.to_owned(),
        facts,
        idempotency_key: key.to_owned(),
        ack: Ack::Durable,
    };
    engine.push(grant(), &request, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever way facts come in, and whatever happens between: lookups and training
    /// sets answer like the oracle.
    #[test]
    fn pushed_facts_and_those_of_files_are_one_history(
        world in worlds(),
        arrivals in prop::collection::vec(0..5_usize, 60),
        steps in steps(),
        early in 0..60_i64,
        has_history: bool,
    ) {
        let runtime = Runtime::new().unwrap();
        if has_history {
            runtime.block_on(check_steps(&world, &definitions(world.ttl), &arrivals, &steps, early));
            return Ok(());
        }
        // Then only moments after the last run can be asked for.
        let definitions = definitions(world.ttl).replace("  online: { history: 1h }\n", "");
        let spine = world.spine.iter().filter(|row| row.2 >= early).cloned().collect();
        let world = World { spine, ..world };
        runtime.block_on(check_steps(&world, &definitions, &arrivals, &steps, early));
    }
}

async fn check_steps(
    world: &World,
    definitions: &str,
    arrivals: &[usize],
    steps: &[Step],
    early: i64,
) {
    let repo = Repo::new(definitions);
    write_facts(&repo, "empty", &[]);
    let mut engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 0).await;
    // A fact that nobody knows can be in a file; nobody pushes it.
    let arrived = |wanted: usize| -> Vec<Fact> {
        let facts = world.facts.iter().zip(arrivals);
        let way = |(fact, way): &(&Fact, &usize)| if fact.known.is_none() { 3 } else { **way };
        facts.filter(|fact| way(fact) == wanted).map(|(fact, _)| fact.clone()).collect()
    };
    for step in steps {
        match step {
            Step::Push(part) => {
                let facts = repo::batch(columns(&arrived(*part)));
                push(&engine, "facts", facts, "", early).unwrap();
            }
            Step::File(part) => write_facts(&repo, &part.to_string(), &arrived(3 + part)),
            Step::Incremental => {
                drop(materialize(&engine, MaterializeMode::Incremental, early).await)
            }
            Step::Full => drop(materialize(&engine, MaterializeMode::Full, early).await),
            Step::Rollback => match engine.rollback(grant(), "facts").await {
                Ok(back) => assert_ne!(back.from, back.to),
                Err(error) => assert_eq!(error.kind(), Kind::NotFound, "{error}"),
            },
            Step::Reopen => {
                drop(engine);
                engine = repo.open(Access::ReadWrite).unwrap();
            }
        }
    }
    let expected = expected(world, None);
    // Files may have come after the last run, or after the generation gone back to.
    materialize(&engine, MaterializeMode::Incremental, early).await;
    assert_eq!(online(&engine, world, NOW), expected, "online");
    assert_eq!(offline(&engine, world, None).await, values(&expected), "offline");
    let later = if definitions.contains("history") { NOW - 900 } else { early };
    materialize(&engine, MaterializeMode::Full, later).await;
    assert_eq!(online(&engine, world, NOW), expected, "after a full run");
    engine.rollback(grant(), "facts").await.unwrap();
    assert_eq!(online(&engine, world, NOW), expected, "after going back");
    drop(engine);
    let reader = repo.open(Access::ReadOnly).unwrap();
    assert_eq!(online(&reader, world, NOW), expected, "another process");
    assert_eq!(offline(&reader, world, None).await, values(&expected), "its training sets");
}

/// A view of one stay's value, its source in `labs`.
pub fn labs(source: &str, features: &str) -> String {
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: stay }}
spec: {{ keys: [{{ name: stay, type: string }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: labs }}
spec:
  entity: stay
  source: {{ parquet: labs, eventTime: event {source} }}
  features: [{features}]
"
    )
}

pub const VALUE: &str = "{ name: value, type: int64 }";

pub fn facts(rows: &[(&str, i64, i64)]) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("stay", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("event", times(rows.iter().map(|row| row.1))),
        ("value", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)))),
    ]
}

pub fn times(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros))
}

pub fn value(engine: &Engine, stay: &str, as_of: Option<i64>, now: i64) -> Result<i64, Status> {
    let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let found = lookup(engine, &["labs:value"], keys, as_of, now).unwrap();
    match (found.columns[0].status(0), &found.columns[0].values) {
        (Status::Present, Values::I64(values)) => Ok(values[0]),
        (status, _) => Err(status),
    }
}

/// The training set's values for stays at moments.
pub async fn trained(engine: &Engine, spine: &[(&str, i64)], feature: &str) -> Vec<Option<i64>> {
    let stays = StringArray::from_iter_values(spine.iter().map(|row| row.0));
    let spine = repo::batch(vec![
        ("stay", Arc::new(stays) as ArrayRef),
        ("at", times(spine.iter().map(|row| row.1))),
    ]);
    let (batches, _) = training_set(engine, &[feature], spine, None).await.unwrap();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    all.column(2).as_primitive::<Int64Type>().iter().collect()
}

pub async fn online_repo(source: &str) -> (Repo, Engine) {
    let repo = Repo::new(&labs(source, VALUE));
    let mut first = facts(&[("x", 10, 1)]);
    if source.contains("known") {
        first.push(("known", times([12].into_iter())));
    }
    repo.parquet("labs/a.parquet", first);
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    (repo, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_without_known_time_was_known_when_it_arrived() {
    let (_repo, engine) = online_repo(", knownTime: known").await;
    push(&engine, "labs", repo::batch(facts(&[("x", 40, 4)])), "", 60).unwrap();
    assert_eq!(value(&engine, "x", None, 60), Ok(4));
    assert_eq!(value(&engine, "x", Some(59), 60), Ok(1), "it had not arrived");
    let spine = [("x", 45), ("x", 59), ("x", 60)];
    assert_eq!(trained(&engine, &spine, "labs:value").await, [Some(1), Some(1), Some(4)]);
    // Known tomorrow: the one before it answers until then, though no history is kept.
    let mut tomorrow = facts(&[("x", 61, 6)]);
    tomorrow.push(("known", times([100].into_iter())));
    push(&engine, "labs", repo::batch(tomorrow), "", 61).unwrap();
    assert_eq!(value(&engine, "x", None, 99), Ok(4));
    assert_eq!(value(&engine, "x", None, 100), Ok(6));
}

/// Pushes a fact that is known later than anybody's now while a run reads.
struct PushesTomorrow<'e>(&'e Engine, OnceLock<()>);

impl Progress for PushesTomorrow<'_> {
    fn begin(&self, _: &str, _: u64) {}

    fn advance(&self, view: &str, _: u64) {
        self.1.get_or_init(|| {
            let mut tomorrow = facts(&[("x", 90, 9)]);
            tomorrow.push(("known", times([500].into_iter())));
            push(self.0, view, repo::batch(tomorrow), "", 200).unwrap();
        });
    }

    fn end(&self, _: &str, _: u64) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_written_where_a_row_from_the_future_may_need_it() {
    let (repo, engine) = online_repo(", knownTime: known").await;
    let add = |file: &str, at: i64, value: i64| {
        let mut fact = facts(&[("x", at, value)]);
        fact.push(("known", times([at].into_iter())));
        repo.parquet(file, fact);
    };
    add("labs/b.parquet", 60, 6);
    let done = materialize(&engine, MaterializeMode::Incremental, 70).await;
    assert_eq!((done[0].entities, done[0].history_rows), (1, 0), "nothing is above it");
    // A push of today does not change that.
    let mut today = facts(&[("y", 75, 7)]);
    today.push(("known", times([75].into_iter())));
    push(&engine, "labs", repo::batch(today), "", 80).unwrap();
    add("labs/c.parquet", 80, 8);
    assert_eq!(materialize(&engine, MaterializeMode::Incremental, 90).await[0].history_rows, 0);
    assert_eq!(value(&engine, "x", None, 90), Ok(8));

    add("labs/d.parquet", 85, 85);
    let progress = PushesTomorrow(&engine, OnceLock::new());
    let request = MaterializeRequest::default();
    let done = engine.materialize(grant(), &request, 210, &progress).await.unwrap();
    assert_eq!((done[0].facts, done[0].history_rows), (1, 1), "read again, with history");
    assert_eq!(value(&engine, "x", None, 210), Ok(85));
    assert_eq!(value(&engine, "x", Some(499), 600), Ok(85));
    assert_eq!(value(&engine, "x", None, 500), Ok(9));

    add("labs/e.parquet", 88, 88);
    assert_eq!(materialize(&engine, MaterializeMode::Incremental, 300).await[0].history_rows, 1);
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    assert_eq!(value(&engine, "x", None, 300), Ok(88));
    add("labs/f.parquet", 89, 89);
    materialize(&engine, MaterializeMode::Incremental, 310).await;
    assert_eq!(value(&engine, "x", None, 499), Ok(89), "the moment outlives the process");
    assert_eq!(value(&engine, "x", None, 500), Ok(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_one_name_is_pushed_once() {
    let (repo, engine) = online_repo(", knownTime: known").await;
    let batch = || repo::batch(facts(&[("x", 40, 4), ("y", 41, 5)]));
    let first = push(&engine, "labs", batch(), "night-1", 60).unwrap();
    assert_eq!((first.facts, first.is_repeated, first.known_from), (2, false, Some(60)));
    // Without a name the second would be another fact: known later.
    let again = push(&engine, "labs", batch(), "night-1", 70).unwrap();
    assert_eq!((again.facts, again.is_repeated, again.known_from), (2, true, Some(60)));
    assert_eq!(trained(&engine, &[("x", 65)], "labs:value").await, [Some(4)]);
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    assert!(push(&engine, "labs", batch(), "night-1", 80).unwrap().is_repeated);
    assert!(!push(&engine, "labs", batch(), "night-2", 80).unwrap().is_repeated);
    assert_eq!(value(&engine, "x", Some(79), 80), Ok(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_what_to_do() {
    let (repo, engine) = online_repo(", knownTime: known").await;
    let good = || facts(&[("z", 40, 4)]);
    let without = |name: &str| -> Vec<(&str, ArrayRef)> {
        good().into_iter().filter(|column| column.0 != name).collect()
    };
    let with = |name: &'static str, array: ArrayRef| {
        let mut columns = without(name);
        columns.push((name, array));
        columns
    };
    let no_time = Arc::new(TimestampMicrosecondArray::from(vec![None]));
    let nobody = Arc::new(StringArray::from(vec![None::<&str>]));
    let cases: Vec<(Vec<(&str, ArrayRef)>, &str)> = vec![
        (without("stay"), "there is no column \"stay\""),
        (without("event"), "there is no column \"event\""),
        (without("value"), "there is no column \"value\""),
        (with("valeu", Arc::new(Int64Array::from(vec![1]))), "did you mean \"value\""),
        (with("value", Arc::new(Float64Array::from(vec![1.0]))), "push it as int64"),
        (with("event", Arc::new(Int64Array::from(vec![1]))), "push it as a timestamp or date"),
        (with("event", no_time.clone()), "fact 0 for feature view \"labs\" has no event time"),
        (with("known", no_time), "leave that column out"),
        (with("stay", nobody), "a null join key"),
    ];
    for (columns, expected) in cases {
        let error = push(&engine, "labs", repo::batch(columns), "", 60).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{expected}");
        assert!(error.chain().contains(expected), "{} lacks {expected:?}", error.chain());
    }
    let rows = vec![("z", 40, 4); PUSH_FACTS_MAX + 1];
    let error = push(&engine, "labs", repo::batch(facts(&rows)), "", 60).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let error = push(&engine, "labs", repo::batch(good()), &"k".repeat(300), 60).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let error = push(&engine, "lab", repo::batch(good()), "", 60).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(value(&engine, "z", None, 60), Err(Status::NotFound), "nothing of it is there");
    drop(engine);
    let reader = repo.open(Access::ReadOnly).unwrap();
    assert_eq!(
        push(&reader, "labs", repo::batch(good()), "", 60).unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_which_nothing_is_online_takes_no_push() {
    let repo = Repo::new(&labs("", VALUE));
    repo.parquet("labs/a.parquet", facts(&[("x", 10, 1)]));
    let engine = repo.applied().await;
    let error = push(&engine, "labs", repo::batch(facts(&[("x", 20, 2)])), "", 30).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("hitherto materialize labs"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_many_threads_and_builds_lose_nothing() {
    const THREADS: i64 = 6;
    const PUSHES: i64 = 60;
    let (repo, engine) = online_repo(", knownTime: known").await;
    let facts = |rows: &[(&str, i64, i64)]| {
        let mut columns = facts(rows);
        columns.push(("known", times(rows.iter().map(|row| row.1))));
        columns
    };
    let pushed = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, pushed) = (&engine, &pushed);
            scope.spawn(move || {
                let stay = format!("stay {thread}");
                for number in 1..=PUSHES {
                    let batch =
                        repo::batch(facts(&[(&stay, number, number), ("all", number, number)]));
                    push(engine, "labs", batch, "", 1_000).unwrap();
                    assert_eq!(value(engine, &stay, None, 1_000), Ok(number), "seen at once");
                    pushed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let (engine, repo, pushed) = (&engine, &repo, &pushed);
        scope.spawn(move || {
            let runtime = Runtime::new().unwrap();
            let (mut run, mut least) = (0, 0);
            while pushed.load(Ordering::SeqCst) < THREADS * PUSHES {
                run += 1;
                // Older facts of the same stays, which must not come through.
                repo.parquet(
                    &format!("labs/{run}.parquet"),
                    facts(&[("all", -run, -1), ("stay 0", -run, -1)]),
                );
                let mode =
                    if run % 3 == 0 { MaterializeMode::Full } else { MaterializeMode::Incremental };
                runtime.block_on(materialize(engine, mode, 1_000));
                if run % 4 == 0 {
                    runtime.block_on(engine.rollback(grant(), "labs")).unwrap();
                }
                let trained = runtime.block_on(trained(engine, &[("all", 1_000)], "labs:value"));
                let greatest = trained[0].unwrap_or(0);
                assert!(greatest >= least, "{greatest} after {least}");
                least = greatest;
            }
        });
    });
    let check = |engine: &Engine| {
        for thread in 0..THREADS {
            assert_eq!(value(engine, &format!("stay {thread}"), None, 1_000), Ok(PUSHES));
        }
        assert_eq!(value(engine, "all", None, 1_000), Ok(PUSHES));
    };
    check(&engine);
    let spine: Vec<(&str, i64)> = (1..=PUSHES).map(|at| ("stay 3", at)).collect();
    let each: Vec<Option<i64>> = (1..=PUSHES).map(Some).collect();
    assert_eq!(trained(&engine, &spine, "labs:value").await, each);
    drop(engine);
    let engine = repo.open(Access::ReadWrite).unwrap();
    check(&engine);
    materialize(&engine, MaterializeMode::Full, 1_000).await;
    check(&engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_horizon_moves_up_and_what_is_before_it_is_refused() {
    const HOUR: i64 = 3_600_000_000;
    let (_repo, engine) = online_repo("").await;
    push(&engine, "labs", repo::batch(facts(&[("x", HOUR, 4)])), "", HOUR).unwrap();
    push(&engine, "labs", repo::batch(facts(&[("x", 3 * HOUR, 5)])), "", 3 * HOUR).unwrap();
    assert_eq!(value(&engine, "x", Some(2 * HOUR), 4 * HOUR), Ok(4), "history came with pushes");
    assert_eq!(engine.retain(4 * HOUR).await.unwrap(), 1);
    assert_eq!(engine.retain(4 * HOUR + 1).await.unwrap(), 0, "not for so little");
    assert_eq!(value(&engine, "x", Some(4 * HOUR), 4 * HOUR), Ok(5));
    let parts = vec![Some(OwnedPart::Bytes(b"x".to_vec()))];
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let refused = lookup(&engine, &["labs:value"], keys, Some(2 * HOUR), 4 * HOUR).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_facts_follow_the_view_to_its_new_definition() {
    let (repo, engine) = online_repo("").await;
    push(&engine, "labs", repo::batch(facts(&[("x", 40, 4)])), "", 60).unwrap();
    repo.write("definitions.yaml", &labs("", &format!("{VALUE}, {{ name: unit, type: string }}")));
    repo.parquet("labs/a.parquet", {
        let mut columns = facts(&[("x", 10, 1)]);
        columns.push(("unit", Arc::new(StringArray::from(vec!["mg"]))));
        columns
    });
    apply(&engine).await;
    materialize(&engine, MaterializeMode::Incremental, 70).await;
    assert_eq!(value(&engine, "x", None, 70), Ok(4));
    let spine = [("x", 20), ("x", 59), ("x", 60)];
    assert_eq!(trained(&engine, &spine, "labs:value").await, [Some(1), Some(1), Some(4)]);

    repo.write("definitions.yaml", &labs("", "{ name: value, type: float64 }"));
    repo.parquet("labs/a.parquet", {
        let mut columns = facts(&[("x", 10, 1)]);
        columns[2].1 = Arc::new(Float64Array::from(vec![1.0]));
        columns
    });
    let plan = engine.plan(grant()).await.unwrap();
    let error = engine.apply(grant(), &plan, 0).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("from int64 to float64"), "{error}");
    assert_eq!(value(&engine, "x", None, 70), Ok(4), "nothing was applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_facts_outlive_the_store_that_lookups_read() {
    let (repo, engine) = online_repo("").await;
    push(&engine, "labs", repo::batch(facts(&[("x", 40, 4)])), "", 60).unwrap();
    // They are in files once somebody trains on them.
    assert_eq!(trained(&engine, &[("x", 60)], "labs:value").await, [Some(4)]);
    drop(engine);
    std::fs::remove_dir_all(repo.path().join(".hitherto/online")).unwrap();
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 70).await;
    assert_eq!(value(&engine, "x", None, 70), Ok(4));
    push(&engine, "labs", repo::batch(facts(&[("x", 45, 5)])), "", 71).unwrap();
    assert_eq!(trained(&engine, &[("x", 70), ("x", 71)], "labs:value").await, [Some(4), Some(5)]);
}
