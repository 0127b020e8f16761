//! The report that belongs to a training set: what answered, what did not and
//! why, how old the answers are, and what a careless join would have leaked.

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::Histogram;
use hitherto_api::TrainingSetReport;
use hitherto_api::training_set::{Ages, FeatureNulls, ViewReport};
use hitherto_core::aggregate::Reason;
use hitherto_core::definition::Known;
use hitherto_core::rule::Absence;
use parking_lot::Mutex;

/// Significant digits of the quantiles of ages.
const AGE_DIGITS: u8 = 3;

/// Counts one view's answers.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    report: ViewReport,
    absent: [u64; Absence::ALL.len()],
    empty_windows: u64,
    ages: Histogram<u64>,
    age_max: i64,
    has_ages: bool,
}

impl Tally {
    /// Nothing counted yet, for a view with these features in the answer.
    pub fn new(view: &str, known: Known, features: Vec<String>) -> Self {
        let nulls = features.into_iter().map(|feature| FeatureNulls {
            feature,
            rows: 0,
            reasons: BTreeMap::new(),
        });
        let (view, nulls) = (view.to_owned(), nulls.collect());
        let report = ViewReport { view, known, nulls, ..ViewReport::default() };
        let ages = Histogram::new(AGE_DIGITS).expect("three digits are allowed");
        Self {
            report,
            absent: [0; Absence::ALL.len()],
            empty_windows: 0,
            ages,
            age_max: 0,
            has_ages: true,
        }
    }

    /// The same for facts that always were: how old they are says nothing.
    pub fn without_ages(self) -> Self {
        Self { has_ages: false, ..self }
    }

    /// So many facts were read in a pass. What a later pass reads again counts
    /// once.
    pub fn facts(&mut self, facts: u64) {
        self.report.facts = self.report.facts.max(facts);
    }

    /// A fact of this age answers so many rows.
    pub fn present(&mut self, age_micros: i64, rows: u64) {
        self.report.present += rows;
        self.age_max = self.age_max.max(age_micros);
        // An event is never later than the row that it answers. The histogram
        // grows; it has room for every age there is.
        let age = age_micros.max(0).unsigned_abs();
        self.ages.record_n(age, rows).expect("every age has a place");
    }

    /// No fact answers so many rows.
    pub fn absent(&mut self, absence: Absence, rows: u64) {
        self.absent[absence as usize] += rows;
    }

    /// No event is in any window of so many rows.
    pub fn empty_window(&mut self, rows: u64) {
        self.empty_windows += rows;
    }

    /// A feature has no value in so many rows for each reason, in the order of
    /// [`Reason::ALL`].
    pub fn reasons(&mut self, feature: usize, rows: &[u64]) {
        let counted = &mut self.report.nulls[feature].reasons;
        for (reason, rows) in Reason::ALL.iter().zip(rows).filter(|(_, rows)| **rows > 0) {
            *counted.entry(reason.name().to_owned()).or_default() += rows;
        }
    }

    /// A join on event time alone would have leaked in so many rows.
    pub fn leak(&mut self, rows: u64) {
        self.report.leaks += rows;
    }

    /// A feature is null in this many more rows.
    pub fn nulls(&mut self, feature: usize, rows: u64) {
        self.report.nulls[feature].rows += rows;
    }

    /// What was counted so far.
    pub fn report(&self) -> ViewReport {
        let quantile = |share| {
            let micros = i64::try_from(self.ages.value_at_quantile(share)).unwrap_or(i64::MAX);
            micros.min(self.age_max)
        };
        let absent = Absence::ALL.iter().map(|reason| reason.name()).zip(self.absent);
        let empty = Some((Reason::EmptyWindow.name(), self.empty_windows));
        let absent = absent.chain(empty.filter(|(_, rows)| *rows > 0));
        ViewReport {
            absent: absent.map(|(reason, rows)| (reason.to_owned(), rows)).collect(),
            age: (self.report.present > 0 && self.has_ages).then(|| Ages {
                p50_micros: quantile(0.5),
                p95_micros: quantile(0.95),
                max_micros: self.age_max,
            }),
            ..self.report.clone()
        }
    }
}

/// What a join counts while it runs, one tally a view. Reports are made of it
/// when they are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    leaky_rows: u64,
    tallies: Vec<Arc<Mutex<Tally>>>,
}

impl Counts {
    /// Begins, with nothing counted.
    pub fn begin(&self, tallies: Vec<Arc<Mutex<Tally>>>) {
        *self.0.lock() = Counted { tallies, ..Counted::default() };
    }

    /// The tally of a view.
    pub fn tally(&self, view: usize) -> Arc<Mutex<Tally>> {
        Arc::clone(&self.0.lock().tallies[view])
    }

    /// Spine rows went out, so many of them leaky.
    pub fn rows(&self, rows: usize, leaky: usize) {
        let mut counted = self.0.lock();
        counted.rows += rows as u64;
        counted.leaky_rows += leaky as u64;
    }

    /// What the views counted so far, to go back to.
    pub fn save(&self) -> Vec<Tally> {
        self.0.lock().tallies.iter().map(|tally| tally.lock().clone()).collect()
    }

    /// Forgets what the views counted since.
    pub fn go_back(&self, saved: Vec<Tally>) {
        self.0.lock().tallies.iter().zip(saved).for_each(|(tally, saved)| *tally.lock() = saved);
    }

    /// The report of all that was counted so far.
    pub fn report(&self) -> TrainingSetReport {
        let counted = self.0.lock();
        TrainingSetReport {
            rows: counted.rows,
            leaky_rows: counted.leaky_rows,
            views: counted.tallies.iter().map(|tally| tally.lock().report()).collect(),
            on_demand: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_of_every_size_have_three_digits() {
        let mut tally = Tally::new("labs", Known::Honor, Vec::new());
        assert_eq!(tally.report().age, None);
        for hour in 1..=100 {
            tally.present(hour * 3_600_000_000, 1);
        }
        let Ages { p50_micros, p95_micros, max_micros } = tally.report().age.unwrap();
        let is_near =
            |micros: i64, hours: i64| (micros - hours * 3_600_000_000).abs() <= hours * 3_600_000;
        assert!(is_near(p50_micros, 50) && is_near(p95_micros, 95));
        assert_eq!(max_micros, 100 * 3_600_000_000);
        tally.present(i64::MAX, 1);
        assert_eq!(tally.report().age.unwrap().max_micros, i64::MAX);
    }
}
