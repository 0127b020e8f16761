//! The naive oracle: the rule as it is written down, fact by fact, without
//! slots, sorting, stores or any code of the product.

/// A fact as the oracle sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub key: (String, String),
    pub event: i64,
    /// `None`: nobody knows it yet.
    pub known: Option<i64>,
    pub value: Option<i64>,
    /// Whether the fact says that there is nothing any more.
    pub is_deletion: bool,
}

/// What the oracle is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub at: i64,
    pub known_by: i64,
    pub ttl: Option<i64>,
}

/// The answer: the fact's value, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Value(i64),
    Null,
    NotFound,
    Expired,
}

/// The rule.
pub fn answer(facts: &[Fact], key: &(String, String), question: Question) -> Answer {
    let Question { at, known_by, ttl } = question;
    let mut candidates: Vec<(i64, i64, bool, bool, i64)> = Vec::new();
    for fact in facts.iter().filter(|fact| fact.key == *key) {
        if let Some(known) = fact.known
            && fact.event <= at
            && known <= at.min(known_by)
        {
            // A deletion has no values, and its flag comes before everything
            // else. Row bytes order a null before every value of the same
            // schema only by the bits that the row format gives it; see
            // `bytes_order`.
            let value = if fact.is_deletion { None } else { fact.value };
            let (is_null, value) = bytes_order(value);
            candidates.push((fact.event, known, fact.is_deletion, is_null, value));
        }
    }
    let Some((event, _, is_deletion, is_null, value)) = candidates.into_iter().max() else {
        return Answer::NotFound;
    };
    if is_deletion {
        return Answer::NotFound;
    }
    match ttl {
        Some(ttl) if event < at - ttl => Answer::Expired,
        _ if is_null => Answer::Null,
        _ => Answer::Value(value),
    }
}

/// Orders values as their row bytes do, for values in 0..=255: the null bit
/// comes first and is set for a null; one little-endian byte then decides.
fn bytes_order(value: Option<i64>) -> (bool, i64) {
    assert!(value.is_none_or(|value| (0..=255).contains(&value)), "one byte");
    (value.is_none(), value.unwrap_or(0))
}
