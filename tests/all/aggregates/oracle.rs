//! The naive oracle of aggregates: who counts and what comes out, as the documents say it, fact
//! by fact, without ranges, states, merging or any code of the product but its words for
//! answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hitherto_core::aggregate::{Basis, Function, Nulls, Outcome, Reason, SumType, Value};
use hitherto_core::why::Verdict;

/// A fact as the oracle sees it.
#[derive(Clone, Debug)]
pub struct Fact {
    pub event: i64,
    pub id: u8,
    /// `None`: nobody knows it yet.
    pub known: Option<i64>,
    pub is_deletion: bool,
    pub passes: bool,
    pub value: Value<'static>,
    pub by: i64,
    /// What decides between versions of one known time.
    pub row: u8,
}

/// What the oracle is asked. Lengths are in microseconds; no length is a lifetime.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub at: i64,
    pub known_by: i64,
    pub ignores_known: bool,
    pub length: Option<i64>,
    pub offset: i64,
    pub excludes_current_time: bool,
    pub ttl: Option<i64>,
}

/// The versions that count, by event time, known time and id.
pub fn counting(facts: &[Fact], question: Question) -> Vec<&Fact> {
    let identities: BTreeSet<_> = facts.iter().map(|fact| (fact.event, fact.id)).collect();
    let current = identities.into_iter().filter_map(|identity| {
        let versions = facts.iter().filter(|fact| (fact.event, fact.id) == identity);
        let there = versions.filter(|fact| is_known(fact, question));
        there.max_by_key(|fact| (fact.known.unwrap_or(i64::MAX), fact.is_deletion, fact.row))
    });
    let mut counting: Vec<&Fact> = current
        .filter(|fact| !fact.is_deletion && fact.passes && is_in_window(fact.event, question))
        .collect();
    counting.sort_by_key(|fact| (fact.event, fact.known.unwrap_or(i64::MAX), fact.id));
    counting
}

/// What became of a fact, in the words of the product.
pub fn verdict(facts: &[Fact], fact: &Fact, question: Question) -> Verdict {
    let end = i128::from(question.at) - i128::from(question.offset);
    let is_newer = i128::from(fact.event) > end
        || question.excludes_current_time && i128::from(fact.event) == end;
    if fact.event > question.at {
        return Verdict::NotYetHappened;
    }
    if !is_in_window(fact.event, question) {
        return if is_newer { Verdict::NotYetInWindow } else { Verdict::LeftWindow };
    }
    if !is_known(fact, question) {
        let is_cut = fact.known.is_some_and(|known| known <= question.at);
        return if is_cut { Verdict::AfterCutoff } else { Verdict::NotYetKnown };
    }
    let rank = |fact: &Fact| (fact.known.unwrap_or(i64::MAX), fact.is_deletion, fact.row);
    let is_superseded = facts.iter().any(|other| {
        (other.event, other.id) == (fact.event, fact.id)
            && is_known(other, question)
            && rank(other) > rank(fact)
    });
    match () {
        () if is_superseded => Verdict::Superseded,
        () if fact.is_deletion => Verdict::Deleted,
        () if !fact.passes => Verdict::Filtered,
        () => Verdict::Counts,
    }
}

fn is_known(fact: &Fact, question: Question) -> bool {
    let by = question.at.min(question.known_by);
    question.ignores_known || fact.known.is_some_and(|known| known <= by)
}

fn is_in_window(event: i64, question: Question) -> bool {
    let wide = i128::from;
    let (event, end) = (wide(event), wide(question.at) - wide(question.offset));
    let is_before_end = if question.excludes_current_time { event < end } else { event <= end };
    is_before_end
        && question.length.is_none_or(|length| event > end - wide(length))
        && question.ttl.is_none_or(|ttl| event >= wide(question.at) - wide(ttl))
}

/// What a function answers over the versions that count, in their order.
pub fn answer(counting: &[&Fact], function: Function, at: i64) -> Outcome {
    let has_value = |fact: &&&Fact| fact.value != Value::Null;
    let facts: Vec<&Fact> = counting.iter().filter(has_value).copied().collect();
    let values: Vec<Value<'static>> = facts.iter().map(|fact| fact.value.clone()).collect();
    let all: Vec<Value<'static>> = counting.iter().map(|fact| fact.value.clone()).collect();
    let kept = |nulls| if nulls == Nulls::Keep { &all } else { &values };
    let take = |values: Vec<Value<'static>>, n: u32| {
        Outcome::List(values.into_iter().take(n as usize).collect())
    };
    match function {
        Function::Count => return whole(values.len()),
        Function::CountDistinct { limit } => {
            return whole(frequencies(&values).len().min(limit as usize));
        }
        Function::FirstN { n, nulls } => return take(kept(nulls).clone(), n),
        Function::LastN { n, nulls } => return take(reversed(kept(nulls)), n),
        Function::LastNDistinct { n } => {
            let mut newest: Vec<Value<'static>> = Vec::new();
            for value in reversed(&values).iter().map(equal) {
                if !newest.iter().any(|held| key(held) == key(&value)) {
                    newest.push(value);
                }
            }
            return take(newest, n);
        }
        Function::MinN { n } => return take(sorted(&values), n),
        Function::MaxN { n } => return take(reversed(&sorted(&values)), n),
        Function::TopK { k, limit } => {
            let frequent = by_frequency(&values, limit);
            return frequent.map_or(Outcome::Absent(Reason::TooManyValues), |all| take(all, k));
        }
        _ => {}
    }
    let micros = |fact: &Fact| i128::from(at) - i128::from(fact.event);
    let seconds = |fact: &Fact| Some(Value::Float(micros(fact) as f64 / 1e6));
    let found = match function {
        Function::SecondsSinceFirst => counting.first().and_then(|fact| seconds(fact)),
        Function::SecondsSinceLast => counting.last().and_then(|fact| seconds(fact)),
        Function::First(Nulls::Keep) => all.first().filter(|value| !value.is_null()).cloned(),
        Function::Last(Nulls::Keep) => all.last().filter(|value| !value.is_null()).cloned(),
        _ if values.is_empty() => None,
        Function::First(_) => values.first().cloned(),
        Function::Last(_) => values.last().cloned(),
        Function::Min => sorted(&values).first().cloned(),
        Function::Max => sorted(&values).last().cloned(),
        Function::MinBy => facts.iter().min_by_key(|fact| fact.by).map(|fact| fact.value.clone()),
        Function::MaxBy => facts.iter().max_by_key(|fact| fact.by).map(|fact| fact.value.clone()),
        Function::Any => Some(Value::Bool(values.contains(&Value::Bool(true)))),
        Function::All => Some(Value::Bool(!values.contains(&Value::Bool(false)))),
        Function::Mode { limit } => match by_frequency(&values, limit) {
            Some(frequent) => frequent.first().cloned(),
            None => return Outcome::Absent(Reason::TooManyValues),
        },
        Function::ApproxQuantile { bits, millionths, .. } => {
            let rank = (values.len() as u64 * u64::from(millionths)).div_ceil(1_000_000).max(1);
            Some(Value::Float(rounded(number(&sorted(&values)[rank as usize - 1]), bits)))
        }
        Function::Sum { output: SumType::Float64, .. } => {
            Some(Value::Float(fsum(values.iter().map(number))))
        }
        Function::Sum { .. } => match i64::try_from(total(&values)) {
            Ok(sum) => Some(Value::Int(sum)),
            Err(_) => return Outcome::Absent(Reason::Overflow),
        },
        // Of small integers, whose sums and squares float64 holds: one division, one rounding.
        Function::Mean { .. } => Some(Value::Float(total(&values) as f64 / values.len() as f64)),
        Function::Variance { of, .. } => {
            let n = values.len() as i128;
            let squares: i128 = values.iter().map(|value| integer(value).pow(2)).sum();
            let divisor = if of == Basis::Sample { n - 1 } else { n };
            if divisor == 0 {
                return Outcome::Absent(Reason::TooFewValues);
            }
            let spread = n * squares - total(&values).pow(2);
            Some(Value::Float(spread as f64 / (n * divisor) as f64))
        }
        other => panic!("the oracle does not know {other:?}"),
    };
    let reason = if counting.is_empty() { Reason::EmptyWindow } else { Reason::AllNull };
    found.map_or(Outcome::Absent(reason), Outcome::Value)
}

fn whole(count: usize) -> Outcome {
    Outcome::Value(Value::Int(count as i64))
}

fn integer(value: &Value<'_>) -> i128 {
    if let Value::Int(number) = value { i128::from(*number) } else { panic!("{value:?}") }
}

fn total(values: &[Value<'_>]) -> i128 {
    values.iter().map(integer).sum()
}

fn number(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => panic!("{value:?} is no number"),
    }
}

/// Both zeros are 0.0 and all NaN one where values are compared.
fn equal(value: &Value<'static>) -> Value<'static> {
    match value {
        Value::Float(number) if *number == 0.0 => Value::Float(0.0),
        Value::Float(number) if number.is_nan() => Value::Float(f64::NAN),
        other => other.clone(),
    }
}

/// What sorts like the values: numbers by IEEE 754's total order, text by its bytes.
fn key(value: &Value<'_>) -> (i128, Vec<u8>) {
    match value {
        Value::Bool(value) => (i128::from(*value), Vec::new()),
        Value::Int(number) => (i128::from(*number), Vec::new()),
        Value::Float(number) => {
            let bits = number.to_bits() as i64;
            (i128::from(if bits < 0 { bits ^ i64::MAX } else { bits }), Vec::new())
        }
        Value::Bytes(bytes) => (0, bytes.to_vec()),
        _ => panic!("{value:?} is not asked about"),
    }
}

fn sorted(values: &[Value<'static>]) -> Vec<Value<'static>> {
    let mut values: Vec<_> = values.iter().map(equal).collect();
    values.sort_by_key(key);
    values
}

fn reversed(values: &[Value<'static>]) -> Vec<Value<'static>> {
    values.iter().rev().cloned().collect()
}

fn frequencies(values: &[Value<'static>]) -> BTreeMap<(i128, Vec<u8>), (Value<'static>, usize)> {
    let mut frequencies = BTreeMap::new();
    for value in values.iter().map(equal) {
        frequencies.entry(key(&value)).or_insert((value, 0)).1 += 1;
    }
    frequencies
}

fn by_frequency(values: &[Value<'static>], limit: u32) -> Option<Vec<Value<'static>>> {
    let mut frequent: Vec<_> = frequencies(values).into_values().collect();
    frequent.sort_by_key(|(_, count)| Reverse(*count));
    let values = frequent.into_iter().map(|(value, _)| value).collect::<Vec<_>>();
    (values.len() <= limit as usize).then_some(values)
}

/// A number cut to so many bits below its leading one, and half of the last of them.
fn rounded(number: f64, bits: u8) -> f64 {
    if !number.is_finite() {
        return number;
    }
    let dropped = 52 - u32::from(bits);
    let kept = number.abs().to_bits() >> dropped;
    let middle = kept << dropped | 1 << (dropped - 1);
    if kept == 0 { 0.0 } else { f64::from_bits(middle).copysign(number) }
}

/// Shewchuk's sum, as CPython's `math.fsum` has it: partial sums that do not overlap.
fn fsum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut partials, mut special) = (Vec::<f64>::new(), 0.0);
    for mut x in values {
        if !x.is_finite() {
            special += x;
            continue;
        }
        let mut kept = 0;
        for index in 0..partials.len() {
            let mut y = partials[index];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        partials.truncate(kept);
        partials.push(x);
    }
    if special != 0.0 {
        return if special.is_nan() { f64::NAN } else { special };
    }
    let Some(mut high) = partials.pop() else { return 0.0 };
    let mut low = 0.0;
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // A tie that was rounded to even, and what is left says that it was none.
    let is_same_side = partials.last().is_some_and(|next| (low < 0.0) == (*next < 0.0));
    if is_same_side && low != 0.0 && (high + 2.0 * low) - high == 2.0 * low {
        high += 2.0 * low;
    }
    high + 0.0
}
