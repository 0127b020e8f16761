//! Parts of sentences about facts.

use hitherto_api::Explanation;
use hitherto_api::why::{ExplainedAggregate, ShownFact};
use hitherto_core::aggregate::Reason;
use hitherto_core::rule::Absence;
use hitherto_core::time::{UNITS, format_timestamp};
use hitherto_core::why::Counts;

use crate::numbers::counted;

/// What a fact that the moment sees lost by.
pub fn superseded(fact: &ShownFact, winner: Option<&ShownFact>) -> String {
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

/// What is computed of which events.
pub fn computed(aggregate: &ExplainedAggregate) -> String {
    let ExplainedAggregate { computed, window, .. } = aggregate;
    match *window {
        None => format!("{computed}: no event can be in the window"),
        Some((i64::MIN, last)) => {
            format!("{computed}: events up to {}", format_timestamp(last))
        }
        Some((first, last)) => format!(
            "{computed}: events from {} to {}",
            format_timestamp(first),
            format_timestamp(last)
        ),
    }
}

/// How many facts there are of each sort; of events those sorts that there are.
pub fn counts(explanation: &Explanation) -> String {
    let Counts { seen, not_yet_known, after_cutoff, not_yet_happened } = explanation.counts;
    let unseen = [
        (not_yet_known, "not yet known"),
        (after_cutoff, "after the cutoff"),
        (not_yet_happened, "not yet happened"),
    ];
    let sorts = match &explanation.aggregate {
        None => [(seen, "seen")].into_iter().chain(unseen).collect(),
        Some(ExplainedAggregate { counts, .. }) => {
            let seen = [
                (counts.counts, "counted"),
                (counts.superseded, "superseded"),
                (counts.deleted, "deleted"),
                (counts.filtered, "that do not meet the condition"),
                (counts.left_window, "older than the window"),
                (counts.not_yet_in_window, "newer than the window"),
            ];
            let mut sorts: Vec<(u64, &str)> = seen.into_iter().chain(unseen).collect();
            sorts.retain(|(count, _)| *count > 0);
            sorts
        }
    };
    let all = counted(sorts.iter().map(|(count, _)| count).sum(), "fact");
    let sorts: Vec<String> = sorts.iter().map(|(count, sort)| format!("{count} {sort}")).collect();
    match sorts.is_empty() {
        true => all,
        false => format!("{all}: {}", sorts.join(", ")),
    }
}

/// Why nothing answers.
pub fn absence(absence: Option<Absence>, has_none: bool) -> &'static str {
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
pub fn released(fact: &ShownFact) -> String {
    match fact.known.saturating_sub(fact.event) {
        0 => String::from("at once"),
        lag if lag > 0 => format!("released {} after", rough(lag)),
        lead => format!("known {} before", rough(lead.saturating_neg())),
    }
}

/// A duration as people say it: its two largest units, `1h 34m`.
pub fn rough(micros: i64) -> String {
    // Weeks and years are said in days.
    let units = &UNITS[2..];
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

/// Why there is no value of events: `because ...`.
pub fn no_value(reason: Reason) -> &'static str {
    match reason {
        Reason::EmptyWindow => "no event counts",
        Reason::AllNull => "every event that counts has a null",
        Reason::TooFewValues => "too few of the events that count have a value",
        Reason::TooManyValues => "more values differ than are told apart",
        Reason::Overflow => "the value does not fit its type",
    }
}

#[cfg(test)]
mod tests;
