//! Periods of the calendar, and the paths of files that name one.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

/// A year, month, day or hour, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// `2026`, `year=2026`
    Year,
    /// `2026-01`, `202601`, `2026/01`, `year=2026/month=1`
    Month,
    /// `2026-01-05`, `20260105`, `2026/01/05`, `year=2026/month=1/day=5`
    Day,
    /// `2026-01-05-13`, `2026010513`, `2026/01/05/13`, `2026-01-05/hour=13`
    Hour,
}

/// The years that a path can mean: fewer numbers are taken for one.
const YEARS: RangeInclusive<i16> = 1800..=2299;

const EXPECTED: &str = "is no period; write year, month, day or hour";

impl Period {
    /// All, by length.
    pub const ALL: [Self; 4] = [Self::Year, Self::Month, Self::Day, Self::Hour];

    /// As written.
    pub fn name(self) -> &'static str {
        ["year", "month", "day", "hour"][self as usize]
    }

    /// The first and last microsecond, UTC, of the first period of this length that a
    /// path names; `None` if it names none.
    pub fn of_path(self, path: &str) -> Option<(i64, i64)> {
        let starts = path.char_indices().filter(|(at, first)| {
            let before = path[..*at].chars().next_back();
            first.is_ascii_digit() && !before.is_some_and(|before| before.is_ascii_digit())
        });
        starts.map(|(at, _)| &path[at..]).find_map(|rest| self.named_first(rest))
    }

    /// The period with which a text begins.
    fn named_first(self, text: &str) -> Option<(i64, i64)> {
        const DIGITS: [usize; 4] = [4, 2, 2, 2];
        let parts = self as usize + 1;
        let mut numbers = [0_i16, 1, 1, 0];
        let mut rest = text;
        let run = digits(rest);
        if parts > 1 && run == DIGITS[..parts].iter().sum::<usize>() {
            for (number, digits) in numbers.iter_mut().zip(DIGITS).take(parts) {
                let (here, after) = rest.split_at(digits);
                *number = here.parse().ok()?;
                rest = after;
            }
        } else {
            for (part, number) in numbers.iter_mut().enumerate().take(parts) {
                rest = if part == 0 { rest } else { after_separator(rest)? };
                let run = digits(rest);
                if run == 0 || run > DIGITS[part] || (part == 0 && run < DIGITS[0]) {
                    return None;
                }
                let (here, after) = rest.split_at(run);
                *number = here.parse().ok()?;
                rest = after;
            }
        }
        let [year, month, day, hour] = numbers;
        let small = |number: i16| i8::try_from(number).ok();
        let date = civil::Date::new(year, small(month)?, small(day)?).ok()?;
        let time = civil::Time::new(small(hour)?, 0, 0, 0).ok()?;
        let first = DateTime::from_parts(date, time);
        let next = first.checked_add(self.span()).ok()?;
        let micros = |at: DateTime| Some(TimeZone::UTC.to_timestamp(at).ok()?.as_microsecond());
        YEARS.contains(&year).then_some((micros(first)?, micros(next)? - 1))
    }

    fn span(self) -> Span {
        match self {
            Self::Year => 1.year(),
            Self::Month => 1.month(),
            Self::Day => 1.day(),
            Self::Hour => 1.hour(),
        }
    }
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// What follows the separator of two numbers: a character, or the end of a folder and a
/// name before the next value, as in `/month=`.
fn after_separator(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['-', '_', '/', 'T'])?;
    let (name, value) = rest.split_once('=').unwrap_or(("", rest));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    Some(if is_name && text.starts_with('/') { value } else { rest })
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|period| period.name() == text).ok_or(EXPECTED)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::format_timestamp;

    #[track_caller]
    fn check(period: Period, path: &str, expected: Option<(&str, &str)>) {
        let found = period.of_path(path).map(|(first, last)| {
            assert_eq!(last % 1_000_000, 999_999);
            (format_timestamp(first), format_timestamp(last + 1))
        });
        let expected = expected.map(|(first, next)| (first.to_owned(), next.to_owned()));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn paths_name_days_in_every_usual_way() {
        let day = Some(("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"));
        for path in [
            "labs/dt=2026-01-05/part-00000.parquet",
            "labs/2026/01/05/part-0.parquet",
            "labs/2026/1/5/part-0.parquet",
            "s3://bucket7/v2/year=2026/month=01/day=05/2.parquet",
            "labs/20260105.parquet",
            "labs/export_2026_01_05_final.parquet",
            "exports-2024/labs/2026-01-05T13:00.parquet",
            "labs/2026-01-05/written-2026-01-06.parquet",
        ] {
            check(Period::Day, path, day);
        }
    }

    #[test]
    fn other_periods_end_where_the_next_begins() {
        let year = Some(("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"));
        check(Period::Year, "labs/2024.parquet", year);
        let february = Some(("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"));
        check(Period::Month, "labs/year=2024/month=2/x.parquet", february);
        check(Period::Month, "labs/202402.parquet", february);
        let hour = Some(("2024-12-31T23:00:00Z", "2025-01-01T00:00:00Z"));
        check(Period::Hour, "labs/2024-12-31/hour=23/x.parquet", hour);
        check(Period::Hour, "labs/2024123123.parquet", hour);
    }

    #[test]
    fn paths_that_name_none_are_told_apart() {
        for path in [
            "labs/part-00000.parquet",
            "labs/2026-13-05.parquet",
            "labs/2026-02-30/x.parquet",
            "labs/2026.parquet",
            "labs/2026-01.parquet",
            "labs/120260105.parquet",
            "labs/0026/01/05/x.parquet",
            "",
        ] {
            check(Period::Day, path, None);
        }
    }

    #[test]
    fn names_are_read_back() {
        for period in Period::ALL {
            assert_eq!(period.name().parse(), Ok(period));
        }
        assert!("week".parse::<Period>().is_err());
    }
}
