//! Lookups and training sets with five expressions, beside the same without.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use hitherto_api::arrow::to_column;
use hitherto_api::{KeyColumn, LookupRequest, Selection, TrainingSetRequest};
use hitherto_core::column::Column;
use hitherto_core::key::OwnedPart;
use hitherto_core::types::DataType;
use hitherto_engine::Engine;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::online::{FEATURES, NOW, SECOND, build, latest, write};
use crate::materialize::store;
use crate::online::latencies::{Latencies, Percentiles};
use crate::pit::{median, rounded, writer};
use crate::{Result, grant};

/// Of about four nodes each.
const EXPRESSIONS: [(&str, &str, &str); 5] = [
    ("ratio", "float64", "amount / (f0 + f1)"),
    ("share", "float64", "coalesce(f2, 0) / (f3 + 1)"),
    ("large", "bool", "amount > 3 * f4 AND f5 > 0"),
    ("age", "int64", "to_unix(request_time()) % 86400"),
    ("level", "float64", "CASE WHEN amount > f6 THEN f7 ELSE f8 - f9 END"),
];
/// Facts of an entity, of which training sets read all.
const FACTS: i64 = 20;
/// Measurements of a training set, of which the median counts.
const REPETITIONS: usize = 5;

/// Measures lookups of so many entities, and training sets.
///
/// # Errors
/// When a repository cannot be made, or an answer is missing.
pub fn measure(rows: usize, entities: usize, lookups: usize, labels: usize) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("definitions.yaml"), definitions()?)?;
    write(&folder.path().join("latest"), &facts(entities)?)?;
    let engine = store::open(folder.path(), 1 << 30)?;
    let runtime = Runtime::new()?;
    runtime.block_on(build(&engine))?;
    let mut random = Pcg64Mcg::seed_from_u64(5);
    let mut look_up = |service: &str, lookups: usize| -> Result<Percentiles> {
        let mut latencies = Latencies::new()?;
        for _ in 0..lookups {
            let draw = || random.random_range(0..entities as i64);
            let keys: Vec<i64> = std::iter::repeat_with(draw).take(rows).collect();
            let request = request(service, &keys)?;
            let begun = Instant::now();
            let answer = engine.lookup(grant(), &request, NOW)?;
            latencies.record(begun.elapsed());
            if !answer.columns.iter().all(|column| column.has_value(0)) {
                return Err(format!("service {service} has no answer").into());
            }
        }
        Ok(latencies.percentiles())
    };
    // What is asked again and again is in memory.
    look_up("plain", 3 * entities / rows)?;
    look_up("computed", lookups / 10 + 1)?;
    let (plain, computed) = (look_up("plain", lookups)?, look_up("computed", lookups)?);
    let spine = spine(entities, labels)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        without.push(runtime.block_on(train(&engine, "plain", &spine))?);
        with.push(runtime.block_on(train(&engine, "computed", &spine))?);
    }
    let (without, with) = (median(&without), median(&with));
    Ok(json!({
        "rows": rows,
        "expressions": EXPRESSIONS.len(),
        "p50_micros": rounded(computed.p50_micros),
        "added_micros": rounded(computed.p50_micros - plain.p50_micros),
        "without": plain,
        "with": computed,
        "training_set_seconds": rounded(with),
        "ratio_training_set": rounded(with / without),
    }))
}

/// Of each entity some rows of ten features, a second apart.
fn facts(entities: usize) -> Result<RecordBatch> {
    let moments = (1..=FACTS).map(|number| latest(0..entities as i64, NOW - number * SECOND));
    let moments: Vec<RecordBatch> = moments.collect::<Result<_>>()?;
    Ok(concat_batches(moments[0].schema_ref(), &moments)?)
}

fn definitions() -> Result<String> {
    let mut yaml = String::from(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: k }\n\
         spec: { keys: [{ name: k, type: int64 }] }\n---\n\
         apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: latest }\n\
         spec:\n  entity: k\n  source: { parquet: latest, eventTime: e, knownTime: n }\n  \
         features:\n",
    );
    for feature in 0..FEATURES {
        writeln!(yaml, "    - {{ name: f{feature}, type: float64 }}")?;
    }
    yaml.push_str(
        "---\napiVersion: hitherto/v1\nkind: OnDemandView\nmetadata: { name: risk }\nspec:\n  \
         request: [{ name: amount, type: float64 }]\n  inputs: [\"latest:*\"]\n  features:\n",
    );
    for (name, data_type, expr) in EXPRESSIONS {
        writeln!(yaml, "    - {{ name: {name}, type: {data_type}, expr: \"{expr}\" }}")?;
    }
    for (service, features) in [("plain", "\"latest:*\""), ("computed", "\"latest:*\", \"risk:*\"")]
    {
        write!(
            yaml,
            "---\napiVersion: hitherto/v1\nkind: FeatureService\nmetadata: {{ name: {service} }}\n\
             spec: {{ features: [{features}] }}\n"
        )?;
    }
    Ok(yaml)
}

fn request(service: &str, keys: &[i64]) -> Result<LookupRequest> {
    let parts = keys.iter().map(|key| Some(OwnedPart::Int(*key)));
    let amounts: ArrayRef = Arc::new(amounts(keys));
    let brought: Vec<Column> = match service {
        "plain" => Vec::new(),
        _ => vec![to_column("amount".to_owned(), &DataType::Float64, &amounts)?],
    };
    Ok(LookupRequest {
        selection: Selection::Service(service.to_owned()),
        keys: vec![KeyColumn { name: "k".to_owned(), parts: parts.collect() }],
        request: brought,
        as_of: None,
        with_times: false,
    })
}

fn amounts(keys: &[i64]) -> Float64Array {
    Float64Array::from_iter_values(keys.iter().map(|key| *key as f64 / 3.0))
}

fn spine(entities: usize, labels: usize) -> Result<RecordBatch> {
    let keys: Vec<i64> = (0..labels).map(|label| (label * 7_919 % entities) as i64).collect();
    Ok(RecordBatch::try_from_iter([
        ("amount", Arc::new(amounts(&keys)) as ArrayRef),
        ("k", Arc::new(Int64Array::from(keys))),
        ("at", writer::times(std::iter::repeat_n(NOW, labels))),
    ])?)
}

/// Seconds until all rows of a training set are there.
async fn train(engine: &Engine, service: &str, spine: &RecordBatch) -> Result<f64> {
    let request = TrainingSetRequest {
        selection: Selection::Service(service.to_owned()),
        timestamp: "at".to_owned(),
        timezone: None,
        known_by: None,
        known: None,
        names: Default::default(),
    };
    let begun = Instant::now();
    let mut running = engine.training_set(grant(), &request, spine.clone(), NOW).await?;
    let mut rows = 0;
    while let Some(batch) = running.next().await {
        rows += batch?.num_rows();
    }
    match rows == spine.num_rows() {
        true => Ok(begun.elapsed().as_secs_f64()),
        false => Err("a training set lost rows".into()),
    }
}
