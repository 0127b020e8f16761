//! A lookup's answer as a table or as JSON.

use std::fmt;

use hitherto_api::{KeyColumn, Lookup};
use hitherto_core::Result;
use hitherto_core::rule::Times;
use hitherto_core::time::format_timestamp;
use hitherto_server::json::{EntityAnswer, LookupAnswer};
use serde::Serialize;
use serde_json::Value;

use crate::grid::{Grid, Side};

/// What was answered for every entity.
#[derive(Serialize)]
pub struct Answer<'l> {
    #[serde(flatten)]
    answer: LookupAnswer<'l>,
    #[serde(skip)]
    with_times: bool,
}

impl<'l> Answer<'l> {
    /// Reads a lookup entity by entity. `keys` are those of the request.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(keys: &'l [KeyColumn], lookup: &'l Lookup) -> Result<Self> {
        let answer = LookupAnswer::new(keys, lookup)?;
        Ok(Self { answer, with_times: !lookup.times.is_empty() })
    }

    /// One for each entity asked for.
    pub fn entities(&self) -> &[EntityAnswer<'l>] {
        &self.answer.entities
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.entities().first().map_or(&[][..], |entity| &entity.keys);
        let fixed = match self.with_times {
            true => &["feature", "value", "status", "event time", "known time"][..],
            false => &["feature", "value", "status"],
        };
        let names = keys.iter().map(|(name, _)| *name).chain(fixed.iter().copied());
        let side = |name| if name == "value" { Side::Number } else { Side::Text };
        let mut grid =
            Grid::with_columns(names.map(|name| (name.to_owned(), side(name))).collect());
        for EntityAnswer { keys, features } in self.entities() {
            for (feature, answer) in features {
                let keys = keys.iter().map(|(_, value)| match value {
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                });
                let mut row: Vec<String> = keys.collect();
                row.extend([(*feature).to_owned(), answer.text(), answer.status.name().to_owned()]);
                if self.with_times {
                    let written = |time: fn(Times) -> i64| {
                        answer.times.map(|times| format_timestamp(time(times))).unwrap_or_default()
                    };
                    row.extend([written(|times| times.event), written(|times| times.known)]);
                }
                grid.row(row);
            }
        }
        write!(f, "{grid}\n\nas of {}", format_timestamp(self.answer.as_of))
    }
}
