//! What the store and the catalog hold, read at each scrape: they are the
//! truth, and a gauge beside them could only lag.

use std::fmt;
use std::sync::Arc;

use hitherto_core::catalog::Generation;
use hitherto_core::rule::ALWAYS;
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_engine::Engine;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Reads one engine.
pub struct Store {
    engine: Arc<Engine>,
}

impl Store {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// One gauge with a sample for each view that has something online and such a moment.
    fn encode_moments(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        micros: impl Fn(&Generation) -> Option<i64>,
    ) -> fmt::Result {
        let gauge = MetricType::Gauge;
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        for published in self.engine.catalog().published.views() {
            if let Some(micros) = micros(&published.generation) {
                let seconds = micros as f64 / MICROS_PER_SECOND as f64;
                let name = published.view.name();
                family.encode_family(&[("view", name)])?.encode_gauge(&seconds)?;
            }
        }
        Ok(())
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.engine.usage();
        let mut gauge = |name, help, unit, value: u64| {
            encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
        };
        let bytes = Some(&Unit::Bytes);
        gauge("store_latest_rows", "Latest rows, of all generations", None, usage.latest_rows)?;
        gauge("store_history_rows", "History rows, of all generations", None, usage.history_rows)?;
        gauge("store_disk", "Online store on disk", bytes, usage.disk_bytes)?;
        gauge("store_cache", "Cached rows and blocks", bytes, usage.cache_bytes)?;
        let version = self.engine.catalog().version;
        gauge("catalog_version", "Changes to what is applied or online", None, version)?;
        let mut counter = |name, help, value: u64| {
            let counter = MetricType::Counter;
            let mut counter = encoder.encode_descriptor(name, help, None, counter)?;
            counter.encode_counter::<NoLabelSet, _, u64>(&value, None)
        };
        counter("row_cache_hits", "Latest rows found in memory", usage.row_cache_hits)?;
        counter("row_cache_misses", "Latest rows not found in memory", usage.row_cache_misses)?;
        self.encode_moments(
            &mut encoder,
            "view_watermark_timestamp",
            "Greatest event time consumed, of what had happened by then",
            // What always was is never behind.
            |generation| generation.newest_event().filter(|watermark| *watermark != ALWAYS),
        )?;
        self.encode_moments(
            &mut encoder,
            "view_materialized_timestamp",
            "When the online copy last changed",
            |generation| Some(generation.materialized_at),
        )
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
