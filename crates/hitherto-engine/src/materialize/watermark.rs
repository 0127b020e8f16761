//! How far facts go: the watermark of a generation.
//!
//! It is the greatest event time among facts that had happened by the run, so that one fact
//! of next year, true or mistaken, hides from nobody that nothing new comes. Where none had
//! happened by then, as in records whose dates were shifted, it is the greatest of all.

/// Event times, as far as a watermark needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watermark {
    happened: i64,
    any: i64,
}

impl Default for Watermark {
    /// Of no facts.
    fn default() -> Self {
        Self { happened: i64::MIN, any: i64::MIN }
    }
}

impl Watermark {
    /// Counts the event time of a fact at `now`.
    pub fn add(&mut self, event: i64, now: i64) {
        self.any = self.any.max(event);
        if event <= now {
            self.happened = self.happened.max(event);
        }
    }

    /// That of the facts of both.
    pub fn and(self, other: Self) -> Self {
        Self { happened: self.happened.max(other.happened), any: self.any.max(other.any) }
    }

    /// The time; `i64::MIN` if there was no fact.
    pub fn time(self) -> i64 {
        if self.happened > i64::MIN { self.happened } else { self.any }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_yet_to_happen_counts_only_if_nothing_has() {
        let of = |events: &[i64]| {
            let mut watermark = Watermark::default();
            events.iter().for_each(|event| watermark.add(*event, 100));
            watermark
        };
        assert_eq!(of(&[7, 900, 100, 101]).time(), 100);
        assert_eq!(of(&[900, 101]).time(), 900);
        assert_eq!(of(&[]).time(), i64::MIN);
        assert_eq!(of(&[900]).and(of(&[7])).time(), 7);
    }
}
