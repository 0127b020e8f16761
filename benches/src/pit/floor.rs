//! Decoding alone: what any engine has to do that reads these columns of these
//! files. The parquet crate's own reader, the batches dropped as they come.
//!
//! Threads share the row groups of all files, so that one large file keeps all
//! of them busy. Footers are read first, by all threads, too.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use hitherto_core::limits::BATCH_ROWS;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use serde::{Deserialize, Serialize};

use crate::{Result, folder, shared};

/// Which columns of which files to decode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decode {
    /// One for each view, also when two views read one folder.
    pub folders: Vec<PathBuf>,
    /// The same columns in every file.
    pub columns: Vec<String>,
    /// Threads.
    pub threads: usize,
}

/// How long that took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decoded {
    /// From the listing of files to the last batch.
    pub seconds: f64,
    /// Rows of all folders.
    pub rows: u64,
}

/// Decodes.
///
/// # Errors
/// When a file cannot be read.
pub fn run(decode: &Decode) -> Result<Decoded> {
    let started = Instant::now();
    let files = decode.folders.iter().map(|path| folder::list(path));
    let files: Vec<PathBuf> = files.collect::<Result<Vec<_>>>()?.concat();
    let footers = shared::map(decode.threads, &files, |path| {
        Ok(ArrowReaderMetadata::load(&File::open(path)?, Default::default())?)
    })?;
    let groups: Vec<(usize, usize)> = footers
        .iter()
        .enumerate()
        .flat_map(|(file, footer)| {
            (0..footer.metadata().num_row_groups()).map(move |group| (file, group))
        })
        .collect();
    let rows = shared::map(decode.threads, &groups, |(file, group)| {
        let footer = footers[*file].clone();
        let schema = footer.parquet_schema();
        let columns = ProjectionMask::columns(schema, decode.columns.iter().map(String::as_str));
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(&files[*file])?, footer)
                .with_projection(columns)
                .with_row_groups(vec![*group])
                .with_batch_size(BATCH_ROWS)
                .build()?;
        let mut rows = 0;
        for batch in reader {
            rows += batch?.num_rows() as u64;
        }
        Ok(rows)
    })?;
    Ok(Decoded { seconds: started.elapsed().as_secs_f64(), rows: rows.into_iter().sum() })
}
