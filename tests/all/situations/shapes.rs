//! Situations that are no table of facts and questions: the order of features,
//! services that share a feature, and spines of odd shapes and times. Every
//! training row is compared with the lookup as of its time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date64Array, Decimal128Array,
    DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StringViewArray,
    StructArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Field, Int8Type, Int32Type, Int64Type, IntervalUnit, Schema, TimeUnit,
};
use hitherto_api::arrow_columns::to_record_batch;
use hitherto_api::{
    FeatureNames, KeyColumn, LookupRequest, MaterializeMode, Selection, TrainingSetRequest,
};
use hitherto_core::key::OwnedPart;
use hitherto_core::time::parse_timestamp;
use hitherto_engine::Engine;

use crate::repo::{Repo, grant, materialize};

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: string }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs.parquet, eventTime: drawn, knownTime: released }
  ttl: 12h
  features:
    - { name: lactate, type: float64 }
    - { name: creatinine, type: int64 }
    - { name: note, type: string }
  online: { history: 36500d }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: admission }
spec:
  entity: stay
  source: { parquet: labs.parquet, eventTime: drawn }
  features: [{ name: creatinine, type: int64 }]
  online: { history: 36500d }
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: sepsis }
spec: { features: ['labs:lactate', 'labs:creatinine'] }
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: kidney }
spec: { features: ['admission:creatinine', 'labs:note', 'labs:creatinine'] }
";

fn time(text: &str) -> i64 {
    parse_timestamp(text).unwrap()
}

/// k1 has a result of 09:00 that is known at 10:30, and k2 one of 11:00.
fn repo() -> Repo {
    let repo = Repo::new(YAML);
    let times = |texts: [&str; 3]| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(texts.map(time)))
    };
    let drawn = ["2024-01-01T09:00", "2024-01-01T11:00", "2024-01-01T13:00"];
    let released = ["2024-01-01T10:30", "2024-01-01T11:00", "2024-01-01T13:00"];
    repo.parquet(
        "labs.parquet",
        vec![
            ("stay", Arc::new(StringArray::from(vec!["k1", "k2", "k2"]))),
            ("drawn", times(drawn)),
            ("released", times(released)),
            ("lactate", Arc::new(Float64Array::from(vec![Some(1.5), Some(2.5), None]))),
            ("creatinine", Arc::new(Int64Array::from(vec![70, 80, 90]))),
            ("note", Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
        ],
    );
    repo
}

async fn engine(repo: &Repo) -> Engine {
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, time("2025-01-01")).await;
    engine
}

fn features(references: &[&str]) -> Selection {
    Selection::features(references).unwrap()
}

fn service(name: &str) -> Selection {
    Selection::Service(name.to_owned())
}

/// The features of a training set with full names, without the spine.
async fn trained(engine: &Engine, selection: Selection, spine: &RecordBatch) -> RecordBatch {
    let request = TrainingSetRequest {
        selection,
        timestamp: String::from("at"),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Full,
    };
    let running = engine.training_set(grant(), &request, spine.clone(), i64::MAX).await;
    let mut running = running.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = running.next().await {
        batches.push(batch.unwrap());
    }
    let all = concat_batches(&running.schema(), &batches).unwrap();
    let width = spine.num_columns();
    let passed = all.project(&(0..width).collect::<Vec<_>>()).unwrap();
    assert_eq!(passed.schema().fields(), spine.schema().fields(), "fields pass through untouched");
    assert_eq!(passed.columns(), spine.columns(), "columns pass through untouched");
    all.project(&(width..all.num_columns()).collect::<Vec<_>>()).unwrap()
}

/// The lookup of every spine row as of its own time, below each other.
fn looked_up(engine: &Engine, selection: &Selection, stays: &[&str], at: &[i64]) -> RecordBatch {
    let row = |(stay, at): (&&str, &i64)| {
        let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
        let request = LookupRequest {
            selection: selection.clone(),
            keys: vec![KeyColumn { name: String::from("stay"), parts }],
            request: Vec::new(),
            as_of: Some(*at),
            with_times: false,
        };
        to_record_batch(&engine.lookup(grant(), &request, time("2025-01-01")).unwrap()).unwrap()
    };
    let rows: Vec<RecordBatch> = stays.iter().zip(at).map(row).collect();
    concat_batches(&rows[0].schema(), &rows).unwrap()
}

/// A spine of a stay and a time each; the times as they are given.
fn spine(stays: &[&str], times: ArrayRef) -> RecordBatch {
    let stays: ArrayRef = Arc::new(StringArray::from(stays.to_vec()));
    crate::repo::batch(vec![("stay", stays), ("at", times)])
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

const STAYS: [&str; 5] = ["k1", "k1", "k2", "k2", "nobody"];

fn moments() -> Vec<i64> {
    let texts = ["10:29:59.999999", "10:30", "11:00", "13:00", "12:00"];
    texts.map(|text| time(&format!("2024-01-01T{text}"))).to_vec()
}

fn usual_spine() -> RecordBatch {
    spine(&STAYS, Arc::new(TimestampMicrosecondArray::from(moments())))
}

#[tokio::test(flavor = "multi_thread")]
async fn features_asked_for_in_reverse_come_in_reverse_and_are_the_same() {
    let repo = repo();
    let engine = engine(&repo).await;
    let references = ["labs:lactate", "admission:creatinine", "labs:note", "labs:creatinine"];
    let mut reversed = references;
    reversed.reverse();
    let (one, other) = (features(&references), features(&reversed));
    let straight = trained(&engine, one.clone(), &usual_spine()).await;
    let backwards = trained(&engine, other.clone(), &usual_spine()).await;
    assert_eq!(names(&straight), references);
    assert_eq!(names(&backwards), reversed);
    for name in references {
        assert_eq!(straight.column_by_name(name), backwards.column_by_name(name), "{name}");
    }
    assert_eq!(looked_up(&engine, &one, &STAYS, &moments()), straight);
    assert_eq!(looked_up(&engine, &other, &STAYS, &moments()), backwards);
    let lactate = straight.column(0).as_primitive::<arrow::datatypes::Float64Type>();
    let expected = [None, Some(1.5), Some(2.5), None, None];
    assert_eq!(lactate.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_feature_in_two_services_is_the_same() {
    let repo = repo();
    let engine = engine(&repo).await;
    let sepsis = trained(&engine, service("sepsis"), &usual_spine()).await;
    let kidney = trained(&engine, service("kidney"), &usual_spine()).await;
    assert_eq!(names(&sepsis), ["labs:lactate", "labs:creatinine"]);
    assert_eq!(names(&kidney), ["admission:creatinine", "labs:note", "labs:creatinine"]);
    assert_eq!(sepsis.column(1), kidney.column(2));
    let shared = sepsis.column(1).as_primitive::<Int64Type>();
    let expected = [None, Some(70), Some(80), Some(90), None];
    assert_eq!(shared.iter().collect::<Vec<_>>(), expected);
    assert_eq!(looked_up(&engine, &service("sepsis"), &STAYS, &moments()), sepsis);
    assert_eq!(looked_up(&engine, &service("kidney"), &STAYS, &moments()), kidney);
}

/// Columns of every sort that a spine may carry along, three rows each.
fn columns_of_every_type() -> Vec<(Field, ArrayRef)> {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let parts = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int32, true)), inner)]);
    let words: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("b")].into_iter().collect();
    let money = Decimal128Array::from(vec![Some(-1), None, Some(9)]);
    let bytes: [&[u8]; 3] = [b"\0", b"", b"\xff"];
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].iter()).unwrap();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])),
        Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)])),
        Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY)])),
        Arc::new(Float64Array::from(vec![Some(1e-300), None, Some(-1e300)])),
        Arc::new(money.with_precision_and_scale(38, 10).unwrap()),
        Arc::new(StringArray::from(vec![Some("grüß\0"), None, Some("")])),
        Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("c")])),
        Arc::new(StringViewArray::from(vec![Some("longer than twelve bytes"), None, Some("")])),
        Arc::new(BinaryArray::from(bytes.to_vec())),
        Arc::new(fixed),
        Arc::new(Date64Array::from(vec![Some(0), None, Some(-86_400_000)])),
        Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(2)])),
        Arc::new(
            TimestampNanosecondArray::from(vec![Some(-1), None, Some(1)]).with_timezone("+05:30"),
        ),
        Arc::new(list),
        Arc::new(parts),
        Arc::new(words),
        Arc::new(NullArray::new(3)),
        new_null_array(&DataType::Float16, 3),
        new_null_array(&DataType::Duration(TimeUnit::Second), 3),
        new_null_array(&DataType::Interval(IntervalUnit::MonthDayNano), 3),
        new_null_array(&DataType::Decimal256(60, 2), 3),
    ];
    let meaning = HashMap::from([(String::from("unit"), String::from("mmol/l"))]);
    let named = arrays.into_iter().enumerate().map(|(index, array)| {
        let data_type = array.data_type().clone();
        let field = Field::new(format!("extra {index}"), data_type, true);
        (field.with_metadata(meaning.clone()), array)
    });
    named.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_unsorted_with_duplicates_and_columns_of_every_type_comes_back_as_it_was() {
    let repo = repo();
    let engine = engine(&repo).await;
    let stays = ["k2", "k1", "k2", "k1", "k2", "k1"];
    let hours = ["13:00", "10:30", "11:00", "10:29", "13:00", "10:30"];
    let at = hours.map(|hour| time(&format!("2024-01-01T{hour}"))).to_vec();

    let extras = columns_of_every_type();
    let at_field = Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), false);
    let fields = extras.iter().map(|(field, _)| field.clone());
    let fields = [at_field].into_iter().chain(fields);
    let schema =
        Schema::new(fields.chain([Field::new("stay", DataType::Utf8, false)]).collect::<Vec<_>>());
    // Three rows of extras, twice: rows 0 and 4 and rows 1 and 5 ask the same.
    let halves = [0, 3].map(|from| {
        let times = TimestampMicrosecondArray::from(at[from..from + 3].to_vec());
        let keys = StringArray::from(stays[from..from + 3].to_vec());
        let extras = extras.iter().map(|(_, array)| Arc::clone(array));
        let arrays = [Arc::new(times) as ArrayRef].into_iter().chain(extras);
        let arrays = arrays.chain([Arc::new(keys) as ArrayRef]).collect();
        RecordBatch::try_new(Arc::new(schema.clone()), arrays).unwrap()
    });
    let spine = concat_batches(&Arc::new(schema), &halves).unwrap();

    let asked = features(&["labs:*"]);
    let found = trained(&engine, asked.clone(), &spine).await;
    assert_eq!(found, looked_up(&engine, &asked, &stays, &at));
    let creatinine = found.column(1).as_primitive::<Int64Type>();
    let expected = [Some(90), Some(70), Some(80), None, Some(90), Some(70)];
    assert_eq!(creatinine.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_of_naive_times_or_of_another_zone_means_the_same_moments() {
    let repo = repo();
    let engine = engine(&repo).await;
    let asked = features(&["labs:creatinine"]);
    // Whole seconds, so that every unit can say them.
    let stays = ["k1", "k1", "k1", "k2"];
    let texts = ["10:29:59", "10:30:00", "21:00:00", "13:00:00"];
    let at = texts.map(|text| time(&format!("2024-01-01T{text}"))).to_vec();
    let expected = looked_up(&engine, &asked, &stays, &at);
    let creatinine = expected.column(0).as_primitive::<Int64Type>();
    let values = [None, Some(70), Some(70), Some(90)];
    assert_eq!(creatinine.iter().collect::<Vec<_>>(), values);

    for zone in [None, Some("UTC"), Some("+05:30"), Some("America/New_York")] {
        let per = |micros: i64| at.iter().map(move |at| at / micros).collect::<Vec<i64>>();
        let nanos = at.iter().map(|at| at * 1_000).collect::<Vec<i64>>();
        let zone = zone.map(Arc::<str>::from);
        let columns: [ArrayRef; 4] = [
            Arc::new(TimestampSecondArray::from(per(1_000_000)).with_timezone_opt(zone.clone())),
            Arc::new(TimestampMillisecondArray::from(per(1_000)).with_timezone_opt(zone.clone())),
            Arc::new(TimestampMicrosecondArray::from(per(1)).with_timezone_opt(zone.clone())),
            Arc::new(TimestampNanosecondArray::from(nanos).with_timezone_opt(zone.clone())),
        ];
        for times in columns {
            let what = times.data_type().clone();
            let found = trained(&engine, asked.clone(), &spine(&stays, times)).await;
            assert_eq!(found, expected, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spine_digits_below_a_microsecond_ask_earlier_never_later() {
    let repo = repo();
    let engine = engine(&repo).await;
    let nanos = |text: &str, more: i64| time(&format!("2024-01-01T{text}")) * 1_000 + more;
    let asked = [
        // One nanosecond before the release is the microsecond before it.
        (nanos("10:30", -1), None),
        (nanos("10:30", 0), Some(70)),
        (nanos("10:30", 999), Some(70)),
        // The last microsecond of the ttl lasts until the next one begins.
        (nanos("21:00", 999), Some(70)),
        (nanos("21:00", 1_000), None),
    ];
    let times = TimestampNanosecondArray::from_iter_values(asked.iter().map(|(at, _)| *at));
    let spine = spine(&["k1"; 5], Arc::new(times));
    let found = trained(&engine, features(&["labs:creatinine"]), &spine).await;
    let found = found.column(0).as_primitive::<Int64Type>();
    assert_eq!(
        found.iter().collect::<Vec<_>>(),
        asked.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    );
}
