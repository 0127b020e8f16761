//! `hitherto materialize`: source files to rows that lookups read.

use std::fmt;

use clap::Args;
use hitherto_api::{MaterializeMode, MaterializeRequest, Materialized, TimeRange};
use hitherto_client::{MaterializeWork, Work};
use hitherto_core::Result;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::commands::jobs;
use crate::credentials::ShownToServer;
use crate::grid::{Grid, Side};
use crate::numbers::{bytes, count, counted};
use crate::output::Output;
use crate::progress;
use crate::session::Session;

/// Bring source files into the online store
///
/// Reads the files that are new or changed since the last run and puts each
/// entity's newest fact, and its history where a view keeps one, where lookups
/// find them. Any order and any number of runs give the same rows; readers see
/// a view's new copy all at once. Facts with a null join key or without an event
/// time answer nothing: they are left out, and counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto materialize                  # new files of every view\n  \
    hitherto materialize lactate --full   # all of one view, as a new generation\n  \
    hitherto materialize lactate --from 2026-01-01   # recent facts first")]
pub struct Materialize {
    /// Feature views; all of them if none is named
    #[arg(value_name = "VIEW")]
    views: Vec<String>,
    /// Read every file again, into a new generation that replaces the old one
    #[arg(long)]
    full: bool,
    /// Only facts that happened from here on. No file counts as read by that: the next
    /// run without --from and --to reads what it would have read
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp, conflicts_with = "full")]
    from: Option<i64>,
    /// Only facts that happened up to here
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp, conflicts_with = "full")]
    to: Option<i64>,
    /// Show a new generation even if it differs from the old by more than
    /// online.maxChange of its view allows
    #[arg(long)]
    force: bool,
    /// Let this server do it instead, as a job that goes on without this command
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Materialize {
    /// Materializes and shows what was done.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or a source without files, `Conflict`
    /// when another process holds the store.
    pub async fn run(self, session: &Session) -> Result<()> {
        let output = session.output();
        if let Some(url) = &self.server {
            let work = MaterializeWork {
                views: self.views,
                full: self.full,
                force: self.force,
                from_micros: self.from,
                to_micros: self.to,
            };
            let client = self.shown.connect(url).await?;
            let done: Vec<Materialized> =
                jobs::run(output, &client, Work::Materialize(work)).await?;
            return show(output, &done);
        }
        let engine = session.open_applied()?;
        let mode = match self.full {
            true => MaterializeMode::Full,
            false => MaterializeMode::Incremental,
        };
        let window = TimeRange::between(self.from, self.to);
        let request = MaterializeRequest { views: self.views, mode, force: self.force, window };
        let done = {
            let progress = progress::on(output);
            engine.materialize(session.grant(), &request, session.now(), &*progress).await?
        };
        show(output, &done)
    }
}

/// Shows what happened, and what may not have been meant.
fn show(output: Output, done: &[Materialized]) -> Result<()> {
    output.result(&Shown(done))?;
    done.iter().for_each(|done| output.warn(&done.warnings));
    Ok(())
}

/// What happened to each view.
pub struct Shown<'a>(pub &'a [Materialized]);

impl Serialize for Shown<'_> {
    /// As the engine says it, with the watermark as written everywhere.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut views = serializer.serialize_seq(Some(self.0.len()))?;
        for done in self.0 {
            let mut view = serde_json::to_value(done).map_err(serde::ser::Error::custom)?;
            view["watermark"] = json!(done.watermark.map(format_timestamp));
            views.serialize_element(&view)?;
        }
        views.end()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut grid = Grid::new([
            ("view", Side::Text),
            ("read", Side::Text),
            ("files", Side::Number),
            ("facts", Side::Number),
            ("left out", Side::Number),
            ("entities", Side::Number),
            ("history rows", Side::Number),
            ("written", Side::Number),
            ("watermark", Side::Text),
        ]);
        for done in self.0 {
            let read = match (done.is_up_to_date, done.mode) {
                (true, _) => "nothing new",
                (false, MaterializeMode::Full) => "all files",
                (false, MaterializeMode::Incremental) => "new files",
            };
            grid.row([
                done.view.clone(),
                read.to_owned(),
                count(done.files),
                count(done.facts),
                count(done.facts_without_time + done.facts_without_key),
                count(done.entities),
                count(done.history_rows),
                bytes(done.file_bytes),
                done.watermark.map(format_timestamp).unwrap_or_default(),
            ]);
        }
        grid.fmt(f)?;
        let sum = |count: fn(&Materialized) -> u64| self.0.iter().map(count).sum::<u64>();
        match (sum(|done| done.facts_without_key), sum(|done| done.facts_without_time)) {
            (0, 0) => Ok(()),
            (without_key, without_time) => write!(
                f,
                "\n\nleft out: {} with a null join key, {} without an event time",
                counted(without_key, "fact"),
                count(without_time)
            ),
        }
    }
}
