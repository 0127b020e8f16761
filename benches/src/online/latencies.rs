//! Histograms, and the percentiles out of them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A request that takes longer counts as this: one minute.
const NANOS_MAX: u64 = 60_000_000_000;
/// Digits that a percentile is good for.
const DIGITS: u8 = 3;

/// How long requests took.
#[derive(Debug)]
pub struct Latencies(Histogram<u64>);

/// What they came to, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50_micros: f64,
    /// 99 of 100 took no longer.
    pub p99_micros: f64,
    /// 999 of 1,000 took no longer.
    pub p999_micros: f64,
}

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// When a histogram of that size cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, NANOS_MAX, DIGITS)?))
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(NANOS_MAX));
    }

    /// Adds those of another.
    ///
    /// # Errors
    /// Never: all have the same bounds.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The percentiles.
    pub fn percentiles(&self) -> Percentiles {
        let micros = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            p50_micros: micros(0.5),
            p99_micros: micros(0.99),
            p999_micros: micros(0.999),
        }
    }
}
