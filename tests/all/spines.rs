//! Spines that are not rows in memory: readers, files, SQL and scans.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchIterator, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use hitherto_api::{
    FeatureNames, LabelFiles, QueryBounds, Scan, Selection, Spine, TrainingSetRequest,
};
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::{Engine, Finished};

use crate::repo::{Repo, batch, grant, write_parquet};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: plain }
spec:
  entity: stay
  source: { parquet: facts/, eventTime: event, delay: 5us }
  features: [{ name: value, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: queried }
spec:
  entity: stay
  source:
    parquet: facts/
    eventTime: event
    sql: SELECT stay, event, value * 10 AS tenfold FROM source
  ttl: 4us
  features: [{ name: tenfold, type: int64 }]
";

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn times(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values))
}

fn facts(stays: std::ops::Range<i64>) -> Vec<(&'static str, ArrayRef)> {
    let stays: Vec<i64> = stays.flat_map(|stay| [stay; 20]).collect();
    let rows = stays.len() as i64;
    vec![
        ("stay", ints(stays)),
        ("event", times((0..rows).map(|row| row % 20))),
        ("value", ints(0..rows)),
    ]
}

fn repo() -> Repo {
    let repo = Repo::new(YAML);
    repo.parquet("facts/1.parquet", facts(0..5));
    repo
}

fn labels() -> RecordBatch {
    batch(vec![
        ("stay", ints((0..60).map(|row| row % 6))),
        ("at", times((0..60).map(|row| 9 + row % 3))),
        ("label", ints(0..60)),
    ])
}

async fn build(engine: &Engine, spine: Spine) -> Result<(Vec<RecordBatch>, Finished)> {
    let request = TrainingSetRequest {
        selection: Selection::features(["plain:*", "queried:*"])?,
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Short,
    };
    let mut set = engine.training_set(grant(), &request, spine, 100).await?;
    let mut batches = Vec::new();
    while let Some(batch) = set.next().await {
        batches.push(batch?);
    }
    Ok((batches, set.finish()))
}

fn reader(batches: Vec<std::result::Result<RecordBatch, ArrowError>>) -> Spine {
    let rows = RecordBatchIterator::new(batches, labels().schema());
    Spine::Reader { rows: Box::new(rows), times: None }
}

fn sql(query: &str, files: LabelFiles) -> Spine {
    Spine::Sql { query: query.to_owned(), files, bounds: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_one_spine_gives_one_content() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    // A name that is a pattern is a name all the same.
    let path = repo.path().join("labels [1]*.parquet");
    write_parquet(&path, &labels());
    let whole = Spine::Rows { batches: vec![labels()], schema: labels().schema() };
    let (_, expected) = build(&engine, whole).await.unwrap();
    let record = expected.manifest().unwrap();
    assert_eq!((record.spine.rows, expected.report.rows), (60, 60));
    let parts = (0..60).step_by(7).map(|row| Ok(labels().slice(row, 7.min(60 - row))));
    let query = format!("SELECT * FROM '{}'", path.display());
    let forms =
        [reader(parts.collect()), Spine::File(path.clone()), sql(&query, LabelFiles::Readable)];
    for form in forms {
        let shown = format!("{form:?}");
        let (_, found) = build(&engine, form).await.unwrap();
        let found_record = found.manifest().unwrap();
        assert_eq!(found_record.spine, record.spine, "{shown}");
        assert_eq!(found_record.content, record.content, "{shown}");
        assert_eq!(found_record.schema, record.schema, "{shown}");
    }
}

/// A file's times keep a view with SQL from being read whole; a reader's are not known.
#[tokio::test(flavor = "multi_thread")]
async fn times_that_are_known_before_prune_a_query() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let path = repo.path().join("labels.parquet");
    write_parquet(&path, &labels());
    let facts_read = async |spine| build(&engine, spine).await.unwrap().1.report.views[1].facts;
    // 0 to 11 of 20 moments of 5 stays are not after the last label.
    assert_eq!(facts_read(Spine::File(path)).await, 60);
    assert_eq!(facts_read(reader(vec![Ok(labels())])).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_only_reads() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let target = repo.path().join("target.parquet");
    let statements = [
        format!("COPY plain TO '{}'", target.display()),
        String::from("CREATE TABLE t AS SELECT * FROM plain"),
        String::from("INSERT INTO plain SELECT * FROM plain"),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}'", target.display()),
        String::from("SET datafusion.execution.batch_size = 1"),
        String::from("DROP TABLE plain"),
        String::from("EXPLAIN SELECT * FROM plain"),
        String::from("SHOW TABLES"),
        String::from("SELECT 1; SELECT 2"),
        String::new(),
    ];
    for statement in statements {
        let error = build(&engine, sql(&statement, LabelFiles::Readable)).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid, "{statement}: {}", error.chain());
        assert!(error.to_string().contains("SQL") || error.to_string().contains("is a query"));
    }
    assert!(!target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_query_reads_views_only() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let path = repo.path().join("labels.parquet");
    write_parquet(&path, &labels());
    let query = format!("SELECT * FROM '{}'", path.display());
    let error = build(&engine, sql(&query, LabelFiles::Closed)).await.err().unwrap();
    assert!(error.to_string().contains("no feature view that is applied"), "{error}");
    let query = "SELECT stay, event AS at FROM queried WHERE value < 3";
    let (rows, _) = build(&engine, sql(query, LabelFiles::Closed)).await.unwrap();
    assert_eq!(rows[0].num_rows(), 3);
}

/// Files of one view must agree, in a query too.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_file_lacks_is_refused() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let mut more = facts(5..6);
    more.push(("extra", ints(0..20)));
    repo.parquet("facts/0.parquet", more);
    let query = "SELECT stay, event AS at, extra FROM plain";
    let error = build(&engine, sql(query, LabelFiles::Closed)).await.err().unwrap();
    assert!(error.to_string().contains("lacks the column \"extra\""), "{error}");
    let query = "SELECT stay, event AS at FROM plain";
    assert!(build(&engine, sql(query, LabelFiles::Closed)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_breaks_off_is_an_error_of_the_rows() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let broken = ArrowError::ComputeError(String::from("the disk is gone"));
    let error = build(&engine, reader(vec![Ok(labels()), Err(broken)])).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.chain().contains("the disk is gone"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_built_again_from_the_files_of_its_manifest() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let scans = [Scan::At(12), Scan::Between { after: 7, until: 12 }];
    for scan in scans {
        let (rows, finished) = build(&engine, Spine::Scan(scan)).await.unwrap();
        let first = finished.manifest().unwrap();
        let stays = rows[0].column(0).as_primitive::<Int64Type>().values().to_vec();
        match scan {
            Scan::At(_) => assert_eq!(stays, [0, 1, 2, 3, 4]),
            // Visible 5 us late: events 3 to 7 of each stay, by time and then by stay.
            Scan::Between { .. } => assert_eq!(stays, [0, 1, 2, 3, 4].repeat(5)),
        }
        repo.parquet("facts/2.parquet", facts(5..9));
        let (_, now) = build(&engine, Spine::Scan(scan)).await.unwrap();
        assert!(now.report.rows > finished.report.rows);
        let mut again = engine.rebuild(grant(), &first, None, 100).await.unwrap();
        while let Some(batch) = again.next().await {
            batch.unwrap();
        }
        let again = again.finish().manifest().unwrap();
        assert_eq!(again.content, first.content);
        assert_eq!(again.spine, first.spine);
        std::fs::remove_file(repo.path().join("facts/2.parquet")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn label_rows_cannot_be_made_again() {
    let repo = repo();
    let engine = repo.applied_in_memory().await;
    let (_, finished) = build(&engine, reader(vec![Ok(labels())])).await.unwrap();
    let record = finished.manifest().unwrap();
    let refused: Result<_, Error> = engine.rebuild(grant(), &record, None, 100).await;
    assert!(refused.err().unwrap().to_string().contains("was label rows"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_from_elsewhere_ends_at_its_bounds() {
    let repo = Repo::new(YAML);
    repo.parquet("facts/1.parquet", facts(0..50));
    let engine = repo.applied_in_memory().await;
    let bounded = |query: &str, rows_max, seconds_max| Spine::Sql {
        query: query.to_owned(),
        files: LabelFiles::Closed,
        bounds: Some(QueryBounds { rows_max, seconds_max }),
    };
    let labels = "SELECT stay, event AS at FROM plain ORDER BY 1, 2";
    let (batches, finished) = build(&engine, bounded(labels, 1_000, 60)).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1_000);
    assert!(finished.plan.contains("BoundedExec: rows_max=1000"), "{}", finished.plan);
    assert!(finished.plan.contains("SortExec"), "{}", finished.plan);
    let error = build(&engine, bounded(labels, 999, 60)).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("more than 999 rows"), "{error}");
    assert!(error.to_string().contains("raise server.sqlRowsMax"), "{error}");

    // A billion triples, none of which is a row: there is no pause in the search for one.
    let endless = "SELECT a.stay, a.event AS at FROM plain a, plain b, plain c
        WHERE a.value + b.value + c.value < 0";
    let begun = std::time::Instant::now();
    let error = build(&engine, bounded(endless, 100, 1)).await.err().unwrap();
    assert!(error.to_string().contains("more than 1 seconds"), "{error}");
    assert!(error.to_string().contains("raise server.sqlSecondsMax"), "{error}");
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
