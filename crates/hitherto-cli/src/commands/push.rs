//! `hitherto push`: facts from a file, at once visible to lookups.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hitherto_core::Result;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_engine::{Ack, PushRequest, Pushed};
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::numbers::counted;
use crate::session::Session;
use crate::spine::Spine;

/// Batches that are sent before their answers are waited for.
const BATCHES_AT_ONCE: usize = 64;

/// Push facts into a view, for lookups at once and for training sets
///
/// Takes a Parquet file with the view's join keys and features under their own names,
/// and times under the names that the view's source has for them. Without a column of
/// known times the facts are known from now on. A fact replaces another only if it is
/// newer, so pushing late or twice does no harm. They are kept beside the view's source:
/// no materialization takes them away.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto push lactate results.parquet\n  \
    hitherto push lactate results.parquet --idempotency-key night-42\n  \
    hitherto push lactate results.parquet --server http://127.0.0.1:7411")]
pub struct Push {
    /// The feature view
    #[arg(value_name = "VIEW")]
    view: String,
    /// A Parquet file of facts
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name this push: pushed again under the same name, the file changes nothing
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
    /// When a batch counts as pushed: on the disk, or as soon as lookups see it
    #[arg(long, value_enum, default_value_t = AckArgument::Durable)]
    ack: AckArgument,
    /// Push to this server instead of the repository
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

/// `--ack`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AckArgument {
    Durable,
    Async,
}

impl From<AckArgument> for Ack {
    fn from(ack: AckArgument) -> Self {
        match ack {
            AckArgument::Durable => Ack::Durable,
            AckArgument::Async => Ack::Async,
        }
    }
}

impl Push {
    /// Pushes a file's facts and says how many.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or file, `Invalid` for facts that do not fit,
    /// `Unavailable` while nothing of the view is online or without a server, `Conflict`
    /// when another process holds the store.
    pub async fn run(self, session: &Session) -> Result<()> {
        let requests = self.requests()?;
        let pushed = match &self.server {
            None => {
                let engine = session.open_applied()?;
                let push = |request| engine.push(request, session.now());
                requests.iter().map(push).collect::<Result<Vec<_>>>()?
            }
            Some(url) => {
                let client = self.shown.connect(url).await?;
                let mut pushed = Vec::with_capacity(requests.len());
                for requests in requests.chunks(BATCHES_AT_ONCE) {
                    pushed.extend(client.push(requests).await?);
                }
                pushed
            }
        };
        session.output().result(&Shown::new(self.view, &pushed))
    }

    /// The file's facts in batches, each named after its place if the push has a name.
    fn requests(&self) -> Result<Vec<PushRequest>> {
        let batches = Spine::read(&self.file)?.batches.into_iter().enumerate();
        let requests = batches.map(|(number, facts)| PushRequest {
            view: self.view.clone(),
            facts,
            idempotency_key: match self.idempotency_key.as_str() {
                "" => String::new(),
                // The batches of a file are the same whenever it is read.
                key => format!("{key}/{BATCH_ROWS}/{number}"),
            },
            ack: self.ack.into(),
        });
        Ok(requests.collect())
    }
}

/// What was pushed.
#[derive(Serialize)]
struct Shown {
    view: String,
    facts: u64,
    /// Facts of batches that had been pushed before.
    facts_repeated: u64,
}

impl Shown {
    fn new(view: String, pushed: &[Pushed]) -> Self {
        let repeated = pushed.iter().filter(|pushed| pushed.is_repeated);
        Self {
            view,
            facts: pushed.iter().map(|pushed| pushed.facts).sum(),
            facts_repeated: repeated.map(|pushed| pushed.facts).sum(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, facts, facts_repeated } = self;
        write!(f, "{view}: {} pushed", counted(*facts, "fact"))?;
        match facts_repeated {
            0 => writeln!(f),
            repeated => writeln!(f, ", {} of them before already", counted(*repeated, "fact")),
        }
    }
}
