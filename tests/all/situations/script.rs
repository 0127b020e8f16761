//! The text of situations, read strictly: a word that is not known, a line in
//! the wrong place or a count that is not kept is an error with its line.
//!
//! `fixtures/situations/README.md` describes the format for people. A keyword
//! begins a line; rows of the table that a keyword opened are indented.

use hitherto_core::column::Status;
use hitherto_core::time::{parse_duration, parse_timestamp};

use crate::oracle::Fact;

/// Both join keys of an entity; `None` is null.
pub type Entity = (Option<String>, Option<String>);

/// One situation: a view, its facts, and what must be answered.
#[derive(Debug, Default)]
pub struct Situation {
    pub name: String,
    /// Why it matters, for people.
    pub why: String,
    pub ttl: Option<i64>,
    pub history: Option<History>,
    pub is_known_ignored: bool,
    /// When the facts are materialized, if that matters.
    pub loaded: Option<i64>,
    pub facts: Vec<StatedFact>,
    pub questions: Vec<Question>,
}

/// How far back the online copy can be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum History {
    Nothing,
    Micros(i64),
}

/// A fact, whose entity may lack a key.
#[derive(Clone, Debug)]
pub struct StatedFact {
    pub entity: Entity,
    pub event: i64,
    /// `None`: nobody ever says.
    pub known: Option<i64>,
    pub value: Option<i64>,
    /// Written `gone` in the place of a value.
    pub is_deletion: bool,
}

/// One question and its right answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// File and line, for whoever has to look.
    pub place: String,
    pub entity: Entity,
    pub at: i64,
    pub known_by: Option<i64>,
    pub answer: Answer,
}

/// What must be answered: a value, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Value(i64),
    Null,
    Expired,
    NeverSeen,
    NotYetKnown,
    Deleted,
    NullKey,
}

impl StatedFact {
    /// The fact for the oracle, which knows no null key: without a whole key a
    /// fact belongs to nobody.
    pub fn whole(&self) -> Option<Fact> {
        let key = self.entity.0.clone().zip(self.entity.1.clone())?;
        let Self { event, known, value, is_deletion, .. } = *self;
        Some(Fact { key, event, known, value, is_deletion })
    }
}

impl Answer {
    /// The status of a lookup.
    pub fn status(self) -> Status {
        match self {
            Answer::Value(_) => Status::Present,
            Answer::Null => Status::Null,
            Answer::Expired => Status::Expired,
            Answer::NeverSeen | Answer::NotYetKnown | Answer::Deleted | Answer::NullKey => {
                Status::NotFound
            }
        }
    }

    pub fn value(self) -> Option<i64> {
        match self {
            Answer::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The reason in a training set's report; a value and a null have none.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Answer::Value(_) | Answer::Null => None,
            Answer::Expired => Some("expired"),
            Answer::NeverSeen => Some("never_seen"),
            Answer::NotYetKnown => Some("not_yet_known"),
            Answer::Deleted => Some("deleted"),
            Answer::NullKey => Some("null_key"),
        }
    }
}

/// Which table the next indented line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Table {
    Closed,
    Facts,
    Questions,
}

/// Reads one file of situations; the error says where and what is wrong.
pub fn parse(file: &str, text: &str) -> Result<Vec<Situation>, String> {
    let mut promised = None;
    let mut situations: Vec<Situation> = Vec::new();
    let mut given: Vec<&str> = Vec::new();
    let mut table = Table::Closed;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", number + 1);
        let failed = |why: String| format!("{place}: {why}");
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(char::is_whitespace) {
            let situation = situations.last_mut().ok_or_else(|| failed("no table".into()))?;
            row(situation, table, &place, line).map_err(failed)?;
            continue;
        }
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        table = Table::Closed;
        match keyword {
            "contains" if promised.is_none() => promised = Some(counts(rest).map_err(failed)?),
            "situation" if !rest.is_empty() => {
                given.clear();
                situations.push(Situation { name: rest.to_owned(), ..Situation::default() });
            }
            _ => {
                let situation = situations.last_mut();
                let situation = situation.ok_or_else(|| failed("no situation yet".into()))?;
                if given.contains(&keyword) {
                    return Err(failed(format!("a second {keyword:?}")));
                }
                given.push(keyword);
                table = option(situation, keyword, rest).map_err(failed)?;
            }
        }
    }
    for Situation { name, why, facts, questions, history, loaded, .. } in &situations {
        let lack = match () {
            () if why.is_empty() => "does not say why",
            () if facts.is_empty() => "has no facts",
            () if questions.is_empty() => "has no questions",
            () if history.is_some() && loaded.is_none() => "keeps history of no load",
            () => continue,
        };
        return Err(format!("{file}: situation {name:?} {lack}"));
    }
    let questions = situations.iter().map(|situation| situation.questions.len()).sum::<usize>();
    let found = (situations.len(), questions);
    if promised != Some(found) || found.1 == 0 {
        return Err(format!("{file}: contains {found:?}, not {promised:?}"));
    }
    Ok(situations)
}

/// `12 situations, 34 questions`.
fn counts(rest: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("{rest:?} is not a count of situations and questions");
    let [situations, "situations,", questions, "questions"] = words(rest)[..] else {
        return Err(wrong());
    };
    Ok((situations.parse().map_err(|_| wrong())?, questions.parse().map_err(|_| wrong())?))
}

/// What a keyword says about a situation, and the table that it opens.
fn option(situation: &mut Situation, keyword: &str, rest: &str) -> Result<Table, String> {
    match (keyword, rest) {
        ("why", sentence) if sentence.ends_with('.') => situation.why = sentence.to_owned(),
        ("ttl", ttl) => situation.ttl = Some(duration(ttl)?),
        ("history", "none") => situation.history = Some(History::Nothing),
        ("history", history) => situation.history = Some(History::Micros(duration(history)?)),
        ("known", "ignore") => situation.is_known_ignored = true,
        ("loaded", at) => situation.loaded = Some(time(at)?),
        ("facts", header) if words(header) == ["entity", "event", "known", "value"] => {
            return Ok(Table::Facts);
        }
        ("questions", header) if words(header) == ["entity", "at", "known-by", "answer"] => {
            return Ok(Table::Questions);
        }
        _ => return Err(format!("{keyword:?} with {rest:?} means nothing here")),
    }
    Ok(Table::Closed)
}

/// One indented line.
fn row(situation: &mut Situation, table: Table, place: &str, line: &str) -> Result<(), String> {
    match (table, &words(line)[..]) {
        (Table::Facts, [key, event, known, value]) => situation.facts.push(StatedFact {
            entity: entity(key),
            event: time(event)?,
            known: if *known == "never" { None } else { Some(time(known)?) },
            value: if ["null", "gone"].contains(value) { None } else { Some(number(value)?) },
            is_deletion: *value == "gone",
        }),
        (Table::Questions, [key, at, known_by, expected @ ..]) => {
            situation.questions.push(Question {
                place: place.to_owned(),
                entity: entity(key),
                at: time(at)?,
                known_by: if *known_by == "-" { None } else { Some(time(known_by)?) },
                answer: answer(expected)?,
            });
        }
        _ => return Err(format!("{:?} is no row of this table", line.trim())),
    }
    Ok(())
}

fn answer(words: &[&str]) -> Result<Answer, String> {
    match words {
        ["null"] => Ok(Answer::Null),
        ["expired"] => Ok(Answer::Expired),
        ["deleted"] => Ok(Answer::Deleted),
        ["never", "seen"] => Ok(Answer::NeverSeen),
        ["not", "yet", "known"] => Ok(Answer::NotYetKnown),
        ["null", "key"] => Ok(Answer::NullKey),
        [value] => number(value).map(Answer::Value),
        _ => Err(format!("{words:?} is no answer")),
    }
}

/// `first/second`; without a slash the second key is empty.
fn entity(text: &str) -> Entity {
    let (first, second) = text.split_once('/').unwrap_or((text, ""));
    let part = |text: &str| (text != "null").then(|| text.to_owned());
    (part(first), part(second))
}

/// The oracle compares values by one byte.
fn number(text: &str) -> Result<i64, String> {
    text.parse::<u8>().map(i64::from).map_err(|_| format!("{text:?} is no value from 0 to 255"))
}

fn time(text: &str) -> Result<i64, String> {
    parse_timestamp(text).map_err(|cause| cause.to_string())
}

fn duration(text: &str) -> Result<i64, String> {
    parse_duration(text).map_err(|cause| cause.to_string())
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

const GOOD: &str = "contains  1 situations, 1 questions

situation  a name
why        It matters.
ttl        12h
facts      entity  event             known             value
           k1      2024-01-01T09:00  2024-01-01T10:30  7
questions  entity  at                known-by  answer
           k1/null 2024-01-01T10:30  -         null key
";

#[test]
fn a_good_script_is_read_whole() {
    let situations = parse("good", GOOD).unwrap();
    let [situation] = &situations[..] else { panic!("one situation") };
    assert_eq!((situation.name.as_str(), situation.why.as_str()), ("a name", "It matters."));
    assert_eq!(situation.ttl, Some(12 * 3_600_000_000));
    let fact = situation.facts[0].whole().unwrap();
    assert_eq!((fact.key.0.as_str(), fact.key.1.as_str()), ("k1", ""));
    let nine = 1_704_099_600_000_000;
    assert_eq!((fact.event, fact.known), (nine, Some(nine + 5_400_000_000)));
    assert_eq!(fact.value, Some(7));
    let question = &situation.questions[0];
    assert_eq!((question.place.as_str(), question.at), ("good:9", nine + 5_400_000_000));
    assert_eq!(question.entity, (Some(String::from("k1")), None));
    assert_eq!((question.known_by, question.answer), (None, Answer::NullKey));
}

#[test]
fn a_script_that_says_anything_else_is_refused_with_its_line() {
    for (from, to, expected) in [
        ("ttl        12h", "tll        12h", "broken:5: \"tll\" with \"12h\" means nothing here"),
        ("ttl        12h", "ttl        12", "broken:5: \"12\" is not a duration"),
        ("ttl        12h", "why        Twice.", "broken:5: a second \"why\""),
        ("ttl        12h", "known      maybe", "broken:5: \"known\" with \"maybe\""),
        ("ttl        12h", "history    7d", "broken: situation \"a name\" keeps history"),
        ("ttl        12h", "           k1", "broken:5: \"k1\" is no row of this table"),
        ("why        It matters.\n", "", "broken: situation \"a name\" does not say why"),
        ("known             value", "value known", "broken:6: \"facts\" with"),
        ("10:30  7", "10:30  7 8", "is no row of this table"),
        ("10:30  7", "10:30  256", "broken:7: \"256\" is no value from 0 to 255"),
        ("10:30  7", "25:30  7", "broken:7: \"2024-01-01T25:30\" is not a timestamp"),
        ("null key", "nothing", "broken:9: \"nothing\" is no value"),
        ("null key", "not known", "broken:9: [\"not\", \"known\"] is no answer"),
        ("1 questions", "2 questions", "broken: contains (1, 1), not Some((1, 2))"),
        ("contains  1 situations, 1 questions", "", "broken: contains (1, 1), not None"),
        ("situation  a name", "", "broken:4: no situation yet"),
        ("           k1/null 2024-01-01T10:30  -         null key", "", "has no questions"),
    ] {
        assert!(GOOD.contains(from), "{from:?} is in the good script");
        let error = parse("broken", &GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
    assert!(parse("empty", "# nothing\n").is_err());
}
