//! What lookups found, view by view, counted since the engine was opened.
//!
//! A lookup counts for itself and adds the sums once it has its answer: it pays for
//! a handful of shared additions a view, and one that is begun again counts once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hitherto_core::column::{Column, Status};
use hitherto_core::expression::{Reason, Reasons};
use hitherto_core::rule::{ALWAYS, Answer};
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_core::{Result, row};
use parking_lot::RwLock;

use super::compute::Computed;

/// Upper bounds of ages, in seconds: from a device's stream to yearly visits.
pub const AGE_SECONDS: [u64; 11] = [
    1,
    10,
    60,
    5 * 60,
    15 * 60,
    60 * 60,
    6 * 60 * 60,
    24 * 60 * 60,
    7 * 24 * 60 * 60,
    30 * 24 * 60 * 60,
    365 * 24 * 60 * 60,
];

/// Ages up to each bound and not the one before, and those beyond all.
type Ages<T> = [T; AGE_SECONDS.len() + 1];

/// What lookups of one view found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewCounts {
    /// Entities for which a fact answered.
    pub answered: u64,
    /// Entities of which no fact is known.
    pub not_found: u64,
    /// Entities whose newest known fact is older than the view's ttl.
    pub expired: u64,
    /// Values that a fact has as null, of those features that were asked for.
    pub null_values: u64,
    /// How old facts were at the moment that was asked about, by [`AGE_SECONDS`].
    pub ages: Ages<u64>,
    /// All ages together, in seconds.
    pub age_seconds: u64,
}

/// One view's counters. Shared by all threads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    answered: AtomicU64,
    not_found: AtomicU64,
    expired: AtomicU64,
    null_values: AtomicU64,
    ages: Ages<AtomicU64>,
    age_seconds: AtomicU64,
}

impl ViewCounts {
    /// Counts a stretch of answers for the moment `at`; `asked` is a bitmap of the
    /// features that were asked for.
    pub(super) fn count(&mut self, answers: &[Answer<'_>], at: i64, asked: &[u8]) -> Result<()> {
        for answer in answers {
            match answer {
                Ok(bytes) => {
                    self.count_age(at, row::times(bytes)?.event);
                    self.answered += 1;
                    self.null_values += u64::from(row::count_nulls(bytes, asked));
                }
                Err(absence) if absence.status() == Status::Expired => self.expired += 1,
                Err(_) => self.not_found += 1,
            }
        }
        Ok(())
    }

    /// Counts answers that were computed of events, which have no one age.
    pub(super) fn count_computed(&mut self, computed: &Computed) {
        let answered = computed.has_events.iter().filter(|has_events| **has_events).count();
        self.answered += answered as u64;
        self.not_found += (computed.has_events.len() - answered) as u64;
        let nulls = |column: &Column| {
            let statuses = column.statuses.iter();
            statuses.filter(|status| **status == Status::Null as u8).count() as u64
        };
        self.null_values += computed.columns.iter().map(nulls).sum::<u64>();
    }

    /// Counts the age of a fact; one that always was has none.
    fn count_age(&mut self, at: i64, event: i64) {
        if event == ALWAYS {
            return;
        }
        let seconds = (at.saturating_sub(event).max(0) / MICROS_PER_SECOND) as u64;
        self.ages[AGE_SECONDS.partition_point(|bound| *bound < seconds)] += 1;
        self.age_seconds += seconds;
    }
}

impl Counters {
    /// Adds what one lookup found.
    pub fn add(&self, counts: &ViewCounts) {
        let pairs = [
            (&self.answered, counts.answered),
            (&self.not_found, counts.not_found),
            (&self.expired, counts.expired),
            (&self.null_values, counts.null_values),
            (&self.age_seconds, counts.age_seconds),
        ];
        let ages = self.ages.iter().zip(counts.ages);
        for (counter, count) in pairs.into_iter().chain(ages).filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn read(&self) -> ViewCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ViewCounts {
            answered: read(&self.answered),
            not_found: read(&self.not_found),
            expired: read(&self.expired),
            null_values: read(&self.null_values),
            ages: self.ages.each_ref().map(read),
            age_seconds: read(&self.age_seconds),
        }
    }
}

/// The counters of all views, by the view's id: they outlive every catalog.
#[derive(Debug, Default)]
pub struct AllCounts {
    views: RwLock<HashMap<u32, Arc<Counters>>>,
    /// Those of features that are computed when they are asked for, by view and name.
    on_demand: RwLock<BTreeMap<(String, String), Arc<OnDemandCounters>>>,
}

/// Values that one on-demand feature did not have, by reason. Shared by all threads.
#[derive(Debug, Default)]
pub struct OnDemandCounters([AtomicU64; Reason::ALL.len()]);

impl OnDemandCounters {
    /// Adds what one lookup found.
    pub(super) fn add(&self, reasons: &Reasons) {
        for (reason, rows) in reasons.iter().filter(|(_, rows)| *rows > 0) {
            self.0[reason as usize].fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Each reason with its values.
    pub fn read(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .into_iter()
            .zip(self.0.each_ref().map(|counter| counter.load(Ordering::Relaxed)))
    }
}

impl AllCounts {
    /// The counters of one view.
    pub(super) fn of(&self, view: u32) -> Arc<Counters> {
        let views = self.views.read();
        if let Some(counters) = views.get(&view) {
            return Arc::clone(counters);
        }
        drop(views);
        let mut views = self.views.write();
        Arc::clone(views.entry(view).or_default())
    }

    /// The counters of one on-demand feature.
    pub(super) fn of_step(&self, view: &str, feature: &str) -> Arc<OnDemandCounters> {
        let name = (view.to_owned(), feature.to_owned());
        if let Some(counters) = self.on_demand.read().get(&name) {
            return Arc::clone(counters);
        }
        Arc::clone(self.on_demand.write().entry(name).or_default())
    }

    /// What was counted for on-demand features, by view and name.
    pub(crate) fn on_demand(&self) -> BTreeMap<(String, String), Arc<OnDemandCounters>> {
        self.on_demand.read().clone()
    }

    /// What was counted for one view.
    pub(crate) fn read(&self, view: u32) -> ViewCounts {
        self.of(view).read()
    }
}
