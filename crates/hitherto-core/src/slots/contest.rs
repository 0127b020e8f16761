//! One view's facts competing for the slots of a spine, from many threads.
//!
//! A batch of facts goes through three steps, of which only the last two touch
//! what threads share:
//!
//! ```text
//!   enter     key -> entity -> first slot >= max(e, n)        reads the spine
//!   compete   the greatest (e, n) takes the slot              locks a stripe
//!   fill      row bytes for those that still hold their slot  locks a stripe
//! ```
//!
//! Between `compete` and `fill` a slot is *pending*: its winner is known by its
//! times, its row is not there yet. A greater fact may take the slot meanwhile,
//! and the row is then dropped when it comes. Facts of equal times all come to
//! `fill`, where the greater bytes stay. So the outcome is the maximum of what
//! was offered, whatever the order and the number of threads, and features are
//! only read of facts that lead.
//!
//! Slots are divided into stripes of neighbours, each with its own lock; a batch goes
//! through them stripe by stripe and takes each lock once. A slot is half a line of
//! cache. Those that a batch needs are touched before any is used, so that waits for
//! memory overlap.

use std::collections::HashMap;
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::block::{BLOCK_FACTS, Block};
use super::places::Places;
use super::rows::Rows;
use super::slot::{Slot, State, Winner};
use super::spine::Spine;
use super::{Answers, Terms};
use crate::key::batch::KeyBatch;
use crate::row::{RowBlock, RowSchema};
use crate::rule::{self, NEVER, Says, Times};

/// Slots of the smallest stripe worth a lock of its own.
const STRIPE_SLOTS_MIN: usize = 1 << 12;
/// Stripes at most: beyond it a batch has too few facts for each.
const STRIPES_MAX: usize = 32;

/// Numbers the contests; 0 is none.
static CONTESTS: AtomicU64 = AtomicU64::new(1);

/// The times of a batch of facts, in microseconds UTC.
#[derive(Clone, Copy)]
pub struct TimesBatch<'a> {
    /// When each happened.
    pub event: &'a [i64],
    /// When each could first be known.
    pub known: KnownTimes<'a>,
    /// Facts that never happened, by row; they do not compete.
    pub is_absent: Option<&'a [bool]>,
}

/// When the facts of a batch could first be known.
#[derive(Clone, Copy)]
pub enum KnownTimes<'a> {
    /// So many microseconds after each happened.
    Delay(i64),
    /// As a column says; [`NEVER`] is never.
    Column(&'a [i64]),
}

impl TimesBatch<'_> {
    /// The times of a row.
    pub fn get(&self, row: usize) -> Times {
        let event = self.event[row];
        let known = match self.known {
            KnownTimes::Delay(delay) => event.saturating_add(delay),
            KnownTimes::Column(known) => known[row],
        };
        Times { event, known }
    }
}

/// A fact at its slot.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    slot: u32,
    /// The fact's row, as its batch or file counts.
    pub row: u32,
    /// Its times.
    pub times: Times,
}

/// Facts on their way through a contest. Reused from batch to batch.
#[derive(Default)]
pub struct Entries {
    facts: Vec<Entry>,
    /// Those of them that a step leaves, until it ends.
    kept: Vec<Entry>,
    unknown: Vec<(u32, Times)>,
}

/// What neighbouring slots have beside themselves, and the right to write them.
struct Stripe {
    /// Per slot, the greatest fact that happened before it and was not known at
    /// it: what a join on event time would have used too early. Few slots have one.
    unknown: HashMap<u32, Times, Xxh3DefaultBuilder>,
    rows: Rows,
}

/// One view's facts competing for the slots of a spine.
pub struct Contest {
    /// Unlike that of any other.
    id: u64,
    spine: Arc<Spine>,
    terms: Terms,
    schema: RowSchema,
    slots: Vec<Slot>,
    stripe_bits: u32,
    stripes: Vec<Mutex<Stripe>>,
}

impl Contest {
    /// Empty slots for one view, whose rows have this schema.
    pub fn new(spine: Arc<Spine>, terms: Terms, schema: RowSchema) -> Self {
        let slots = spine.slots();
        let stripe = slots.div_ceil(STRIPES_MAX).max(STRIPE_SLOTS_MIN).next_power_of_two();
        let stripes = (0..slots)
            .step_by(stripe)
            .map(|_| Mutex::new(Stripe { unknown: HashMap::default(), rows: Rows::new(&schema) }));
        let stripes = stripes.collect();
        let slots = spine.times.iter().map(|at| Slot::empty(*at)).collect();
        let id = CONTESTS.fetch_add(1, Ordering::Relaxed);
        Self { id, spine, terms, schema, slots, stripe_bits: stripe.trailing_zeros(), stripes }
    }

    /// The spine whose slots they are.
    pub fn spine(&self) -> &Spine {
        &self.spine
    }

    /// The layout of its rows.
    pub fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Bytes held at most beside the spine, the variable parts of rows aside.
    pub fn bytes_max(slots: usize, schema: &RowSchema) -> usize {
        let row = match schema.is_fixed() {
            true => schema.fixed_bytes(),
            false => size_of::<Box<[u8]>>() + schema.fixed_bytes(),
        };
        // Slot, row, the answer's code and the multiplicity of the slot.
        slots * (size_of::<Slot>() + row + 4 + 4)
    }

    /// Adds the facts of a batch that may win a slot to `entries`, which count
    /// their rows from `first_row`. `places` is a thread's own.
    ///
    /// Block by block, in stages that each look up one thing for all facts: what
    /// one of them waits for in memory, others wait for at the same time.
    pub fn enter(
        &self,
        keys: &KeyBatch,
        times: TimesBatch<'_>,
        first_row: usize,
        places: &mut Places,
        entries: &mut Entries,
    ) {
        let mut block = Block::default();
        let Entries { facts, unknown, .. } = entries;
        places.begin(self.id, self.spine.all_entities().len());
        for start in (0..keys.len()).step_by(BLOCK_FACTS) {
            block.find_entities(&self.spine, keys, times, start);
            let mut places = places.are_asked().then_some(&mut *places);
            if let Some(places) = &mut places {
                block.take_placed(places, self.terms, times);
            }
            block.find_ranges(&self.spine);
            block.find_slots(&self.spine, self.terms, times, places, unknown);
            let newest = |slot: u32| self.slots[slot as usize].newest();
            for (row, slot) in block.retain_newest(times, newest) {
                facts.push(Entry { slot, row: (first_row + row) as u32, times: times.get(row) });
            }
        }
    }

    /// Lets the facts entered compete. Those stay in `entries` that now hold
    /// their slot, or tie with the fact that does, and need their rows.
    pub fn compete(&self, entries: &mut Entries, is_deletion: impl Fn(u32) -> bool) {
        let Entries { facts, kept, unknown } = entries;
        for (slot, times) in unknown.drain(..) {
            let mut stripe = self.lock(slot >> self.stripe_bits);
            let greatest = stripe.unknown.entry(slot).or_insert(times);
            *greatest = times.max(*greatest);
        }
        kept.clear();
        self.visit(facts, |_, slot, index| {
            let entry = facts[index];
            let says = if is_deletion(entry.row) { Says::Deletion } else { Says::Values };
            let is_expired = rule::is_expired(entry.times.event, slot.at, self.terms.ttl_micros);
            let mut winner = slot.winner();
            if winner.challenge(entry.times, says, is_expired) {
                kept.push(entry);
            }
            slot.set(winner);
        });
        std::mem::swap(facts, kept);
    }

    /// Drops those facts that lost their slot since they won it; the rest come
    /// in the order of their rows.
    pub fn retain_leading(&self, entries: &mut Entries) {
        let Entries { facts, kept, .. } = entries;
        kept.clear();
        self.visit(facts, |_, slot, index| {
            let winner = slot.winner();
            if winner.times == facts[index].times && winner.state != State::Deleted {
                kept.push(facts[index]);
            }
        });
        kept.sort_unstable_by_key(|entry| entry.row);
        std::mem::swap(facts, kept);
    }

    /// Brings the rows of facts that competed: row `i` of the block belongs to
    /// entry `i`.
    pub fn fill(&self, entries: &[Entry], block: &RowBlock) {
        self.visit(entries, |stripe, slot, index| {
            let mut winner = slot.winner();
            winner.fill(entries[index].times, block.get(index), &mut stripe.rows);
            slot.set(winner);
        });
    }

    /// Bytes of rows held.
    pub fn row_bytes(&self) -> usize {
        (0..self.stripes.len() as u32).map(|stripe| self.lock(stripe).rows.heap_bytes()).sum()
    }

    /// Whether facts of these entities that happened at or before `event` can no
    /// longer change any answer: every first slot has a newer one already.
    pub fn is_settled(&self, entities: Range<u32>, event: i64) -> bool {
        let first_slots = &self.spine.first_slots[entities.start as usize..entities.end as usize];
        first_slots.iter().all(|slot| self.slots[*slot as usize].newest() > event)
    }

    /// Ends the contest: carries each winner on to the later slots of its entity
    /// that no greater fact won, and judges every slot. `count` sees each slot
    /// with the number of spine rows that ask there.
    pub fn finish(self, mut count: impl FnMut(&SlotAnswer, u32)) -> Answers {
        let Self { spine, terms, schema, slots, stripe_bits, stripes, .. } = self;
        let mut rows = Rows::new(&schema);
        let stripes: Vec<_> = stripes
            .into_iter()
            .map(|stripe| {
                let stripe = stripe.into_inner().unwrap_or_else(PoisonError::into_inner);
                let base = rows.append(stripe.rows);
                (stripe.unknown, base)
            })
            .collect();
        let mut answers = Answers::new(Arc::clone(&spine), rows, schema);
        let multiplicity = spine.rows_of_slots();
        for entity in spine.all_entities() {
            let mut best: Option<(Winner, u32)> = None;
            let mut unknown: Option<Times> = None;
            for slot in spine.slots_of(entity) {
                let (unknowns, base) = &stripes[slot >> stripe_bits];
                let here = slots[slot].winner();
                // Facts of equal times have one slot, so these never tie.
                let is_greater = best.is_none_or(|(best, _)| here.times > best.times);
                if here.state != State::Empty && is_greater {
                    best = Some((here, *base));
                }
                if !unknowns.is_empty() {
                    unknown = unknown.max(unknowns.get(&(slot as u32)).copied());
                }
                let answer = SlotAnswer::judge(best, unknown, slots[slot].at, terms);
                count(&answer, multiplicity[slot]);
                answers.push(&answer);
            }
        }
        answers
    }

    fn stripe_of(&self, entry: &Entry) -> u32 {
        entry.slot >> self.stripe_bits
    }

    fn lock(&self, stripe: u32) -> MutexGuard<'_, Stripe> {
        // A thread that panicked has its whole join fail.
        self.stripes[stripe as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows facts stripe by stripe: the locked stripe, the fact's slot, and which fact
    /// it is.
    fn visit(&self, facts: &[Entry], mut show: impl FnMut(&mut Stripe, &Slot, usize)) {
        let mut ends = [0_usize; STRIPES_MAX + 1];
        for entry in facts {
            ends[self.stripe_of(entry) as usize + 1] += 1;
        }
        for stripe in 0..STRIPES_MAX {
            ends[stripe + 1] += ends[stripe];
        }
        let mut order = vec![0_u32; facts.len()];
        let mut next = ends;
        for (index, entry) in facts.iter().enumerate() {
            let place = &mut next[self.stripe_of(entry) as usize];
            order[*place] = index as u32;
            *place += 1;
        }
        for (number, here) in ends.windows(2).enumerate().filter(|(_, here)| here[0] < here[1]) {
            let here = &order[here[0]..here[1]];
            let mut stripe = self.lock(number as u32);
            let slot_of = |index: u32| &self.slots[facts[index as usize].slot as usize];
            black_box(here.iter().fold(0, |touched, index| touched ^ slot_of(*index).newest()));
            for index in here {
                show(&mut stripe, slot_of(*index), *index as usize);
            }
        }
    }
}

impl Entries {
    /// The facts, as the last step left them.
    pub fn facts(&self) -> &[Entry] {
        &self.facts
    }

    /// Moves the facts out, behind those in `to`.
    pub fn drain_into(&mut self, to: &mut Entries) {
        to.facts.append(&mut self.facts);
    }

    /// Gives each fact another row number, in the order in which they are.
    pub fn renumber(&mut self, mut number: impl FnMut(u32) -> u32) {
        self.facts.iter_mut().for_each(|fact| fact.row = number(fact.row));
    }

    /// Drops the facts.
    pub fn clear(&mut self) {
        self.facts.clear();
    }
}

/// The rule's answer at one slot.
pub struct SlotAnswer {
    /// The number of the row that answers, or why none does.
    pub(super) row: Result<u32, rule::Absence>,
    /// How long before the slot's time the fact happened that answers, in
    /// microseconds.
    pub age_micros: i64,
    /// Whether a join on event time alone would have answered with a fact that
    /// was not known at the slot's time.
    pub is_leak: bool,
}

impl SlotAnswer {
    fn judge(best: Option<(Winner, u32)>, unknown: Option<Times>, at: i64, terms: Terms) -> Self {
        let says = |winner: Winner| match winner.state {
            State::Deleted => Says::Deletion,
            _ => Says::Values,
        };
        let winner = best.map(|(winner, _)| (winner.times.event, says(winner)));
        let judged = rule::judge(winner, unknown.is_some(), at, terms.ttl_micros);
        let by_event = best.map(|(winner, _)| winner.times).max(unknown);
        let is_leak = by_event.is_some_and(|times| {
            times.known > at && !rule::is_expired(times.event, at, terms.ttl_micros)
        });
        let row = judged.map(|()| {
            let (winner, base) = best.expect("only a winner answers");
            assert!(winner.state == State::Filled, "every winner brought its row");
            base + winner.row
        });
        let age_micros = best.map_or(0, |(winner, _)| at.saturating_sub(winner.times.event));
        Self { row, age_micros, is_leak }
    }

    /// Why nothing answers; `Ok` if a fact does.
    ///
    /// # Errors
    /// The reason, which is no failure.
    pub fn judged(&self) -> Result<(), rule::Absence> {
        self.row.map(|_| ())
    }
}

const _: () = assert!(NEVER == i64::MAX, "no cutoff and no moment is later than never");
