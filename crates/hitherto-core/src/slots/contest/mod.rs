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

mod answers;
mod entries;
mod judge;
mod rows;
mod slot;

use std::collections::HashMap;
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use self::rows::Rows;
use self::slot::{Slot, State, Winner};
use super::block::Arrivals;
use super::{Places, Spine, Terms, TimesBatch};
use crate::key::batch::KeyBatch;
use crate::row::{RowBlock, RowSchema};
use crate::rule::{self, NEVER, Says, Times};

pub use self::answers::Answers;
pub use self::entries::{Entries, Entry};
pub use self::judge::SlotAnswer;

/// Slots of the smallest stripe worth a lock of its own.
const STRIPE_SLOTS_MIN: usize = 1 << 12;
/// Stripes at most: beyond it a batch has too few facts for each.
const STRIPES_MAX: usize = 32;

/// Numbers the contests; 0 is none.
static CONTESTS: AtomicU64 = AtomicU64::new(1);

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
    pub fn enter(
        &self,
        keys: &KeyBatch,
        times: TimesBatch<'_>,
        first_row: usize,
        places: &mut Places,
        entries: &mut Entries,
    ) {
        let Entries { facts, unknown, .. } = entries;
        let newest = |slot: u32| self.slots[slot as usize].newest();
        places.begin(self.id, self.spine.all_entities().len());
        let arrivals = Arrivals { spine: &self.spine, terms: self.terms, keys, times };
        let leads = |event: i64, newest: i64| event >= newest;
        arrivals.find_slots(places, unknown, leads, |found| {
            black_box(found.iter().fold(0, |touched, (_, slot)| touched ^ newest(*slot)));
            for (row, slot) in found {
                let row = *row as usize;
                if leads(times.event[row], newest(*slot)) {
                    let times = times.get(row);
                    facts.push(Entry { slot: *slot, row: (first_row + row) as u32, times });
                }
            }
        });
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

const _: () = assert!(NEVER == i64::MAX, "no cutoff and no moment is later than never");
