//! `hitherto optimize`: copies of sources in the layout that reads fastest.

use std::fmt;

use clap::Args;
use hitherto_api::{OptimizeMode, OptimizeReport};
use hitherto_client::{OptimizeWork, Work};
use hitherto_core::{Error, Result};
use serde::Serialize;

use crate::commands::jobs;
use crate::credentials::ShownToServer;
use crate::grid::{Grid, Side};
use crate::numbers::{bytes, count};
use crate::progress;
use crate::session::Session;

/// Write copies of views' facts, laid out for training sets
///
/// Reads a view's whole source once, sorts its facts by period and entity, and
/// writes them into the store's folder, about as large as the source. Training
/// sets then read the copy, with the same values bit for bit. Sources stay as they
/// are: files that come later are read beside the copy, and once a copied file
/// changes, the source is read again until the view is optimized anew. While a server
/// holds the store, let it write them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto optimize lactate heart_rate\n  \
    hitherto optimize --all            # every view whose source changed\n  \
    hitherto optimize lactate --full   # anew, also if nothing changed\n  \
    hitherto optimize --all --server http://127.0.0.1:7411")]
pub struct Optimize {
    /// Feature views, at least one without --all
    #[arg(value_name = "VIEW", conflicts_with = "all")]
    views: Vec<String>,
    /// All feature views
    #[arg(long)]
    all: bool,
    /// Write the copy anew, also if it covers the source as it is
    #[arg(long)]
    full: bool,
    /// Let this server do it instead, as a job that goes on without this command
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Optimize {
    /// Writes copies and shows what they took.
    ///
    /// # Errors
    /// `Invalid` when nothing is named, `NotFound` for an unknown view or a source without
    /// files, `Conflict` when another process holds the store or a source changes meanwhile.
    pub async fn run(self, session: &Session) -> Result<()> {
        let output = session.output();
        let Self { views, all, full, server, shown } = self;
        if views.is_empty() && !all {
            return Err(Error::invalid(
                "no feature view is named; name one, or take all of them with --all",
            ));
        }
        // All of them are none that is named.
        let done = match server {
            Some(url) => {
                let client = shown.connect(&url).await?;
                jobs::run(output, &client, Work::Optimize(OptimizeWork { views, full })).await?
            }
            None => {
                let engine = session.open_applied()?;
                let mode = if full { OptimizeMode::Full } else { OptimizeMode::IfChanged };
                let progress = progress::on(output);
                engine.optimize_all(session.grant(), &views, mode, &*progress).await?
            }
        };
        output.result(&Shown(done))
    }
}

/// What happened to each view.
#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Vec<OptimizeReport>);

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
        ]);
        for report in &self.0 {
            let copy = if report.is_up_to_date { "up to date" } else { "written" };
            grid.row([
                report.view.clone(),
                copy.to_owned(),
                count(report.rows),
                count(report.source_files),
                bytes(report.source_bytes),
                count(report.files),
                bytes(report.bytes),
            ]);
        }
        grid.fmt(f)
    }
}
