//! Lookups over the wire, timed one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hitherto_api::Selection;
use hitherto_client::Client;
use hitherto_core::Result;
use hitherto_core::column::Status;
use hitherto_core::time::format_timestamp;
use hitherto_server::json::{EntityAnswer, LookupAnswer};

use super::questions::Questions;
use crate::grid::{Grid, Side};
use crate::numbers::counted;

/// Lookups that are timed.
const TIMED: usize = 2_000;
/// Lookups before that, which fill caches and open streams.
const WARM_UP: usize = 50;

/// How long each lookup took, shortest first.
pub struct Latencies {
    /// Features in each answer.
    pub features: usize,
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Asks one question after the other, evenly spread over the spine; each
    /// is one entity, the whole selection, as of its row's time.
    ///
    /// # Errors
    /// Those of the lookups.
    pub async fn measure(
        client: &Client,
        questions: &Questions,
        selection: &Selection,
    ) -> Result<Self> {
        let mut latencies = Self { features: 0, sorted: Vec::with_capacity(TIMED) };
        for number in 0..WARM_UP + TIMED {
            let row = number * questions.len() / (WARM_UP + TIMED);
            let mut request = questions.request(row, questions.at(row), selection.clone());
            request.with_times = false;
            let begun = Instant::now();
            let answer = client.lookup(&request).await?;
            if number >= WARM_UP {
                latencies.sorted.push(begun.elapsed());
            }
            latencies.features = answer.columns.len();
        }
        latencies.sorted.sort_unstable();
        Ok(latencies)
    }

    /// Lookups timed.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The latency that this share of the lookups did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// One entity's answer as of a moment: values with their times, and a line
/// that counts the rest.
///
/// # Errors
/// Those of the lookup.
pub async fn show_one(
    client: &Client,
    questions: &Questions,
    selection: Selection,
    row: usize,
) -> Result<String> {
    let request = questions.request(row, questions.at(row), selection);
    let lookup = client.lookup(&request).await?;
    let answer = LookupAnswer::new(&request.keys, &lookup)?;
    Ok(answer.entities.first().map(values_first).unwrap_or_default())
}

fn values_first(entity: &EntityAnswer<'_>) -> String {
    let mut values = Grid::new([
        ("feature", Side::Text),
        ("value", Side::Number),
        ("happened", Side::Text),
        ("known", Side::Text),
    ]);
    let mut others: BTreeMap<&str, u64> = BTreeMap::new();
    for (feature, cell) in &entity.features {
        match (cell.status, cell.times) {
            (Status::Present, Some(times)) => {
                let [event, known] = [times.event, times.known].map(format_timestamp);
                values.row([(*feature).to_owned(), cell.text(), event, known]);
            }
            _ => *others.entry(cell.status.name()).or_default() += 1,
        }
    }
    let mut text = values.to_string();
    for (status, count) in others {
        text.push_str(&format!("\nand {}: {status}", counted(count, "more feature")));
    }
    text
}
