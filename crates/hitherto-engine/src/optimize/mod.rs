//! OPTIMIZE: a derived copy of a view's facts, for training sets to read.
//!
//! ```text
//! <store>/optimized/<view>/<n>/copy.json        what the copy is of, and its files
//!                             /000000.parquet   facts (hitherto_offline::optimize)
//!                         /writing/             a copy that is not whole yet
//! ```
//!
//! A copy is whole from the moment that its folder has its number: files and record
//! are written under `writing`, synced, and renamed. The greatest number counts;
//! what a killed run left behind goes with the next run.
//!
//! **The source decides.** A copy answers only while every file that it covers is
//! there as it was and the view's definition means the same facts. Files that came
//! later are read beside it, unless the view's SQL looks at several rows.
//!
//! Only training sets read copies. `materialize`, `verify` and `why` read the
//! source itself, so that a copy can be judged by something else.
//!
//! | module   | what it owns                                  |
//! | -------- | --------------------------------------------- |
//! | `record` | what a copy says of itself                    |
//! | `choose` | whether a copy can be read, and beside what   |

mod choose;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_api::{Grant, OptimizeMode, OptimizeReport, Progress, Stage};
use hitherto_core::catalog::AppliedView;
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;

use self::record::{SourceRecord, StoredCopy};
use crate::Engine;
use crate::disk::{self, unreadable, unwritable};

pub(crate) use choose::{Copies, Reading};

/// The folder of a copy that is not whole yet.
const WRITING: &str = "writing";

impl Engine {
    /// Writes copies of these views' facts, one after the other; of all views if none is
    /// named.
    ///
    /// # Errors
    /// As [`Engine::optimize`]. Copies written before the error stay.
    pub async fn optimize_all(
        &self,
        grant: &Grant,
        views: &[String],
        mode: OptimizeMode,
        progress: &dyn Progress,
    ) -> Result<Vec<OptimizeReport>> {
        let catalog = self.catalog();
        let names: Vec<&str> = match views {
            [] => {
                let kept = catalog
                    .registry
                    .views
                    .iter()
                    .filter(|view| view.definition.aggregates.is_none());
                kept.map(AppliedView::name).collect()
            }
            views => views.iter().map(String::as_str).collect(),
        };
        // What is misspelt is said before anything is written.
        names.iter().try_for_each(|name| catalog.registry.view(name).map(drop))?;
        let mut done = Vec::with_capacity(names.len());
        for name in names {
            done.push(self.optimize(grant, name, mode, progress).await?);
        }
        Ok(done)
    }

    /// Writes a copy of a view's facts that training sets read from then on, in
    /// the place of an older one. `progress` is told the facts written so far.
    ///
    /// # Errors
    /// `NotFound` for an unknown view or a source without files; `Conflict` when
    /// the source changes meanwhile; `Invalid` when a newer release wrote the copy
    /// that is there; what the source returns; `Unavailable` when the store's
    /// folder cannot be written.
    pub async fn optimize(
        &self,
        _: &Grant,
        name: &str,
        mode: OptimizeMode,
        progress: &dyn Progress,
    ) -> Result<OptimizeReport> {
        let _writer = self.writer.lock().await;
        let catalog = self.catalog();
        let view = catalog.registry.view(name)?;
        if view.definition.aggregates.is_some() {
            return Err(Error::invalid(format!(
                "the features of view {name:?} are computed of events, and this release makes no \
                 copy of such a view; training sets read its source, so leave it out here"
            )));
        }
        let folder = self.copies.join(view.name());
        let files = self.offline.list_files(&view.definition)?;
        let before = record::newest(&folder)?;
        if let Some(number) = before {
            record::check_format(&folder.join(number.to_string()))?;
        }
        remove_all(&folder, before)?;
        if let (Some(number), OptimizeMode::IfChanged) = (before, mode)
            && let Some(copy) = StoredCopy::read(&folder.join(number.to_string()))?
            && copy.covers_all(view, &files)?
        {
            copy.files(&self.root)?;
            progress.begin(view.name(), 0);
            progress.end(view.name(), 0);
            return Ok(report(&copy, true));
        }
        progress.begin(view.name(), self.offline.count_rows(&files)?);
        progress.stage(view.name(), Stage::Sorting);
        let number = before.map_or(1, |number| number + 1);
        let copy = self.write_copy(view, &files, &folder, number, progress).await?;
        remove_all(&folder, Some(number))?;
        let report = report(&copy, false);
        progress.end(view.name(), report.rows);
        Ok(report)
    }

    async fn write_copy(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        folder: &Path,
        number: u64,
        progress: &dyn Progress,
    ) -> Result<StoredCopy> {
        let writing = folder.join(WRITING);
        disk::make_folders(&writing)?;
        // Fingerprints first: a file that changes meanwhile is then found out.
        let sources = files.iter().map(SourceRecord::read).collect::<Result<Vec<_>>>()?;
        let mut is_writing = false;
        let advance = |facts| {
            if !std::mem::replace(&mut is_writing, true) {
                progress.stage(view.name(), Stage::Writing { done: 0, parts: 0 });
            }
            progress.advance(view.name(), facts);
        };
        let written = self.offline.write_optimized(view, files, &writing, advance).await?;
        progress.stage(view.name(), Stage::Committing);
        for file in files {
            if file.describe_again()? != *file {
                return Err(Error::conflict(format!(
                    "source file {} changed while it was copied; run it again",
                    file.name
                )));
            }
        }
        let record = record::Record::new(view, sources, &written, &writing)?;
        record.write(&writing)?;
        let whole = folder.join(number.to_string());
        disk::put_in_place(&writing, &whole)?;
        Ok(StoredCopy { folder: whole, record })
    }
}

fn report(copy: &StoredCopy, is_up_to_date: bool) -> OptimizeReport {
    OptimizeReport {
        view: copy.record.view.clone(),
        is_up_to_date,
        source_files: copy.record.sources.len() as u64,
        source_bytes: copy.record.sources.iter().map(|source| source.bytes).sum(),
        rows: copy.record.files.iter().map(|file| file.rows).sum(),
        files: copy.record.files.len() as u64,
        bytes: copy.record.files.iter().map(|file| file.bytes).sum(),
    }
}

/// Removes everything in a view's folder but the copy of this number.
fn remove_all(folder: &Path, but: Option<u64>) -> Result<()> {
    let Some(entries) = entries(folder)? else { return Ok(()) };
    for path in entries {
        let is_kept = but.is_some_and(|number| path == folder.join(number.to_string()));
        if !is_kept && path.is_dir() {
            fs::remove_dir_all(&path).map_err(|cause| unwritable(&path, cause))?;
        }
    }
    Ok(())
}

/// What is in a folder; nothing if there is none.
fn entries(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    entries.map(Some).map_err(|cause| unreadable(folder, cause))
}
