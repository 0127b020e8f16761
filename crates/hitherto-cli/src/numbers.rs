//! Counts, sizes, spans and shares, as people write them.

use std::time::Duration;

use indicatif::HumanCount;

/// A count with its thousands apart: `51,433`.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A count with its noun: `1 view`, `13 views`, `2 entities`.
pub fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", count(number)),
        (_, None) => format!("{} {noun}s", count(number)),
    }
}

/// A pace in the digits that matter: `2,410,000 a second`, `14.5 a second`.
pub fn rate(each_second: f64) -> String {
    if !each_second.is_finite() || each_second < 0.0 {
        return String::from("0 a second");
    }
    if each_second < 99.95 {
        return format!("{each_second:.1} a second");
    }
    let step = 10_f64.powi(each_second.log10().floor() as i32 - 2);
    format!("{} a second", count(((each_second / step).round() * step) as u64))
}

/// A size in the unit that leaves one to four digits before the point:
/// `1.9 MiB`.
pub fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

/// A span with two or three digits that matter: `0.42 ms`, `1.83 s`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 0.01 => format!("{:.2} ms", seconds * 1e3),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

/// A part of a whole: `10.1%`; of nothing, a dash.
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::from("-"),
        _ => format!("{:.1}%", 100.0 * part as f64 / whole as f64),
    }
}

#[cfg(test)]
mod tests;
