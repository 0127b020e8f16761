//! What time it is for what expires: the clock's, and never earlier than it can be.
//!
//! Answers go by a clock that can be stopped (`--now`); tokens and certificates do not. A clock
//! that is set back would let in whoever's time is over, so since the server began time has
//! gone on at least as long as the machine has run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hitherto_api::Clock;

/// The clock on the wall. Clones share it.
#[derive(Clone)]
pub struct Wall {
    clock: Clock,
    begun: (i64, Instant),
}

impl Wall {
    /// Begins to go by a clock, in microseconds UTC.
    pub fn new(clock: Clock) -> Self {
        let begun = (clock(), Instant::now());
        Self { clock, begun }
    }

    /// What time it is, in microseconds UTC.
    pub fn now(&self) -> i64 {
        let (then, begun) = self.begun;
        (self.clock)().max(after(then, begun.elapsed()))
    }
}

impl Default for Wall {
    /// One for whom nothing expires.
    fn default() -> Self {
        Self::new(Arc::new(|| i64::MIN))
    }
}

fn after(then: i64, passed: Duration) -> i64 {
    then.saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_back() {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let shown = Arc::clone(&clock);
        let wall = Wall::new(Arc::new(move || shown.load(Ordering::Relaxed)));
        clock.store(0, Ordering::Relaxed);
        let first = wall.now();
        assert!(first >= 1_000_000, "{first}");
        std::thread::sleep(Duration::from_millis(2));
        assert!(wall.now() >= first + 2_000);
        clock.store(90_000_000, Ordering::Relaxed);
        assert_eq!(wall.now(), 90_000_000);
        // Set ahead by mistake and back again, it does no harm for long.
        clock.store(2_000_000, Ordering::Relaxed);
        assert_eq!(wall.now(), 2_000_000);
    }
}
