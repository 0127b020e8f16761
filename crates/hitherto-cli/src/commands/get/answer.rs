//! A lookup's answer as a table or as JSON.

use std::fmt;

use hitherto_core::Result;
use hitherto_core::column::Status;
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::Times;
use hitherto_core::time::format_timestamp;
use hitherto_engine::{KeyColumn, Lookup};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::cells::Cells;
use crate::grid::{Grid, Side};

/// What was answered for every entity.
#[derive(Serialize)]
pub struct Answer {
    as_of: String,
    catalog_version: u64,
    entities: Vec<Entity>,
    #[serde(skip)]
    with_times: bool,
}

/// What was answered for one entity.
#[derive(Serialize)]
pub struct Entity {
    #[serde(serialize_with = "as_map")]
    keys: Vec<(String, Value)>,
    /// By feature, in the order of the request.
    #[serde(serialize_with = "as_map")]
    pub features: Vec<(String, Cell)>,
}

/// What was answered for one feature of one entity.
#[derive(Serialize)]
pub struct Cell {
    value: Value,
    /// The value as text; empty where there is none.
    #[serde(skip)]
    pub text: String,
    #[serde(serialize_with = "name")]
    /// Why there is a value or none.
    pub status: Status,
    /// When the fact that answered happened and was known, if that was asked
    /// for and there is one.
    #[serde(flatten, serialize_with = "written")]
    pub times: Option<Times>,
}

impl Answer {
    /// Reads a lookup entity by entity. `keys` are those of the request.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(keys: &[KeyColumn], lookup: &Lookup) -> Result<Self> {
        let cells = Cells::new(lookup)?;
        let entity = |row: usize| {
            let features = lookup.columns.iter().enumerate().map(|(index, column)| {
                let cell = Cell {
                    value: cells.json(index, row)?,
                    text: cells.text(index, row)?,
                    status: column.status(row),
                    times: times_of(lookup, &column.name, row),
                };
                Ok((column.name.clone(), cell))
            });
            let keys = keys
                .iter()
                .map(|key| (key.name.clone(), key.parts.get(row).map_or(Value::Null, part_json)));
            Ok(Entity { keys: keys.collect(), features: features.collect::<Result<_>>()? })
        };
        Ok(Self {
            as_of: format_timestamp(lookup.at),
            catalog_version: lookup.catalog_version,
            entities: (0..lookup.rows).map(entity).collect::<Result<_>>()?,
            with_times: !lookup.times.is_empty(),
        })
    }

    /// One for each entity asked for.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.entities.first().map_or(&[][..], |entity| &entity.keys);
        let fixed = match self.with_times {
            true => &["feature", "value", "status", "event time", "known time"][..],
            false => &["feature", "value", "status"],
        };
        let names = keys.iter().map(|(name, _)| name.as_str()).chain(fixed.iter().copied());
        let side = |name| if name == "value" { Side::Number } else { Side::Text };
        let mut grid =
            Grid::with_columns(names.map(|name| (name.to_owned(), side(name))).collect());
        for Entity { keys, features } in &self.entities {
            for (feature, cell) in features {
                let keys = keys.iter().map(|(_, value)| match value {
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                });
                let status = cell.status.name().to_owned();
                let mut row: Vec<String> = keys.collect();
                row.extend([feature.clone(), cell.text.clone(), status]);
                if self.with_times {
                    let written = |time: fn(Times) -> i64| {
                        cell.times.map(|times| format_timestamp(time(times))).unwrap_or_default()
                    };
                    row.extend([written(|times| times.event), written(|times| times.known)]);
                }
                grid.row(row);
            }
        }
        write!(f, "{grid}\n\nas of {}", self.as_of)
    }
}

/// The times of the fact that answered for a feature's view.
fn times_of(lookup: &Lookup, feature: &str, row: usize) -> Option<Times> {
    let (view, _) = feature.split_once(':')?;
    let of_view = lookup.times.iter().find(|times| times.view == view)?;
    of_view.times.get(row).copied().flatten()
}

/// A join key's value in JSON.
pub fn part_json(part: &Option<OwnedPart>) -> Value {
    match part {
        None => Value::Null,
        Some(OwnedPart::Bool(value)) => json!(value),
        Some(OwnedPart::Int(value)) => json!(value),
        Some(OwnedPart::UInt(value)) => json!(value),
        Some(OwnedPart::Bytes(value)) => json!(String::from_utf8_lossy(value)),
    }
}

/// Pairs as one JSON object that keeps their order.
fn as_map<T: Serialize, S: Serializer>(
    pairs: &[(String, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn name<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.name())
}

/// Two fields, or none where there is no time.
fn written<S: Serializer>(times: &Option<Times>, serializer: S) -> Result<S::Ok, S::Error> {
    let fields = times.map(|Times { event, known }| {
        [("event_time", format_timestamp(event)), ("known_time", format_timestamp(known))]
    });
    serializer.collect_map(fields.into_iter().flatten())
}
