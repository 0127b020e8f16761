//! The slot that an entity's last fact had, and for which facts it holds.
//!
//! Facts mostly come in the order of time, so the next fact of an entity mostly has the
//! slot that the one before had: the first at or after a time that lies in the same gap
//! between two slots. It is then found with one look instead of a search:
//!
//! ```text
//! slots of an entity     --1--------2-----------------3----->  time
//! its place                          [                ]
//!                                    after            until     facts that happened after
//!                                                               2 and are visible by 3
//! ```
//!
//! Any other fact is searched for, and moves the place. Where facts come in no order most
//! would be: then places are not asked for a while.

/// Entities whose places are kept; of more each look is as far away as what it saves.
const ENTITIES_MAX: usize = 1 << 20;

/// Blocks for which places are not asked after one that had most of its facts elsewhere.
const BLOCKS_UNASKED: u32 = 15;

/// Where an entity's last fact had its slot. As large as half a line of cache, and never
/// on two.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(super) struct Place {
    /// The time of the slot before it; the beginning of time if there is none.
    pub after: i64,
    /// Its time; the end of time if the fact had no slot.
    pub until: i64,
    /// When the newest fact happened that was shown there, or earlier.
    pub newest: i64,
    /// [`NO_SLOT`] if the fact had none.
    pub slot: u32,
}

impl Place {
    /// Of an entity that no fact was seen of: holds for none.
    const NOWHERE: Self =
        Self { after: i64::MAX, until: i64::MIN, newest: i64::MIN, slot: NO_SLOT };

    /// Whether any fact of the entity was seen.
    pub fn is_known(&self) -> bool {
        self.after <= self.until
    }
}

/// The slot of a fact that has none.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// A place for each entity of a contest, for one thread. Reused from contest to contest.
#[derive(Default)]
pub struct Places {
    /// Whose entities they are.
    contest: u64,
    places: Vec<Place>,
    /// Blocks until they are asked again.
    unasked: u32,
}

impl Places {
    /// Bytes held at most for a spine of so many rows.
    pub const fn bytes_max(rows: usize) -> usize {
        let entities = if rows < ENTITIES_MAX { rows } else { ENTITIES_MAX };
        entities * size_of::<Place>()
    }

    /// Forgets what belongs to another contest.
    pub(super) fn begin(&mut self, contest: u64, entities: usize) {
        if self.contest == contest {
            return;
        }
        let entities = if entities <= ENTITIES_MAX { entities } else { 0 };
        self.places.clear();
        self.places.resize(entities, Place::NOWHERE);
        (self.contest, self.unasked) = (contest, 0);
    }

    /// Whether the next block should ask.
    pub(super) fn are_asked(&mut self) -> bool {
        let are_asked = self.unasked == 0 && !self.places.is_empty();
        self.unasked = self.unasked.saturating_sub(1);
        are_asked
    }

    /// Learns how many facts of a block had their slot elsewhere than at their place.
    pub(super) fn learn(&mut self, elsewhere: usize, facts: usize) {
        if elsewhere * 2 > facts {
            self.unasked = BLOCKS_UNASKED;
        }
    }

    /// The place of an entity.
    pub(super) fn get_mut(&mut self, entity: u32) -> &mut Place {
        &mut self.places[entity as usize]
    }

    /// An entity's place, to bring it near.
    pub(super) fn touch(&self, entity: u32) -> i64 {
        self.places[entity as usize].until
    }
}
