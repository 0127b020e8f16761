//! The files of views: how many, how large, how sorted, and where they lie.
//!
//! A lake is generated once for each set of parameters and then kept, each view
//! in a folder of its own:
//!
//! ```text
//! DATA/v1-rows10000000-.../fv0/00000.parquet, 00001.parquet, ...
//!                         /fv1/...
//! ```
//!
//! The files of a view follow each other in time; inside, rows are sorted. What
//! a file holds depends on the parameters, the view and the file alone, not on
//! the threads that write, so two machines measure the same bytes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;

use super::entities::KeyType;
use super::{facts, writer};
use crate::{Result, folder, shared};

/// Changes when the generator writes other files for the same parameters.
const GENERATOR: u32 = 1;
/// Files that are in the making at a time, each held in memory.
const WRITERS: usize = 2;

/// One day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Where every lake begins: 2026-01-01T00:00Z.
pub const EPOCH_MICROS: i64 = 1_767_225_600_000_000;
/// The columns before the features: join key, event time, known time.
pub const KEY_COLUMNS: [&str; 3] = ["entity_id", "event_timestamp", "created_timestamp"];

/// The name of a feature column.
pub fn feature_name(index: usize) -> String {
    format!("f{index}")
}

/// How rows are sorted inside a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// By event time, as facts arrive.
    Time,
    /// By entity, then event time.
    Entity,
}

/// What determines the content of a view's files.
#[derive(Clone, Debug, PartialEq)]
pub struct Lake {
    /// Rows of each view.
    pub rows: u64,
    /// Features of each view.
    pub features: usize,
    /// Entities that facts are about.
    pub entities: u64,
    /// Days that the facts span.
    pub days: u64,
    /// Files of each view.
    pub files: u64,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// How much more often some entities have facts; 0 is not at all.
    pub zipf: f64,
    /// The order inside a file.
    pub sort: Sort,
    /// The type of the join key.
    pub key: KeyType,
    /// Everything random comes from here.
    pub seed: u64,
}

impl Lake {
    /// The folder of a view, generated if it is not there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn view(&self, data: &Path, view: usize) -> Result<PathBuf> {
        let path = data.join(self.name()).join(format!("fv{view}"));
        folder::complete(&path, |unfinished| {
            let started = Instant::now();
            let files: Vec<u64> = (0..self.files).collect();
            shared::map(WRITERS, &files, |file| {
                let rows = facts::file(self, view, *file)?;
                let path = unfinished.join(format!("{file:05}.parquet"));
                writer::write(&path, &rows, self.row_group_rows)
            })?;
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("generated {} rows in {seconds:.1} s: {}", self.rows, path.display());
            Ok(())
        })?;
        Ok(path)
    }

    /// The times of a file: from the first to before the second.
    pub(super) fn span(&self, file: u64) -> (i64, i64) {
        let all = self.days as i64 * DAY_MICROS;
        let begin = |file: u64| EPOCH_MICROS + all / self.files as i64 * file as i64;
        (begin(file), begin(file + 1))
    }

    /// The rows of a file; files differ by one row at most.
    pub(super) fn rows_of(&self, file: u64) -> u64 {
        let before = |file: u64| self.rows * file / self.files;
        before(file + 1) - before(file)
    }

    fn name(&self) -> String {
        let Self { rows, features, entities, days, files, row_group_rows, zipf, seed, .. } = self;
        let sort = match self.sort {
            Sort::Time => "time",
            Sort::Entity => "entity",
        };
        let key = self.key.name();
        format!(
            "v{GENERATOR}-rows{rows}-features{features}-entities{entities}-days{days}\
             -files{files}-group{row_group_rows}-zipf{zipf}-{sort}-{key}-seed{seed}"
        )
    }
}
