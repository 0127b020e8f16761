//! `hitherto jobs`: what a server works on, and commands that let it work.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hitherto_api::Stage;
use hitherto_client::{Client, Job, JobProgress, JobStage, JobState, Work, outcome};
use hitherto_core::Result;
use hitherto_core::time::format_timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::credentials::ShownToServer;
use crate::grid::{Grid, Side};
use crate::numbers::{count, counted, rate, span};
use crate::output::Output;
use crate::session::Session;

/// At most one line of progress in this time.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// A job that has ended by then was refused, or had little to do: nobody has to be told that
/// it goes on.
const SHORT: Duration = Duration::from_millis(300);

/// Views of a job that a table names.
const VIEWS_SHOWN: usize = 3;

/// List, watch and cancel a server's jobs
///
/// A job is a materialization, a copy of a source or a backup that a server makes. It goes
/// on when the command that started it is gone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto jobs                  # the same as hitherto jobs list\n  \
    hitherto jobs watch 3 --server http://features:7411\n  \
    hitherto jobs cancel 3")]
pub struct Jobs {
    /// The server
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:7411")]
    server: String,
    #[command(flatten)]
    shown: ShownToServer,
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show jobs that run, and the last that have ended
    List,
    /// Follow a job to its end
    Watch {
        /// The job's number
        id: u64,
    },
    /// End a job; nothing is left half done
    Cancel {
        /// The job's number
        id: u64,
    },
}

impl Jobs {
    /// Does it and shows the jobs that it was about.
    ///
    /// # Errors
    /// `NotFound` for an unknown job, `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let output = session.output();
        let client = self.shown.connect(&self.server).await?;
        let jobs = match self.action {
            None | Some(Action::List) => client.list_jobs().await?,
            Some(Action::Watch { id }) => vec![follow(output, &client, id).await?],
            Some(Action::Cancel { id }) => vec![client.cancel_job(id).await?],
        };
        output.result(&Shown(jobs.iter().map(ShownJob::new).collect()))
    }
}

/// Lets a server do some work, and follows it; what came of it.
///
/// # Errors
/// The work's own; `Conflict` when it was cancelled or runs already.
pub async fn run<T: DeserializeOwned>(output: Output, client: &Client, work: Work) -> Result<T> {
    let job = client.start_job(work).await?;
    let mut following = pin!(follow(output, client, job.id));
    let ended = match tokio::time::timeout(SHORT, &mut following).await {
        Ok(ended) => ended?,
        Err(_) => {
            let url = client.url();
            output.say(format!("job {} at {url}; it goes on without this command", job.id));
            following.await?
        }
    };
    outcome(ended)
}

async fn follow(output: Output, client: &Client, id: u64) -> Result<Job> {
    let mut shown = Instant::now();
    let show = |job: &Job| {
        if let Some(progress) = &job.progress
            && shown.elapsed() >= LINE_INTERVAL
        {
            shown = Instant::now();
            output.say(format!("{}: {}", progress.view, how_far(progress)));
        }
    };
    client.watch_job(id, show).await
}

/// What is done with a view, and how far that is.
fn how_far(progress: &JobProgress) -> String {
    let facts = counted(progress.rows, "fact");
    let stage = match progress.stage() {
        JobStage::Unspecified | JobStage::Reading => {
            let left = progress.seconds_left.filter(|left| left.is_finite());
            let left = left.map(|left| Duration::from_secs_f64(left.clamp(0.0, 1e9)));
            return format!(
                "{facts} so far, of {}, {}{}",
                counted(progress.rows_total, "row"),
                rate(progress.rows_per_second),
                left.map(|left| format!(", {} left", span(left))).unwrap_or_default()
            );
        }
        JobStage::Sorting => Stage::Sorting,
        JobStage::Writing => Stage::Writing { done: progress.parts_done, parts: progress.parts },
        JobStage::Committing => Stage::Committing,
    };
    format!("{stage}, {facts}")
}

/// Jobs as they are shown.
#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Vec<ShownJob>);

#[derive(Serialize)]
struct ShownJob {
    id: u64,
    what: String,
    state: &'static str,
    started_at: String,
    ended_at: Option<String>,
    /// The one that is worked on, or was last.
    view: String,
    /// All that were worked on, once it is done.
    views: Vec<String>,
    rows: u64,
    rows_total: u64,
    error: Option<String>,
}

/// What came of a job in one view, as far as a list of jobs shows it.
#[derive(Deserialize)]
struct OfView {
    view: String,
    /// Of a materialization.
    #[serde(default)]
    facts: u64,
    /// Of a copy.
    #[serde(default)]
    rows: u64,
}

impl ShownJob {
    /// The views in a cell of a table.
    fn shown_views(&self) -> String {
        match self.views.as_slice() {
            [] => self.view.clone(),
            views => {
                let more = views.len().saturating_sub(VIEWS_SHOWN);
                let shown = views[..views.len() - more].join(", ");
                if more == 0 { shown } else { format!("{shown} and {more} more") }
            }
        }
    }

    fn new(job: &Job) -> Self {
        let progress = job.progress.clone().unwrap_or_default();
        let done: Vec<OfView> = serde_json::from_str(&job.result_json).unwrap_or_default();
        let rows: u64 = done.iter().map(|view| view.facts + view.rows).sum();
        let (rows, rows_total) = match done.is_empty() {
            true => (progress.rows, progress.rows_total),
            false => (rows, rows),
        };
        Self {
            id: job.id,
            what: job.what.clone(),
            state: match job.state() {
                JobState::Running => "running",
                JobState::Done => "done",
                JobState::Failed => "failed",
                JobState::Cancelled => "cancelled",
                JobState::Unspecified => "unknown",
            },
            started_at: format_timestamp(job.started_at_micros),
            ended_at: job.ended_at_micros.map(format_timestamp),
            view: progress.view,
            views: done.into_iter().map(|view| view.view).collect(),
            rows,
            rows_total,
            error: (!job.error.is_empty()).then(|| job.error.clone()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no job has been started");
        }
        let mut grid = Grid::new([
            ("job", Side::Number),
            ("what", Side::Text),
            ("state", Side::Text),
            ("views", Side::Text),
            ("rows", Side::Number),
            ("of", Side::Number),
            ("started", Side::Text),
            ("ended", Side::Text),
            ("error", Side::Text),
        ]);
        for job in &self.0 {
            grid.row([
                job.id.to_string(),
                job.what.clone(),
                job.state.to_owned(),
                job.shown_views(),
                count(job.rows),
                count(job.rows_total),
                job.started_at.clone(),
                job.ended_at.clone().unwrap_or_default(),
                job.error.clone().unwrap_or_default(),
            ]);
        }
        grid.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_done_shows_all_its_views_and_when_it_ended() {
        let results = ["a", "b", "c", "d"].map(|view| format!(r#"{{"view":"{view}","facts":2}}"#));
        let mut job = Job {
            id: 7,
            what: String::from("materialize"),
            ended_at_micros: Some(1_000_000),
            progress: Some(JobProgress { view: String::from("d"), rows: 2, ..Default::default() }),
            result_json: format!("[{}]", results.join(",")),
            ..Job::default()
        };
        job.set_state(JobState::Done);
        let shown = Shown(vec![ShownJob::new(&job)]);
        assert_eq!(shown.0[0].rows, 8);
        let table = shown.to_string();
        for words in ["a, b, c and 1 more", "1970-01-01T00:00:01Z"] {
            assert!(table.contains(words), "{table}");
        }
        // Of one that runs, the view that it works on.
        job.result_json = String::new();
        assert_eq!(ShownJob::new(&job).shown_views(), "d");
    }
}
