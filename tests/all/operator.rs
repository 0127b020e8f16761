//! The point-in-time operator on files of every make and under every limit.
//!
//! What statistics a file has, how small its pages are, whether it has bloom
//! filters, how much memory there is: nothing of that may change an answer, and
//! where it should save work, it does.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{Field, Int64Type, Schema};
use hitherto_api::TrainingSetReport;
use hitherto_core::{Kind, Result};
use hitherto_engine::config::Memory;
use hitherto_engine::{Config, Engine};
use hitherto_online::memory::MemoryStore;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::repo::{Repo, apply, batch, explained, write_parquet_as};

/// Facts of a source, and about how many of them concern one entity.
const FACTS: usize = 6_000;
const FACTS_PER_ENTITY: usize = 12;

/// One way to write a source.
#[derive(Clone, Copy, Debug)]
struct Make {
    statistics: EnabledStatistics,
    bloom_filter: bool,
    row_group_rows: usize,
    page_rows: usize,
    files: usize,
    order: Order,
    version: WriterVersion,
}

/// How facts lie in their files.
#[derive(Clone, Copy, Debug)]
enum Order {
    Time,
    Entity,
    Neither,
}

const PLAIN: Make = Make {
    statistics: EnabledStatistics::None,
    bloom_filter: false,
    row_group_rows: FACTS,
    page_rows: FACTS,
    files: 1,
    order: Order::Neither,
    version: WriterVersion::PARQUET_1_0,
};

/// Rows of one row group are many times those of an entity, or pages would not
/// be looked at.
const MAKES: [Make; 6] = [
    PLAIN,
    Make { statistics: EnabledStatistics::Chunk, order: Order::Time, files: 7, ..PLAIN },
    Make {
        statistics: EnabledStatistics::Page,
        order: Order::Entity,
        page_rows: 50,
        version: WriterVersion::PARQUET_2_0,
        ..PLAIN
    },
    Make { statistics: EnabledStatistics::Page, page_rows: 64, files: 2, ..PLAIN },
    Make { bloom_filter: true, row_group_rows: 500, ..PLAIN },
    Make {
        statistics: EnabledStatistics::Page,
        bloom_filter: true,
        order: Order::Entity,
        row_group_rows: 1_000,
        page_rows: 100,
        ..PLAIN
    },
];

/// The entity of a fact, its time and its value; no two facts have one time.
struct Facts {
    entities: Vec<usize>,
    times: Vec<i64>,
}

/// Numbers that look like chance and are the same every time.
fn scattered(count: usize, below: usize, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..count).map(|_| next() % below).collect()
}

fn facts(count: usize) -> Facts {
    let entities = scattered(count, count / FACTS_PER_ENTITY, 1);
    let mut times: Vec<(usize, i64)> =
        scattered(count, usize::MAX >> 1, 2).into_iter().zip(0..).collect();
    times.sort_unstable();
    Facts { entities, times: times.into_iter().map(|(_, time)| time * 1_000).collect() }
}

impl Facts {
    /// Values are numbers of facts.
    fn write(&self, repo: &Repo, make: Make, key: &dyn Fn(&[usize]) -> ArrayRef) {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        match make.order {
            Order::Time => order.sort_unstable_by_key(|fact| self.times[*fact]),
            Order::Entity => {
                order.sort_unstable_by_key(|fact| (self.entities[*fact], self.times[*fact]));
            }
            Order::Neither => {}
        }
        let properties = WriterProperties::builder()
            .set_statistics_enabled(make.statistics)
            .set_bloom_filter_enabled(make.bloom_filter)
            .set_max_row_group_row_count(Some(make.row_group_rows))
            .set_data_page_row_count_limit(make.page_rows)
            .set_write_batch_size(make.page_rows)
            .set_writer_version(make.version)
            .set_compression(Compression::SNAPPY)
            .build();
        for (number, order) in order.chunks(self.times.len().div_ceil(make.files)).enumerate() {
            let entities: Vec<usize> = order.iter().map(|fact| self.entities[*fact]).collect();
            let times = order.iter().map(|fact| self.times[*fact]);
            let known = times.clone().map(|time| time + 7);
            let values = Int64Array::from_iter(order.iter().map(|fact| {
                // Some values are null; the fact answers all the same.
                (fact % 10 != 3).then_some(*fact as i64)
            }));
            let rows = batch(vec![
                ("value", Arc::new(values)),
                ("known", Arc::new(TimestampMicrosecondArray::from_iter_values(known))),
                ("id", key(&entities)),
                (
                    "at",
                    Arc::new(TimestampMillisecondArray::from_iter_values(times.map(|t| t / 1_000))),
                ),
            ]);
            let path = repo.path().join(format!("facts/{number}.parquet"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_parquet_as(&path, &rows, properties.clone());
        }
    }

    /// The greatest fact of an entity that is known at a time and not older than
    /// a ttl, looked for one by one.
    fn answer(&self, entity: usize, at: i64, ttl: i64) -> Option<i64> {
        let facts = self.entities.iter().zip(&self.times).enumerate();
        let known = facts.filter(|(_, (of, time))| **of == entity && **time + 7 <= at);
        let (fact, (_, time)) = known.max_by_key(|(_, (_, time))| **time)?;
        (*time >= at - ttl && fact % 10 != 3).then_some(fact as i64)
    }
}

fn yaml(key_type: &str, ttl: i64) -> String {
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: thing }}
spec: {{ keys: [{{ name: id, type: {key_type} }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: facts }}
spec:
  entity: thing
  source: {{ parquet: facts/, eventTime: at, knownTime: known }}
  ttl: {ttl}us
  features: [{{ name: value, type: int64 }}]
"
    )
}

async fn engine(repo: &Repo, config: &Config) -> Engine {
    let store = Arc::new(MemoryStore::default());
    let engine = Engine::with_store(repo.path(), store, config).unwrap();
    apply(&engine).await;
    engine
}

/// A training set's values, its report, and its plan with metrics.
async fn run(
    engine: &Engine,
    spine: RecordBatch,
) -> Result<(Vec<Option<i64>>, TrainingSetReport, String)> {
    let (batches, report, plan) = explained(engine, &["facts:value"], spine, None).await?;
    let values = batches.iter().flat_map(|batch| {
        batch.column_by_name("value").unwrap().as_primitive::<Int64Type>().iter()
    });
    let values = values.collect();
    Ok((values, report, plan))
}

fn spine(key: ArrayRef, at: &[i64]) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(at.to_vec());
    let schema = Schema::new(vec![
        Field::new("id", key.data_type().clone(), true),
        Field::new("at", at.data_type().clone(), false),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![key, Arc::new(at)]).unwrap()
}

fn mebibytes_of_memory(mebibytes: u64) -> Memory {
    format!("{mebibytes}MiB").parse().unwrap()
}

/// A metric of a plan.
fn metric(plan: &str, name: &str) -> u64 {
    let after = plan.split(&format!("{name}=")).nth(1).unwrap();
    let digits: String = after.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let unit = after[digits.len()..].chars().nth(1);
    let times = if unit == Some('K') { 1_000.0 } else { 1.0 };
    (digits.parse::<f64>().unwrap() * times) as u64
}

/// Every make of the source gives the oracle's answers, to a spine of few and of
/// all entities.
async fn check_makes(key_type: &str, key: impl Fn(&[usize]) -> ArrayRef) {
    let facts = facts(FACTS);
    let entities = FACTS / FACTS_PER_ENTITY;
    let ttl = 2_500_000;
    for make in MAKES {
        let repo = Repo::new(&yaml(key_type, ttl));
        facts.write(&repo, make, &key);
        let engine = engine(&repo, &Config { threads: 3, ..Config::default() }).await;
        for asked in [1, 3, entities + 20] {
            let of: Vec<usize> = scattered(80, asked, 3)
                .into_iter()
                .map(|one| one * (entities / asked).max(1))
                .collect();
            let at: Vec<i64> =
                scattered(80, FACTS * 1_100, 4).into_iter().map(|at| at as i64).collect();
            let (values, report, plan) = run(&engine, spine(key(&of), &at)).await.unwrap();
            for (row, value) in values.iter().enumerate() {
                let expected = facts.answer(of[row], at[row], ttl);
                assert_eq!(*value, expected, "{key_type} {make:?} row {row} of {asked}");
            }
            assert!(report.views[0].facts <= FACTS as u64, "{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_make_answer_alike_with_keys_of_every_type() {
    check_makes("int64", |of| {
        Arc::new(Int64Array::from_iter_values(of.iter().map(|id| *id as i64 - 250)))
    })
    .await;
    check_makes("int32", |of| {
        Arc::new(Int32Array::from_iter_values(of.iter().map(|id| *id as i32 * -7_919)))
    })
    .await;
    check_makes("uint64", |of| {
        Arc::new(UInt64Array::from_iter_values(of.iter().map(|id| u64::MAX - *id as u64)))
    })
    .await;
    check_makes("date32", |of| {
        Arc::new(Date32Array::from_iter_values(of.iter().map(|id| *id as i32 - 100)))
    })
    .await;
    check_makes("string", |of| {
        Arc::new(StringArray::from_iter_values(of.iter().map(|id| format!("stay-{id:07}"))))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_longer_than_statistics_keep_is_found() {
    check_makes("string", |of| {
        let long = |id: &usize| format!("{}{id}", "ÿ".repeat(40));
        Arc::new(StringArray::from_iter_values(of.iter().map(long)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_spine_reads_only_what_can_concern_it() {
    let facts = facts(FACTS);
    let key = |of: &[usize]| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(of.iter().map(|id| *id as i64)))
    };
    let late = FACTS as i64 * 1_100;
    let read = async |make: Make, id: usize| {
        let repo = Repo::new(&yaml("int64", i64::MAX / 2));
        facts.write(&repo, make, &key);
        let engine = engine(&repo, &Config::default()).await;
        let (values, report, plan) = run(&engine, spine(key(&[id]), &[late])).await.unwrap();
        assert_eq!(values, [facts.answer(id, late, late)], "{plan}");
        (report.views[0].facts, plan)
    };
    let groups = Make { statistics: EnabledStatistics::Chunk, row_group_rows: 500, ..PLAIN };
    let (all, _) = read(groups, 5).await;
    assert_eq!(all, FACTS as u64, "every row group has about every entity");
    let (some, plan) = read(Make { order: Order::Entity, ..groups }, 5).await;
    assert!(some <= 500, "row groups are pruned: {plan}");
    assert!(metric(&plan, "row_groups_pruned") >= 11, "{plan}");
    let (some, plan) = read(MAKES[2], 5).await;
    assert!(some <= 150, "pages are pruned: {plan}");
    let (none, plan) = read(MAKES[4], FACTS * 10).await;
    assert!(none <= 500, "bloom filters say no, nearly always: {plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_ends_when_every_answer_is_newer_than_what_is_left() {
    let facts = facts(FACTS);
    let key = |of: &[usize]| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(of.iter().map(|id| *id as i64)))
    };
    let repo = Repo::new(&yaml("int64", i64::MAX / 2));
    facts.write(&repo, Make { files: 20, ..MAKES[1] }, &key);
    let engine = engine(&repo, &Config { threads: 1, ..Config::default() }).await;
    let at = FACTS as i64 * 900;
    let of: Vec<usize> = (0..5).collect();
    let (values, report, plan) = run(&engine, spine(key(&of), &[at; 5])).await.unwrap();
    let expected: Vec<_> = of.iter().map(|id| facts.answer(*id, at, i64::MAX / 2)).collect();
    assert_eq!(values, expected);
    assert!(report.views[0].facts < FACTS as u64 * 3 / 4, "{plan}");
    assert!(metric(&plan, "row_groups_settled") > 3, "{plan}");
}

/// A spine of several passes: half of its rows are one entity's, some have none.
fn long_spine(rows: usize) -> RecordBatch {
    let of = scattered(rows, FACTS / FACTS_PER_ENTITY, 5);
    let ids = of.iter().enumerate().map(|(row, id)| match row % 10 {
        0 => None,
        1..=5 => Some(7),
        _ => Some(*id as i64),
    });
    let at: Vec<i64> = scattered(rows, FACTS * 1_100, 6).into_iter().map(|at| at as i64).collect();
    spine(Arc::new(Int64Array::from_iter(ids)), &at)
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_and_threads_change_no_answer() {
    let facts = facts(FACTS);
    let repo = Repo::new(&yaml("int64", 900_000));
    let key = |of: &[usize]| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(of.iter().map(|id| *id as i64)))
    };
    facts.write(&repo, MAKES[1], &key);
    let rows = 300_000;
    let mut first = None;
    for (threads, mebibytes) in [(1, 1_024), (2, 40), (4, 20), (8, 2_048)] {
        let memory = mebibytes_of_memory(mebibytes);
        let engine = engine(&repo, &Config { threads, memory, ..Config::default() }).await;
        let (values, mut report, plan) = run(&engine, long_spine(rows)).await.unwrap();
        assert_eq!(values.len(), rows);
        assert_eq!(metric(&plan, "passes") > 1, mebibytes < 100, "{plan}");
        // How much is read depends on who is first.
        report.views[0].facts = 0;
        assert!(values.iter().any(Option::is_some) && values.iter().any(Option::is_none));
        let first = first.get_or_insert_with(|| (values.clone(), report.clone()));
        assert!(*first == (values, report), "{threads} threads with {mebibytes} MiB differ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_too_small_is_told_with_the_smallest_that_works() {
    let facts = facts(FACTS);
    let repo = Repo::new(&yaml("bool", 900_000));
    let key = |of: &[usize]| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(of.iter().map(|id| Some(id % 2 == 0))))
    };
    facts.write(&repo, PLAIN, &key);
    let with = async |mebibytes: u64| {
        let memory = mebibytes_of_memory(mebibytes);
        let engine = engine(&repo, &Config { memory, ..Config::default() }).await;
        let of: Vec<usize> = (0..100_000).collect();
        run(&engine, spine(key(&of), &vec![5_000_000; of.len()])).await
    };
    let error = with(1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let text = error.to_string();
    let smallest = text.split(" need ").nth(1).and_then(|rest| rest.split(' ').next());
    let smallest: u64 = smallest.unwrap().parse().unwrap();
    assert!(text.contains("memory") && smallest > 1, "{text}");
    assert!(with(smallest).await.is_ok(), "{text}");
    assert!(with(smallest - 1).await.is_err(), "{text}");
}
