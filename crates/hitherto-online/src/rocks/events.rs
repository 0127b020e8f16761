//! Events of one entity after the other, and the tiles of those that have many.
//!
//! Tiles lie in the table of rows in memory and nowhere else: a push drops those that it
//! changes, a load all of its generation, and what is missing is computed again when somebody
//! asks. So they are of the snapshot that asks, whatever is written meanwhile, and on the disk
//! there is nothing that events could disagree with.

use std::ops::ControlFlow;

use hitherto_core::Result;
use hitherto_core::aggregate::{EventSource, Moments, TileId, VersionVisitor};
use hitherto_core::rule::Times;

use super::kept;
use super::kind::Kind;
use super::read::{RocksHistories, RocksSnapshot};
use super::rows::SnapshotRows;
use crate::keys::{LatestKeys, Mark};
use crate::store::{Amount, Events, GenerationId, Reach, Rows};

/// A cursor over entities' events.
pub struct RocksEvents<'h, 's> {
    snapshot: &'h RocksSnapshot<'s>,
    events: RocksHistories<'h, 's>,
    table: SnapshotRows<'h>,
    generation: GenerationId,
    entity: Vec<u8>,
    amount: Amount,
    finest: Option<u32>,
    key: LatestKeys,
    found: Rows,
}

impl<'h, 's> RocksEvents<'h, 's> {
    /// At no entity yet.
    pub fn new(snapshot: &'h RocksSnapshot<'s>) -> Self {
        Self {
            snapshot,
            events: RocksHistories::new(snapshot, Kind::Events),
            table: snapshot.store.rows.of_snapshot(snapshot.stamp),
            generation: GenerationId { view: 0, number: 0 },
            entity: Vec::new(),
            amount: Amount::Few,
            finest: None,
            key: LatestKeys::default(),
            found: Rows::default(),
        }
    }

    /// Whether something of the entity is in the table, which is in `found` then.
    fn find(&mut self, mark: Mark, which: &[u8]) -> bool {
        self.key.clear();
        self.key.push_marked(self.generation, &self.entity, mark, which);
        self.found.reset(1);
        self.table.take(&self.key, &mut self.found).is_empty()
    }

    /// Whether it was said how long tiles are at the ends of windows.
    fn find_finest(&mut self) -> bool {
        let is_said = self.find(Mark::Finest, &[]);
        self.finest = self.found.get(0).and_then(|row| row.first()).map(|row| (*row).into());
        is_said
    }
}

impl Events for RocksEvents<'_, '_> {
    fn begin(&mut self, generation: GenerationId, entity_key: &[u8]) -> Result<Amount> {
        self.generation = generation;
        entity_key.clone_into(&mut self.entity);
        self.finest = None;
        let is_kept = self.events.find_kept(generation, entity_key);
        // Who once had many is not read whole to find out.
        if !is_kept && !self.find_finest() {
            self.events.keep_whole(generation, entity_key)?;
        }
        self.amount = match self.events.kept.get(0) {
            Some(_) => Amount::Few,
            None => Amount::Many,
        };
        if is_kept && self.amount == Amount::Many {
            self.find_finest();
        }
        Ok(self.amount)
    }
}

impl EventSource for RocksEvents<'_, '_> {
    fn scan(&mut self, times: Moments, visit: &mut VersionVisitor<'_>) -> Result<()> {
        let mut within = |of: Times, row: &[u8]| match of.event < times.first {
            true => ControlFlow::Break(()),
            false => visit(of, row),
        };
        let whole = match self.amount {
            Amount::Few => self.events.kept.get(0),
            Amount::Many => None,
        };
        match whole {
            Some(whole) => kept::show(whole, times.last, &mut within),
            None => {
                let first = Kind::Events.first(self.generation, &self.entity, times.last);
                self.events.seek(&first, &mut within)
            }
        }
    }

    fn recall(&mut self, tile: TileId, bytes: &mut Vec<u8>) -> Result<bool> {
        let is_there = self.find(Mark::Tile, &tile.bytes());
        if !is_there && self.snapshot.reach == Reach::Memory {
            return Err(self.snapshot.out_of_reach("a tile has to be computed"));
        }
        self.found.get(0).into_iter().for_each(|tile| bytes.extend_from_slice(tile));
        Ok(is_there)
    }

    fn remember(&mut self, tile: TileId, bytes: &[u8]) {
        self.key.clear();
        self.key.push_marked(self.generation, &self.entity, Mark::Tile, &tile.bytes());
        self.table.leave(self.key.get(0), Some(bytes));
    }

    fn finest(&mut self) -> Option<u32> {
        self.finest
    }

    fn set_finest(&mut self, shift: u32) {
        self.finest = Some(shift);
        self.key.clear();
        self.key.push_marked(self.generation, &self.entity, Mark::Finest, &[]);
        self.table.leave(self.key.get(0), Some(&[shift as u8]));
    }
}
