//! `hitherto rollback`: back to a view's previous generation.

use std::fmt;

use clap::Args;
use hitherto_api::RolledBack;
use hitherto_core::Result;
use hitherto_engine::Access;
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::session::Session;

/// Go back to a view's previous online copy
///
/// Building a new generation (`hitherto materialize --full`, or because a source file
/// changed) leaves the one before it in place. This makes lookups read that one again,
/// at once; facts that were pushed since are in it too. Doing it twice changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto rollback lactate")]
pub struct Rollback {
    /// The feature view
    #[arg(value_name = "VIEW")]
    view: String,
    /// Let this server go back instead
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Rollback {
    /// Goes back and says to what.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or one without a previous generation, `Conflict`
    /// when another process holds the store.
    pub async fn run(self, session: &Session) -> Result<()> {
        let store = session.store(self.server.as_deref(), &self.shown, Access::ReadWrite).await?;
        session.output().result(&Shown(store.rollback(&self.view).await?))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(RolledBack);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RolledBack { view, from, to } = &self.0;
        writeln!(f, "{view}: lookups read generation {to} again, and no more generation {from}")
    }
}
