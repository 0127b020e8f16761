//! One view's events, brought to the entities of a spine from many threads.
//!
//! Where features are computed of many facts, no single one wins a slot: all facts of an
//! entity that can count at one of its slots wait until the last has come, and its answers are
//! then computed together ([`Evaluation`]).
//!
//! ```text
//!   enter     key -> entity, if the fact can count at one of its slots    reads the spine
//!   fill      row bytes, beside those of its neighbours                   locks a part
//!   answer    a part's facts, entity by entity -> a column a feature      owns the part
//! ```
//!
//! The spine's slots are divided into parts of neighbours. A part holds its facts as they
//! came, each with the first slot of its entity; when all are there they are brought together
//! by entity, which are few and near each other. So nothing large is ever sorted, and parts
//! can be answered by different threads.
//!
//! **Memory.** All facts that can count, as rows: those that happened before an entity's last
//! slot, and not further before its first than the windows reach.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::entities::NO_ENTITY;
use super::spine::NO_SLOT;
use super::{Spine, Terms, TimesBatch};
use crate::Result;
use crate::aggregate::{self, AggregatePlan, Evaluation, Reason};
use crate::column::Column;
use crate::key::batch::KeyBatch;
use crate::row::{self, RowBlock};
use crate::rule::{Says, Times};

/// Slots of the smallest part: fewer would leave a batch too few facts for each.
const PART_SLOTS_MIN: usize = 1 << 9;
/// Parts at most.
const PARTS_MAX: usize = 256;
/// Facts whose entities are looked up at a time.
const BLOCK_FACTS: usize = 256;

/// A fact that can count, on its way.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The first slot of its entity.
    slot: u32,
    /// The fact's row, as its batch or file counts.
    pub row: u32,
    /// Its times.
    pub times: Times,
    says: Says,
}

/// One view's events at the entities of a spine.
pub struct Events {
    spine: Arc<Spine>,
    terms: Terms,
    plan: AggregatePlan,
    part_bits: u32,
    parts: Vec<Mutex<Part>>,
}

/// Facts of neighbouring entities, as they came.
#[derive(Default)]
struct Part {
    slots: Vec<u32>,
    /// Where each row ends.
    ends: Vec<usize>,
    rows: Vec<u8>,
}

/// The answers at the slots of one part.
pub struct PartAnswers {
    /// A column for each feature of the plan.
    pub columns: Vec<Column>,
    /// Per slot, whether an event counts in any window.
    pub has_events: Vec<bool>,
    /// Per slot, whether a join on event time alone would have seen other events.
    pub is_leak: Vec<bool>,
    /// Per feature, in how many spine rows it has no value for each reason.
    pub reasons: Vec<[u64; Reason::ALL.len()]>,
}

impl Events {
    /// No events yet, for features that are computed so.
    pub fn new(spine: Arc<Spine>, terms: Terms, plan: AggregatePlan) -> Self {
        let slots = spine.slots();
        let part = slots.div_ceil(PARTS_MAX).max(PART_SLOTS_MIN).next_power_of_two();
        let parts = (0..slots.div_ceil(part)).map(|_| Mutex::default()).collect();
        Self { spine, terms, plan, part_bits: part.trailing_zeros(), parts }
    }

    /// Bytes held at most beside the spine and the facts, for a spine of so many rows: answers
    /// as they are computed and as they are put together, and what is said of each slot.
    pub fn bytes_max(plan: &AggregatePlan, rows: usize) -> usize {
        rows * (2 * plan.answer_bytes() + 4 + 2)
    }

    /// The spine whose entities they are of.
    pub fn spine(&self) -> &Spine {
        &self.spine
    }

    /// The earliest event time that can count at any slot.
    pub fn first_event(&self) -> i64 {
        let first = self.spine.time_range().map_or(i64::MIN, |(first, _)| first);
        self.plan.reach_micros().map_or(i64::MIN, |reach| first.saturating_sub(reach))
    }

    /// Adds the facts of a batch that can count to `arrivals`, which count their rows from
    /// `first_row`.
    pub fn enter(
        &self,
        keys: &KeyBatch,
        times: TimesBatch<'_>,
        first_row: usize,
        is_deletion: impl Fn(usize) -> bool,
        arrivals: &mut Vec<Arrival>,
    ) {
        let Self { spine, plan, .. } = self;
        let reach = plan.reach_micros();
        let mut entities = [NO_ENTITY; BLOCK_FACTS];
        for start in (0..keys.len()).step_by(BLOCK_FACTS) {
            let rows = start..keys.len().min(start + BLOCK_FACTS);
            let entities = &mut entities[..rows.len()];
            spine.find_entities(keys, rows.clone(), entities);
            for (row, entity) in rows.zip(entities) {
                let happened = times.is_absent.is_none_or(|is_absent| !is_absent[row]);
                if *entity == NO_ENTITY || !happened {
                    continue;
                }
                let slots = spine.slots_of(*entity);
                let (first, last) = (spine.times[slots.start], spine.times[slots.end - 1]);
                let times = times.get(row);
                let oldest = reach.map_or(i64::MIN, |reach| first.saturating_sub(reach));
                if (oldest..=last).contains(&times.event) {
                    let says = if is_deletion(row) { Says::Deletion } else { Says::Values };
                    let (slot, row) = (slots.start as u32, (first_row + row) as u32);
                    arrivals.push(Arrival { slot, row, times, says });
                }
            }
        }
    }

    /// Brings the rows of facts: row `i` of the block belongs to arrival `i`.
    pub fn fill(&self, arrivals: &[Arrival], block: &RowBlock) {
        let part_of = |arrival: &Arrival| (arrival.slot >> self.part_bits) as usize;
        let mut order: Vec<u32> = (0..arrivals.len() as u32).collect();
        order.sort_unstable_by_key(|index| part_of(&arrivals[*index as usize]));
        let same =
            |a: &u32, b: &u32| part_of(&arrivals[*a as usize]) == part_of(&arrivals[*b as usize]);
        for here in order.chunk_by(same) {
            let part = &self.parts[part_of(&arrivals[here[0] as usize])];
            // A thread that panicked has its whole join fail.
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for index in here {
                let arrival = &arrivals[*index as usize];
                part.push(arrival, block.get(*index as usize));
            }
        }
    }

    /// Bytes of facts held.
    pub fn bytes(&self) -> usize {
        let bytes = |part: &Mutex<Part>| {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.rows.capacity() + part.slots.capacity() * 4 + part.ends.capacity() * 8
        };
        self.parts.iter().map(bytes).sum()
    }

    /// How many parts there are to answer.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Answers one part, whose facts are gone then. The slots of all parts, one part after the
    /// other, are those of the spine.
    ///
    /// # Errors
    /// As [`Evaluation::answer`].
    pub fn answer(&self, part: usize, rows_of_slots: &[u32]) -> Result<PartAnswers> {
        let Self { spine, terms, plan, part_bits, parts } = self;
        let Part { slots: of_facts, ends, rows } =
            std::mem::take(&mut *parts[part].lock().unwrap_or_else(PoisonError::into_inner));
        let entities = spine.entities_from(part << part_bits, (part + 1) << part_bits);
        let terms = aggregate::Terms { known_by: terms.known_by, known: terms.known };
        let mut evaluation = Evaluation::new(plan, terms);
        let all = spine.slots_of_all(&entities);
        let (first_slot, slots) = (all.start, all.len());
        let mut answers = PartAnswers {
            columns: plan.columns(slots),
            has_events: Vec::with_capacity(slots),
            is_leak: Vec::with_capacity(slots),
            reasons: Vec::new(),
        };
        let by_entity = ByEntity::new(&of_facts, first_slot, slots);
        let mut facts: Vec<&[u8]> = Vec::new();
        for entity in entities {
            let slots = spine.slots_of(entity);
            facts.clear();
            facts.extend(by_entity.at(slots.start - first_slot).iter().map(|fact| {
                let fact = *fact as usize;
                let start = if fact == 0 { 0 } else { ends[fact - 1] };
                &rows[start..ends[fact]]
            }));
            let weight = |moment: usize| rows_of_slots[slots.start + moment];
            let moments = &spine.times[slots.clone()];
            let found = evaluation.answer(&facts, moments, weight, &mut answers.columns)?;
            answers.has_events.extend(found.has_events);
            answers.is_leak.extend(found.is_leak);
        }
        answers.reasons = evaluation.into_reasons();
        Ok(answers)
    }

    /// How many spine rows ask at each slot.
    pub fn rows_of_slots(&self) -> Vec<u32> {
        self.spine.rows_of_slots()
    }

    /// The slot of each of these spine rows; `None` where a part of its key is null.
    pub fn slots_of_rows(&self, rows: Range<usize>) -> impl Iterator<Item = Option<u32>> {
        let slots = self.spine.slot_of_row[rows].iter();
        slots.map(|slot| (*slot != NO_SLOT).then_some(*slot))
    }
}

impl Part {
    fn push(&mut self, arrival: &Arrival, row: &[u8]) {
        let start = self.rows.len();
        self.rows.extend_from_slice(row);
        if arrival.says == Says::Deletion {
            row::mark_deletion(&mut self.rows[start..]);
        }
        self.ends.push(self.rows.len());
        self.slots.push(arrival.slot);
    }
}

/// Facts by the first slot of their entity.
struct ByEntity {
    starts: Vec<u32>,
    facts: Vec<u32>,
}

impl ByEntity {
    /// Of facts with these slots, which are `slots` from `first` on.
    fn new(of_facts: &[u32], first: usize, slots: usize) -> Self {
        let mut starts = vec![0_u32; slots + 2];
        of_facts.iter().for_each(|slot| starts[*slot as usize - first + 2] += 1);
        for slot in 2..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut facts = vec![0; of_facts.len()];
        for (fact, slot) in of_facts.iter().enumerate() {
            let next = &mut starts[*slot as usize - first + 1];
            facts[*next as usize] = fact as u32;
            *next += 1;
        }
        Self { starts, facts }
    }

    fn at(&self, slot: usize) -> &[u32] {
        &self.facts[self.starts[slot] as usize..self.starts[slot + 1] as usize]
    }
}
