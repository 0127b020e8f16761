//! `hitherto push`: facts from a file, at once visible to lookups.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hitherto_api::{Ack, PushRequest, Pushed, content_key};
use hitherto_core::Result;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::time::{format_duration, format_timestamp};
use hitherto_engine::Access;
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::numbers::counted;
use crate::session::Session;
use crate::spine::Spine;

/// Push facts into a view, for lookups at once and for training sets
///
/// Takes a Parquet file with the view's join keys and features under their own names,
/// and times under the names that the view's source has for them. Without a column of
/// known times the facts are known from now on: no row of a training set before now sees
/// them, however long ago they happened. A fact replaces another only if it is newer, so
/// pushing late does no harm. Pushed again, the same file changes nothing and keeps the
/// known time that it was given first; under another --idempotency-key its facts are
/// stated anew. They are kept beside the view's source: no materialization takes them
/// away.
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
    /// Name this push: pushed again under the same name, the same facts change nothing, and
    /// other facts are refused [default: a name made of the facts; "" is no name]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
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
        let store = session.store(self.server.as_deref(), &self.shown, Access::ReadWrite).await?;
        let pushed = store.push(&requests).await?;
        session.output().result(&Shown::new(self.view, &pushed))
    }

    /// The file's facts in batches, each named after its place if the push has a name.
    fn requests(&self) -> Result<Vec<PushRequest>> {
        let batches = Spine::read(&self.file)?.batches.into_iter().enumerate();
        let requests = batches.map(|(number, facts)| {
            let idempotency_key = match self.idempotency_key.as_deref() {
                Some("") => String::new(),
                // The batches of a file are the same whenever it is read.
                Some(key) => format!("{key}/{BATCH_ROWS}/{number}"),
                None => content_key(&facts)?,
            };
            Ok(PushRequest {
                view: self.view.clone(),
                facts,
                idempotency_key,
                ack: self.ack.into(),
            })
        });
        requests.collect()
    }
}

/// What was pushed.
#[derive(Serialize)]
struct Shown {
    view: String,
    facts: u64,
    /// Facts of batches that had been pushed before.
    facts_repeated: u64,
    /// From when on those are known that brought no known time.
    known_from: Option<String>,
    /// See [`Pushed::clock_off_micros`]; of the batches the one that was most off.
    clock_off_micros: i64,
}

impl Shown {
    fn new(view: String, pushed: &[Pushed]) -> Self {
        let repeated = pushed.iter().filter(|pushed| pushed.is_repeated);
        Self {
            view,
            facts: pushed.iter().map(|pushed| pushed.facts).sum(),
            facts_repeated: repeated.map(|pushed| pushed.facts).sum(),
            known_from: pushed
                .iter()
                .filter_map(|pushed| pushed.known_from)
                .max()
                .map(format_timestamp),
            clock_off_micros: pushed
                .iter()
                .map(|pushed| pushed.clock_off_micros)
                .max_by_key(|off| off.unsigned_abs())
                .unwrap_or(0),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, facts, facts_repeated, known_from, clock_off_micros } = self;
        match (facts - facts_repeated, facts_repeated) {
            (new, 0) => write!(f, "{view}: {} pushed", counted(new, "fact"))?,
            (0, again) => {
                let again = counted(*again, "fact");
                write!(f, "{view}: nothing new: {again} had been pushed under this key before")?;
            }
            (new, again) => write!(
                f,
                "{view}: {} pushed; {} had been pushed under this key before",
                counted(new, "fact"),
                counted(*again, "fact")
            )?,
        }
        if let Some(known_from) = known_from {
            write!(f, ", known from {known_from} on")?;
        }
        writeln!(f)?;
        let off = format_duration(clock_off_micros.saturating_abs());
        match clock_off_micros.signum() {
            -1 => writeln!(
                f,
                "the clock is {off} behind the known times that were given to facts before, so \
                 these were given the last of those: set the clock"
            ),
            1 => writeln!(
                f,
                "the clock is {off} ahead of the facts pushed before: if it is wrong, set it now, \
                 for no fact will be known before these"
            ),
            _ => Ok(()),
        }
    }
}
