//! Every type, from Parquet through the stores and back, and types that are
//! refused.

use std::sync::Arc;

use arrow::array::types::{Float32Type, Float64Type, Int16Type, UInt64Type};
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    DurationMicrosecondArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeListArray, LargeStringArray, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{KeyColumn, MaterializeMode, OptimizeMode, VerifyRequest};
use hitherto_core::Kind;
use hitherto_core::key::OwnedPart;
use hitherto_engine::{Access, Engine};

use crate::repo::{Repo, Silent, batch, grant, lookup, materialize, training_set};

/// A column: declared type, values as they are written, values as they are read.
type Column = (&'static str, ArrayRef, ArrayRef);

fn same(declared: &'static str, array: impl Array + 'static) -> Column {
    let array: ArrayRef = Arc::new(array);
    (declared, Arc::clone(&array), array)
}

/// Three rows each: a value, a null, another value.
fn columns() -> Vec<Column> {
    let money = Decimal128Array::from(vec![Some(-12_345), None, Some(i128::from(i64::MAX) * 1000)]);
    let money = money.with_precision_and_scale(38, 3).unwrap();
    let seconds = TimestampSecondArray::from(vec![Some(-1), None, Some(1 << 40)]);
    let millis = TimestampMillisecondArray::from(vec![Some(-1), None, Some(1)]);
    let micros = TimestampMicrosecondArray::from(vec![Some(i64::MIN), None, Some(1)]);
    let nanos = TimestampNanosecondArray::from(vec![Some(-1), None, Some(i64::MAX)]);
    let text = || vec![Some("grüß\0"), None, Some("")];
    let numbers = || vec![Some(vec![Some(0.5), None, Some(-0.0)]), None, Some(vec![])];
    let vectors = vec![Some(vec![Some(1.5), None]), None, Some(vec![Some(f64::NAN), Some(2.0)])];
    let integers = vec![Some(vec![Some(i16::MIN)]), None, Some(vec![Some(1), Some(2)])];
    let counts = vec![Some(vec![Some(u64::MAX)]), None, Some(vec![None])];
    vec![
        same("bool", BooleanArray::from(vec![Some(true), None, Some(false)])),
        same("int8", Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])),
        same("int16", Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)])),
        same("int32", Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)])),
        same("int64", Int64Array::from(vec![Some(i64::MIN), None, Some((1 << 53) + 1)])),
        same("uint8", UInt8Array::from(vec![Some(0), None, Some(u8::MAX)])),
        same("uint16", UInt16Array::from(vec![Some(0), None, Some(u16::MAX)])),
        same("uint32", UInt32Array::from(vec![Some(0), None, Some(u32::MAX)])),
        same("uint64", UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
        same("float32", Float32Array::from(vec![Some(-0.0), None, Some(f32::NAN)])),
        same("float64", Float64Array::from(vec![Some(f64::MIN_POSITIVE), None, Some(f64::NAN)])),
        same("decimal128(38, 3)", money),
        same("string", StringArray::from(text())),
        same("binary", BinaryArray::from(vec![Some(&[0_u8, 255][..]), None, Some(&[])])),
        same("date32", Date32Array::from(vec![Some(-1), None, Some(i32::MAX)])),
        same("timestamp(s)", seconds),
        same("timestamp(ms)", millis),
        same("timestamp(us)", micros.clone()),
        same("timestamp(us, +05:30)", micros.with_timezone("+05:30")),
        same("timestamp(ns, Europe/Zurich)", nanos.with_timezone("Europe/Zurich")),
        same("list(float32)", ListArray::from_iter_primitive::<Float32Type, _, _>(numbers())),
        same("list(int16)", ListArray::from_iter_primitive::<Int16Type, _, _>(integers)),
        same("list(uint64)", ListArray::from_iter_primitive::<UInt64Type, _, _>(counts)),
        same(
            "list(float64, 2)",
            FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(vectors, 2),
        ),
        // Layouts of one type: what is read back has the plain one.
        (
            "list(float32)",
            Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(numbers())),
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(numbers())),
        ),
        ("string", Arc::new(LargeStringArray::from(text())), Arc::new(StringArray::from(text()))),
        (
            "string",
            Arc::new(text().into_iter().collect::<DictionaryArray<Int32Type>>()),
            Arc::new(StringArray::from(text())),
        ),
    ]
}

fn definitions(columns: &[Column]) -> String {
    let features = columns.iter().enumerate();
    let features = features
        .map(|(index, (declared, ..))| format!("    - {{ name: f{index}, type: '{declared}' }}\n"));
    format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: stay }}
spec: {{ keys: [{{ name: stay, type: int64 }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: all }}
spec:
  entity: stay
  source: {{ parquet: all.parquet, eventTime: event }}
  features:
{}",
        features.collect::<String>()
    )
}

fn written(columns: &[Column]) -> Repo {
    let repo = Repo::new(&definitions(columns));
    let names: Vec<String> = (0..columns.len()).map(|index| format!("f{index}")).collect();
    let mut all: Vec<(&str, ArrayRef)> = vec![
        ("stay", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("event", Arc::new(TimestampMicrosecondArray::from(vec![1, 1, 1]))),
    ];
    for (name, (_, array, _)) in names.iter().zip(columns) {
        all.push((name, Arc::clone(array)));
    }
    repo.parquet("all.parquet", all);
    repo
}

#[track_caller]
fn check(columns: &[Column], found: &RecordBatch, first: usize) {
    for (index, (declared, _, expected)) in columns.iter().enumerate() {
        let found = found.column(first + index);
        assert_eq!(found.data_type(), expected.data_type(), "{declared}");
        assert_eq!(found.to_data(), expected.to_data(), "{declared}");
    }
}

async fn online(engine: &Engine, columns: &[Column]) {
    materialize(engine, MaterializeMode::Full, 10).await;
    let parts = [1, 2, 3].map(|stay| Some(OwnedPart::Int(stay))).to_vec();
    let keys = vec![KeyColumn { name: String::from("stay"), parts }];
    let found = lookup(engine, &["all:*"], keys, None, 10).unwrap();
    check(columns, &to_record_batch(&found).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_survives_from_parquet_through_the_stores_and_back() {
    let columns = columns();
    let repo = written(&columns);
    let engine = repo.applied().await;
    online(&engine, &columns).await;
    online(&repo.applied_in_memory().await, &columns).await;

    let spine = batch(vec![
        ("stay", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![5, 5, 5]))),
    ]);
    let (batches, _) = training_set(&engine, &["all:*"], spine.clone(), None).await.unwrap();
    check(&columns, &batches[0], 2);
    engine.optimize(grant(), "all", OptimizeMode::IfChanged, &Silent).await.unwrap();
    let (copied, _) = training_set(&engine, &["all:*"], spine, None).await.unwrap();
    check(&columns, &copied[0], 2);

    let verified = engine.verify(grant(), &VerifyRequest::default(), 10).await.unwrap();
    assert_eq!(verified.differences(), 0, "{verified:?}");
    assert!(verified.values() >= 3 * columns.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_cannot_be_kept_or_is_not_the_declared_one_is_refused_with_its_column() {
    let texts = ListArray::new(
        Arc::new(arrow::datatypes::Field::new_list_field(arrow::datatypes::DataType::Utf8, true)),
        arrow::buffer::OffsetBuffer::from_lengths([1, 1, 1]),
        Arc::new(StringArray::from(vec!["a", "b", "c"])),
        None,
    );
    let nested: ArrayRef = Arc::new(texts);
    let durations: ArrayRef = Arc::new(DurationMicrosecondArray::from(vec![1, 2, 3]));
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let vectors: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        vec![Some(vec![Some(1.0)]), None, None],
        1,
    ));
    let zoned: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC"));
    for (declared, array, words) in [
        ("list(float32)", &nested, "which cannot be kept exactly"),
        ("int64", &durations, "which cannot be kept exactly; take CAST(f0 AS BIGINT) AS f0"),
        ("int64", &integers, "has type int32 where int64 is declared"),
        ("float64", &integers, "has type int32 where float64 is declared"),
        ("list(float32)", &vectors, "has type list(float32, 1) where list(float32) is declared"),
        ("list(float32, 2)", &vectors, "where list(float32, 2) is declared"),
        ("timestamp(us)", &zoned, "has type timestamp(us, UTC) where timestamp(us) is declared"),
    ] {
        let repo = written(&[(declared, Arc::clone(array), Arc::clone(array))]);
        let engine = repo.open(Access::ReadWrite).unwrap();
        let error = engine.plan(grant()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let message = error.to_string();
        assert!(message.contains("column \"f0\"") && message.contains(words), "{message}");
        assert!(message.starts_with("definitions.yaml:14:"), "{message}");
    }
}
