//! Thresholds: what a training set's report may say before a pipeline stops.

use hitherto_core::definition::Known;
use hitherto_core::time::format_duration;
use hitherto_core::{Error, Result};

use crate::training_set::{FeatureNulls, TrainingSetReport};

/// What a report may say at most. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// Share of rows in which any one feature is null, from 0 to 1.
    pub null_rate: Option<f64>,
    /// Share of rows that a join on event time alone would have answered with
    /// the future, or did where known time does not count, from 0 to 1, in any one view.
    pub leak_rate: Option<f64>,
    /// Microseconds that 19 of 20 facts of any one view are not older than.
    pub age_micros: Option<i64>,
}

impl Thresholds {
    /// Checks a report.
    ///
    /// # Errors
    /// `Invalid` with a line for everything beyond its bound.
    pub fn check(&self, report: &TrainingSetReport) -> Result<()> {
        let rate = |rows: u64| rows as f64 / report.rows.max(1) as f64;
        let beyond = |what: String, rows: u64, bound: Option<f64>| {
            let bound = bound.filter(|bound| rate(rows) > *bound)?;
            let share = rate(rows);
            Some(format!(
                "{what} in {rows} of {} rows ({share:.4}), more than {bound}",
                report.rows
            ))
        };
        let of_nulls = |view: &str, nulls: &FeatureNulls| {
            beyond(format!("{view}:{} is null", nulls.feature), nulls.rows, self.null_rate)
        };
        let mut lines = Vec::new();
        for view in &report.views {
            let name = &view.view;
            lines.extend(view.nulls.iter().filter_map(|nulls| of_nulls(name, nulls)));
            let leaks = match view.known {
                Known::Honor => format!("{name} would leak"),
                Known::Ignore => format!("{name}, whose known times are ignored, leaks"),
            };
            lines.extend(beyond(leaks, view.leaks, self.leak_rate));
            let age = view.age.map_or(0, |age| age.p95_micros);
            if let Some(bound) = self.age_micros.filter(|bound| age > *bound) {
                lines.push(format!(
                    "{name} is answered by facts of up to {} (p95), more than {}",
                    format_duration(age),
                    format_duration(bound)
                ));
            }
        }
        for view in &report.on_demand {
            lines.extend(view.nulls.iter().filter_map(|nulls| of_nulls(&view.view, nulls)));
        }
        match lines.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "the training set is beyond its thresholds; look at what is named here, or raise \
                 them:\n{}",
                lines.join("\n")
            ))),
        }
    }

    /// Checks that rates are rates.
    ///
    /// # Errors
    /// `Invalid` naming the one that is not from 0 to 1.
    pub fn validate(&self) -> Result<()> {
        for (name, rate) in [("null rate", self.null_rate), ("leak rate", self.leak_rate)] {
            if let Some(rate) = rate.filter(|rate| !(0.0..=1.0).contains(rate)) {
                return Err(Error::invalid(format!(
                    "the greatest {name} is {rate}; write a share of rows from 0 to 1"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::training_set::{Ages, ViewReport};

    use super::*;

    fn report() -> TrainingSetReport {
        let nulls = vec![FeatureNulls {
            feature: String::from("value"),
            rows: 2,
            reasons: Default::default(),
        }];
        let age = Some(Ages { p50_micros: 1, p95_micros: 3_600_000_000, max_micros: i64::MAX });
        let view = ViewReport {
            view: String::from("labs"),
            leaks: 1,
            nulls,
            age,
            ..ViewReport::default()
        };
        TrainingSetReport {
            rows: 10,
            leaky_rows: 1,
            views: vec![view],
            on_demand: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_leaked_is_not_said_to_have_been_kept_out() {
        let mut report = report();
        report.views[0].known = Known::Ignore;
        let thresholds = Thresholds { leak_rate: Some(0.0), ..Thresholds::default() };
        let error = thresholds.check(&report).unwrap_err().to_string();
        assert!(error.contains("labs, whose known times are ignored, leaks in 1 of"), "{error}");
    }

    #[test]
    fn bounds_are_inclusive_and_every_excess_is_named() {
        let at = |rate, micros| Thresholds { null_rate: rate, leak_rate: rate, age_micros: micros };
        assert!(Thresholds::default().check(&report()).is_ok());
        assert!(at(Some(0.2), Some(3_600_000_000)).check(&report()).is_ok());
        let error = at(Some(0.1), None).check(&report()).unwrap_err().to_string();
        assert!(error.ends_with("labs:value is null in 2 of 10 rows (0.2000), more than 0.1"));
        let error = at(Some(0.0), Some(60_000_000)).check(&report()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(error.contains("labs would leak in 1 of 10 rows"), "{error}");
        assert!(error.contains("facts of up to 1h (p95), more than 1m"), "{error}");
        assert!(at(Some(1.1), None).validate().is_err());
        assert!(at(Some(f64::NAN), None).validate().is_err());
    }
}
