//! Which facts of an entity are stored: sorted facts on their way into a load.

use std::ops::ControlFlow;

use hitherto_api::MaterializeMode;
use hitherto_core::aggregate::{Instant, InstantPlan, Moments};
use hitherto_core::definition::Known;
use hitherto_core::key::EventKey;
use hitherto_core::row::RowSchema;
use hitherto_core::rule::{self, Times};
use hitherto_core::{Error, Result, row};
use hitherto_offline::sorted::SortedRun;
use hitherto_online::keys::LatestKeys;
use hitherto_online::{Events, GenerationId, LoadPart, Rows, Snapshot};
use xxhash_rust::xxh3::xxh3_64;

use super::figures::Figures;
use super::run::Run;
use super::watermark::Watermark;

/// Entities whose stored rows are read in one batch while loading.
const MERGE_ENTITIES: usize = 1_024;
/// Of so many entities beyond these it is asked of one whether it is new: an answer is a
/// read of the disk, and the number of entities is nothing that is relied on.
const SAMPLED_ENTITIES: u64 = 256;

/// Sorted facts on their way into one part of a load.
pub(super) struct Merge<'m> {
    run: &'m Run<'m>,
    schema: RowSchema,
    snapshot: &'m dyn Snapshot,
    part: Box<dyn LoadPart + 'm>,
    /// Facts of whole entities, not yet written.
    entities: Vec<Entity>,
    /// Whether what was written of an entity answers all moments that can be asked.
    is_enough: bool,
    merged: Merged,
}

/// What came of a merge.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    /// Entities that the facts are of.
    pub entities: u64,
    /// Entities that had no latest row before, about; exactly if they were few.
    pub entities_new: u64,
    /// How far the facts go.
    pub watermark: Watermark,
    /// Of the latest rows.
    pub figures: Figures,
}

/// The facts of one entity that are kept, newest first.
struct Entity {
    key: Vec<u8>,
    facts: Vec<(Times, Vec<u8>)>,
}

impl<'m> Merge<'m> {
    pub fn new(run: &'m Run<'m>, snapshot: &'m dyn Snapshot, part: Box<dyn LoadPart + 'm>) -> Self {
        let schema = run.view.row_schema();
        let (entities, merged) = (Vec::new(), Merged::default());
        Self { run, schema, snapshot, part, entities, is_enough: false, merged }
    }

    /// Takes all facts of a run.
    pub fn take(mut self, run: SortedRun) -> Result<Merged> {
        match (InstantPlan::of_all(self.run.view), self.run.mode) {
            (Some(plan), _) => self.take_events(&plan, run)?,
            (None, MaterializeMode::Full) => self.take_alone(run)?,
            (None, MaterializeMode::Incremental) => self.take_beside(run)?,
        }
        self.part.finish()?;
        Ok(self.merged)
    }

    /// Writes events. Whatever is stored beside one, it is a version of its own.
    fn take_events(&mut self, plan: &InstantPlan, run: SortedRun) -> Result<()> {
        let is_full = self.run.mode == MaterializeMode::Full;
        let mut stored = if is_full { None } else { Some(self.snapshot.events()?) };
        // What they are compared by is what they answer now.
        let is_compared = is_full && self.run.view.definition.online.max_change.is_some();
        let mut answers = is_compared.then(|| Instant::new(plan, self.run.moment()));
        let mut entity: Option<Vec<u8>> = None;
        run.visit(&mut |key, times, row| {
            let EventKey { entity: of, .. } = EventKey::split(key)
                .ok_or_else(|| Error::internal("an event was sorted by no key of one"))?;
            if entity.as_deref() != Some(of) {
                if let Some(answers) = answers.as_mut().filter(|_| entity.is_some()) {
                    self.merged.figures.add_answers(plan, answers)?;
                }
                of.clone_into(entity.get_or_insert_default());
                self.merged.entities += 1;
                let is_few = self.merged.entities <= MERGE_ENTITIES as u64;
                let weight = if is_few { 1 } else { SAMPLED_ENTITIES };
                let is_new = match &mut stored {
                    None => true,
                    Some(_) if !xxh3_64(of).is_multiple_of(weight) => false,
                    Some(stored) => !has_events(&mut **stored, self.run.generation, of)?,
                };
                self.merged.entities_new += if is_full { 1 } else { weight * u64::from(is_new) };
            }
            if let Some(answers) = &mut answers {
                let _ = answers.show(times, row)?;
            }
            self.merged.watermark.add(times.event, self.run.now);
            self.part.put_event(key, times.known, row)
        })?;
        match answers.as_mut().filter(|_| entity.is_some()) {
            Some(answers) => self.merged.figures.add_answers(plan, answers),
            None => Ok(()),
        }
    }

    /// Writes facts below which there is nothing.
    fn take_alone(&mut self, run: SortedRun) -> Result<()> {
        let mut entity = Vec::new();
        run.visit(&mut |key, times, row| {
            let is_newest = self.merged.entities_new == 0 || entity != key;
            if is_newest {
                entity.clear();
                entity.extend_from_slice(key);
                self.merged.entities_new += 1;
            }
            self.merged.watermark.add(times.event, self.run.now);
            self.write(key, (times, row), is_newest)
        })
    }

    /// Writes facts below which there are others.
    fn take_beside(&mut self, run: SortedRun) -> Result<()> {
        let mut is_few = true;
        run.visit(&mut |key, times, row| {
            if self.entities.last().is_none_or(|entity| entity.key != key) {
                if self.entities.len() >= MERGE_ENTITIES {
                    is_few = false;
                    self.write_entities(is_few)?;
                }
                self.entities.push(Entity { key: key.to_vec(), facts: Vec::new() });
            }
            self.merged.watermark.add(times.event, self.run.now);
            if let Some(entity) = self.entities.last_mut() {
                entity.facts.push((times, row.to_vec()));
            }
            Ok(())
        })?;
        self.write_entities(is_few)
    }

    /// Writes all gathered entities; the next fact belongs to another one.
    fn write_entities(&mut self, is_few: bool) -> Result<()> {
        let mut entities = std::mem::take(&mut self.entities);
        self.look_below(&mut entities, is_few)?;
        for Entity { key, facts } in &entities {
            for (older, (times, row)) in facts.iter().enumerate() {
                self.write(key, (*times, row), older == 0)?;
            }
        }
        Ok(())
    }

    /// Looks at the stored rows of those entities where it matters what they are. A row
    /// that is replaced by one that is not visible yet goes to history.
    fn look_below(&mut self, entities: &mut [Entity], is_few: bool) -> Result<()> {
        let weight = if is_few { 1 } else { SAMPLED_ENTITIES };
        let is_sampled = |entity: &Entity| xxh3_64(&entity.key).is_multiple_of(weight);
        let is_wanted = |entity: &Entity| is_sampled(entity) || !self.answers_now(entity);
        let mut wanted: Vec<&mut Entity> =
            entities.iter_mut().filter(|entity| is_wanted(entity)).collect();
        let mut keys = LatestKeys::default();
        wanted.iter().for_each(|entity| keys.push(self.run.generation, &entity.key));
        let mut stored = Rows::default();
        self.snapshot.read_latest(&keys, &mut stored)?;
        for (entity, stored) in wanted.iter_mut().zip(stored.iter()) {
            match stored {
                None if is_sampled(entity) => self.merged.entities_new += weight,
                Some(row) if !self.answers_now(entity) => entity.add(row)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes one fact of an entity, the newest first.
    fn write(&mut self, key: &[u8], (times, row): (Times, &[u8]), is_newest: bool) -> Result<()> {
        if is_newest {
            self.merged.entities += 1;
            self.merged.figures.add(&self.schema, row)?;
            self.part.put_latest(key, row)?;
            self.is_enough = self.run.is_latest_enough && self.sees(times);
        }
        match self.is_enough {
            true => Ok(()),
            false => self.part.put_history(key, times, row),
        }
    }

    /// Whether an entity's newest fact is visible, so that none below it counts.
    fn answers_now(&self, entity: &Entity) -> bool {
        entity.facts.first().is_some_and(|(times, _)| self.sees(*times))
    }

    fn sees(&self, times: Times) -> bool {
        times.visible(Known::Honor) <= self.run.now
    }
}

impl Default for Merged {
    /// Nothing.
    fn default() -> Self {
        Self {
            entities: 0,
            entities_new: 0,
            watermark: Watermark::default(),
            figures: Figures::default(),
        }
    }
}

impl Merged {
    /// What came of two merges.
    pub fn and(self, other: &Self) -> Self {
        Self {
            entities: self.entities + other.entities,
            entities_new: self.entities_new + other.entities_new,
            watermark: self.watermark.and(other.watermark),
            figures: self.figures.and(&other.figures),
        }
    }
}

impl Entity {
    /// Adds a stored row where it belongs; of equal times the greater stays.
    fn add(&mut self, row: &[u8]) -> Result<()> {
        let times = row::times(row)?;
        let place = self.facts.partition_point(|(held, _)| *held > times);
        match self.facts.get_mut(place) {
            Some((held, bytes)) if *held == times => {
                *bytes = rule::greater(bytes, row)?.to_vec();
            }
            _ => self.facts.insert(place, (times, row.to_vec())),
        }
        Ok(())
    }
}

/// Whether an entity has an event that is stored.
fn has_events(stored: &mut dyn Events, generation: GenerationId, entity: &[u8]) -> Result<bool> {
    let mut has = false;
    stored.begin(generation, entity)?;
    stored.scan(Moments::ALL, &mut |_, _| {
        has = true;
        ControlFlow::Break(())
    })?;
    Ok(has)
}
