//! `hitherto plan`: what apply would change.

use std::fmt;

use clap::Args;
use hitherto_client::Changes;
use hitherto_core::Result;
use hitherto_core::definition::diff::{self, Change};
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::session::Session;

/// Show what apply would change
///
/// Loads every definition of the repository, checks it against the columns and
/// types of its source, and compares all of them with what is applied. Every
/// problem is shown at once, with file and line. Nothing is changed, and
/// nothing is created where there is no store yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto plan --repo my-features\n  \
    hitherto plan --server http://127.0.0.1:7411   # of its own repository")]
pub struct Plan {
    /// Let this server compare the definitions in its repository, as they are now
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Plan {
    /// Shows the plan.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definitions, `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let Changes { changes, catalog_version, warnings } = match &self.server {
            None => {
                let plan = session.plan().await?;
                let (catalog_version, warnings) = (plan.catalog_version, plan.warnings);
                Changes { changes: plan.changes, catalog_version, warnings }
            }
            Some(url) => self.shown.connect(url).await?.plan().await?,
        };
        let output = session.output();
        output.result(&Shown { catalog_version, changes: &changes, warnings: &warnings })?;
        output.warn(&warnings);
        Ok(())
    }
}

/// A plan as text or JSON.
#[derive(Serialize)]
pub struct Shown<'a> {
    /// The version of the catalog that it was made against.
    pub catalog_version: u64,
    /// What would change.
    pub changes: &'a [Change],
    /// What may not be meant.
    pub warnings: &'a [String],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        diff::Plan(self.changes).fmt(f)
    }
}
