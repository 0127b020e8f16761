//! Where a stretch of time begins among the slots of each entity.
//!
//! The facts of one row group often happened within a short time, in which few entities
//! have a slot. Then nearly all facts of an entity have the same first slot, the first at
//! or after the beginning of the stretch, which is looked up once for the row group
//! instead of once a fact:
//!
//! ```text
//! slots of an entity     --1--------2-----------------3----->  time
//! row group                              [ f f  f  f ]
//! its place                                          3
//! ```
//!
//! A fact that becomes visible after the slot of its place has a later one, and is
//! searched for like any other. What is looked up is one line of memory a fact, where a
//! search touches three or four.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::spine::Spine;

/// Of entities with a slot within the stretch: if more than one in so many has one, most
/// facts would be searched for all the same.
const WITHIN_SHARE: usize = 2;

/// Slots between an entity's place and the one before that are walked; further ones are
/// searched.
const STEPS_MAX: u32 = 8;

/// The slot of an entity at which a stretch of time begins.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Its time; the end of time if the entity has none.
    pub at: i64,
    /// When its winner happened, or earlier.
    pub newest: i64,
    /// [`NO_SLOT`] if the entity has none.
    pub slot: u32,
    /// The slot, or the end of the entity's.
    position: u32,
}

/// The slot of an entity that has none.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Places of neighbouring entities in one stretch of time. Reused from one to the next: row
/// groups follow each other in time, and so do places.
#[derive(Default)]
pub struct Places {
    /// Which spine's they are.
    spine: Option<Arc<Spine>>,
    entities: Range<u32>,
    /// When the stretch begins.
    pub(super) from: i64,
    places: Vec<Place>,
    /// Whether they serve the facts that come.
    is_used: bool,
}

impl Places {
    /// Bytes held at most for a spine of so many rows.
    pub const fn bytes_max(rows: usize) -> usize {
        rows * size_of::<Place>()
    }

    /// Has every fact searched for.
    pub fn clear(&mut self) {
        self.is_used = false;
    }

    /// Whether none of them is to be used.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_used
    }

    /// The place of an entity, if it is among those looked up.
    pub(super) fn get_mut(&mut self, entity: u32) -> Option<&mut Place> {
        self.places.get_mut(entity.wrapping_sub(self.entities.start) as usize)
    }

    /// The time of an entity's place, to bring it near.
    pub(super) fn touch(&self, entity: u32) -> i64 {
        let place = self.places.get(entity.wrapping_sub(self.entities.start) as usize);
        place.map_or(0, |place| place.at)
    }

    /// Looks up the places of these entities in the stretch `from..=to`; none is used if
    /// they would serve few facts.
    pub(super) fn find(
        &mut self,
        spine: &Arc<Spine>,
        newest: &[AtomicI64],
        entities: Range<u32>,
        (from, to): (i64, i64),
    ) {
        let is_same = self.spine.as_ref().is_some_and(|before| Arc::ptr_eq(before, spine));
        if !is_same || self.entities != entities {
            let positions = entities.clone().map(|entity| spine.slots_of(entity).end as u32);
            self.places.clear();
            self.places.extend(positions.map(|position| Place {
                at: i64::MAX,
                newest: i64::MAX,
                slot: NO_SLOT,
                position,
            }));
            (self.spine, self.entities) = (Some(Arc::clone(spine)), entities.clone());
        }
        self.from = from;
        let mut within = 0;
        for (place, entity) in self.places.iter_mut().zip(entities) {
            let slots = spine.slots_of(entity);
            let slots = slots.start as u32..slots.end as u32;
            place.position = first_from(spine, slots.clone(), place.position, from);
            *place = match place.position < slots.end {
                true => Place {
                    at: spine.times[place.position as usize],
                    newest: newest[place.position as usize].load(Ordering::Relaxed),
                    slot: place.position,
                    position: place.position,
                },
                false => Place { at: i64::MAX, newest: i64::MAX, slot: NO_SLOT, ..*place },
            };
            within += usize::from(place.at < to);
        }
        self.is_used = within * WITHIN_SHARE <= self.places.len();
    }
}

/// The first of an entity's slots at or after a time, or the end of them; probably near
/// `position`.
fn first_from(spine: &Spine, slots: Range<u32>, mut position: u32, from: i64) -> u32 {
    let time = |slot: u32| spine.times[slot as usize];
    for _ in 0..STEPS_MAX {
        if position > slots.start && time(position - 1) >= from {
            position -= 1;
        } else if position < slots.end && time(position) < from {
            position += 1;
        } else {
            return position;
        }
    }
    spine.first_slot_from(slots.clone(), from).unwrap_or(slots.end)
}
