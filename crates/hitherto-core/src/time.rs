//! Time: signed 64-bit microseconds UTC inside, text at the edge.
//!
//! Naive timestamps mean UTC. Arithmetic saturates: a ttl of a million years
//! means "no lower bound", never a wrapped one.

use jiff::{SignedDuration, Timestamp, civil};

use crate::rule::ALWAYS;
use crate::{Error, Result};

/// Microseconds in one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds in a year of durations: 365 days, whatever the calendar says, so that a
/// duration is always one number of days.
pub const MICROS_PER_YEAR: i64 = 365 * 86_400 * MICROS_PER_SECOND;

/// Units of a written duration, largest first, with their microseconds.
pub const UNITS: [(&str, i64); 8] = [
    ("y", MICROS_PER_YEAR),
    ("w", 7 * 86_400 * MICROS_PER_SECOND),
    ("d", 86_400 * MICROS_PER_SECOND),
    ("h", 3_600 * MICROS_PER_SECOND),
    ("m", 60 * MICROS_PER_SECOND),
    ("s", MICROS_PER_SECOND),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads a timestamp: RFC 3339 with any offset, or naive (then UTC), with a
/// date alone meaning its midnight.
///
/// # Errors
/// `Invalid` when it is none of these, or finer than a microsecond.
pub fn parse_timestamp(text: &str) -> Result<i64> {
    let trimmed = text.trim();
    let timestamp = trimmed
        .parse::<Timestamp>()
        .or_else(|_| {
            let naive = trimmed
                .parse::<civil::DateTime>()
                .or_else(|_| trimmed.parse::<civil::Date>().map(|date| date.at(0, 0, 0, 0)))?;
            jiff::tz::TimeZone::UTC.to_timestamp(naive)
        })
        .map_err(|cause| {
            Error::invalid(format!(
                "{text:?} is not a timestamp; write 2180-07-23T17:36:00Z, or 2180-07-23 for its \
                 midnight UTC"
            ))
            .with_source(cause)
        })?;
    if timestamp.subsec_nanosecond() % 1_000 != 0 {
        return Err(Error::invalid(format!(
            "timestamp {text:?} is finer than a microsecond; write at most six digits after the \
             point"
        )));
    }
    Ok(timestamp.as_microsecond())
}

/// Writes a timestamp as RFC 3339 in UTC; one outside the calendar's years
/// -9999 to 9999 is written as a count of microseconds; the greatest one, which is the
/// known time of what nobody knows, as `never`, and [`ALWAYS`] as `always`.
pub fn format_timestamp(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(_) if micros == ALWAYS => String::from("always"),
        Ok(timestamp) => timestamp.to_string(),
        Err(_) if micros == i64::MAX => String::from("never"),
        Err(_) => format!("{micros}us"),
    }
}

/// Reads a duration such as `24h`, `7d`, `500ms`, `1h30m` or `10y`, in microseconds. A year
/// is 365 days.
///
/// # Errors
/// `Invalid` when it is empty, has no unit, is negative, overflows or is of ISO 8601's form.
pub fn parse_duration(text: &str) -> Result<i64> {
    let refuse = |why: &str| {
        Error::invalid(format!(
            "{text:?} is not a duration: {why}; write 500ms, 30s, 15m, 24h, 7d, 2w, 10y (of 365 \
             days) or a sum like 1h30m"
        ))
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse("it is empty"));
    }
    if rest.starts_with('-') {
        return Err(refuse("it is negative"));
    }
    if rest.starts_with('P') {
        return Err(refuse("what ISO 8601 writes PT12H is 12h here"));
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        if !number.is_empty() && tail.is_empty() {
            return Err(refuse("a unit is missing"));
        }
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let count: i64 = number.parse().map_err(|_| refuse("a number is missing or too large"))?;
        let (_, micros) = UNITS
            .iter()
            .find(|(symbol, _)| *symbol == unit)
            .ok_or_else(|| refuse("its unit is not known"))?;
        total = count
            .checked_mul(*micros)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| refuse("it is longer than 290,000 years"))?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration in the largest units that keep it exact, such as `1h30m`; in years
/// if they are whole.
pub fn format_duration(micros: i64) -> String {
    if micros <= 0 {
        return if micros == 0 { String::from("0s") } else { format!("{micros}us") };
    }
    if micros % MICROS_PER_YEAR == 0 {
        return format!("{}y", micros / MICROS_PER_YEAR);
    }
    let mut rest = micros;
    let mut text = String::new();
    for (symbol, unit) in UNITS.iter().filter(|(symbol, _)| !matches!(*symbol, "y" | "w")) {
        if rest >= *unit {
            text.push_str(&format!("{}{symbol}", rest / unit));
            rest %= unit;
        }
    }
    text
}

/// Microseconds since 1970 of a clock reading; the binaries pass the clock in.
pub fn micros_since_epoch(since_epoch: std::time::Duration) -> i64 {
    SignedDuration::try_from(since_epoch)
        .ok()
        .and_then(|duration| i64::try_from(duration.as_micros()).ok())
        .unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
