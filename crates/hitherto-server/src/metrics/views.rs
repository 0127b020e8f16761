//! What lookups found in each view, read from the engine at each scrape.

use std::fmt;
use std::sync::Arc;

use hitherto_engine::Engine;
use hitherto_engine::lookup::{AGE_SECONDS, ViewCounts};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Reads one engine.
pub struct Views {
    engine: Arc<Engine>,
}

impl Views {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Collector for Views {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let catalog = self.engine.catalog();
        let views = catalog.registry.views.iter();
        let views: Vec<(&str, ViewCounts)> =
            views.map(|view| (view.name(), self.engine.view_counts(view))).collect();
        let (counter, help) = (MetricType::Counter, "Entities looked up, by what was found");
        let mut family = encoder.encode_descriptor("view_lookups", help, None, counter)?;
        for (view, counts) in &views {
            for (found, count) in [
                ("answered", counts.answered),
                ("not_found", counts.not_found),
                ("expired", counts.expired),
            ] {
                family
                    .encode_family(&[("view", *view), ("found", found)])?
                    .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "Values that a fact has as null, of the features looked up";
        let mut family = encoder.encode_descriptor("view_null_values", help, None, counter)?;
        for (view, counts) in &views {
            family
                .encode_family(&[("view", *view)])?
                .encode_counter::<NoLabelSet, _, u64>(&counts.null_values, None)?;
        }
        let help = "Values that on-demand features did not have in lookups, by reason";
        let mut family = encoder.encode_descriptor("on_demand_null_values", help, None, counter)?;
        for ((view, feature), counts) in self.engine.on_demand_counts() {
            for (reason, count) in counts.read() {
                let labels = [("view", &*view), ("feature", &*feature), ("reason", reason.name())];
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let (unit, help) = (Some(&Unit::Seconds), "Age of the facts that answered");
        let histogram = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("view_fact_age", help, unit, histogram)?;
        for (view, counts) in &views {
            let bounds = AGE_SECONDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts.ages).collect();
            family.encode_family(&[("view", *view)])?.encode_histogram::<NoLabelSet>(
                counts.age_seconds as f64,
                counts.ages.iter().sum(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}
