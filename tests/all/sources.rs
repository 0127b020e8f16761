//! Which files and columns a source has: names, folders, links, tables of others, types
//! that differ between files, columns that paths name, columns of one name.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use arrow::array::types::{Float32Type, Int8Type};
use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, FixedSizeListArray, Float16Array, Float64Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use hitherto_api::{
    Ack, LabelFiles, MaterializeMode, PushRequest, Selection, Spine, TrainingSetRequest,
};
use hitherto_core::Kind;
use hitherto_engine::{Access, Engine};

use crate::repo::{Repo, apply, batch, grant, materialize, training_set, write_parquet};

fn yaml(source: &str, key: &str, feature: &str) -> String {
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: thing }}
spec: {{ keys: [{{ name: {key} }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: v }}
spec:
  entity: thing
  source: {{ {source}, eventTime: event }}
  features: [{{ name: x, type: '{feature}' }}]
"
    )
}

const PLAIN: (&str, &str, &str) = ("parquet: data", "id, type: int64", "int64");

fn plain() -> Repo {
    Repo::new(&yaml(PLAIN.0, PLAIN.1, PLAIN.2))
}

/// Three entities, each with `first` more than its number.
fn rows(first: i64) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("id", Arc::new(Int64Array::from(vec![0, 1, 2]))),
        ("event", Arc::new(TimestampMicrosecondArray::from(vec![first; 3]))),
        ("x", Arc::new(Int64Array::from(vec![first, first + 1, first + 2]))),
    ]
}

async fn values(engine: &Engine) -> Vec<Option<i64>> {
    let spine = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![0, 1, 2])) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000; 3]))),
    ]);
    let (batches, _) = training_set(engine, &["v:*"], spine, None).await.unwrap();
    batches[0].column_by_name("x").unwrap().as_primitive::<Int64Type>().iter().collect()
}

/// A repository's files: how many there are, and the values that they give.
async fn read(repo: &Repo) -> (u64, Vec<Option<i64>>) {
    let engine = repo.applied().await;
    let runs = materialize(&engine, MaterializeMode::Full, 10_000).await;
    (runs[0].files, values(&engine).await)
}

const FIRST: [Option<i64>; 3] = [Some(1), Some(2), Some(3)];

async fn refused(repo: &Repo) -> String {
    let error = repo.open(Access::ReadWrite).unwrap().plan(grant()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{}", error.chain());
    error.chain()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_writer_has_not_committed_is_no_data() {
    let repo = plain();
    repo.parquet("data/part-0.parquet", rows(1));
    for other in ["_temporary/0/attempt/part-0.parquet", ".hidden.parquet", "_part.parquet"] {
        repo.parquet(&format!("data/{other}"), rows(50));
    }
    assert_eq!(read(&repo).await, (1, FIRST.to_vec()));
    let repo = Repo::new(&yaml("parquet: data/**/*.parquet", PLAIN.1, PLAIN.2));
    repo.parquet("data/part-0.parquet", rows(1));
    repo.parquet("data/_temporary/part-0.parquet", rows(50));
    assert_eq!(read(&repo).await, (1, FIRST.to_vec()), "a glob");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_parquet_files_end_in_every_usual_way() {
    let repo = plain();
    for (number, name) in ["a.PARQUET", "b.pq", "c.parq", "d.parquet"].iter().enumerate() {
        repo.parquet(&format!("data/{name}"), rows(number as i64 + 1));
    }
    assert_eq!(read(&repo).await, (4, vec![Some(4), Some(5), Some(6)]));
    let repo = plain();
    repo.parquet("data/000000_0", rows(1));
    let told = refused(&repo).await;
    assert!(told.contains("\"000000_0\" ends otherwise") && told.contains("data/*"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_neither_doubles_a_file_nor_goes_round() {
    for (name, to) in
        [("a_latest", "v1"), ("loop", "."), ("up", ".."), ("b.parquet", "v1/b.parquet")]
    {
        let repo = plain();
        repo.parquet("data/v1/b.parquet", rows(1));
        symlink(to, repo.path().join("data").join(name)).unwrap();
        let (files, values) = read(&repo).await;
        assert_eq!((files, values), (1, FIRST.to_vec()), "{name} -> {to}");
    }
    // What lies elsewhere alone is read through a link.
    let repo = plain();
    repo.parquet("elsewhere/a.parquet", rows(1));
    fs::create_dir(repo.path().join("data")).unwrap();
    symlink("../elsewhere", repo.path().join("data/current")).unwrap();
    assert_eq!(read(&repo).await, (1, FIRST.to_vec()));
    let repo = Repo::new(&yaml("parquet: data/*/*.parquet", PLAIN.1, PLAIN.2));
    repo.parquet("data/v1/b.parquet", rows(1));
    symlink("v1", repo.path().join("data/latest")).unwrap();
    assert_eq!(read(&repo).await, (1, FIRST.to_vec()), "a glob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_which_only_some_files_count_is_refused() {
    for (mark, name) in [
        ("_delta_log/00000000000000000000.json", "a Delta table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
    ] {
        for (source, folder) in [("data", "data"), ("data", "data/nested"), ("data/*.pa*", "data")]
        {
            let repo = Repo::new(&yaml(&format!("parquet: '{source}'"), PLAIN.1, PLAIN.2));
            repo.parquet(&format!("{folder}/part-0.parquet"), rows(1));
            repo.write(&format!("{folder}/{mark}"), "{}");
            let told = refused(&repo).await;
            assert!(told.contains(name) && told.contains("write the rows that do"), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_may_lie_in_a_folder_of_any_name() {
    for source in ["parquet: data", "parquet: 'data/*.parquet'"] {
        let outer = plain();
        let root = outer.path().join("r[1] *?");
        fs::create_dir_all(root.join("data")).unwrap();
        fs::write(root.join("definitions.yaml"), yaml(source, PLAIN.1, PLAIN.2)).unwrap();
        write_parquet(&root.join("data/a.parquet"), &batch(rows(1)));
        let engine = Engine::open(&root, &Default::default(), Access::ReadWrite).unwrap();
        apply(&engine).await;
        materialize(&engine, MaterializeMode::Full, 10_000).await;
        assert_eq!(values(&engine).await, FIRST, "{source}");
    }
}

fn two(ids: ArrayRef, event: ArrayRef, x: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    vec![("id", ids), ("event", event), ("x", x)]
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_one_type_of_ours_agree_whatever_they_are_to_arrow() {
    let ids = |id: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![id])) };
    let micros = |zone: &str| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![7]).with_timezone(zone))
    };
    let nanos: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![7_000]).with_timezone("UTC"));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let coded: DictionaryArray<Int8Type> = vec!["a"].into_iter().collect();
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["a"]));
    let null: ArrayRef = Arc::new(NullArray::new(1));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let list: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vec![Some(vec![Some(1.5)])]));
    let large_list =
        cast(&list, &DataType::LargeList(Arc::new(Field::new_list_field(DataType::Float32, true))))
            .unwrap();
    for (declared, one, other) in [
        ("string", &text, &large),
        ("string", &text, &(Arc::new(coded) as ArrayRef)),
        ("timestamp(ns, UTC)", &nanos, &micros("UTC")),
        ("timestamp(us, UTC)", &micros("UTC"), &micros("+00:00")),
        ("float64", &float, &null),
        ("list(float32)", &list, &large_list),
    ] {
        for sql in ["", ", sql: SELECT * FROM source"] {
            let source = format!("parquet: data{sql}");
            let repo = Repo::new(&yaml(&source, PLAIN.1, declared));
            // As written by pandas 2 and 3.
            repo.parquet("data/1.parquet", two(ids(0), nanos.clone(), one.clone()));
            let engine = repo.applied().await;
            materialize(&engine, MaterializeMode::Incremental, 10_000).await;
            // New files are read alone, and have the types of all.
            repo.parquet("data/2.parquet", two(ids(1), micros("+00:00"), other.clone()));
            let is_of_sql = !sql.is_empty() && declared != "string";
            if !is_of_sql {
                materialize(&engine, MaterializeMode::Incremental, 10_000).await;
            }
            let spine = batch(vec![
                ("id", Arc::new(Int64Array::from(vec![0, 1])) as ArrayRef),
                ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000; 2]))),
            ]);
            let (batches, _) = training_set(&engine, &["v:*"], spine, None).await.unwrap();
            let found = batches[0].column_by_name("x").unwrap();
            let expected = |array: &ArrayRef| cast(array, found.data_type()).unwrap();
            assert_eq!(found.slice(0, 1).to_data(), expected(one).to_data(), "{declared}{sql}");
            assert_eq!(found.slice(1, 1).to_data(), expected(other).to_data(), "{declared}{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_nobody_reads_may_be_anything() {
    for sql in ["", ", sql: 'SELECT id, event, x FROM source'"] {
        let repo = Repo::new(&yaml(&format!("parquet: data{sql}"), PLAIN.1, PLAIN.2));
        let with = |note: ArrayRef, first| {
            let mut columns = rows(first);
            columns.push(("note", note));
            columns
        };
        repo.parquet("data/a.parquet", with(Arc::new(StringArray::from(vec!["n"; 3])), 1));
        repo.parquet("data/b.parquet", with(Arc::new(Int64Array::from(vec![1; 3])), 0));
        assert_eq!(read(&repo).await, (2, FIRST.to_vec()));
    }
    // Of the one that is read the error names both files.
    let repo = plain();
    repo.parquet("data/a.parquet", rows(1));
    let mut other = rows(2);
    other[2].1 = Arc::new(StringArray::from(vec!["n"; 3]));
    repo.parquet("data/b.parquet", other);
    let told = refused(&repo).await;
    assert!(
        told.contains("int64 in source file data/a.parquet and string in data/b.parquet"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_the_finer_unit_cannot_hold_is_refused() {
    let repo = Repo::new(&yaml("parquet: data", PLAIN.1, "timestamp(ns, UTC)"));
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![7]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let nanos = TimestampNanosecondArray::from(vec![7_000]).with_timezone("UTC");
    let far = TimestampMicrosecondArray::from(vec![253_402_214_400_000_000]).with_timezone("UTC");
    repo.parquet("data/1.parquet", two(ids.clone(), at.clone(), Arc::new(nanos)));
    repo.parquet("data/2.parquet", two(ids, at, Arc::new(far)));
    let engine = repo.applied().await;
    let spine = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![0])) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000]))),
    ]);
    let error = training_set(&engine, &["v:*"], spine, None).await.unwrap_err();
    let told = error.chain();
    assert!(error.kind() == Kind::Invalid && told.contains("data/2.parquet"), "{told}");
    assert!(told.contains("write both in microseconds"), "{told}");
}

/// What lookups and training sets agree on for entities of these regions.
async fn of_regions(repo: &Repo, regions: [&str; 3]) -> Vec<Option<i64>> {
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 10_000).await;
    let spine = batch(vec![
        ("region", Arc::new(StringArray::from(regions.to_vec())) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000; 3]))),
    ]);
    let (batches, _) = training_set(&engine, &["v:*"], spine, None).await.unwrap();
    let found = batches[0].column_by_name("x").unwrap().as_primitive::<Int64Type>();
    let verified = engine.verify(grant(), &Default::default(), 10_000).await.unwrap();
    assert_eq!((verified.differences(), verified.stale().count()), (0, 0), "{verified:?}");
    found.iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_paths_name_are_keys_and_features_once_they_are_declared() {
    let partitions = "parquet: data, partitions: [{ name: region, type: string }]";
    let queried = "parquet: data, partitions: [{ name: region, type: string }], sql: 'SELECT * \
                   FROM source'";
    for source in [partitions, queried] {
        let repo = Repo::new(&yaml(source, "region, type: string", PLAIN.2));
        repo.parquet("data/region=EU/a.parquet", rows(1));
        repo.parquet("data/region=New%20York/a.parquet", rows(2));
        repo.parquet("data/region=__HIVE_DEFAULT_PARTITION__/a.parquet", rows(3));
        assert_eq!(
            of_regions(&repo, ["EU", "New York", "US"]).await,
            [Some(3), Some(4), None],
            "{source}"
        );
    }
    let repo = Repo::new(&yaml("parquet: data", "region, type: string", PLAIN.2));
    repo.parquet("data/region=EU/a.parquet", rows(1));
    let told = refused(&repo).await;
    let advice = "declare source.partitions: [{ name: region, type: string }]";
    assert!(told.contains(advice), "{told}");
    for (path, source, words) in [
        ("data/a.parquet", partitions, "names no \"region\""),
        (
            "data/x=1/a.parquet",
            "parquet: data, partitions: [{ name: x, type: int64 }]",
            "has a column",
        ),
        (
            "data/day=x/a.parquet",
            "parquet: data, partitions: [{ name: day, type: int64 }]",
            "\"x\"",
        ),
    ] {
        let repo = Repo::new(&yaml(source, PLAIN.1, PLAIN.2));
        repo.parquet(path, rows(1));
        let told = refused(&repo).await;
        assert!(told.contains(words) && told.contains(path), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_paths_name_in_capitals_are_declared_as_they_are_there() {
    let named = "parquet: data, partitions: [{ name: Region, type: string }]";
    for source in [
        format!("{named}, columns: {{ region: Region }}"),
        format!("{named}, sql: 'SELECT \"Region\" AS region, event, x FROM source'"),
    ] {
        let repo = Repo::new(&yaml(&source, "region, type: string", PLAIN.2));
        repo.parquet("data/Region=EU/a.parquet", rows(1));
        repo.parquet("data/Region=US/region=x/a.parquet", rows(2));
        assert_eq!(
            of_regions(&repo, ["EU", "US", "x"]).await,
            [Some(3), Some(4), None],
            "{source}"
        );
    }
    for (source, words) in [
        (
            "parquet: data",
            "declare source.partitions: [{ name: Region, type: string }] and source.columns: { \
             region: Region }",
        ),
        (
            "parquet: data, partitions: [{ name: region, type: string }]",
            "names no \"region\", but \"Region\", as which to declare it",
        ),
    ] {
        let repo = Repo::new(&yaml(source, "region, type: string", PLAIN.2));
        repo.parquet("data/Region=EU/a.parquet", rows(1));
        let told = refused(&repo).await;
        assert!(told.contains(words), "{told}");
    }
}

fn doubled(name: &str) -> RecordBatch {
    let mut columns = rows(1);
    columns.push((name, Arc::new(Int64Array::from(vec![9; 3]))));
    let fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_of_one_name_are_refused_in_files_spines_and_pushes() {
    let words = "two columns named \"x\", number 3 and 4";
    let repo = plain();
    fs::create_dir(repo.path().join("data")).unwrap();
    write_parquet(&repo.path().join("data/a.parquet"), &doubled("x"));
    let told = refused(&repo).await;
    assert!(told.contains(words) && told.contains("data/a.parquet"), "{told}");

    let repo = plain();
    repo.parquet("data/a.parquet", rows(1));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 10).await;
    let facts = doubled("x");
    let key = String::new();
    let request = PushRequest { view: "v".into(), facts, idempotency_key: key, ack: Ack::Durable };
    let error = engine.push(grant(), &request, 10).unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.chain().contains(words), "{}", error.chain());

    write_parquet(&repo.path().join("spine.parquet"), &doubled("x"));
    let request = TrainingSetRequest {
        selection: Selection::features(["v:*"]).unwrap(),
        timestamp: String::from("event"),
        timezone: None,
        known_by: None,
        known: None,
        names: Default::default(),
    };
    let path = repo.path().join("spine.parquet");
    let sql = format!("SELECT * FROM '{}'", path.display());
    for spine in
        [Spine::File(path), Spine::Sql { query: sql, files: LabelFiles::Readable, bounds: None }]
    {
        let error = engine.training_set(grant(), &request, spine, 10_000).await.err().unwrap();
        assert!(
            error.kind() == Kind::Invalid && error.chain().contains(words),
            "{}",
            error.chain()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_gives_other_facts_each_time_is_refused() {
    for (sql, name) in [
        ("SELECT id, event, CAST(random() * 9 AS BIGINT) AS x FROM source", "random()"),
        ("SELECT id, event, x FROM source WHERE event < now()", "now()"),
        ("SELECT id, event, x FROM source WHERE event < current_date", "current_date()"),
        (
            "SELECT id, event, x FROM source WHERE x IN (SELECT CAST(random() AS BIGINT))",
            "random()",
        ),
    ] {
        let repo = Repo::new(&yaml(&format!("parquet: data, sql: '{sql}'"), PLAIN.1, PLAIN.2));
        repo.parquet("data/a.parquet", rows(1));
        let told = refused(&repo).await;
        assert!(told.contains(name) && told.contains("lookups and training sets"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cast_that_is_advised_runs() {
    let half: ArrayRef = Arc::new(Float16Array::from(vec![half(1.0); 3]));
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1; 3]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"; 3]));
    let moment: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1; 3]));
    let list: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        vec![Some(vec![Some(1.0)]); 3],
        1,
    ));
    let declared = [
        (&half, vec!["float32", "float64"]),
        (&text, vec!["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]),
        (&ints, vec!["bool", "float32", "float64", "string", "decimal128(10, 2)"]),
        (&text, vec!["date32", "binary"]),
        (&moment, vec!["timestamp(s)", "timestamp(ms, UTC)", "timestamp(us, Europe/Zurich)"]),
        (&list, vec!["list(float32)", "list(float64, 1)"]),
    ];
    for (array, types) in declared {
        for declared in types {
            let repo = Repo::new(&yaml("parquet: data", PLAIN.1, declared));
            let mut columns = rows(1);
            let array = match declared {
                "date32" => Arc::new(StringArray::from(vec!["2026-01-01"; 3])) as ArrayRef,
                _ => Arc::clone(array),
            };
            columns[2].1 = array;
            repo.parquet("data/a.parquet", columns);
            let told = refused(&repo).await;
            let advised =
                told.split("take ").nth(1).and_then(|rest| rest.split(" in source.sql").next());
            let advised = advised.unwrap_or_else(|| panic!("no advice in {told}"));
            let sql = format!("SELECT id, event, {advised} FROM source").replace('\'', "''");
            repo.write(
                "definitions.yaml",
                &yaml(&format!("parquet: data, sql: '{sql}'"), PLAIN.1, declared),
            );
            let engine = repo.open(Access::ReadWrite).unwrap();
            let plan = engine.plan(grant()).await;
            assert!(plan.is_ok(), "{declared}: {advised}: {}", plan.unwrap_err().chain());
            apply(&engine).await;
            materialize(&engine, MaterializeMode::Full, 10).await;
        }
    }
}

fn half(value: f32) -> <arrow::datatypes::Float16Type as arrow::array::ArrowPrimitiveType>::Native {
    <arrow::datatypes::Float16Type as arrow::array::ArrowPrimitiveType>::Native::from_f32(value)
}
