//! Event times that matter, and a query's condition on them.

use ::arrow::datatypes::{DataType as ArrowType, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use hitherto_core::definition::FeatureView;

use super::{column, field_type};
use crate::micros::{is_zoneless, widened};

/// Event times that matter, in microseconds UTC, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// What happened before this cannot answer; `i64::MIN` is no bound.
    pub from: i64,
    /// What happened after this is not looked at.
    pub to: i64,
}

impl TimeRange {
    /// Every time.
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    /// The range between two bounds, either of which may be left open; `None` if both are.
    pub fn between(from: Option<i64>, to: Option<i64>) -> Option<Self> {
        let range = Self { from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX) };
        (range != Self::ALL).then_some(range)
    }

    /// Whether a time is in it.
    pub(crate) fn has(self, event: i64) -> bool {
        self.from <= event && event <= self.to
    }

    /// The local times, read as UTC's, at which something in it may have happened.
    fn widened(self) -> Self {
        let (from, to) = widened((self.from, self.to));
        Self { from, to }
    }

    /// Both bounds in a column's own type, so that row groups and pages are
    /// pruned by their statistics; widened to whole units. A fact's event time
    /// is rounded up to a microsecond when it is read, so the raw lower bound
    /// lies one microsecond earlier.
    fn bounds(self, event_type: &ArrowType) -> (Option<ScalarValue>, Option<ScalarValue>) {
        let bound = |micros: i64, up: i64| {
            let units = |per_unit: i64| {
                micros.div_euclid(per_unit) + i64::from(micros.rem_euclid(per_unit) != 0) * up
            };
            Some(match event_type {
                ArrowType::Timestamp(TimeUnit::Second, zone) => {
                    ScalarValue::TimestampSecond(Some(units(1_000_000)), zone.clone())
                }
                ArrowType::Timestamp(TimeUnit::Millisecond, zone) => {
                    ScalarValue::TimestampMillisecond(Some(units(1_000)), zone.clone())
                }
                ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
                    ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
                }
                ArrowType::Timestamp(TimeUnit::Nanosecond, zone) => {
                    ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1_000)?), zone.clone())
                }
                _ => ScalarValue::Date32(Some(i32::try_from(units(86_400_000_000)).ok()?)),
            })
        };
        let from = Some(self.from).filter(|from| *from > i64::MIN);
        (from.and_then(|from| bound(from.saturating_sub(1), 0)), bound(self.to, 1))
    }
}

/// A view's condition on event times, lower and upper bound, as far as there is one.
pub(super) fn event_bounds(
    view: &FeatureView,
    schema: &Schema,
    range: TimeRange,
) -> (Option<Expr>, Option<Expr>) {
    let Some(event_time) = &view.source.event_time else { return (None, None) };
    let Some(event_type) = field_type(schema, event_time) else { return (None, None) };
    let range = match view.source.timezone.is_some() && is_zoneless(event_type) {
        true => range.widened(),
        false => range,
    };
    let (lower, upper) = range.bounds(event_type);
    (
        lower.map(|lower| column(event_time).gt_eq(lit(lower))),
        upper.map(|upper| column(event_time).lt_eq(lit(upper))),
    )
}
