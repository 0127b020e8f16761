//! Pushed facts as files, where training sets read them.
//!
//! ```text
//! <store>/pushed/<view>/<fingerprint>/<from>-<to>.v2.parquet  batches from..to of the log
//!                                     /<from>-<to>.parquet     the same, of earlier releases
//!                                     /writing                 a file that is not whole yet
//! ```
//!
//! A file is whole from the moment that it has its name, and never changed. What is in
//! files leaves the log, but for what a running build still needs of it. The folder is
//! named after what the facts mean, so that they outlive a store that is built anew, and
//! are not read for another definition.
//!
//! Whoever wants a view's facts lands what is in the log first, so that there is one way
//! to read them. A process that opened the store for reading only writes that part to
//! temporary files of its own, in a folder that nobody else can read or guess.

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_core::catalog::AppliedView;
use hitherto_core::limits::{PUSH_LAND_BYTES, PUSH_NAMES_MAX};
use hitherto_core::{Error, Result};
use hitherto_offline::files::{SourceFile, sums_path};
use hitherto_offline::pushed::{Arrived, FILE_SUFFIX, describe_file, write_file};
use tempfile::TempDir;

use super::ViewLog;
use super::batch::{Batch, read};
use super::folder::{WRITING, files, folders, put_in_place, range};
use crate::Engine;
use crate::disk;
use crate::local::keep_landed;

/// Facts that were pushed, as a build takes them.
pub(crate) struct KeptPushes<'e> {
    engine: &'e Engine,
    view: u32,
    /// What was in the log when the build began.
    pub files: Vec<SourceFile>,
    /// The end of what is in the files.
    pub from: u64,
}

impl KeptPushes<'_> {
    /// The files that have batches from `from` on.
    pub fn files_since(&self, from: u64) -> Vec<SourceFile> {
        let is_later =
            |file: &&SourceFile| range(Path::new(&file.name)).is_none_or(|(_, to)| to > from);
        self.files.iter().filter(is_later).cloned().collect()
    }
}

impl Drop for KeptPushes<'_> {
    fn drop(&mut self) {
        self.engine.pushes.kept.lock().remove(&self.view);
    }
}

impl Engine {
    /// The end of a view's batches that are in files.
    ///
    /// # Errors
    /// `Corrupt` when files are missing: their number is in the store, too.
    pub(super) fn read_landed(&self, view: &AppliedView) -> Result<u64> {
        let folder = self.pushed_folder(view);
        let landed = files(&folder)?.last().map_or(0, |file| file.batches.end);
        let known = self.local().landed(view.id)?;
        if landed < known {
            return Err(Error::corrupt(format!(
                "pushed facts of feature view {:?} are missing: {} has batches up to {landed} of \
                 {known}; restore a backup",
                view.name(),
                folder.display()
            )));
        }
        if landed > known && self.store.is_writable() {
            self.local().commit(&[keep_landed(view.id, landed)])?;
        }
        Ok(landed)
    }

    /// All facts that were pushed to a view, as files.
    ///
    /// # Errors
    /// `Unavailable` when the files cannot be written, `Corrupt` for a damaged log.
    pub(crate) fn pushed_files(&self, view: &AppliedView) -> Result<Vec<SourceFile>> {
        let tail = match self.store.is_writable() {
            true => self.land(view).map(|()| Vec::new())?,
            false => self.tail(view)?,
        };
        let landed = files(&self.pushed_folder(view))?;
        let paths = landed.into_iter().map(|file| file.path).chain(tail);
        paths.map(|path| describe_file(&self.root, path)).collect()
    }

    /// Those files, with what follows them kept in the log as long as the value is.
    pub(crate) fn keep_pushes(&self, view: &AppliedView) -> Result<KeptPushes<'_>> {
        // What lands later stays in the log too: it is in none of these files.
        {
            let _landing = self.pushes.landing.lock();
            self.pushes.kept.lock().insert(view.id, self.read_landed(view)?);
        }
        let mut kept = KeptPushes { engine: self, view: view.id, files: Vec::new(), from: 0 };
        kept.files = self.pushed_files(view)?;
        let ends = kept.files.iter().filter_map(|file| range(Path::new(&file.name)));
        kept.from = ends.map(|(_, to)| to).max().unwrap_or(0);
        Ok(kept)
    }

    /// Copies the store to a folder, and lists the files of pushed facts that belong to
    /// that copy: those that are in its log are in none of them. They are those of all
    /// definitions, of views that are no more, too: what comes back has its facts.
    pub(crate) fn copy_store(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let _landing = self.pushes.landing.lock();
        self.store.copy_to(folder)?;
        let mut paths = Vec::new();
        for view in folders(&self.pushed)? {
            for definition in folders(&view)? {
                let landed = files(&definition)?;
                let files = landed.into_iter().flat_map(|file| [sums_path(&file.path), file.path]);
                paths.extend(files.filter(|path| path.exists()));
            }
        }
        Ok(paths)
    }

    /// Writes the facts of a view that are in the log only to files.
    pub(super) fn land(&self, view: &AppliedView) -> Result<()> {
        let _landing = self.pushes.landing.lock();
        let Some(before) = self.pushes.logs.lock().get(&view.id).copied() else { return Ok(()) };
        let mut after = before;
        let landed = self.land_log(view, &mut after);
        if let Some(log) = self.pushes.logs.lock().get_mut(&view.id) {
            log.landed = after.landed;
            log.bytes = log.bytes.saturating_sub(before.bytes - after.bytes);
        }
        landed
    }

    /// The same, for one who holds `landing`.
    pub(super) fn land_log(&self, view: &AppliedView, log: &mut ViewLog) -> Result<()> {
        if log.landed == log.applied {
            return Ok(());
        }
        let folder = self.pushed_folder(view);
        disk::make_folders(&folder)?;
        // Whoever opens the store again takes what is in files to be in the generation.
        self.store.log.sync()?;
        while log.landed < log.applied {
            let (to, bytes, _) = self.write_logged(view, log.landed, log.applied, &folder)?;
            log.landed = to;
            log.bytes = log.bytes.saturating_sub(bytes);
        }
        self.local().commit(&[keep_landed(view.id, log.landed)])?;
        let needed = self.pushes.kept.lock().get(&view.id).copied().unwrap_or(u64::MAX);
        let names = log.landed.saturating_sub(PUSH_NAMES_MAX);
        self.store.log.trim_log(view.id, log.landed.min(needed), names)
    }

    /// Writes batches from `from` on to one file in `folder`, as many as it may hold.
    /// Returns their end, their bytes and the file.
    fn write_logged(
        &self,
        view: &AppliedView,
        from: u64,
        end: u64,
        folder: &Path,
    ) -> Result<(u64, u64, PathBuf)> {
        let (mut to, mut bytes, mut batches) = (from, 0, Vec::new());
        self.store.log.read_log(view.id, from, &mut |number, batch| {
            if number < end && bytes < PUSH_LAND_BYTES {
                to = number + 1;
                bytes += batch.len() as u64;
                batches.push(batch.to_vec());
            }
            Ok(())
        })?;
        if to == from {
            return Err(Error::corrupt("the log of pushed facts lacks a batch; restore a backup"));
        }
        let batches = batches.iter().map(|bytes| read(bytes)).collect::<Result<Vec<_>>>()?;
        let mut facts: Vec<Arrived<'_>> = Vec::new();
        for Batch { arrived: at, facts: of_batch } in &batches {
            facts.extend(of_batch.iter().map(|fact| Arrived {
                entity_key: fact.entity_key,
                row: fact.row,
                at: *at,
            }));
        }
        facts.sort_by_key(|fact| fact.entity_key);
        let path = folder.join(format!("{from:020}-{to:020}{FILE_SUFFIX}"));
        let writing = folder.join(WRITING);
        let written = write_file(view, &facts, &writing);
        // What is not whole takes room, and may have been written for want of it.
        written.inspect_err(|_| drop(fs::remove_file(&writing)))?;
        put_in_place(&writing, &path)?;
        Ok((to, bytes, path))
    }

    /// What was in the log when the store was opened for reading, as temporary files.
    fn tail(&self, view: &AppliedView) -> Result<Vec<PathBuf>> {
        let mut tails = self.pushes.tails.lock();
        if let Some(tail) = tails.get(&view.id) {
            return Ok(tail.paths.clone());
        }
        let Some(log) = self.pushes.logs.lock().get(&view.id).copied() else {
            return Ok(Vec::new());
        };
        if log.landed == log.logged {
            return Ok(Vec::new());
        }
        let folder = self.temporary_folder()?;
        let (mut end, mut paths) = (log.landed, Vec::new());
        while end < log.logged {
            let (to, _, path) = self.write_logged(view, end, log.logged, folder.path())?;
            paths.push(path);
            end = to;
        }
        tails.insert(view.id, Tail { _folder: folder, paths: paths.clone() });
        Ok(paths)
    }

    /// A new folder of this process alone, in the store or, where that cannot be written,
    /// among the system's temporary files.
    fn temporary_folder(&self) -> Result<TempDir> {
        let mut name = tempfile::Builder::new();
        let name = name.prefix("reader-").permissions(disk::private());
        let in_store = disk::make_folders(&self.temporary).and_then(|()| {
            name.tempdir_in(&self.temporary)
                .map_err(|cause| disk::unwritable(&self.temporary, cause))
        });
        in_store.or_else(|_| {
            let system = std::env::temp_dir();
            name.tempdir_in(&system).map_err(|cause| disk::unwritable(&system, cause))
        })
    }

    pub(super) fn pushed_folder(&self, view: &AppliedView) -> PathBuf {
        self.pushed.join(view.name()).join(format!("{:016x}", view.fingerprint))
    }
}

/// What a reader's store has in its log, in files that go with it.
pub(super) struct Tail {
    _folder: TempDir,
    paths: Vec<PathBuf>,
}
