//! How the audit log is, read at each scrape.

use std::fmt;
use std::sync::Arc;

use hitherto_core::time::MICROS_PER_SECOND;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::audit::Audit;

/// Reads one log.
pub struct Log {
    audit: Arc<Audit>,
}

impl Log {
    pub fn new(audit: Arc<Audit>) -> Self {
        Self { audit }
    }
}

impl Collector for Log {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.audit.status();
        let mut counter = |name, help, value: u64| {
            let counter = MetricType::Counter;
            let mut counter = encoder.encode_descriptor(name, help, None, counter)?;
            counter.encode_counter::<NoLabelSet, _, u64>(&value, None)
        };
        counter("audit_records", "Records of the audit log", status.records)?;
        counter("audit_dropped", "Records that found no room in the queue", status.dropped)?;
        counter("audit_refused", "Records that could not be written", status.refused)?;
        let gauge = MetricType::Gauge;
        let help = "Whether the last record could be written";
        let mut writable = encoder.encode_descriptor("audit_writable", help, None, gauge)?;
        writable.encode_gauge(&u64::from(status.is_writable))?;
        let (name, help) = ("audit_checkpoint_timestamp", "When the log was signed last");
        let seconds = status.checkpoint as f64 / MICROS_PER_SECOND as f64;
        let mut signed = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        signed.encode_gauge(&seconds)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}
