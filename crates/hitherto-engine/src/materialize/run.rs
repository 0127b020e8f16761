//! One run over one view: what to read, into which generation, and the commit.

use std::sync::Arc;

use hitherto_core::Result;
use hitherto_core::catalog::{AppliedView, Generation};
use hitherto_offline::files::SourceFile;
use hitherto_offline::sorted::SortedFacts;
use hitherto_offline::source::Shape;
use hitherto_online::{GenerationId, Reach};

use super::consumed::{Consumed, News, consumed_key};
use super::merge::{Merge, Merged};
use super::{MaterializeMode, Materialized, Progress};
use crate::Engine;

/// One run over one view.
pub(super) struct Run<'r> {
    pub view: &'r AppliedView,
    pub mode: MaterializeMode,
    pub now: i64,
    /// What will be read.
    pub files: Vec<SourceFile>,
    /// What will have been consumed after the run.
    consumed: Consumed,
    pub generation: GenerationId,
    pub horizon: i64,
}

impl<'r> Run<'r> {
    /// Decides what to read, and into which generation.
    pub async fn plan(
        engine: &Engine,
        view: &'r AppliedView,
        asked: MaterializeMode,
        now: i64,
    ) -> Result<Self> {
        let before = Consumed::read(engine.store.as_ref(), view.id)?;
        let all = engine.offline.list_files(&view.definition)?;
        let News { new, has_lost, consumed } = before.compare(&all)?;
        let is_first = view.generation.is_none();
        let is_full = is_first || has_lost || asked == MaterializeMode::Full || {
            // Facts that depend on several rows cannot be computed from new files alone.
            !new.is_empty()
                && engine.offline.fact_query(view, &all, None).await?.shape == Shape::WholeSource
        };
        let (mode, files) = match is_full {
            true => (MaterializeMode::Full, all),
            false => (MaterializeMode::Incremental, new),
        };
        let number =
            view.generation.as_ref().map_or(1, |generation| generation.number + u32::from(is_full));
        let horizon = match (&view.generation, view.definition.online.history_micros) {
            (Some(generation), Some(_)) if !is_full => generation.horizon,
            (_, history) => now.saturating_sub(history.unwrap_or(0)),
        };
        let generation = GenerationId { view: view.id, number };
        Ok(Self { view, mode, now, files, consumed, generation, horizon })
    }

    pub fn up_to_date(&self) -> Materialized {
        let generation = self.view.generation.as_ref();
        Materialized {
            view: self.view.name().to_owned(),
            mode: self.mode,
            is_up_to_date: true,
            files: 0,
            facts: 0,
            facts_without_time: 0,
            facts_without_key: 0,
            entities: 0,
            history_rows: 0,
            file_bytes: 0,
            watermark: generation.map(|generation| generation.watermark),
            generation: generation.map_or(0, |generation| generation.number),
        }
    }

    /// Moves sorted facts into the store.
    pub async fn load(
        &self,
        engine: &Engine,
        facts: &mut SortedFacts,
        progress: &dyn Progress,
    ) -> Result<Merged> {
        if self.mode == MaterializeMode::Full {
            // Rows of a full run that was killed before its commit.
            engine.store.drop_generation(self.generation)?;
        }
        let snapshot = engine.store.snapshot(Reach::Disk, &[self.generation]);
        let mut merge = Merge::new(self, &*snapshot, engine.store.load(self.generation)?);
        let count = Arc::clone(facts.count());
        while let Some(batch) = facts.next().await {
            merge.add(&batch?)?;
            progress.advance(self.view.name(), count.facts());
        }
        merge.finish()
    }

    pub fn commit(
        self,
        engine: &Engine,
        facts: &SortedFacts,
        merged: Merged,
    ) -> Result<Materialized> {
        let old = self.view.generation.as_ref();
        let (facts_before, entities_before, watermark_before) = match (self.mode, old) {
            (MaterializeMode::Incremental, Some(old)) => (old.facts, old.entities, old.watermark),
            _ => (0, 0, i64::MIN),
        };
        let count = facts.count();
        let generation = Generation {
            number: self.generation.number,
            horizon: self.horizon,
            watermark: merged.watermark.max(watermark_before),
            facts: facts_before + count.facts(),
            entities: entities_before + merged.entities_new,
            materialized_at: self.now,
        };
        let consumed = self.consumed.to_json()?;
        let catalog = engine.catalog().with_generation(self.view.id, generation.clone());
        engine.commit(catalog, vec![(consumed_key(self.view.id), Some(consumed))])?;
        if self.mode == MaterializeMode::Full {
            engine.drop_generations(self.view)?;
        }
        Ok(Materialized {
            is_up_to_date: false,
            files: self.files.len() as u64,
            facts: count.facts(),
            facts_without_time: count.without_time(),
            facts_without_key: count.without_key(),
            entities: merged.loaded.latest_rows,
            history_rows: merged.loaded.history_rows,
            file_bytes: merged.loaded.file_bytes,
            watermark: Some(generation.watermark),
            generation: generation.number,
            ..self.up_to_date()
        })
    }
}
