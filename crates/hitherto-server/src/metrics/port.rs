//! Who is connected, what they hold, and who was turned away, read at each scrape.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::port::Room;
use crate::secure::Denials;

/// Reads one port.
pub struct Port {
    room: Arc<Room>,
    denials: Denials,
}

impl Port {
    pub fn new(room: Arc<Room>, denials: Denials) -> Self {
        Self { room, denials }
    }
}

impl Collector for Port {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, unit, value: u64| {
            encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
        };
        gauge("connections", "Connections", None, self.room.len() as u64)?;
        let held = self.room.bytes_held();
        gauge("request_memory", "What callers send and are sent", Some(&Unit::Bytes), held)?;
        let help = "Requests without a token or certificate that is known";
        let counter = MetricType::Counter;
        let mut denied = encoder.encode_descriptor("requests_denied", help, None, counter)?;
        denied.encode_counter::<NoLabelSet, _, u64>(&self.denials.count(), None)?;
        let help = "What was shown by callers and did not count, by why";
        let mut refused = encoder.encode_descriptor("credentials_refused", help, None, counter)?;
        for (refusal, count) in self.denials.counts() {
            let reason = [("reason", refusal.name())];
            let mut of_reason = refused.encode_family(&reason)?;
            of_reason.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").finish_non_exhaustive()
    }
}
