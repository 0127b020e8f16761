//! Spines: the label rows that a training set is built for.
//!
//! Labels lie in the last days of a lake, so that most have facts before them,
//! in no order, as an export of labels comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::entities::{Entities, KeyType};
use super::lake::{DAY_MICROS, EPOCH_MICROS};
use super::writer;
use crate::{Result, folder};

/// Changes when the generator writes another file for the same parameters.
const GENERATOR: u32 = 1;
/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;

/// The spine's column of times.
pub const TIMESTAMP: &str = "event_timestamp";

/// What determines the content of a spine.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Label rows.
    pub rows: u64,
    /// Entities that they are about: the first ones of the lake.
    pub entities: u64,
    /// Days that the lake spans.
    pub lake_days: u64,
    /// How many of them, up to the last, have labels.
    pub days: u64,
    /// How much more often some entities have labels; 0 is not at all.
    pub zipf: f64,
    /// The type of the join key.
    pub key: KeyType,
    /// Everything random comes from here.
    pub seed: u64,
}

impl Labels {
    /// The folder that holds `spine.parquet`, generated if it is not there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn spine(&self, data: &Path) -> Result<PathBuf> {
        let path = data.join(self.name());
        folder::complete(&path, |unfinished| {
            writer::write(&unfinished.join("spine.parquet"), &self.batch()?, ROW_GROUP_ROWS)?;
            eprintln!("generated {} labels: {}", self.rows, path.display());
            Ok(())
        })?;
        Ok(path)
    }

    fn batch(&self) -> Result<RecordBatch> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed);
        let entities = Entities::new(self.entities, self.zipf)?;
        let days = [self.lake_days.saturating_sub(self.days), self.lake_days];
        let [from, to] = days.map(|day| EPOCH_MICROS + day as i64 * DAY_MICROS);
        let rows = self.rows as usize;
        let key: Vec<i64> = (0..rows).map(|_| entities.draw(&mut random)).collect();
        let times: Vec<i64> = (0..rows).map(|_| random.random_range(from..to)).collect();
        let labels = (0..rows).map(|_| random.random::<f64>());
        let columns = [
            ("rid", DataType::Int64),
            ("entity_id", self.key.arrow()),
            (TIMESTAMP, writer::time_type()),
            ("label", DataType::Float64),
        ];
        let schema = writer::schema(columns.map(|(name, of)| (name.to_owned(), of)));
        let labels = Arc::new(Float64Array::from_iter_values(labels));
        let rid = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let columns =
            vec![rid, self.key.column(key.into_iter()), writer::times(times.into_iter()), labels];
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    fn name(&self) -> String {
        let Self { rows, entities, lake_days, days, zipf, seed, .. } = self;
        let key = self.key.name();
        format!(
            "v{GENERATOR}-labels{rows}-entities{entities}-days{days}of{lake_days}\
             -zipf{zipf}-{key}-seed{seed}"
        )
    }
}
