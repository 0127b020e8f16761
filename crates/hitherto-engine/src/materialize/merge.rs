//! Which facts of an entity are stored: sorted facts on their way into a load,
//! beside what the store holds already.

use hitherto_core::definition::Known;
use hitherto_core::rule::{self, Times};
use hitherto_core::{Result, row};
use hitherto_offline::sorted::SortedBatch;
use hitherto_online::keys::LatestKeys;
use hitherto_online::{Load, Loaded, Rows, Snapshot};

use super::MaterializeMode;
use super::run::Run;

/// Entities whose stored rows are read in one batch while loading.
const MERGE_ENTITIES: usize = 1_024;

/// Sorted facts on their way into a load, beside what is stored already.
pub(super) struct Merge<'m> {
    run: &'m Run<'m>,
    snapshot: &'m dyn Snapshot,
    load: Box<dyn Load + 'm>,
    /// Facts of whole entities, not yet written.
    entities: Vec<Entity>,
    merged: Merged,
}

/// What came of a merge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merged {
    /// What the load put into the store.
    pub loaded: Loaded,
    /// Entities that had no latest row before.
    pub entities_new: u64,
    /// The greatest event time among the facts; `i64::MIN` if there was none.
    pub watermark: i64,
}

/// The facts of one entity that may have to be kept, newest first; of facts with equal
/// times the one with the greatest bytes.
struct Entity {
    key: Vec<u8>,
    facts: Vec<(Times, Vec<u8>)>,
    /// Whether the fact that answers at the horizon is among them.
    has_horizon: bool,
}

impl<'m> Merge<'m> {
    pub fn new(run: &'m Run<'m>, snapshot: &'m dyn Snapshot, load: Box<dyn Load + 'm>) -> Self {
        let merged = Merged { loaded: Loaded::default(), entities_new: 0, watermark: i64::MIN };
        Self { run, snapshot, load, entities: Vec::new(), merged }
    }

    pub fn add(&mut self, batch: &SortedBatch) -> Result<()> {
        for (key, times, row) in batch.iter() {
            self.merged.watermark = self.merged.watermark.max(times.event);
            if self.entities.last().is_none_or(|entity| entity.key != key) {
                if self.entities.len() >= MERGE_ENTITIES {
                    self.write()?;
                }
                let key = key.to_vec();
                self.entities.push(Entity { key, facts: Vec::new(), has_horizon: false });
            }
            if let Some(entity) = self.entities.last_mut() {
                entity.add(times, row, self.run.horizon);
            }
        }
        Ok(())
    }

    /// Writes all gathered entities; the next fact belongs to another one.
    fn write(&mut self) -> Result<()> {
        let entities = std::mem::take(&mut self.entities);
        let mut stored = Rows::default();
        stored.reset(entities.len());
        if self.run.mode == MaterializeMode::Incremental {
            let mut keys = LatestKeys::default();
            entities.iter().for_each(|entity| keys.push(self.run.generation, &entity.key));
            self.snapshot.read_latest(&keys, &mut stored)?;
        }
        for (entity, stored) in entities.into_iter().zip(stored.iter()) {
            self.write_entity(entity, stored)?;
        }
        Ok(())
    }

    fn write_entity(&mut self, mut entity: Entity, stored: Option<&[u8]>) -> Result<()> {
        let Some((times, row)) = entity.facts.first() else { return Ok(()) };
        self.merged.entities_new += u64::from(stored.is_none());
        let stored = stored.map(|row| row::times(row).map(|times| (times, row))).transpose()?;
        let is_newer = stored
            .as_ref()
            .is_none_or(|(held, bytes)| rule::rank((*times, row), (*held, *bytes)).is_gt());
        if is_newer {
            self.load.put_latest(&entity.key, row)?;
        }
        let latest = match &stored {
            Some((held, _)) if !is_newer => *held,
            _ => *times,
        };
        // A visible latest row answers now by itself; only a view that keeps
        // history, or a latest row from the future, needs the facts below it.
        let is_visible = latest.visible(Known::Honor) <= self.run.now;
        let is_enough = is_visible && self.run.view.definition.online.history_micros.is_none();
        if is_enough && (self.run.mode == MaterializeMode::Full || !is_newer) {
            return Ok(());
        }
        // What is new goes to history all the same: a fact that is pushed meanwhile may
        // become the latest row, and not be visible.
        if !is_enough
            && is_newer
            && let Some((held, bytes)) = stored
        {
            let is_above =
                |(times, row): &(Times, Vec<u8>)| rule::rank((*times, row), (held, bytes)).is_gt();
            let place = entity.facts.partition_point(is_above);
            entity.facts.insert(place, (held, bytes.to_vec()));
        }
        self.write_history(&entity)
    }

    /// Writes an entity's kept facts; of facts with equal times the first, who has the
    /// greatest bytes.
    fn write_history(&mut self, entity: &Entity) -> Result<()> {
        let mut previous = None;
        for (times, row) in &entity.facts {
            if previous.replace(*times) != Some(*times) {
                self.load.put_history(&entity.key, *times, row)?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Merged> {
        self.write()?;
        Ok(Merged { loaded: self.load.finish()?, ..self.merged })
    }
}

impl Entity {
    /// Keeps a fact, no newer than all before it, if it can answer a moment from
    /// the horizon on. Known time counts here even where the view ignores it:
    /// what is kept then answers both ways.
    fn add(&mut self, times: Times, row: &[u8], horizon: i64) {
        if let Some((last, bytes)) = self.facts.last_mut().filter(|(last, _)| *last == times) {
            if rule::rank((times, row), (*last, bytes.as_slice())).is_gt() {
                row.clone_into(bytes);
            }
            return;
        }
        let is_after_horizon = times.visible(Known::Honor) > horizon;
        if is_after_horizon || !self.has_horizon {
            self.facts.push((times, row.to_vec()));
        }
        self.has_horizon |= !is_after_horizon;
    }
}
