//! Time zones: from what a clock on a wall showed to when that was.
//!
//! A time without a zone is a local time of somebody's. Where a definition or a request says
//! whose, it is brought to UTC here. Twice a year that has no one answer:
//!
//! ```text
//! clock goes back      02:30 is shown twice     two readings, an hour apart
//! clock goes forward   02:30 is never shown     two readings: by the clock before, and after
//! ```
//!
//! Facts take the later reading and questions the earlier one, so that what cannot be decided
//! may hide a fact and never shows one too soon.
//!
//! The rules are those of the IANA database that comes with this release, and not what the
//! machine has, so that all machines of a release agree.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::MICROS_PER_SECOND;
use crate::{Error, Result};

/// Which reading of a local time counts where it has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The earlier one: for questions.
    Earlier,
    /// The later one: for facts.
    Later,
}

/// The clock of one place, by its IANA name.
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of an IANA name, in any case.
    ///
    /// # Errors
    /// `Invalid` when there is none.
    pub fn named(name: &str) -> Result<Self> {
        name.parse().map_err(|cause| Error::invalid(format!("{name:?} {cause}")))
    }

    /// The IANA name, such as `Europe/Berlin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When its clock showed a local time, both in microseconds since the beginning of 1970.
    /// What is beyond the calendar, years -9999 to 9999, has the offset of its nearest end.
    pub fn to_utc(&self, local: i64, reading: Reading) -> i64 {
        let beyond = if local < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let shown = Timestamp::from_microsecond(local).unwrap_or(beyond);
        let shown = Offset::UTC.to_datetime(shown);
        let offset = match (self.rules.to_ambiguous_timestamp(shown).offset(), reading) {
            (AmbiguousOffset::Unambiguous { offset }, _) => offset,
            (
                AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after },
                Reading::Earlier,
            ) => before.max(after),
            (
                AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after },
                Reading::Later,
            ) => before.min(after),
        };
        local.saturating_sub(i64::from(offset.seconds()) * MICROS_PER_SECOND)
    }
}

/// The database that comes with this release.
fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

impl FromStr for Zone {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        let unknown = "is no time zone; name one as the IANA database does, such as Europe/Berlin \
                       or UTC";
        let rules = database().get(name.trim()).map_err(|_| unknown)?;
        let name = rules.iana_name().ok_or(unknown)?.to_owned();
        Ok(Self { name, rules })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

/// Two zones of one name have one set of rules.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::named(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ZONE_MICROS_MAX;
    use crate::time::{format_timestamp, parse_timestamp};

    #[track_caller]
    fn check(zone: &str, local: &str, earlier: &str, later: &str) {
        let zone: Zone = zone.parse().unwrap();
        let local = parse_timestamp(local).unwrap();
        let read = |reading| format_timestamp(zone.to_utc(local, reading));
        assert_eq!((&*read(Reading::Earlier), &*read(Reading::Later)), (earlier, later));
    }

    #[test]
    fn a_local_time_is_when_the_clock_showed_it() {
        let winter = "2026-01-05T11:00:00Z";
        check("Europe/Berlin", "2026-01-05T12:00:00", winter, winter);
        let summer = "2026-07-05T10:00:00Z";
        check("europe/berlin", "2026-07-05T12:00:00", summer, summer);
        let far = "2180-07-23T15:36:00Z";
        check("Europe/Berlin", "2180-07-23T17:36:00", far, far);
        let same = "2026-07-05T12:00:00Z";
        check("UTC", "2026-07-05T12:00:00", same, same);
        let quarter = "2026-01-05T06:15:00Z";
        check("Asia/Kathmandu", "2026-01-05T12:00:00", quarter, quarter);
    }

    #[test]
    fn what_is_shown_twice_or_never_has_two_readings() {
        let (first, second) = ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z");
        check("Europe/Berlin", "2026-10-25T02:30:00", first, second);
        let (by_summer, by_winter) = ("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
        check("Europe/Berlin", "2026-03-29T02:30:00", by_summer, by_winter);
        // A whole day that never was.
        check(
            "Pacific/Apia",
            "2011-12-30T12:00:00",
            "2011-12-29T22:00:00Z",
            "2011-12-30T22:00:00Z",
        );
    }

    #[test]
    fn no_reading_is_further_away_than_the_bound() {
        for zone in ["Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Manila"] {
            let zone: Zone = zone.parse().unwrap();
            for local in [i64::MIN, -62_135_596_800_000_000, 0, 4_102_444_800_000_000, i64::MAX] {
                let earlier = zone.to_utc(local, Reading::Earlier);
                let later = zone.to_utc(local, Reading::Later);
                assert!(earlier <= later, "{zone} {local}");
                for utc in [earlier, later] {
                    assert!(i128::from(utc).abs_diff(local.into()) <= ZONE_MICROS_MAX as u128);
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_the_database() {
        let zone: Zone = " europe/berlin ".parse().unwrap();
        assert_eq!(zone.name(), "Europe/Berlin");
        assert_eq!(serde_json::to_string(&zone).unwrap(), "\"Europe/Berlin\"");
        assert_eq!(serde_json::from_str::<Zone>("\"Europe/Berlin\"").unwrap(), zone);
        for name in ["", "Berlin", "CEST+1", "+02:00"] {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
    }
}
