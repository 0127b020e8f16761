//! How long a caller waits, as gRPC says it: after that nobody does, and the work is dropped.

use std::time::Duration;

use http::HeaderMap;

/// The header: at most eight digits and a unit.
const HEADER: &str = "grpc-timeout";
const DIGITS_MAX: usize = 8;

/// What a request says; `None` if nothing, or nothing that can be read.
pub fn of(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > DIGITS_MAX || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Option<Duration> {
        of(&HeaderMap::from_iter([(HEADER.parse().unwrap(), value.parse().unwrap())]))
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(read("3H"), Some(Duration::from_secs(10_800)));
        assert_eq!(read("2M"), Some(Duration::from_secs(120)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(read("5m"), Some(Duration::from_millis(5)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        assert_eq!(read("5n"), Some(Duration::from_nanos(5)));
        for none in ["", "m", "5", "5d", "-5m", "999999999m", "5 m", "+5m"] {
            assert_eq!(read(none), None, "{none}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
