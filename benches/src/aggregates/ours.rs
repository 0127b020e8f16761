//! Hitherto's answer: the definitions as a user writes them, the join from the call to the last
//! batch.

use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::compute::sum;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use hitherto_core::catalog::{Published, Registry};
use hitherto_core::definition::load;
use hitherto_core::output::Output;
use hitherto_core::slots::Terms;
use hitherto_offline::Offline;
use hitherto_offline::join::{JoinRequest, JoinSource};
use hitherto_offline::spine::SpinePlan;
use serde::{Deserialize, Serialize};

use crate::pit::labels::TIMESTAMP;
use crate::pit::lake::KEY_COLUMNS;
use crate::pit::read_spine;
use crate::{Result, peak};

/// What to compute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Aggregates, as YAML.
    pub aggregates: String,
    /// The folder of facts.
    pub lake: PathBuf,
    /// The spine's file.
    pub spine: PathBuf,
    /// What the join may hold.
    pub memory_bytes_max: usize,
    /// Threads of the runtime, and partitions of each scan.
    pub threads: usize,
}

/// What came out of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// From the call, listing of files included, to the complete result.
    pub seconds: f64,
    /// The most memory that the process held, spine and result included.
    pub peak_rss_bytes: u64,
    /// Rows of the result.
    pub rows: u64,
    /// The sum of all numbers of the result.
    pub checksum: f64,
}

/// Computes, in the process that was started for it.
///
/// # Errors
/// When the definitions are refused, the spine cannot be read or the join fails.
pub fn measure(question: Question) -> Result<Answered> {
    let Question { aggregates, lake, spine, memory_bytes_max, threads } = question;
    let [key, event_time, known_time] = KEY_COLUMNS;
    let lake = lake.to_string_lossy();
    let yaml = format!(
        "
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: entity }}
spec: {{ keys: [{{ name: {key}, type: int64 }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: v }}
spec:
  entity: entity
  source:
    parquet: \"{lake}\"
    eventTime: {event_time}
    knownTime: {known_time}
    id: eventTime
  aggregates:
{aggregates}"
    );
    let loaded = load(&[(String::from("bench.yaml"), yaml)])?;
    let registry = Registry::default().apply(&loaded.definitions, &Published::default(), 0);
    let view = registry.view("v")?.clone();
    let (schema, spine) = read_spine(&spine, None)?;
    let offline = Offline::new(Path::new("/"), memory_bytes_max, threads)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let features = view.definition.features.iter().enumerate();
        let outputs = features.map(|(feature, of)| Output {
            name: of.name.clone(),
            of: of.name.clone(),
            view: 0,
            feature,
            data_type: of.data_type.clone(),
            default: None,
        });
        let request = JoinRequest {
            spine: SpinePlan::of_rows(spine, &schema)?,
            timestamp: TIMESTAMP.to_owned(),
            timezone: None,
            outputs: outputs.collect(),
            views: vec![JoinSource {
                name: view.name().to_owned(),
                keys: view.keys.clone(),
                terms: Terms { ttl_micros: None, known_by: i64::MAX, known: view.known() },
                files: offline.list_files(&view.definition)?,
                copy: Vec::new(),
                pushed: Vec::new(),
                view,
            }],
        };
        let mut stream = offline.join(request).await?;
        let mut result = Vec::new();
        while let Some(batch) = stream.next().await {
            result.push(batch?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let peak_rss_bytes = peak::read_peak_rss_bytes()?;
        let computed = result.iter().flat_map(|batch| &batch.columns()[schema.fields().len()..]);
        let checksum = computed.map(|column| match column.data_type() {
            DataType::Int64 => sum(column.as_primitive::<Int64Type>()).unwrap_or(0) as f64,
            _ => sum(column.as_primitive::<Float64Type>()).unwrap_or(0.0),
        });
        Ok(Answered {
            seconds,
            peak_rss_bytes,
            rows: result.iter().map(|batch| batch.num_rows() as u64).sum(),
            checksum: checksum.sum(),
        })
    })
}
