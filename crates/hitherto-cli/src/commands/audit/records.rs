//! `hitherto audit export` and `find`: the records of a log.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::{Error, Result};
use hitherto_trust::audit::{EntityKeys, KeyText, Record, read};
use serde::Serialize;

use super::Folder;
use crate::grid::{Grid, Side};
use crate::numbers::counted;
use crate::session::Session;

/// Write the records of an audit log as JSON, a line each
///
/// To stdout, oldest first. Every byte is compared with the chain on the way; whether the chain
/// is the one that was signed says `hitherto audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    hitherto audit export --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z > q1.jsonl")]
pub struct Export {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    times: Times,
}

/// Show the records of an audit log that are about somebody, or by somebody
///
/// With --entity and --key: who looked at this patient. Records have keyed hashes of entities,
/// so that takes the keys that the server hashed with. Of a call about very many entities not
/// all are listed: it is shown as possible.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto audit find --entity stay --key hospitalization_id=23559586\n  \
    hitherto audit find --who token/serving-prod --method push --from 2026-11-01T00:00:00Z")]
pub struct Find {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    times: Times,
    /// The entity's name, as it is defined
    #[arg(long, value_name = "NAME", requires = "key")]
    entity: Option<String>,
    /// One of its join keys; give each of them
    #[arg(long, value_name = "NAME=VALUE", requires = "entity")]
    key: Vec<String>,
    /// The folder of the keys; otherwise audit.keys of hitherto.yaml
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Who asked, such as token/serving-prod
    #[arg(long, value_name = "CALLER")]
    who: Option<String>,
    /// What was called, such as lookup
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// How it ended: ok, or the kind of error
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// At most so many records, the first of them
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Times {
    /// Records of this time and later
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    from: Option<i64>,
    /// Records before this time
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    to: Option<i64>,
}

impl Times {
    fn has(&self, record: &Record) -> bool {
        self.from.is_none_or(|from| record.time >= from)
            && self.to.is_none_or(|to| record.time < to)
    }
}

/// A record with its number.
#[derive(Serialize)]
struct Numbered {
    number: u64,
    #[serde(flatten)]
    record: Record,
}

impl Export {
    /// Writes them.
    ///
    /// # Errors
    /// `NotFound` where there is no log, `Corrupt` where it is not as it was written.
    pub fn run(self, session: &Session) -> Result<()> {
        let records = read(&self.folder.path(session)?)?;
        let asked =
            records.filter(|read| read.as_ref().map_or(true, |(_, record)| self.times.has(record)));
        session.output().lines(asked.map(|read| {
            let (number, record) = read?;
            serde_json::to_string(&Numbered { number, record }).map_err(|cause| {
                Error::internal("a record cannot be written as JSON").with_source(cause)
            })
        }))
    }
}

impl Find {
    /// Shows them.
    ///
    /// # Errors
    /// As [`Export::run`]; `NotFound` when no key is there to ask about an entity with.
    pub fn run(self, session: &Session) -> Result<()> {
        let asked = self.asked(session)?;
        let mut found = Found::default();
        for read in read(&self.folder.path(session)?)? {
            let (number, record) = read?;
            if !self.is_asked_for(&record) {
                continue;
            }
            let is_about = asked.as_ref().map(|asked| asked.is_about(&record)).transpose()?;
            let is_certain = match is_about {
                None | Some(Some(true)) => true,
                Some(None) => false,
                Some(Some(false)) => continue,
            };
            if found.records.len() == self.limit {
                found.has_more = true;
                break;
            }
            found.records.push(Match { is_certain, found: Numbered { number, record } });
        }
        session.output().result(&found)
    }

    fn is_asked_for(&self, record: &Record) -> bool {
        let is_same = |asked: &Option<String>, found: &str| {
            asked.as_deref().is_none_or(|asked| asked == found)
        };
        self.times.has(record)
            && is_same(&self.who, &record.caller)
            && is_same(&self.method, &record.method)
            && is_same(&self.outcome, &record.outcome)
    }

    fn asked(&self, session: &Session) -> Result<Option<Asked>> {
        let Some(entity) = self.entity.clone() else { return Ok(None) };
        let folder = match &self.keys {
            Some(keys) => keys.clone(),
            None => session.config()?.audit.within(session.root()).keys,
        };
        let parse = |text: &String| {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Error::invalid(format!(
                    "--key {text:?} has no value; write NAME=VALUE, such as stay_id=42"
                ))
            })?;
            Ok((name.to_owned(), KeyText::typed(value)))
        };
        let mut values: Vec<_> = self.key.iter().map(parse).collect::<Result<_>>()?;
        values.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(Asked { entity, values, keys: EntityKeys::new(&folder) }))
    }
}

/// The entity that is asked about.
struct Asked {
    entity: String,
    values: Vec<(String, KeyText)>,
    keys: EntityKeys,
}

impl Asked {
    /// Whether a record is about it; `None` where it does not say.
    fn is_about(&self, record: &Record) -> Result<Option<bool>> {
        if record.entities == 0 {
            return Ok(Some(false));
        }
        let Some(key) = self.keys.kept(record.time)? else {
            // Whoever removed the key cut what was recorded from whom it was about.
            return Ok(None);
        };
        let values = self.values.iter().map(|(name, value)| (name.as_str(), value));
        Ok(record.is_about(key.hash(&self.entity, values)))
    }
}

/// What was found.
#[derive(Default, Serialize)]
struct Found {
    records: Vec<Match>,
    /// Whether there are more than were asked for.
    has_more: bool,
}

#[derive(Serialize)]
struct Match {
    /// Whether it is about the entity, and does not only count more than it lists.
    is_certain: bool,
    #[serde(flatten)]
    found: Numbered,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut grid = Grid::new([
            ("record", Side::Number),
            ("time", Side::Text),
            ("caller", Side::Text),
            ("method", Side::Text),
            ("of", Side::Text),
            ("entities", Side::Number),
            ("outcome", Side::Text),
            ("", Side::Text),
        ]);
        for Match { is_certain, found: Numbered { number, record } } in &self.records {
            let of = match (record.service.is_empty(), record.views.is_empty()) {
                (false, _) => record.service.clone(),
                (true, false) => record.views.join(", "),
                (true, true) => record.detail.clone(),
            };
            let certain = if *is_certain { "" } else { "possible" };
            grid.row([
                number.to_string(),
                format_timestamp(record.time),
                record.caller.clone(),
                record.method.clone(),
                of,
                record.entities.to_string(),
                record.outcome.clone(),
                certain.to_owned(),
            ]);
        }
        let count = counted(self.records.len() as u64, "record");
        match self.has_more {
            true => write!(f, "{grid}\n{count}, and there are more: raise --limit"),
            false => write!(f, "{grid}\n{count}"),
        }
    }
}
