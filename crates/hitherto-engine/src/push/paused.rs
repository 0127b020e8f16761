//! Pushes that are kept back: what else is done meanwhile finds log and generations at rest.
//!
//! Callers who push wait as long as a [`Paused`] is there. What is so beside that, its state
//! says:
//!
//! | state           | what is so                                             | for            |
//! | --------------- | ------------------------------------------------------ | -------------- |
//! | [`Settled`]     | no row of a generation is from the future              | additions      |
//! | [`CaughtUp`]    | a generation that nobody reads has all that was pushed | flips          |
//! | [`NobodyLands`] | nobody but the holder writes the log's facts to files  | changed views  |

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use hitherto_core::catalog::AppliedView;
use hitherto_core::{Error, Result};
use hitherto_offline::pushed::{Carried, describe_file};
use hitherto_online::GenerationId;

use super::ViewLogs;
use super::folder::{Landed, WRITING, files, folders, put_aside, put_in_place};
use super::locks::Guard;
use crate::Engine;
use crate::disk;

/// No push is committed while this is there.
pub(crate) struct Paused<'e, S> {
    engine: &'e Engine,
    logs: Guard<'e, ViewLogs>,
    state: S,
}

/// No row of a generation is from the future.
pub(crate) struct Settled {
    /// The moment by which all of them can be seen.
    visible_by: i64,
}

/// A generation that nobody reads yet has all that was pushed.
pub(crate) struct CaughtUp {
    view: u32,
    /// The end of the batches that it has.
    end: u64,
}

/// Nobody else writes the log's facts to files.
pub(crate) struct NobodyLands<'e> {
    _landing: Guard<'e, ()>,
}

impl Engine {
    /// Keeps pushes back while a load ends that relies on no row from the future being
    /// there, if there is none.
    pub(crate) fn pause_if_settled(
        &self,
        generation: GenerationId,
        now: i64,
    ) -> Result<Option<Paused<'_, Settled>>> {
        let logs = self.pushes.logs.lock();
        let now = now.max(self.pushes.clock.load(Ordering::Relaxed));
        let visible_by = self.store.rows.visible_by(generation)?.filter(|moment| *moment <= now);
        let paused = |visible_by| Paused { engine: self, logs, state: Settled { visible_by } };
        Ok(visible_by.map(paused))
    }

    /// Gives a generation that nobody reads yet what was pushed since its build read the
    /// view's files, and keeps further pushes back.
    pub(crate) fn pause_caught_up(
        &self,
        view: &AppliedView,
        number: u32,
        from: u64,
    ) -> Result<Paused<'_, CaughtUp>> {
        // Nearly all of it while pushes go on, so that they wait for little.
        let from = self.replay(view, number, from)?;
        let logs = self.pushes.logs.lock();
        let end = self.replay(view, number, from)?;
        Ok(Paused { engine: self, logs, state: CaughtUp { view: view.id, end } })
    }

    /// Keeps pushes back, and whoever would write them to files.
    pub(crate) fn pause_landing(&self) -> Paused<'_, NobodyLands<'_>> {
        let landing = self.pushes.landing.lock();
        let state = NobodyLands { _landing: landing };
        Paused { engine: self, logs: self.pushes.logs.lock(), state }
    }
}

impl Paused<'_, Settled> {
    /// The moment by which all rows of the generation can be seen.
    pub fn visible_by(&self) -> i64 {
        self.state.visible_by
    }
}

impl Paused<'_, CaughtUp> {
    /// The end of the batches that the generation has.
    pub fn end(&self) -> u64 {
        self.state.end
    }

    /// Says that the generation is the one that is read from now on.
    pub fn flipped(mut self) {
        let CaughtUp { view, end } = self.state;
        let log = self.logs.entry(view).or_default();
        log.applied = log.applied.max(end);
    }
}

impl Paused<'_, NobodyLands<'_>> {
    /// Writes what is in a view's log to files.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be written, `Corrupt` for a damaged log.
    pub fn land(&mut self, view: &AppliedView) -> Result<()> {
        match self.logs.get_mut(&view.id) {
            Some(log) => self.engine.land_log(view, log),
            None => Ok(()),
        }
    }

    /// Begins with a view that is new: what was pushed to one of its name under other
    /// definitions is put aside, since its batches have the numbers of another log.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn begin(&mut self, new: &AppliedView) -> Result<()> {
        let own = self.engine.pushed_folder(new);
        let others = folders(&self.engine.pushed.join(new.name()))?;
        let is_other = |folder: &&PathBuf| **folder != own && folder.extension().is_none();
        others.iter().filter(is_other).try_for_each(|folder| put_aside(folder))
    }

    /// Brings the facts that were pushed to a view into the form that its new definition
    /// gives them: features that are new are null. Files that are there already, of a time
    /// when that definition was applied before, stay if they are of the same batches: they
    /// have features that the definition between did not have.
    ///
    /// # Errors
    /// `Invalid` when join keys, times or a feature's type differ.
    pub fn carry(&mut self, old: &AppliedView, new: &AppliedView) -> Result<()> {
        let engine = self.engine;
        self.land(old)?;
        let (before, folder) = (files(&engine.pushed_folder(old))?, engine.pushed_folder(new));
        let there = files(&folder)?;
        let is_same = |(one, other): &(&Landed, &Landed)| one.batches == other.batches;
        let mut same = before.iter().zip(&there).take_while(is_same).count();
        if before.is_empty() || same == before.len() && same == there.len() {
            return Ok(());
        }
        let carried = Carried::new(old, new).map_err(|problem| {
            Error::invalid(format!(
                "feature view {:?} has facts that were pushed, and {problem}; give the view \
                 another name to begin without them",
                new.name()
            ))
        })?;
        if same < there.len() {
            // Of another time, before the view was deleted: they are nobody's any more.
            put_aside(&folder)?;
            same = 0;
        }
        disk::make_folders(&folder)?;
        for Landed { path, .. } in &before[same..] {
            let (writing, to) =
                (folder.join(WRITING), folder.join(path.file_name().unwrap_or_default()));
            carried.rewrite(&describe_file(&engine.root, path.clone())?, &writing)?;
            put_in_place(&writing, &to)?;
        }
        Ok(())
    }
}
