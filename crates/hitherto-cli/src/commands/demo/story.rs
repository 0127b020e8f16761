//! One laboratory value around its release, asked for over the wire.

use hitherto_api::Selection;
use hitherto_client::Client;
use hitherto_core::column::Status;
use hitherto_core::reference::FeatureRef;
use hitherto_core::time::{MICROS_PER_SECOND, format_duration, format_timestamp};
use hitherto_core::{Error, Result};
use hitherto_server::json::LookupAnswer;

use super::leak::Case;
use super::questions::Questions;
use crate::grid::{Grid, Side};

/// How far apart the later questions are, and how many are asked.
const STEP_MICROS: i64 = 15 * 60 * MICROS_PER_SECOND;
const STEPS_MAX: i64 = 4 * 24;

/// What was answered before and after a result's release.
pub struct Story {
    /// The spine row.
    pub row: usize,
    feature: FeatureRef,
    /// When the question was asked, microseconds UTC.
    pub asked_at: i64,
    honest: Sample,
    leaked: Sample,
}

/// One laboratory value with its times, microseconds UTC.
#[derive(Clone, Debug)]
struct Sample {
    value: String,
    collected: i64,
    released: i64,
}

impl Story {
    /// Finds the most striking case in which the result that was not released
    /// yet is what a later question is answered with.
    ///
    /// # Errors
    /// Those of the lookups; `NotFound` when the data hold no such case.
    pub async fn find(client: &Client, questions: &Questions, cases: &[Case]) -> Result<Self> {
        for case in cases {
            let asked_at = questions.at(case.row);
            let Some(honest) = ask(client, questions, case, asked_at).await? else { continue };
            for step in 1..=STEPS_MAX {
                let later = asked_at + step * STEP_MICROS;
                let Some(sample) = ask(client, questions, case, later).await? else { continue };
                if sample.collected > asked_at {
                    // A newer sample overtook it: this case cannot be shown.
                    break;
                }
                if sample.released > asked_at {
                    let (row, feature) = (case.row, case.feature.clone());
                    return Ok(Self { row, feature, asked_at, honest, leaked: sample });
                }
            }
        }
        Err(Error::not_found(
            "no laboratory value was asked for before its release; run `hitherto demo` again, in \
             another folder",
        ))
    }

    /// The view that the value is from.
    pub fn view(&self) -> &str {
        &self.feature.view.view
    }

    /// The story in a few lines.
    pub fn tell(&self) -> String {
        let Self { feature, asked_at, honest, leaked, .. } = self;
        let mut events = vec![(*asked_at, "the question is asked", "")];
        for sample in [honest, leaked] {
            events.push((sample.collected, "blood is drawn", &sample.value));
            events.push((sample.released, "its result is released", &sample.value));
        }
        events.sort();
        let mut timeline = Grid::new([
            ("time", Side::Text),
            ("event", Side::Text),
            (&feature.feature, Side::Number),
        ]);
        for (at, event, value) in events {
            timeline.row([format_timestamp(at), event.to_owned(), value.to_owned()]);
        }
        format!(
            "{timeline}\n\n\
             A join on collection time answers {}, {} before anyone could know it.\n\
             Hitherto answers {}. Asked as of {}, it answers {}.",
            leaked.value,
            format_duration(leaked.released - asked_at),
            honest.value,
            format_timestamp(leaked.released),
            leaked.value
        )
    }
}

/// What is known of the case's feature at a moment.
async fn ask(
    client: &Client,
    questions: &Questions,
    case: &Case,
    at: i64,
) -> Result<Option<Sample>> {
    let selection = Selection::Features(vec![case.feature.clone()]);
    let request = questions.request(case.row, at, selection);
    let lookup = client.lookup(&request).await?;
    let answer = LookupAnswer::new(&request.keys, &lookup)?;
    let cell = answer.entities.first().and_then(|entity| entity.features.first());
    Ok(cell.and_then(|(_, cell)| match (cell.status, cell.times) {
        (Status::Present, Some(times)) => {
            Some(Sample { value: cell.text(), collected: times.event, released: times.known })
        }
        _ => None,
    }))
}
