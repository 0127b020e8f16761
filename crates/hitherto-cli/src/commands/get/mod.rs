//! `hitherto get`: feature values of a few entities, here or from a server.

pub mod answer;
pub mod keys;

use clap::Args;
use hitherto_api::LookupRequest;
use hitherto_core::Result;
use hitherto_core::catalog::Catalog;
use hitherto_core::time::parse_timestamp;
use hitherto_engine::Access;
use hitherto_engine::selection::Resolved;

use crate::credentials::ShownToServer;
use crate::selected::Selected;
use crate::session::Session;
use answer::Answer;
use keys::KeyArgument;

/// Look up feature values
///
/// Answers with what was known at a moment: now, or --as-of any moment back to
/// each view's horizon (`hitherto inspect` shows it). A feature without a value
/// says why: NULL (the fact has none), NOT_FOUND (no fact is known), EXPIRED
/// (the newest one is older than the view's ttl). Reads the repository's store,
/// beside a running server, or asks a server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto get --service fraud_v1 customer_id=1,2,3\n  \
    hitherto get --features 'risk:*' customer_id=1,2 amount=99.90,12.50\n  \
    hitherto get --features 'lactate:*' hospitalization_id=20044587 \\\n    \
    --as-of 2113-08-25T18:00:00Z --times\n  \
    hitherto get --service fraud_v1 customer_id=1 --server http://127.0.0.1:7411")]
pub struct Get {
    #[command(flatten)]
    selected: Selected,
    /// Join keys with their values, one for each entity; \, is a comma in a value. None for views
    /// without an entity. Fields of the request that on-demand views read are written alike
    #[arg(value_name = "KEY=VALUE[,VALUE...]")]
    keys: Vec<KeyArgument>,
    /// Answer as if it were this time, such as 2180-07-23T17:36:00Z
    #[arg(long, alias = "at", value_name = "TIME", value_parser = parse_timestamp)]
    as_of: Option<i64>,
    /// Also show when each fact happened and when it was known
    #[arg(long)]
    times: bool,
    /// Ask this server instead of the repository
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Get {
    /// Looks up and shows the answer.
    ///
    /// # Errors
    /// `NotFound` for an unknown service or feature, `Invalid` for wrong keys
    /// or a time before a view's horizon, `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let store = session.store(self.server.as_deref(), &self.shown, Access::ReadOnly).await?;
        let request = self.request(&*store.catalog().await?)?;
        let lookup = store.lookup(&request).await?;
        session.output().result(&Answer::new(&request.keys, &lookup)?)
    }

    /// The request, its keys read as what the catalog says of them.
    fn request(&self, catalog: &Catalog) -> Result<LookupRequest> {
        let selection = self.selected.selection()?;
        let resolved = Resolved::published(catalog, &selection)?;
        let views = &resolved.views;
        let type_of = |name: &str| {
            let mut keys = views.iter().flat_map(|view| &view.keys);
            keys.find(|key| key.name == name).map(|key| key.data_type.clone())
        };
        let is_brought = |argument: &KeyArgument| {
            let mut fields = resolved.request();
            type_of(argument.name()).is_none() && fields.any(|field| field.name == argument.name())
        };
        let (brought, keys): (Vec<_>, Vec<_>) = self.keys.iter().cloned().partition(is_brought);
        let keys = keys::columns(&keys, type_of)?;
        let request = keys::brought(&brought, resolved.request())?;
        let (as_of, with_times) = (self.as_of, self.times);
        Ok(LookupRequest { selection, keys, request, as_of, with_times })
    }
}
