//! `hitherto verify`: both sides computed and compared.

use std::fmt;

use clap::Args;
use hitherto_api::verify::{Comparison, Difference, Outcome};
use hitherto_api::{Verification, VerifyRequest};
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_engine::Access;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::credentials::ShownToServer;
use crate::grid::{Grid, Side};
use crate::numbers::{count, counted};
use crate::session::Session;

/// Check that lookups and training sets give the same values
///
/// Draws facts from each view's source, asks about their entities at moments
/// when answers change, and compares a training set over these questions with
/// the lookup of each one, bit for bit. Facts that arrived after the last
/// materialization are left out. Fails on any difference. Reads beside a running
/// server, or lets a server verify itself while it serves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto verify\n  \
    hitherto verify lactate --samples 20000 --seed 7\n  \
    hitherto verify --server http://127.0.0.1:7411")]
pub struct Verify {
    /// Feature views; all of them if none is named
    #[arg(value_name = "VIEW")]
    views: Vec<String>,
    /// Facts drawn from each view
    #[arg(long, value_name = "N", default_value_t = VerifyRequest::default().samples)]
    samples: usize,
    /// Draws the facts; another seed asks other questions
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Let this server verify itself instead of the repository
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Verify {
    /// Verifies and shows what was found.
    ///
    /// # Errors
    /// `Corrupt` when values differ, `Conflict` when views are stale; `NotFound`
    /// for an unknown view, `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let Self { views, samples, seed, server, shown } = self;
        let request = VerifyRequest { views, samples, seed };
        let store = session.store(server.as_deref(), &shown, Access::ReadOnly).await?;
        let found = store.verify(&request).await?;
        session.output().result(&Shown(&found))?;
        judge(&found)
    }
}

/// The command's outcome, after its result was shown.
fn judge(found: &Verification) -> Result<()> {
    if found.differences() > 0 {
        return Err(Error::corrupt(format!(
            "{} between lookups and training sets; `hitherto why` explains one, `hitherto \
             materialize --full` builds the online copy again",
            counted(found.differences(), "difference")
        )));
    }
    let stale = found.stale().count() as u64;
    match found.stale().next() {
        None => Ok(()),
        Some((view, reason)) => Err(Error::conflict(format!(
            "{} could not be compared, the first of them {view} ({reason}); materialize, then \
             verify again",
            counted(stale, "view")
        ))),
    }
}

/// What was found.
struct Shown<'v>(&'v Verification);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut views = Grid::new([
            ("view", Side::Text),
            ("questions", Side::Number),
            ("with a value", Side::Number),
            ("values", Side::Number),
            ("differences", Side::Number),
            ("horizon", Side::Text),
        ]);
        let mut differences = Grid::new([
            ("feature", Side::Text),
            ("entity", Side::Text),
            ("as of", Side::Text),
            ("training set", Side::Number),
            ("lookup", Side::Number),
        ]);
        let mut notes = Vec::new();
        for view in &self.0.views {
            match &view.outcome {
                Outcome::Skipped => {
                    notes.push(format!("{}: skipped, nothing is online", view.view))
                }
                Outcome::Stale { reason } => notes.push(format!("{}: stale, {reason}", view.view)),
                Outcome::Compared(comparison) => {
                    let Comparison { pairs, pairs_with_value, values, .. } = *comparison;
                    views.row([
                        view.view.clone(),
                        count(pairs),
                        count(pairs_with_value),
                        count(values),
                        count(comparison.differences),
                        format_timestamp(comparison.horizon),
                    ]);
                    for difference in &comparison.first {
                        differences.row(cells(difference));
                    }
                }
            }
        }
        if notes.len() < self.0.views.len() {
            writeln!(f, "{views}\n")?;
        }
        if self.0.differences() > 0 {
            writeln!(f, "{differences}\n")?;
        }
        notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let values = counted(self.0.values(), "value");
        write!(f, "{} in {values}", counted(self.0.differences(), "difference"))
    }
}

fn cells(difference: &Difference) -> [String; 5] {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| String::from("null"));
    [
        difference.feature.clone(),
        difference.entity.clone(),
        format_timestamp(difference.at),
        value(&difference.offline),
        value(&difference.online),
    ]
}

impl Serialize for Shown<'_> {
    /// As the engine says it, with times as written everywhere.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let views = self.0.views.iter().map(|view| {
            let mut written = serde_json::to_value(view).map_err(serde::ser::Error::custom)?;
            if let Outcome::Compared(comparison) = &view.outcome {
                written["horizon"] = json!(format_timestamp(comparison.horizon));
                let first = comparison.first.iter();
                for (index, difference) in first.enumerate() {
                    written["first"][index]["at"] = json!(format_timestamp(difference.at));
                }
            }
            Ok(written)
        });
        json!({
            "views": views.collect::<Result<Vec<Value>, S::Error>>()?,
            "values": self.0.values(),
            "differences": self.0.differences(),
        })
        .serialize(serializer)
    }
}
