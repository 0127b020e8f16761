//! `hitherto plan`: what apply would change.

use std::fmt;

use clap::Args;
use hitherto_core::Result;
use hitherto_core::definition::diff;
use hitherto_engine as engine;
use serde::Serialize;

use crate::session::Session;

/// Show what apply would change
///
/// Loads every definition of the repository, checks it against the columns and
/// types of its source, and compares all of them with what is applied. Every
/// problem is shown at once, with file and line. Nothing is changed, and
/// nothing is created where there is no store yet.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto plan --repo my-features")]
pub struct Plan {}

impl Plan {
    /// Shows the plan.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definitions.
    pub async fn run(self, session: &Session) -> Result<()> {
        session.output().result(&Shown(&session.plan().await?))
    }
}

/// A plan as text or JSON.
#[derive(Serialize)]
pub struct Shown<'a>(pub &'a engine::Plan);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        diff::Plan(&self.0.changes).fmt(f)
    }
}
