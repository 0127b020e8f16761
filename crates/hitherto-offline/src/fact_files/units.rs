//! Row groups in the order of reading, and which of them nobody needs.

use std::cmp::Reverse;
use std::sync::Arc;

use ::arrow::datatypes::SchemaRef;
use hitherto_api::TimeRange;
use hitherto_api::arrow::micros::widened;
use hitherto_core::slots::{Contest, Spine};

use super::bounds::{self, Bounds};
use crate::facts::FactLayout;
use crate::footer::Footer;

/// The files of one view and its columns in them.
pub(crate) struct FactFiles {
    pub layout: FactLayout,
    /// The source's column for each column of the layout.
    pub columns: Vec<String>,
    /// The columns' names and types, in that order.
    pub schema: SchemaRef,
    pub files: Vec<Arc<Footer>>,
}

/// One row group.
pub(crate) struct Unit {
    pub file: Arc<Footer>,
    pub row_group: usize,
    pub rows: usize,
    pub(super) bounds: Bounds,
}

impl FactFiles {
    /// The columns that say which entity a fact is about and when it counts.
    pub fn heads(&self) -> &[String] {
        &self.columns[..self.layout.heads()]
    }

    /// The columns that hold values.
    pub fn features(&self) -> &[String] {
        &self.columns[self.layout.heads()..self.layout.columns()]
    }

    /// All row groups, newest events first: a slot is then written about once,
    /// and reading can end early. Those without statistics come first.
    pub fn units(&self) -> Vec<Unit> {
        let mut units = Vec::new();
        for file in &self.files {
            let groups = file.metadata.metadata().row_groups();
            let bounds = self.bounds(file);
            units.extend(groups.iter().zip(bounds).enumerate().map(
                |(row_group, (group, bounds))| {
                    let rows = group.num_rows().max(0) as usize;
                    Unit { file: Arc::clone(file), row_group, rows, bounds }
                },
            ));
        }
        units.retain(|unit| unit.rows > 0);
        units.sort_by_key(|unit| {
            let latest = unit.bounds.event.map(|(_, latest)| Reverse(latest));
            (latest, Reverse(unit.file.file.name.clone()), Reverse(unit.row_group))
        });
        units
    }

    fn bounds(&self, file: &Footer) -> Vec<Bounds> {
        let keys = self.layout.keys();
        let events = bounds::events_of(&file.metadata, &self.columns[keys.len()]);
        let is_local = self.layout.has_local(self.schema.field(keys.len()).data_type());
        let event = |event: Option<(i64, i64)>| if is_local { event.map(widened) } else { event };
        let mut all: Vec<Bounds> =
            events.into_iter().map(|found| Bounds { event: event(found), keys: None }).collect();
        if !keys.is_empty()
            && let Ok((least, greatest)) = bounds::of(&file.metadata, &self.columns[0])
        {
            for (bounds, keys) in all.iter_mut().zip(bounds::keys(&least, &greatest, keys)) {
                bounds.keys = keys;
            }
        }
        all
    }
}

impl Unit {
    /// Whether a fact of this row group may have happened within a range.
    pub fn is_within(&self, window: TimeRange) -> bool {
        let event = self.bounds.event;
        event.is_none_or(|(first, last)| first <= window.to && window.from <= last)
    }

    /// Whether every fact of this row group happened before a moment.
    pub fn is_before(&self, first: i64) -> bool {
        self.bounds.event.is_some_and(|(_, latest)| latest < first)
    }

    /// Whether a fact of this row group can have a slot: some happened by the
    /// spine's last time, and some may be about one of its entities.
    pub fn concerns(&self, spine: &Spine, last_time: i64) -> bool {
        self.bounds.concerns(spine, last_time)
    }

    /// Whether every answer that these facts could change is newer already.
    pub fn is_settled(&self, contest: &Contest, first_time: i64) -> bool {
        // Only what happened before the first question can be settled for all.
        self.bounds.event.is_some_and(|(_, latest)| {
            latest < first_time && contest.is_settled(self.bounds.entities(contest.spine()), latest)
        })
    }

    /// An error that names the file, if reading it fails again.
    pub fn blame(&self, error: hitherto_core::Error) -> hitherto_core::Error {
        crate::footer::blame_if_broken([&self.file.file], error)
    }
}
