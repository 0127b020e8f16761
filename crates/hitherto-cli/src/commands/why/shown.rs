//! An explanation as sentences and a table, or as JSON.

use std::fmt;
use std::slice::from_ref;

use hitherto_api::cells::{Cells, part_json};
use hitherto_api::why::{Online, OnlineAnswer, ShownFact};
use hitherto_api::{Explanation, KeyColumn};
use hitherto_core::Result;
use hitherto_core::column::Column;
use hitherto_core::definition::Known;
use hitherto_core::rule::{ALWAYS, NEVER};
use hitherto_core::time::{format_duration, format_timestamp};
use hitherto_core::why::Verdict;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::words;
use crate::grid::{Grid, Side};
use crate::numbers::counted;

/// An explanation with the entity that it is about.
pub struct Shown<'e> {
    keys: Vec<(&'e str, Value)>,
    explanation: &'e Explanation,
    /// The candidates' values, a row each.
    candidates: Vec<Row<'e>>,
    /// The value that is computed of them, if it is.
    computed: Option<Row<'e>>,
    /// The online store's values, if it answers.
    online: Option<Row<'e>>,
}

/// Values by their names without a view: text for people, JSON for programs.
struct Row<'e>(Vec<(&'e str, String, Value)>);

impl<'e> Shown<'e> {
    /// Prepares an explanation. `keys` are those of the request.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(keys: &'e [KeyColumn], explanation: &'e Explanation) -> Result<Self> {
        let key = |key: &'e KeyColumn| {
            (key.name.as_str(), key.parts.first().map_or(Value::Null, part_json))
        };
        let online = match &explanation.online {
            Online::Answers(answer) => Some(Row::first(&answer.columns)?),
            _ => None,
        };
        let computed = explanation.aggregate.as_ref();
        let computed = computed.map(|computed| Row::first(from_ref(&computed.answer)));
        Ok(Self {
            keys: keys.iter().map(key).collect(),
            explanation,
            candidates: Row::all(&explanation.columns, explanation.candidates.len())?,
            computed: computed.transpose()?,
            online,
        })
    }

    /// The answer in one sentence.
    fn answer(&self) -> String {
        let Explanation { view, at, absence, candidates, .. } = self.explanation;
        let keys = self.keys.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            value => format!("{name}={value}"),
        });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let of = match &self.explanation.aggregate {
            Some(aggregate) => format!("{view}:{}", aggregate.feature),
            None => view.clone(),
        };
        let asked = format!("{of} at {} for {keys}: ", format_timestamp(*at));
        if let Some(computed) = self.computed() {
            return asked + &computed;
        }
        let Some(index) = self.explanation.answer() else {
            return asked + words::absence(*absence, candidates.is_empty());
        };
        let fact = &candidates[index];
        if fact.event == ALWAYS {
            let known = match fact.known {
                ALWAYS => String::new(),
                known => format!(", known {}", format_timestamp(known)),
            };
            return format!("{asked}{}, timeless{known}", self.candidates[index]);
        }
        format!(
            "{asked}{}, event {}, known {} ({}), {} old",
            self.candidates[index],
            format_timestamp(fact.event),
            format_timestamp(fact.known),
            words::released(fact),
            words::rough(at.saturating_sub(fact.event)),
        )
    }

    /// The value that is computed of events, if it is, or why there is none.
    fn computed(&self) -> Option<String> {
        let (aggregate, answer) = (self.explanation.aggregate.as_ref()?, self.computed.as_ref()?);
        let absence = self.explanation.absence;
        let because = match (aggregate.reason, absence) {
            (_, Some(_)) => "a join key is null",
            (Some(reason), None) => words::no_value(reason),
            (None, None) => return Some(answer.to_string()),
        };
        Some(match aggregate.answer.has_value(0) {
            true => format!("{answer}, the default, because {because}"),
            false => format!("nothing, because {because}"),
        })
    }

    /// What became of a candidate, as a sentence.
    fn sentence(&self, fact: &ShownFact) -> String {
        let Explanation { at, known_by, ttl_micros, candidates, .. } = self.explanation;
        let missed = words::rough(fact.missed_by_micros);
        match fact.verdict {
            Verdict::Answers => String::from("answers"),
            Verdict::Deleted if self.computed.is_some() => {
                String::from("is a deletion: the event does not count")
            }
            Verdict::Deleted => String::from("is a deletion: nothing before it answers"),
            Verdict::NotYetKnown if fact.known == NEVER => {
                String::from("has no known time: nobody can say when it was known")
            }
            Verdict::NotYetKnown => {
                format!("not known until {}, {missed} later", format_timestamp(fact.known))
            }
            Verdict::AfterCutoff => format!(
                "known {missed} after the cutoff {}",
                format_timestamp(known_by.unwrap_or(*at))
            ),
            Verdict::NotYetHappened => format!("happens {missed} later"),
            Verdict::Expired => {
                let ttl = format_duration(ttl_micros.unwrap_or(0));
                format!("older than ttl {ttl} by {missed}")
            }
            Verdict::Counts => String::from("counts"),
            Verdict::Filtered => String::from("does not meet the condition"),
            Verdict::LeftWindow => format!("left the window {missed} before"),
            Verdict::NotYetInWindow => format!("comes into the window {missed} later"),
            Verdict::Superseded if self.computed.is_some() => {
                format!("superseded {missed} before by a later version of the same event")
            }
            Verdict::Superseded => {
                // The winner is the first that the moment sees.
                let is_winner = |fact: &&ShownFact| {
                    matches!(fact.verdict, Verdict::Answers | Verdict::Expired | Verdict::Deleted)
                };
                words::superseded(fact, candidates.iter().find(is_winner))
            }
        }
    }

    /// What the online store says, as a sentence.
    fn online(&self) -> String {
        match (&self.explanation.online, &self.online) {
            (Online::Nothing, _) => format!(
                "online: nothing of the view yet; run `hitherto materialize {}`",
                self.explanation.view
            ),
            (Online::EarlierDefinition, _) => format!(
                "online: the copy of the definition before; run `hitherto materialize {}`",
                self.explanation.view
            ),
            (Online::BeforeHorizon { horizon }, _) => {
                format!("online: not kept; its history begins at {}", format_timestamp(*horizon))
            }
            (Online::Answers(OnlineAnswer { agrees: true, .. }), _) => {
                String::from("online: the same")
            }
            (Online::Answers(OnlineAnswer { event: Some(event), .. }), Some(row)) => format!(
                "online: DIFFERS: {}, event {}; materialize new files, then `hitherto verify`",
                row,
                format_timestamp(*event)
            ),
            (Online::Answers(_), _) => String::from(
                "online: DIFFERS: no fact answers; materialize new files, then `hitherto verify`",
            ),
            (Online::NotAsked, _) => String::from(
                "online: not asked; lookups take no cutoff and no other setting of known time",
            ),
        }
    }
}

impl<'e> Row<'e> {
    /// The rows of some columns.
    fn all(columns: &'e [Column], rows: usize) -> Result<Vec<Self>> {
        let cells = Cells::of(columns, rows)?;
        let row = |row| {
            let column = columns.iter().enumerate().map(|(index, column)| {
                let name =
                    column.name.split_once(':').map_or(column.name.as_str(), |(_, name)| name);
                Ok((name, cells.text(index, row)?, cells.json(index, row)?))
            });
            Ok(Self(column.collect::<Result<_>>()?))
        };
        (0..rows).map(row).collect()
    }

    /// The one row of some columns.
    fn first(columns: &'e [Column]) -> Result<Self> {
        Ok(Self::all(columns, 1)?.remove(0))
    }

    fn json(&self) -> Value {
        let values = self.0.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone()));
        Value::Object(values.collect())
    }
}

/// One value as itself, several with their names.
impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.0.iter().map(|(name, text, _)| match (text.as_str(), self.0.len()) {
            ("", 1) => String::from("null"),
            (text, 1) => text.to_owned(),
            ("", _) => format!("{name} null"),
            (text, _) => format!("{name} {text}"),
        });
        f.write_str(&named.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { candidates, facts_without_time, aggregate, .. } = self.explanation;
        writeln!(f, "{}", self.answer())?;
        if let Some(aggregate) = aggregate {
            writeln!(f, "{}", words::computed(aggregate))?;
        }
        if !candidates.is_empty() {
            let text = |name: &str| (name.to_owned(), Side::Text);
            let is_pushed = candidates.iter().any(|fact| fact.arrived.is_some());
            let mut columns = vec![text("event"), text("known")];
            columns.extend(is_pushed.then(|| text("pushed")));
            let values = self.candidates[0].0.iter();
            columns.extend(values.map(|(name, ..)| ((*name).to_owned(), Side::Number)));
            columns.push(text("why"));
            let mut grid = Grid::with_columns(columns);
            for (fact, row) in candidates.iter().zip(&self.candidates) {
                let times = [fact.event, fact.known].map(format_timestamp).into_iter();
                let pushed = fact.arrived.map(format_timestamp).unwrap_or_default();
                let times = times.chain(is_pushed.then_some(pushed));
                grid.row(
                    times
                        .chain(row.0.iter().map(|(_, text, _)| text.clone()))
                        .chain([self.sentence(fact)]),
                );
            }
            writeln!(f, "\n{grid}")?;
        }
        writeln!(f, "\n{}", words::counts(self.explanation))?;
        if *facts_without_time > 0 {
            let facts = counted(*facts_without_time, "more fact");
            writeln!(f, "{facts} without an event time: they never happened")?;
        }
        if let Some(aggregate) = aggregate {
            let same = if aggregate.training_set_agrees { "the same" } else { "DIFFERS" };
            writeln!(f, "training set: {same}")?;
        }
        f.write_str(&self.online())
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Explanation { view, at, known_by, known, ttl_micros, absence, candidates, .. } =
            self.explanation;
        let facts = candidates.iter().zip(&self.candidates).map(|(fact, row)| {
            json!({
                "event_time": format_timestamp(fact.event),
                "known_time": format_timestamp(fact.known),
                "is_deletion": fact.is_deletion,
                "arrived": fact.arrived.map(format_timestamp),
                "verdict": fact.verdict,
                "missed_by_micros": fact.missed_by_micros,
                "values": row.json(),
            })
        });
        let mut facts: Vec<Value> = facts.collect();
        let answer = self.explanation.answer().map(|index| facts[index].clone());
        let keys: Map<String, Value> =
            self.keys.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        json!({
            "view": view,
            "keys": keys,
            "at": format_timestamp(*at),
            "known_by": known_by.map(format_timestamp),
            "ignore_known_time": *known == Known::Ignore,
            "ttl": ttl_micros.map(format_duration),
            "answer": answer,
            "absence": absence,
            "candidates": std::mem::take(&mut facts),
            "counts": self.explanation.counts,
            "aggregate": self.aggregate_json(),
            "facts_without_time": self.explanation.facts_without_time,
            "online": self.online_json(),
        })
        .serialize(serializer)
    }
}

impl Shown<'_> {
    /// What is computed of events.
    fn aggregate_json(&self) -> Option<Value> {
        let (aggregate, answer) = (self.explanation.aggregate.as_ref()?, self.computed.as_ref()?);
        Some(json!({
            "feature": aggregate.feature,
            "computed": aggregate.computed,
            "window": aggregate.window.map(|(first, last)| {
                json!({ "first": format_timestamp(first), "last": format_timestamp(last) })
            }),
            "value": answer.json(),
            "reason": aggregate.reason,
            "training_set_agrees": aggregate.training_set_agrees,
            "counts": aggregate.counts,
        }))
    }

    fn online_json(&self) -> Value {
        match (&self.explanation.online, &self.online) {
            (Online::Answers(answer), Some(row)) => json!({
                "state": "answers",
                "agrees": answer.agrees,
                "event_time": answer.event.map(format_timestamp),
                "known_time": answer.known.map(format_timestamp),
                "values": row.json(),
            }),
            (Online::BeforeHorizon { horizon }, _) => {
                json!({ "state": "before_horizon", "horizon": format_timestamp(*horizon) })
            }
            (online, _) => json!(online),
        }
    }
}
