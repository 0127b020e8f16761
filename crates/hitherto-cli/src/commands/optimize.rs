//! `hitherto optimize`: copies of sources in the layout that reads fastest.

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use hitherto_core::Result;
use hitherto_engine::{OptimizeMode, OptimizeReport};
use serde::Serialize;

use crate::grid::{Grid, Side};
use crate::numbers::{bytes, count, counted, span};
use crate::output::Output;
use crate::session::Session;

/// At most one line a view in this time.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Write copies of views' facts, laid out for training sets
///
/// Reads a view's whole source once, sorts its facts by period and entity, and
/// writes them into the store's folder, about as large as the source. Training
/// sets then read the copy, with the same values bit for bit. Sources stay as they
/// are: files that come later are read beside the copy, and once a copied file
/// changes, the source is read again until the view is optimized anew.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto optimize lactate heart_rate\n  \
    hitherto optimize --all           every view whose source changed\n  \
    hitherto optimize lactate --full  anew, also if nothing changed")]
pub struct Optimize {
    /// Feature views
    #[arg(value_name = "VIEW", required_unless_present = "all", conflicts_with = "all")]
    views: Vec<String>,
    /// All feature views
    #[arg(long)]
    all: bool,
    /// Write the copy anew, also if it covers the source as it is
    #[arg(long)]
    full: bool,
}

impl Optimize {
    /// Writes copies and shows what they took.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or a source without files, `Conflict` when
    /// another process holds the store or a source changes meanwhile.
    pub async fn run(self, session: &Session) -> Result<()> {
        let output = session.output();
        let engine = session.open_applied()?;
        let mode = match self.full {
            true => OptimizeMode::Full,
            false => OptimizeMode::IfChanged,
        };
        let views = match self.all {
            true => engine.catalog().views.iter().map(|view| view.name().to_owned()).collect(),
            false => self.views,
        };
        let mut done = Vec::with_capacity(views.len());
        for view in views {
            let begun = Instant::now();
            let mut shown = begun;
            let progress = |rows| say_progress(output, &view, rows, &mut shown);
            let report = engine.optimize(&view, mode, progress).await?;
            let took = begun.elapsed();
            if !report.is_up_to_date {
                let facts = counted(report.rows, "fact");
                output.say(format!("{view}: {facts} in {}", span(took)));
            }
            done.push(Done { report, seconds: took.as_secs_f64() });
        }
        output.result(&Shown(done))
    }
}

fn say_progress(output: Output, view: &str, rows: u64, shown: &mut Instant) {
    if shown.elapsed() >= LINE_INTERVAL {
        *shown = Instant::now();
        output.say(format!("{view}: {} so far", counted(rows, "fact")));
    }
}

/// What happened to one view, and how long it took.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    report: OptimizeReport,
    seconds: f64,
}

/// What happened to each view.
#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Vec<Done>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut grid = Grid::new([
            ("view", Side::Text),
            ("copy", Side::Text),
            ("facts", Side::Number),
            ("source files", Side::Number),
            ("source", Side::Number),
            ("copy files", Side::Number),
            ("size", Side::Number),
            ("took", Side::Number),
        ]);
        for Done { report, seconds } in &self.0 {
            let copy = if report.is_up_to_date { "up to date" } else { "written" };
            grid.row([
                report.view.clone(),
                copy.to_owned(),
                count(report.rows),
                count(report.source_files),
                bytes(report.source_bytes),
                count(report.files),
                bytes(report.bytes),
                span(Duration::from_secs_f64(*seconds)),
            ]);
        }
        grid.fmt(f)
    }
}
