//! What is believed of the clock.
//!
//! The engine reads no clock and has to take what it is told. A clock that was set ahead
//! would take history away for good, so what gives history up does not follow a jump
//! before the clock has gone on from there for a while:
//!
//! ```text
//! told      10:00   10:01   +6 days           +6 days 1h   ...  +7 days
//! believed  10:00   10:01   10:01             10:01             +7 days
//! ```
//!
//! A clock that is set back is followed at once: what it costs to believe too little is
//! history that nobody asks for, and a store that was made under a wrong clock gets well.
//!
//! Stamps of pushed facts are another matter: see [`crate::push`].

use hitherto_core::limits::{CLOCK_JUMP_MICROS_MAX, CLOCK_TRUST_MICROS};
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The time that is believed. Times are microseconds UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Believed {
    /// The time that is believed; `None` before anything was heard.
    at: Option<i64>,
    /// Where the clock jumped to, if nothing was heard since that contradicts it.
    jumped_to: Option<i64>,
}

impl Believed {
    /// Hears what the clock says; returns the time to go by.
    pub fn hear(&mut self, now: i64) -> i64 {
        let at = *self.at.get_or_insert(now);
        if now.saturating_sub(at) <= CLOCK_JUMP_MICROS_MAX {
            self.jumped_to = None;
            self.at = Some(now);
            return now;
        }
        match self.jumped_to.filter(|jumped_to| *jumped_to <= now) {
            Some(jumped_to) if now - jumped_to >= CLOCK_TRUST_MICROS => {
                *self = Self { at: Some(now), jumped_to: None };
                now
            }
            Some(_) => at,
            None => {
                self.jumped_to = Some(now);
                at
            }
        }
    }

    /// Whether it says so much more than `kept` that it is worth keeping.
    pub fn is_news_after(self, kept: Self) -> bool {
        let hours = |at: Option<i64>| at.map(|at| at.div_euclid(MICROS_PER_HOUR));
        (hours(self.at), hours(self.jumped_to)) != (hours(kept.at), hours(kept.jumped_to))
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// `Corrupt` when it is anything else.
    pub fn from_json(json: Option<Vec<u8>>) -> Result<Self> {
        let Some(json) = json else { return Ok(Self::default()) };
        serde_json::from_slice(&json).map_err(|cause| {
            Error::corrupt("what the store believed of the clock cannot be read; restore a backup")
                .with_source(cause)
        })
    }

    /// The stored form.
    pub fn to_json(self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self)
            .map_err(|cause| Error::internal("the time cannot be written").with_source(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn a_jump_is_believed_once_the_clock_has_gone_on_from_there() {
        let mut believed = Believed::default();
        let mut heard = |now| believed.hear(now);
        assert_eq!(heard(10 * DAY), 10 * DAY);
        assert_eq!(heard(11 * DAY), 11 * DAY);
        assert_eq!(heard(17 * DAY), 11 * DAY, "six days ahead");
        assert_eq!(heard(17 * DAY + 1), 11 * DAY);
        assert_eq!(heard(11 * DAY + 2), 11 * DAY + 2, "put right again");
        assert_eq!(heard(5 * DAY), 5 * DAY, "set back");
        assert_eq!(heard(18 * DAY), 5 * DAY, "put right, and not believed yet");
        assert_eq!(heard(18 * DAY + DAY - 1), 5 * DAY);
        assert_eq!(heard(19 * DAY), 19 * DAY, "a store that rested for a week");
        assert!(!believed.is_news_after(believed));
        let before = believed;
        believed.hear(19 * DAY + MICROS_PER_HOUR);
        assert!(believed.is_news_after(before));
        let json = believed.to_json().unwrap();
        assert_eq!(Believed::from_json(Some(json)).unwrap(), believed);
    }
}
