//! `hitherto apply`: the repository's definitions become the catalog.

use std::fmt;

use clap::Args;
use hitherto_client::Changes;
use hitherto_core::Result;
use hitherto_core::definition::diff::{self, Action, Change, Effect};
use hitherto_engine::{Access, Engine, Plan};
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::session::Session;

/// Apply the repository's definitions
///
/// Shows the plan and applies it in one write: all of it, or with any problem
/// nothing. A changed view becomes a new version; until that is materialized,
/// lookups read the copy of the old one, as the old one. Look before with
/// `hitherto plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto apply && hitherto materialize")]
pub struct Apply {
    /// Apply the definitions in this server's repository instead
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Apply {
    /// Plans and applies.
    ///
    /// # Errors
    /// `Invalid` with every problem of the definitions, `Conflict` when another
    /// process holds or has just changed the store.
    pub async fn run(self, session: &Session) -> Result<()> {
        let output = session.output();
        let Changes { changes, catalog_version, warnings } = match &self.server {
            None => apply_here(session).await?,
            Some(url) => self.shown.connect(url).await?.apply(None).await?,
        };
        let applied = Applied { changes: &changes, catalog_version, warnings: &warnings };
        output.result(&applied)?;
        output.warn(&warnings);
        if applied.has_rows_to_build() {
            output.say(match &self.server {
                None => String::from("next: hitherto materialize"),
                Some(url) => format!("next: hitherto materialize --server {url}"),
            });
        }
        Ok(())
    }
}

async fn apply_here(session: &Session) -> Result<Changes> {
    if !session.has_store()? {
        let plan = session.plan().await?;
        return match plan.is_empty() {
            true => Ok(unchanged(plan)),
            false => apply_in(&session.open(Access::ReadWrite)?, plan, session).await,
        };
    }
    match session.open(Access::ReadWrite) {
        Ok(engine) => {
            let plan = engine.plan(session.grant()).await?;
            apply_in(&engine, plan, session).await
        }
        // Where somebody else has the store there may be nothing to change all the same.
        Err(refused) => match session.plan().await? {
            plan if plan.is_empty() => Ok(unchanged(plan)),
            _ => Err(refused),
        },
    }
}

async fn apply_in(engine: &Engine, plan: Plan, session: &Session) -> Result<Changes> {
    let applied = engine.apply(session.grant(), &plan, session.now()).await?;
    Ok(Changes { catalog_version: applied.version, ..unchanged(plan) })
}

/// What a plan says, with the version that it was made against.
fn unchanged(plan: Plan) -> Changes {
    let Plan { changes, catalog_version, warnings, .. } = plan;
    Changes { changes, catalog_version, warnings }
}

/// What was applied.
#[derive(Serialize)]
struct Applied<'a> {
    changes: &'a [Change],
    catalog_version: u64,
    warnings: &'a [String],
}

impl Applied<'_> {
    /// Whether some view's rows have to be built before it answers.
    fn has_rows_to_build(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.effect == Effect::Rematerialize && change.action != Action::Delete)
    }
}

impl fmt::Display for Applied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changes, catalog_version, .. } = self;
        let ending = if changes.is_empty() { "" } else { "\napplied" };
        write!(f, "{}{ending}: catalog version {catalog_version}", diff::Plan(changes))
    }
}
