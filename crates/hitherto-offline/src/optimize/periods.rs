//! Spans of event time of about equally many facts, as far as footers tell.

use ::arrow::array::{ArrayRef, Int64Array};
use hitherto_api::arrow::micros::{Micros, Rounding};
use hitherto_core::Result;
use hitherto_core::definition::Source;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::PERIOD_ROWS;
use crate::footer::{Footer, Footers};

/// No period is shorter: facts come by the day.
const WIDTH_MICROS_MIN: i64 = 86_400_000_000;

/// Equally long periods. Earlier facts belong to the first, later ones to the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periods {
    from: i64,
    width_micros: i64,
    count: i64,
}

impl Periods {
    /// Periods over files; a single one where little or nothing is known. The
    /// column may be another one than the SQL of a view calls by its name: then
    /// periods are ill chosen, never wrong. What is timeless is of one period.
    pub fn new(footers: &Footers, source: &Source) -> Self {
        let Some(event_time) = &source.event_time else { return Self::spread(0, None) };
        let (mut rows, mut range) = (0, None);
        for footer in footers.files() {
            let metadata = footer.metadata.metadata();
            let groups = metadata.row_groups().iter();
            rows += groups.map(|group| group.num_rows().max(0) as u64).sum::<u64>();
            let Some(bounds) = bounds(footer, event_time) else { continue };
            range =
                Some(range.map_or(bounds, |(from, to): (i64, i64)| {
                    (from.min(bounds.0), to.max(bounds.1))
                }));
        }
        Self::spread(rows, range)
    }

    fn spread(rows: u64, range: Option<(i64, i64)>) -> Self {
        let (from, to) = range.unwrap_or((0, 0));
        let count = rows.div_ceil(PERIOD_ROWS).max(1) as i64;
        let width_micros =
            (to.saturating_sub(from) / count).saturating_add(1).max(WIDTH_MICROS_MIN);
        Self { from, width_micros, count }
    }

    /// The period of each fact. One without an event time is in the first.
    pub fn of(&self, event: &ArrayRef) -> Result<Int64Array> {
        let times = Micros::read(event, Rounding::Up)?;
        let period = |row| match times.get(row) {
            Some(at) => {
                let before = at.saturating_sub(self.from) / self.width_micros;
                before.clamp(0, self.count - 1)
            }
            None => 0,
        };
        Ok((0..event.len()).map(period).collect::<Vec<_>>().into())
    }
}

fn bounds(footer: &Footer, column: &str) -> Option<(i64, i64)> {
    let (schema, parquet) = (footer.metadata.schema(), footer.metadata.parquet_schema());
    let converter = StatisticsConverter::try_new(column, schema, parquet).ok()?;
    let groups = footer.metadata.metadata().row_groups();
    let least = Micros::read(&converter.row_group_mins(groups).ok()?, Rounding::Up).ok()?;
    let greatest = Micros::read(&converter.row_group_maxes(groups).ok()?, Rounding::Up).ok()?;
    let from = (0..groups.len()).filter_map(|group| least.get(group)).min()?;
    let to = (0..groups.len()).filter_map(|group| greatest.get(group)).max()?;
    Some((from, to))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::arrow::array::TimestampMicrosecondArray;

    use super::*;

    const DAY: i64 = WIDTH_MICROS_MIN;

    #[test]
    fn periods_are_spread_over_the_range_and_never_shorter_than_a_day() {
        let periods = Periods::spread(3 * PERIOD_ROWS, Some((10, 30 * DAY + 9)));
        let times =
            [Some(i64::MIN), Some(10), Some(15 * DAY), Some(30 * DAY), Some(i64::MAX), None];
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times.to_vec()));
        assert_eq!(periods.of(&times).unwrap().values().to_vec(), [0, 0, 1, 2, 2, 0]);
        assert_eq!(Periods::spread(9 * PERIOD_ROWS, Some((0, DAY))).width_micros, DAY);
        assert_eq!(Periods::spread(1, None).count, 1);
    }
}
