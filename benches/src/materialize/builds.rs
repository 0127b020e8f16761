//! Full builds, a day on top, and the floor of writing.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use hitherto_api::MaterializeMode;
use hitherto_core::key::ascending;
use hitherto_core::row::RowSchema;
use hitherto_core::rule::Times;
use hitherto_core::types::DataType;
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{Access, Beneath, GenerationId, RowStore};
use serde::{Deserialize, Serialize};

use super::store;
use crate::peak::read_peak_rss_bytes;
use crate::{Result, folder, grant};

/// A store to be built.
#[derive(Debug, Serialize, Deserialize)]
pub struct Build {
    /// Where.
    pub root: PathBuf,
    /// The lake's files; the last is the day on top.
    pub files: PathBuf,
    /// Features in them.
    pub features: usize,
    /// What the build may hold, in bytes.
    pub memory: u64,
}

/// A store that was built.
#[derive(Debug, Serialize, Deserialize)]
pub struct Built {
    /// Facts of all days but the last.
    pub rows: u64,
    /// Entities that they are about.
    pub entities: u64,
    /// From the call to the flip.
    pub seconds: f64,
    /// The most memory of the process until then.
    pub peak_rss_bytes: u64,
    /// Facts of the last day.
    pub day_rows: u64,
    /// From the call to the commit.
    pub day_seconds: f64,
}

/// Builds everything but the last day, then adds that.
///
/// # Errors
/// When a file cannot be linked or the build fails.
pub fn build(question: &Build) -> Result<Built> {
    store::create(&question.root, question.features)?;
    let mut files = folder::list(&question.files)?;
    let day = files.pop().ok_or("the lake has no file")?;
    let link = |file: &PathBuf| -> Result<()> {
        let name = file.file_name().ok_or("a file has no name")?;
        Ok(fs::hard_link(file, question.root.join("facts").join(name))?)
    };
    files.iter().try_for_each(link)?;
    let engine = store::open(&question.root, question.memory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        engine.apply(grant(), &engine.plan(grant()).await?, 0).await?;
        let started = Instant::now();
        let full = store::materialize(&engine, MaterializeMode::Full).await?;
        let seconds = started.elapsed().as_secs_f64();
        let peak_rss_bytes = read_peak_rss_bytes()?;
        link(&day)?;
        let started = Instant::now();
        let day = store::materialize(&engine, MaterializeMode::Incremental).await?;
        if day.mode != MaterializeMode::Incremental {
            return Err("the day on top was not consumed by itself".into());
        }
        Ok(Built {
            rows: full.facts,
            entities: full.entities,
            seconds,
            peak_rss_bytes,
            day_rows: day.facts,
            day_seconds: started.elapsed().as_secs_f64(),
        })
    })
}

/// Rows to be written that are sorted already.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sorted {
    /// A folder for the store.
    pub folder: PathBuf,
    /// Rows.
    pub entities: u64,
    /// Features of each.
    pub features: usize,
}

/// Seconds to write them as the store's files and to take these in.
///
/// # Errors
/// When the store cannot be written.
pub fn write(question: &Sorted) -> Result<f64> {
    let store = RocksStore::open(&question.folder, Access::ReadWrite, RocksOptions::default())?;
    let schema = RowSchema::new(&vec![DataType::Float64; question.features], 1);
    let mut bytes = Vec::new();
    let load = store.load(GenerationId { view: 1, number: 1 }, Beneath::Nothing)?;
    let mut part = load.part()?;
    let started = Instant::now();
    for entity in 0..question.entities as i64 {
        let mut row = schema.write(&mut bytes, Times { event: entity, known: entity }, 0);
        for feature in 0..question.features {
            // Full entropy, like most of the lake's.
            let value = (entity as f64 + 1.0).sqrt() * (feature as f64 + 0.1).ln_1p();
            row.set_fixed(feature, &value.to_le_bytes());
        }
        part.put_latest(&ascending(entity), &bytes)?;
    }
    part.finish()?;
    load.finish()?;
    Ok(started.elapsed().as_secs_f64())
}
