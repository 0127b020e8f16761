//! The last screen: what happened, in numbers. Every one of them was counted
//! or timed in this run.

use std::fmt;
use std::time::Duration;

use hitherto_api::{Materialized, TrainingSetReport};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::lookups::Latencies;
use super::training::Training;
use crate::commands::training_set::by_view;
use crate::numbers::{count, share, span};

/// What the table's last column means.
const FOOTNOTE: &str = "would leak: rows that a join on event time alone answers with something \
not known yet.\nFor laboratory values that is measured. For charted ones it follows from the delay \
that their\nview declares, so the count above leaves them out.";

/// What one run of the demo counted.
pub struct LastScreen {
    /// The first materialization, view by view.
    pub materialized: Vec<Materialized>,
    /// How long it took.
    pub materialize_took: Duration,
    /// The timed lookups.
    pub latencies: Latencies,
    /// The training set of the whole service.
    pub training: Training,
    /// The same spine over the views whose release times are data.
    pub released: TrainingSetReport,
}

impl LastScreen {
    fn total(&self, number: fn(&Materialized) -> u64) -> u64 {
        self.materialized.iter().map(number).sum()
    }

    fn facts(&self) -> u64 {
        self.total(|done| done.facts)
    }
}

impl Serialize for LastScreen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |took: Duration| took.as_secs_f64();
        let micros = |share| self.latencies.percentile(share).as_micros() as u64;
        json!({
            "facts_read": self.facts(),
            "materialize_seconds": seconds(self.materialize_took),
            "latest_rows": self.total(|done| done.entities),
            "history_rows": self.total(|done| done.history_rows),
            "lookups": self.latencies.count(),
            "lookup_p50_micros": micros(0.50),
            "lookup_p99_micros": micros(0.99),
            "features": self.latencies.features,
            "training_rows": self.training.rows,
            "training_columns": self.training.columns,
            "training_seconds": seconds(self.training.took),
            "training_set": self.training.report,
            "released_views": self.released,
        })
        .serialize(serializer)
    }
}

impl fmt::Display for LastScreen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latencies, training, released, .. } = self;
        let features = latencies.features;
        let history_rows = count(self.total(|done| done.history_rows));
        let [half, most] = [0.50, 0.99].map(|share| span(latencies.percentile(share)));
        let share = share(released.leaky_rows, released.rows);
        let lines = [
            ("facts read", self.facts(), format!("in {}", span(self.materialize_took))),
            (
                "rows online",
                self.total(|done| done.entities),
                format!("the latest of each entity, beside {history_rows} rows of history"),
            ),
            (
                "lookups answered",
                latencies.count() as u64,
                format!("of {features} features each, over gRPC: p50 {half}, p99 {most}"),
            ),
            (
                "training rows",
                training.rows,
                format!("with {features} features, in {}", span(training.took)),
            ),
            (
                "rows that would leak",
                released.leaky_rows,
                format!("({share}) under a join on collection time: they would have seen"),
            ),
        ];
        for (name, number, rest) in lines {
            writeln!(f, "{name:<22}{:>8}  {rest}", count(number))?;
        }
        writeln!(f, "{:<32}a laboratory value before it was released", "")?;
        write!(f, "\n{}\n\n{FOOTNOTE}", by_view(&training.report))
    }
}
