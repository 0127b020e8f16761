//! What the latest rows of a generation look like, in figures by which two generations
//! are compared before readers see the new one.

use std::fmt::Write as _;

use hitherto_core::aggregate::{Instant, InstantPlan};
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::{Status, Values};
use hitherto_core::definition::MaxChange;
use hitherto_core::row::RowSchema;
use hitherto_core::types::Physical;
use hitherto_core::{Error, Result, row};
use serde::{Deserialize, Serialize};

/// Features that a refusal names; the rest are counted.
const NAMED_MAX: usize = 5;

/// Figures of the rows that were loaded into a generation, or of what its entities' events
/// answered when it was built. What is pushed is not in them, nor are events that were loaded
/// later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Rows that have values: deletions have none.
    rows: u64,
    features: Vec<FeatureFigures>,
}

/// Figures of one feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct FeatureFigures {
    nulls: u64,
    /// The smallest and the greatest number, if it is one and any was there.
    range: Option<(f64, f64)>,
}

impl Figures {
    /// Counts a row.
    ///
    /// # Errors
    /// `Corrupt` when it is none of that schema.
    pub fn add(&mut self, schema: &RowSchema, bytes: &[u8]) -> Result<()> {
        if row::is_deletion(bytes) {
            return Ok(());
        }
        let row = schema.read(bytes)?;
        self.rows += 1;
        self.features.resize(schema.types().len(), FeatureFigures::default());
        for (feature, (figures, data_type)) in
            self.features.iter_mut().zip(schema.types()).enumerate()
        {
            if row.is_null(feature) {
                figures.nulls += 1;
                continue;
            }
            let number = match (data_type.physical(), data_type.slot_bytes()) {
                (Physical::F64, _) => f64::from_le_bytes(row.fixed(feature)),
                (Physical::F32, _) => f64::from(f32::from_le_bytes(row.fixed(feature))),
                (Physical::I64, _) => i64::from_le_bytes(row.fixed(feature)) as f64,
                (Physical::U64, _) => u64::from_le_bytes(row.fixed(feature)) as f64,
                (Physical::I32, 4) => f64::from(i32::from_le_bytes(row.fixed(feature))),
                (Physical::I32, 2) => f64::from(i16::from_le_bytes(row.fixed(feature))),
                (Physical::I32, _) => f64::from(i8::from_le_bytes(row.fixed(feature))),
                (Physical::U32, 4) => f64::from(u32::from_le_bytes(row.fixed(feature))),
                (Physical::U32, 2) => f64::from(u16::from_le_bytes(row.fixed(feature))),
                (Physical::U32, _) => f64::from(u8::from_le_bytes(row.fixed(feature))),
                (Physical::Bool | Physical::I128 | Physical::Varlen, _) => continue,
            };
            figures.include(number);
        }
        Ok(())
    }

    /// Counts the answers of an entity whose events were shown.
    ///
    /// # Errors
    /// As [`Instant::finish`].
    pub fn add_answers(&mut self, plan: &InstantPlan, answers: &mut Instant<'_>) -> Result<()> {
        let mut columns = plan.columns(1);
        answers.finish(&mut columns)?;
        self.rows += 1;
        self.features.resize(columns.len(), FeatureFigures::default());
        for (figures, column) in self.features.iter_mut().zip(&columns) {
            if column.status(0) != Status::Present {
                figures.nulls += 1;
                continue;
            }
            let number = match &column.values {
                Values::F64(values) => values[0],
                Values::F32(values) => f64::from(values[0]),
                Values::I64(values) => values[0] as f64,
                Values::U64(values) => values[0] as f64,
                Values::I32(values) => f64::from(values[0]),
                Values::U32(values) => f64::from(values[0]),
                Values::Bool(_) | Values::I128(_) | Values::Varlen { .. } => continue,
            };
            figures.include(number);
        }
        Ok(())
    }

    /// The figures of both.
    pub fn and(mut self, other: &Self) -> Self {
        self.rows += other.rows;
        let features = self.features.len().max(other.features.len());
        self.features.resize(features, FeatureFigures::default());
        for (figures, other) in self.features.iter_mut().zip(&other.features) {
            figures.nulls += other.nulls;
            other.range.into_iter().for_each(|range| figures.widen(range));
        }
        self
    }

    /// Says whether a new generation with these figures may replace one with the figures
    /// `old`, by what the view's definition allows.
    ///
    /// # Errors
    /// `Conflict` with everything that has changed by more.
    pub fn check(&self, old: &Self, view: &AppliedView) -> Result<()> {
        let Some(max) = &view.definition.online.max_change else { return Ok(()) };
        if old.rows == 0 {
            return Ok(());
        }
        let mut changes = Vec::new();
        let grown = self.rows as f64 / old.rows as f64 - 1.0;
        if max.entities.is_some_and(|max| grown.abs() > max.as_f64()) {
            let (rows, before) = (self.rows, old.rows);
            changes.push(format!("{rows} entities with values instead of {before}"));
        }
        let features = view.definition.features.iter().zip(self.features.iter().zip(&old.features));
        for (feature, (new, before)) in features {
            let name = &feature.name;
            changes.extend(new.nulls_beyond(self.rows, before, old.rows, max, name));
            changes.extend(new.range_beyond(before, max, name));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut list = changes[..changes.len().min(NAMED_MAX)].join("; ");
        if changes.len() > NAMED_MAX {
            let _ = write!(list, "; and {} more", changes.len() - NAMED_MAX);
        }
        Err(Error::conflict(format!(
            "the new generation of feature view {0:?} differs from the one that readers see by \
             more than online.maxChange allows: {list}. Readers go on seeing the old one. Look at \
             the source; if it is right, run `hitherto materialize {0} --full --force` \
             (in Python store.materialize([{0:?}], full=True, force=True))",
            view.name()
        )))
    }
}

impl FeatureFigures {
    fn include(&mut self, number: f64) {
        if number.is_finite() {
            self.widen((number, number));
        }
    }

    fn widen(&mut self, (least, greatest): (f64, f64)) {
        let (low, high) = self.range.unwrap_or((least, greatest));
        self.range = Some((low.min(least), high.max(greatest)));
    }

    fn nulls_beyond(
        &self,
        rows: u64,
        old: &Self,
        old_rows: u64,
        max: &MaxChange,
        name: &str,
    ) -> Option<String> {
        let share = |nulls: u64, rows: u64| nulls as f64 / rows.max(1) as f64;
        let (new, old) = (share(self.nulls, rows), share(old.nulls, old_rows));
        let is_beyond = (new - old).abs() > max.nulls?.as_f64();
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        is_beyond.then(|| format!("{name} is null in {} instead of {}", percent(new), percent(old)))
    }

    fn range_beyond(&self, old: &Self, max: &MaxChange, name: &str) -> Option<String> {
        let (share, (least, greatest), (low, high)) = (max.range?, self.range?, old.range?);
        let room = (high - low) * share.as_f64();
        let is_beyond = least < low - room || greatest > high + room;
        is_beyond.then(|| format!("{name} is in [{least}, {greatest}] instead of [{low}, {high}]"))
    }
}

#[cfg(test)]
mod tests;
