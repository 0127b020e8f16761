//! An explanation as sentences and a table, or as JSON.

use std::fmt;

use hitherto_api::cells::{Cells, part_json};
use hitherto_api::why::{Online, OnlineAnswer, ShownFact};
use hitherto_api::{Explanation, KeyColumn};
use hitherto_core::Result;
use hitherto_core::definition::Known;
use hitherto_core::rule::{ALWAYS, Absence, NEVER};
use hitherto_core::time::{MICROS_PER_SECOND, format_duration, format_timestamp};
use hitherto_core::why::Verdict;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::grid::{Grid, Side};
use crate::numbers::counted;

/// An explanation with the entity that it is about.
pub struct Shown<'e> {
    keys: Vec<(&'e str, Value)>,
    explanation: &'e Explanation,
    /// Feature names, without their view.
    features: Vec<&'e str>,
    /// The candidates' values, a row each.
    candidates: Vec<Row>,
    /// The online store's values, if it answers.
    online: Option<Row>,
}

/// The values of one fact: text for people, JSON for programs.
struct Row {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl<'e> Shown<'e> {
    /// Prepares an explanation. `keys` are those of the request.
    ///
    /// # Errors
    /// `Corrupt` when stored text is not UTF-8.
    pub fn new(keys: &'e [KeyColumn], explanation: &'e Explanation) -> Result<Self> {
        let short = |name: &'e String| name.split_once(':').map_or(name.as_str(), |(_, name)| name);
        let key = |key: &'e KeyColumn| {
            (key.name.as_str(), key.parts.first().map_or(Value::Null, part_json))
        };
        let cells = Cells::of(&explanation.columns, explanation.candidates.len())?;
        let candidates = 0..explanation.candidates.len();
        let online = match &explanation.online {
            Online::Answers(answer) => Some(Row::new(&Cells::of(&answer.columns, 1)?, 0)?),
            _ => None,
        };
        Ok(Self {
            keys: keys.iter().map(key).collect(),
            explanation,
            features: explanation.columns.iter().map(|column| short(&column.name)).collect(),
            candidates: candidates.map(|row| Row::new(&cells, row)).collect::<Result<_>>()?,
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
        let asked = format!("{view} at {} for {keys}: ", format_timestamp(*at));
        let Some(index) = self.explanation.answer() else {
            return asked + reason(*absence, candidates.is_empty());
        };
        let fact = &candidates[index];
        if fact.event == ALWAYS {
            let known = match fact.known {
                ALWAYS => String::new(),
                known => format!(", known {}", format_timestamp(known)),
            };
            return format!("{asked}{}, timeless{known}", self.values(&self.candidates[index]));
        }
        format!(
            "{asked}{}, event {}, known {} ({}), {} old",
            self.values(&self.candidates[index]),
            format_timestamp(fact.event),
            format_timestamp(fact.known),
            released(fact),
            rough(at.saturating_sub(fact.event)),
        )
    }

    /// One value as itself, several with their names.
    fn values(&self, row: &Row) -> String {
        let named = self.features.iter().zip(&row.texts);
        let named = named.map(|(name, text)| match (text.as_str(), self.features.len()) {
            ("", 1) => String::from("null"),
            (text, 1) => text.to_owned(),
            ("", _) => format!("{name} null"),
            (text, _) => format!("{name} {text}"),
        });
        named.collect::<Vec<_>>().join(", ")
    }

    /// What became of a candidate, as a sentence.
    fn sentence(&self, fact: &ShownFact) -> String {
        let Explanation { at, known_by, ttl_micros, candidates, .. } = self.explanation;
        let missed = rough(fact.missed_by_micros);
        match fact.verdict {
            Verdict::Answers => String::from("answers"),
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
            Verdict::Superseded => {
                // The winner is the first that the moment sees.
                let is_winner = |fact: &&ShownFact| {
                    matches!(fact.verdict, Verdict::Answers | Verdict::Expired | Verdict::Deleted)
                };
                superseded(fact, candidates.iter().find(is_winner))
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
                self.values(row),
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

/// What a fact that the moment sees lost by.
fn superseded(fact: &ShownFact, winner: Option<&ShownFact>) -> String {
    match winner {
        None => String::from("superseded"),
        Some(winner) if winner.event != fact.event => {
            format!("superseded by the fact of {}", format_timestamp(winner.event))
        }
        Some(winner) if winner.known != fact.known => {
            String::from("superseded by a later version of the same event")
        }
        Some(_) => String::from(
            "of the same times as the one that counts, and less in its bytes, which decide then",
        ),
    }
}

impl Row {
    fn new(cells: &Cells<'_>, row: usize) -> Result<Self> {
        let columns = 0..cells.columns();
        Ok(Self {
            texts: columns.clone().map(|column| cells.text(column, row)).collect::<Result<_>>()?,
            values: columns.map(|column| cells.json(column, row)).collect::<Result<_>>()?,
        })
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { candidates, counts, facts_without_time, .. } = self.explanation;
        writeln!(f, "{}", self.answer())?;
        if !candidates.is_empty() {
            let text = |name: &str| (name.to_owned(), Side::Text);
            let is_pushed = candidates.iter().any(|fact| fact.arrived.is_some());
            let mut columns = vec![text("event"), text("known")];
            columns.extend(is_pushed.then(|| text("pushed")));
            columns.extend(self.features.iter().map(|name| ((*name).to_owned(), Side::Number)));
            columns.push(text("why"));
            let mut grid = Grid::with_columns(columns);
            for (fact, row) in candidates.iter().zip(&self.candidates) {
                let times = [fact.event, fact.known].map(format_timestamp).into_iter();
                let pushed = fact.arrived.map(format_timestamp).unwrap_or_default();
                let times = times.chain(is_pushed.then_some(pushed));
                grid.row(times.chain(row.texts.iter().cloned()).chain([self.sentence(fact)]));
            }
            writeln!(f, "\n{grid}")?;
        }
        let all =
            counts.seen + counts.not_yet_known + counts.after_cutoff + counts.not_yet_happened;
        writeln!(
            f,
            "\n{}: {} seen, {} not yet known, {} after the cutoff, {} not yet happened",
            counted(all, "fact"),
            counts.seen,
            counts.not_yet_known,
            counts.after_cutoff,
            counts.not_yet_happened
        )?;
        if *facts_without_time > 0 {
            let facts = counted(*facts_without_time, "more fact");
            writeln!(f, "{facts} without an event time: they never happened")?;
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
                "values": self.object(row),
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
            "facts_without_time": self.explanation.facts_without_time,
            "online": self.online_json(),
        })
        .serialize(serializer)
    }
}

impl Shown<'_> {
    fn object(&self, row: &Row) -> Map<String, Value> {
        let names = self.features.iter().map(|name| (*name).to_owned());
        names.zip(row.values.iter().cloned()).collect()
    }

    fn online_json(&self) -> Value {
        match (&self.explanation.online, &self.online) {
            (Online::Answers(answer), Some(row)) => json!({
                "state": "answers",
                "agrees": answer.agrees,
                "event_time": answer.event.map(format_timestamp),
                "known_time": answer.known.map(format_timestamp),
                "values": self.object(row),
            }),
            (Online::BeforeHorizon { horizon }, _) => {
                json!({ "state": "before_horizon", "horizon": format_timestamp(*horizon) })
            }
            (online, _) => json!(online),
        }
    }
}

/// Why nothing answers.
fn reason(absence: Option<Absence>, has_none: bool) -> &'static str {
    match absence {
        Some(Absence::NeverSeen) | None if has_none => "nothing, because there is no fact of it",
        Some(Absence::NotYetKnown) => "nothing, because no fact was known yet",
        Some(Absence::Expired) => "nothing, because the newest known fact is older than the ttl",
        Some(Absence::Deleted) => "nothing, because the newest known fact is a deletion",
        Some(Absence::NullKey) => "nothing, because a join key is null",
        Some(Absence::NeverSeen) | None => "nothing, because no fact had happened yet",
    }
}

/// When a fact became known, beside when it happened.
fn released(fact: &ShownFact) -> String {
    match fact.known.saturating_sub(fact.event) {
        0 => String::from("at once"),
        lag if lag > 0 => format!("released {} after", rough(lag)),
        lead => format!("known {} before", rough(lead.saturating_neg())),
    }
}

/// A duration as people say it: its two largest units, `1h 34m`.
fn rough(micros: i64) -> String {
    let units = [
        ("d", 86_400 * MICROS_PER_SECOND),
        ("h", 3_600 * MICROS_PER_SECOND),
        ("m", 60 * MICROS_PER_SECOND),
        ("s", MICROS_PER_SECOND),
        ("ms", 1_000),
        ("us", 1),
    ];
    let Some(first) = units.iter().position(|(_, unit)| micros >= *unit) else {
        return String::from("0s");
    };
    let (mut rest, mut words) = (micros, Vec::new());
    for (symbol, unit) in &units[first..units.len().min(first + 2)] {
        if rest >= *unit {
            words.push(format!("{}{symbol}", rest / unit));
        }
        rest %= unit;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
