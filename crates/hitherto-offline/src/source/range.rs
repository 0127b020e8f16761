//! A query's condition on event times.

use ::arrow::datatypes::{DataType as ArrowType, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use hitherto_api::TimeRange;
use hitherto_api::arrow::micros::{is_zoneless, widened};
use hitherto_core::definition::FeatureView;

use super::{column, field_type};

/// Both bounds in a column's own type, so that row groups and pages are
/// pruned by their statistics; widened to whole units. A fact's event time
/// is rounded up to a microsecond when it is read, so the raw lower bound
/// lies one microsecond earlier.
fn bounds(range: TimeRange, event_type: &ArrowType) -> (Option<ScalarValue>, Option<ScalarValue>) {
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
    let from = Some(range.from).filter(|from| *from > i64::MIN);
    (from.and_then(|from| bound(from.saturating_sub(1), 0)), bound(range.to, 1))
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
        true => {
            let (from, to) = widened((range.from, range.to));
            TimeRange { from, to }
        }
        false => range,
    };
    let (lower, upper) = bounds(range, event_type);
    (
        lower.map(|lower| column(event_time).gt_eq(lit(lower))),
        upper.map(|upper| column(event_time).lt_eq(lit(upper))),
    )
}
