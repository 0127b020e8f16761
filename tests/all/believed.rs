//! What a file says of itself: no statistic changes a value, and a bound that cannot be
//! trusted prunes nothing.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use hitherto_api::{MaterializeMode, OptimizeMode, VerifyRequest};
use hitherto_core::Kind;
use hitherto_engine::Engine;
use parquet::data_type::{ByteArray, Int64Type, Int96, Int96Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::repo::{Repo, Silent, batch, grant, materialize, training_set, write_parquet_as};

fn yaml(key: &str, feature: &str, sql: Option<&str>) -> String {
    let sql = sql.map_or(String::new(), |sql| format!("sql: \"{sql}\", "));
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: thing }}
spec: {{ keys: [{{ name: id, type: {key} }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: v }}
spec:
  entity: thing
  source: {{ parquet: facts, {sql}eventTime: event }}
  features: [{{ name: x, type: {feature} }}]
  online: {{ history: 1000d }}
"
    )
}

fn facts(ids: ArrayRef, values: ArrayRef) -> RecordBatch {
    let event = TimestampMicrosecondArray::from(vec![1; ids.len()]);
    batch(vec![("id", ids), ("event", Arc::new(event)), ("x", values)])
}

/// A repository whose file has row groups of so many rows.
fn repo(yaml: &str, facts: &RecordBatch, group_rows: usize) -> Repo {
    let repo = Repo::new(yaml);
    let path = repo.path().join("facts/a.parquet");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    write_parquet_as(&path, facts, properties);
    repo
}

/// Writes the footer of a repository's file again as `change` leaves it.
fn forge(
    repo: &Repo,
    rows: Option<i64>,
    change: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData,
) {
    let path = repo.path().join("facts/a.parquet");
    let metadata =
        ParquetMetaDataReader::new().parse_and_finish(&File::open(&path).unwrap()).unwrap();
    let mut builder = metadata.into_builder();
    for group in builder.take_row_groups() {
        let rows = rows.unwrap_or(group.num_rows());
        let mut group = group.into_builder();
        for column in group.take_columns() {
            group = group.add_column_metadata(change(column));
        }
        builder = builder.add_row_group(group.set_num_rows(rows).build().unwrap());
    }
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[pages..pages + 4].try_into().unwrap());
    bytes.truncate(pages - length as usize);
    ParquetMetaDataWriter::new(&mut bytes, &builder.build()).finish().unwrap();
    fs::write(&path, bytes).unwrap();
}

fn spine(ids: ArrayRef) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![5; ids.len()]);
    batch(vec![("id", ids), ("at", Arc::new(at) as ArrayRef)])
}

async fn trained(engine: &Engine, ids: ArrayRef) -> ArrayRef {
    let (batches, _) = training_set(engine, &["v:x"], spine(ids), None).await.unwrap();
    Arc::clone(batches[0].column_by_name("x").unwrap())
}

/// Training sets, lookups and the copy of a view have these values, bit for bit.
async fn check(repo: &Repo, ids: ArrayRef, values: &ArrayRef) {
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Full, 10).await;
    assert_eq!(trained(&engine, Arc::clone(&ids)).await.to_data(), values.to_data());
    let verified = engine.verify(grant(), &VerifyRequest::default(), 10).await.unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
    engine.optimize(grant(), "v", OptimizeMode::Full, &Silent).await.unwrap();
    assert_eq!(trained(&engine, ids).await.to_data(), values.to_data(), "the copy");
}

const NUMBERS: [f64; 4] = [1.0, f64::NAN, 1.0, 1.0];

#[tokio::test(flavor = "multi_thread")]
async fn a_column_whose_bounds_are_one_number_has_other_values_too() {
    // Writers leave NaN out of bounds, and one zero stands for both.
    for numbers in [NUMBERS.to_vec(), vec![0.0, -0.0, 0.0], vec![-0.0, 0.0]] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..numbers.len() as i64));
        let values: ArrayRef = Arc::new(Float64Array::from(numbers));
        for sql in [None, Some("SELECT * FROM source")] {
            let facts = facts(Arc::clone(&ids), Arc::clone(&values));
            let repo = repo(&yaml("int64", "float64", sql), &facts, 1_000);
            check(&repo, Arc::clone(&ids), &values).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_keeps_nan_however_rows_are_grouped() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    let written: ArrayRef = Arc::new(Float64Array::from(NUMBERS.to_vec()));
    let kept: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN), None, None]));
    for group_rows in [1, 2, 4] {
        let facts = facts(Arc::clone(&ids), Arc::clone(&written));
        let sql = "SELECT * FROM source WHERE x > 5";
        let repo = repo(&yaml("int64", "float64", Some(sql)), &facts, group_rows);
        check(&repo, Arc::clone(&ids), &kept).await;
    }
}

const WORDS: [&str; 4] = ["zebra", "éclair", "apple", "ørsted"];

/// Bounds of text as they were before their order was defined: compared with sign.
fn signed(column: ColumnChunkMetaData) -> ColumnChunkMetaData {
    let mut words = WORDS.map(str::as_bytes);
    words.sort_by_key(|word| word.iter().map(|byte| *byte as i8).collect::<Vec<_>>());
    let bound = |index: usize| Some(ByteArray::from(words[index].to_vec()));
    let bounds = ValueStatistics::new(bound(0), bound(3), None, Some(0), true);
    match column.column_path().string().as_str() {
        "id" => {
            column.into_builder().set_statistics(Statistics::ByteArray(bounds)).build().unwrap()
        }
        _ => column,
    }
}

fn without_pages(column: ColumnChunkMetaData) -> ColumnChunkMetaData {
    let column = column.into_builder().set_column_index_offset(None).set_column_index_length(None);
    column.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_were_compared_with_sign_prune_no_text() {
    let ids: ArrayRef = Arc::new(StringArray::from(WORDS.to_vec()));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(1..5));
    let apple = Int64Array::from(vec![None, None, Some(3), None]);
    for (sql, expected) in [
        (None, Arc::clone(&values)),
        (Some("SELECT * FROM source WHERE id = 'apple'"), Arc::new(apple) as ArrayRef),
    ] {
        let facts = facts(Arc::clone(&ids), Arc::clone(&values));
        let repo = repo(&yaml("string", "int64", sql), &facts, 1_000);
        forge(&repo, None, |column| signed(without_pages(column)));
        check(&repo, Arc::clone(&ids), &expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_which_the_greatest_is_the_least_prune_nothing() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(9), Some(8)]));
    let large = Int64Array::from(vec![None, None, Some(9), None]);
    let null = Int64Array::from(vec![None; 4]);
    for (sql, expected) in [
        (None, Arc::clone(&values)),
        (Some("SELECT * FROM source WHERE x > 8"), Arc::new(large) as ArrayRef),
        (Some("SELECT * FROM source WHERE x IS NULL"), Arc::new(null)),
    ] {
        for nulls in [Some(1), None] {
            let facts = facts(Arc::clone(&ids), Arc::clone(&values));
            let repo = repo(&yaml("int64", "int64", sql), &facts, 1_000);
            forge(&repo, None, |column| {
                let bounds = Statistics::int64(Some(9), Some(0), None, nulls, false);
                let column = without_pages(column).into_builder();
                column.set_statistics(bounds).build().unwrap()
            });
            check(&repo, Arc::clone(&ids), &expected).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_group_of_no_rows_that_has_some_is_refused() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    let facts = facts(Arc::clone(&ids), ids);
    let repo = repo(&yaml("int64", "int64", None), &facts, 1_000);
    forge(&repo, Some(0), |column| column);
    let error =
        repo.open(hitherto_engine::Access::ReadWrite).unwrap().plan(grant()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let told = error.chain();
    assert!(told.contains("facts/a.parquet") && told.contains("0 rows, and 4 values"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_the_rows_of_its_row_groups_whatever_it_says() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    for sql in [None, Some("SELECT * FROM source")] {
        let facts = facts(Arc::clone(&ids), Arc::clone(&ids));
        let repo = repo(&yaml("int64", "int64", sql), &facts, 1_000);
        let path = repo.path().join("facts/a.parquet");
        let mut bytes = fs::read(&path).unwrap();
        let pages = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[pages..pages + 4].try_into().unwrap()) as usize;
        // Its third field, num_rows, and the head of the fourth: 4 as zigzag is 8.
        let counted = [0x16, 8, 0x19];
        let footer = &mut bytes[pages - length..pages];
        let place = footer.windows(3).position(|field| field == counted).unwrap();
        footer[place + 1] = 0;
        fs::write(&path, bytes).unwrap();
        check(&repo, Arc::clone(&ids), &ids).await;
    }
}

/// A file as old Spark wrote it: times are INT96.
fn write_int96(path: &Path, times: &[(i64, i32, u64)]) {
    let schema = "message m { required int64 id; required int96 event; required int96 known;
                  required int64 x; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let numbers: Vec<i64> = times.iter().map(|time| time.0).collect();
    let time = |days: i32, nanos: u64| {
        let julian = (days + 2_440_588) as u32;
        let mut time = Int96::new();
        time.set_data(nanos as u32, (nanos >> 32) as u32, julian);
        time
    };
    let event: Vec<Int96> = times.iter().map(|_| time(1, 0)).collect();
    let known: Vec<Int96> = times.iter().map(|(_, days, nanos)| time(*days, *nanos)).collect();
    for index in 0..4 {
        let mut column = group.next_column().unwrap().unwrap();
        match index {
            0 | 3 => column.typed::<Int64Type>().write_batch(&numbers, None, None),
            1 => column.typed::<Int96Type>().write_batch(&event, None, None),
            _ => column.typed::<Int96Type>().write_batch(&known, None, None),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_int96_far_away_is_far_away() {
    const DAY: i64 = 86_400_000_000;
    // 9999-12-31: not known yet. 0001-01-01: known all along. 1970-01-02T00:00:00.000001.
    let times = [(1, 2_932_896, 0), (2, -719_162, 0), (3, 1, 1_000)];
    for sql in [None, Some("SELECT * FROM source")] {
        let yaml = yaml("int64", "int64", sql);
        let repo =
            Repo::new(&yaml.replace("eventTime: event", "eventTime: event, knownTime: known"));
        fs::create_dir_all(repo.path().join("facts")).unwrap();
        write_int96(&repo.path().join("facts/a.parquet"), &times);
        let engine = repo.applied().await;
        let asked = |at: i64| {
            batch(vec![
                ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
                ("at", Arc::new(TimestampMicrosecondArray::from(vec![at; 3]))),
            ])
        };
        for (at, expected) in [
            (DAY, [None, Some(2), None]),
            (DAY + 1, [None, Some(2), Some(3)]),
            (2_932_896 * DAY - 1, [None, Some(2), Some(3)]),
            (2_932_896 * DAY, [Some(1), Some(2), Some(3)]),
        ] {
            let (batches, _) = training_set(&engine, &["v:x"], asked(at), None).await.unwrap();
            let found = batches[0].column_by_name("x").unwrap();
            assert_eq!(found.to_data(), Int64Array::from(expected.to_vec()).to_data(), "at {at}");
        }
    }
}
