//! Which facts of a view can answer a moment from its horizon on.

use hitherto_core::definition::Known;
use hitherto_core::rule::Times;

/// Says so of sorted facts, one after the other.
///
/// Known time counts even where the view ignores it: what is kept answers both ways.
pub struct Kept {
    horizon: i64,
    key: Vec<u8>,
    last: Option<Times>,
    /// Whether the entity's fact that answers at the horizon was there.
    has_horizon: bool,
}

impl Kept {
    /// Nothing was there yet.
    pub fn new(horizon: i64) -> Self {
        Self { horizon, key: Vec::new(), last: None, has_horizon: false }
    }

    /// Whether a fact, which sorts behind all that were shown, is kept: the greatest of
    /// its times, and visible after the horizon or the first that is not.
    pub fn keeps(&mut self, key: &[u8], times: Times) -> bool {
        if self.last.is_none() || self.key != key {
            key.clone_into(&mut self.key);
            (self.last, self.has_horizon) = (None, false);
        }
        if self.last.replace(times) == Some(times) {
            return false;
        }
        let is_after_horizon = times.visible(Known::Honor) > self.horizon;
        let is_kept = is_after_horizon || !self.has_horizon;
        self.has_horizon |= !is_after_horizon;
        is_kept
    }
}
