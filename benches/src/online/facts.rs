//! The value of every feature, and files of them.
//!
//! A value is a hash of where it stands, so every row differs, nothing
//! compresses, and whoever checks an answer computes it again.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::DataType;

use crate::pit::writer;
use crate::{Result, shared};

/// Features of each view.
pub const FEATURES: usize = 50;
/// When the first fact of every entity happened: 2026-01-01T00:00Z.
pub const FIRST_MICROS: i64 = 1_767_225_600_000_000;
/// Between two facts of an entity: one day.
pub const STEP_MICROS: i64 = 86_400_000_000;

/// Rows of a file.
const FILE_ROWS: u64 = 50_000;
/// Files that are in the making at a time, each held in memory.
const WRITERS: usize = 2;
const ROW_GROUP_ROWS: usize = 50_000;

/// Where a fact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The view's number.
    pub view: u64,
    /// The entity.
    pub entity: u64,
    /// Which fact of that entity, the oldest first.
    pub version: u64,
}

/// The value of a feature: from 0 to before 1, all 53 bits used.
pub fn value(place: Place, feature: usize) -> f64 {
    let mut bits = place.view;
    for part in [place.entity, place.version, feature as u64] {
        bits = mixed(bits ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Writes the files of a view: every entity once, `versions` times.
///
/// # Errors
/// When they cannot be written.
pub fn write(folder: &Path, view: u64, entities: u64, versions: u64) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let files: Vec<u64> = (0..(entities * versions).div_ceil(FILE_ROWS)).collect();
    shared::map(WRITERS, &files, |file| {
        let last = ((file + 1) * FILE_ROWS).min(entities * versions);
        let places = (file * FILE_ROWS..last).map(|row| Place {
            view,
            entity: row % entities,
            version: row / entities,
        });
        let rows = rows(&places.collect::<Vec<_>>())?;
        writer::write(&folder.join(format!("{file:05}.parquet")), &rows, ROW_GROUP_ROWS)
    })?;
    Ok(())
}

fn rows(places: &[Place]) -> Result<RecordBatch> {
    let entities = places.iter().map(|place| place.entity as i64);
    let times = places.iter().map(|place| FIRST_MICROS + place.version as i64 * STEP_MICROS);
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(entities)), writer::times(times)];
    let mut fields = vec![
        ("entity_id".to_owned(), DataType::Int64),
        ("event_timestamp".to_owned(), writer::time_type()),
    ];
    for feature in 0..FEATURES {
        let values = places.iter().map(|place| value(*place, feature));
        columns.push(Arc::new(Float64Array::from_iter_values(values)));
        fields.push((format!("f{feature}"), DataType::Float64));
    }
    Ok(RecordBatch::try_new(writer::schema(fields), columns)?)
}
