//! `hitherto why`: which fact answers or which events count, and why the others do not.

mod shown;
mod words;

use clap::Args;
use hitherto_api::WhyRequest;
use hitherto_core::Result;
use hitherto_core::catalog::Registry;
use hitherto_core::definition::Known;
use hitherto_core::time::parse_timestamp;
use hitherto_engine::Access;

use crate::commands::get::keys::{self, KeyArgument};
use crate::credentials::ShownToServer;
use crate::session::Session;
pub use shown::Shown;

/// Explain a value: which fact answers, and why the others do not
///
/// Reads all facts of one entity from a view's source and says which one answers
/// at a moment and what kept those near it from answering: not known yet, not
/// happened yet, superseded, older than the ttl, deleted. Of a feature that is
/// computed of events it says which of them count. Then it asks the online store
/// the same question and says whether it agrees.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto why lactate hospitalization_id=20044587 --at 2113-08-25T18:00:00Z\n  \
    hitherto why lactate hospitalization_id=20044587 \\\n    \
    --at 2113-08-25T18:00:00Z --server http://127.0.0.1:7411\n  \
    hitherto why card:amount_sum_7d customer=17 --facts 100")]
pub struct Why {
    /// The feature view, or one of its features, as view:feature, where each is computed of
    /// events; all features of other views come from one fact
    #[arg(value_name = "VIEW[:FEATURE]")]
    of: String,
    /// Join keys with their values: one entity
    #[arg(value_name = "KEY=VALUE")]
    keys: Vec<KeyArgument>,
    /// The time in question, such as 2180-07-23T17:36:00Z; now if left out
    #[arg(long, alias = "as-of", value_name = "TIME", value_parser = parse_timestamp)]
    at: Option<i64>,
    /// The knowledge cutoff: no fact that became known later is seen
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    known_by: Option<i64>,
    /// Let event time alone decide, to reproduce an older system
    #[arg(long)]
    ignore_known_time: bool,
    /// How many facts of each sort to list; 8 if left out, at most 1000
    #[arg(long, value_name = "COUNT")]
    facts: Option<usize>,
    /// Ask this server instead of the repository
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Why {
    /// Asks and shows the explanation.
    ///
    /// # Errors
    /// `NotFound` for an unknown view, `Invalid` for keys that are not those of
    /// one entity, `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let store = session.store(self.server.as_deref(), &self.shown, Access::ReadOnly).await?;
        let request = self.request(&store.catalog().await?.registry)?;
        let explanation = store.why(&request).await?;
        session.output().result(&Shown::new(&request.keys, &explanation)?)
    }

    /// The request, its keys read as what the catalog says of them.
    fn request(&self, registry: &Registry) -> Result<WhyRequest> {
        let request = WhyRequest::new(&self.of, Vec::new());
        let view = registry.view(&request.view)?;
        let type_of = |name: &str| {
            let key = view.keys.iter().find(|key| key.name == name);
            key.map(|key| key.data_type.clone())
        };
        Ok(WhyRequest {
            keys: keys::columns(&self.keys, type_of)?,
            at: self.at,
            known_by: self.known_by,
            known: self.ignore_known_time.then_some(Known::Ignore),
            facts: self.facts,
            ..request
        })
    }
}
