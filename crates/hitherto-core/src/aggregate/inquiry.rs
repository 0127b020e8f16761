//! Which events count in a feature's window at a moment, and why others do not.
//!
//! ```text
//! older than the window  |         the window           |  newer
//! -----------------------|------------------------------|---------------------> event time
//! left                   |  not yet known               |  not yet in it
//!                        |  after the cutoff            |  not yet happened
//!                        |  known; of each event the    |
//!                        |  newest version counts, is   |
//!                        |  a deletion or fails the     |
//!                        |  condition, and all others   |
//!                        |  are superseded              |
//! ```
//!
//! This is the definition of [`super`] word for word, one event after the other: no ranges of
//! moments, no cuts, no tiles. What counts goes into one state, so that there is a third answer
//! beside those of lookups and of training sets; what the latter say of the same facts is found
//! here, too.
//!
//! **Memory.** The facts of one window, [`WHY_EVENT_BYTES_MAX`] at most; of each sort as many
//! as are asked for.

use serde::Serialize;

use super::answer;
use super::entity::Evaluation;
use super::finish::{Outcome, Reason};
use super::ordered::Place;
use super::plan::{AggregatePlan, Group};
use super::state::State;
use super::versions::{Terms, Version};
use super::window::Moments;
use crate::column::Column;
use crate::limits::WHY_EVENT_BYTES_MAX;
use crate::row::Row;
use crate::rule::{Moment, Says, Times};
use crate::why::{Candidate, Counts, Shortlists, Verdict, unseen};
use crate::{Error, Result};

/// Asks which events count for one feature, of one entity's facts, shown one at a time in any
/// order.
pub struct EventInquiry<'p> {
    /// Of one feature.
    plan: &'p AggregatePlan,
    group: &'p Group,
    moment: Moment,
    window: Option<Moments>,
    lists: Shortlists,
    /// The facts of events in the window, and their rows side by side.
    inside: Vec<Inside>,
    rows: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct EventFinding {
    /// The event times that were in the window; `None` if none can be.
    pub window: Option<Moments>,
    /// The answer: one value.
    pub answer: Column,
    /// Why it has none.
    pub reason: Option<Reason>,
    /// Whether a training set says the same of the same facts.
    pub training_set_agrees: bool,
    /// Newest first by [`crate::rule::rank`].
    pub candidates: Vec<Candidate>,
    /// The facts of the window, and those that had not happened.
    pub counts: Counts,
    /// Of those that the moment sees what became of them, and the rest.
    pub events: EventCounts,
}

/// The facts that a moment sees by what became of them, and those outside of the window. In it
/// a fact that was read twice is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventCounts {
    /// The event counts.
    pub counts: u64,
    /// A later version of the event was known.
    pub superseded: u64,
    /// The event was deleted.
    pub deleted: u64,
    /// The event is not such as the condition asks for.
    pub filtered: u64,
    /// The event is older than the window.
    pub left_window: u64,
    /// The event is newer than the window.
    pub not_yet_in_window: u64,
}

impl EventCounts {
    fn of(lists: &Shortlists) -> Self {
        Self {
            counts: lists.count(Verdict::Counts),
            superseded: lists.count(Verdict::Superseded),
            deleted: lists.count(Verdict::Deleted),
            filtered: lists.count(Verdict::Filtered),
            left_window: lists.count(Verdict::LeftWindow),
            not_yet_in_window: lists.count(Verdict::NotYetInWindow),
        }
    }
}

/// A fact of an event in the window.
struct Inside {
    times: Times,
    arrived: Option<i64>,
    start: usize,
    end: usize,
}

/// The same, as its row says.
struct Fact<'r> {
    inside: &'r Inside,
    bytes: &'r [u8],
    row: Row<'r>,
    id: &'r [u8],
}

impl<'p> EventInquiry<'p> {
    /// An inquiry that was shown nothing, and lists so many facts of each sort, at least one.
    ///
    /// # Errors
    /// `Internal` when the plan is not one feature's.
    pub fn new(plan: &'p AggregatePlan, moment: Moment, most: usize) -> Result<Self> {
        let [group] = plan.groups.as_slice() else {
            return Err(Error::internal("one feature is explained at a time"));
        };
        let window = group.window.events(moment.at);
        let lists = Shortlists::new(most);
        Ok(Self { plan, group, moment, window, lists, inside: Vec::new(), rows: Vec::new() })
    }

    /// Shows one more fact, and when it was pushed if it was.
    ///
    /// # Errors
    /// `Invalid` when the window holds more than is looked at.
    pub fn show(&mut self, times: Times, row: &[u8], arrived: Option<i64>) -> Result<()> {
        if let Some(missed) = self.missed(times) {
            self.lists.offer(missed, times, row, arrived);
        }
        if self.window.is_some_and(|window| window.contains(times.event)) {
            let start = self.rows.len();
            self.rows.extend_from_slice(row);
            let end = self.rows.len();
            self.inside.push(Inside { times, arrived, start, end });
            if end + size_of_val(self.inside.as_slice()) > WHY_EVENT_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "the entity has more than {} MiB of facts in the window, and an explanation \
                     looks at all of them; ask about a feature with a shorter window",
                    WHY_EVENT_BYTES_MAX >> 20
                )));
            }
        }
        Ok(())
    }

    /// What keeps a fact from being looked at with its event, and by how many microseconds.
    fn missed(&self, times: Times) -> Option<(Verdict, i64)> {
        let unseen = unseen(self.moment, times);
        if unseen.is_some_and(|(verdict, _)| verdict == Verdict::NotYetHappened) {
            return unseen;
        }
        match self.group.window.ends(self.moment.at) {
            None => Some((Verdict::NotYetInWindow, 0)),
            Some((_, last)) if times.event > last => {
                Some((Verdict::NotYetInWindow, times.event.saturating_sub(last)))
            }
            Some((first, _)) if times.event < first => {
                Some((Verdict::LeftWindow, first.saturating_sub(times.event)))
            }
            Some(_) => unseen,
        }
    }

    /// The answer, when no fact is left to show.
    ///
    /// # Errors
    /// `Corrupt` when a row is none, `Invalid` when a value is too long for a function that
    /// keeps many.
    pub fn finish(mut self) -> Result<EventFinding> {
        let function = &self.plan.features[0].function;
        let facts = facts(self.plan, &self.inside, &self.rows)?;
        let mut state = State::new(function.form());
        for event in facts.chunk_by(|a, b| a.event() == b.event()) {
            tell(self.group, self.moment, event, &mut state, &mut self.lists)?;
        }
        let outcome = state.finish(function, self.moment.at)?;
        let mut columns = self.plan.columns(1);
        answer::push(&outcome, &mut columns[0])?;
        let training_set = self.training_set(&facts)?;
        let answer = columns.remove(0);
        Ok(EventFinding {
            window: self.window,
            training_set_agrees: answer.is_same(0, &training_set, 0),
            answer,
            reason: match outcome {
                Outcome::Absent(reason) => Some(reason),
                Outcome::Value(_) | Outcome::List(_) => None,
            },
            counts: self.lists.counts(),
            events: EventCounts::of(&self.lists),
            candidates: self.lists.into_candidates(),
        })
    }

    /// What a training set answers.
    fn training_set(&self, facts: &[Fact<'_>]) -> Result<Column> {
        let Moment { at, known_by, known } = self.moment;
        let rows: Vec<&[u8]> = facts.iter().map(|fact| fact.bytes).collect();
        let mut columns = self.plan.columns(1);
        Evaluation::new(self.plan, Terms { known_by, known }).answer(
            &rows,
            &[at],
            |_| 1,
            &mut columns,
        )?;
        Ok(columns.remove(0))
    }
}

impl<'r> Fact<'r> {
    /// Of which event it is a version.
    fn event(&self) -> (i64, &'r [u8]) {
        (self.inside.times.event, self.id)
    }

    fn version(&self) -> Version<'r> {
        Version {
            known: self.inside.times.known,
            says: Says::of_row(self.bytes),
            passes: true,
            row: self.bytes,
        }
    }
}

/// The facts in the window by event, the versions of each as they supersede each other.
fn facts<'r>(
    plan: &'r AggregatePlan,
    inside: &'r [Inside],
    rows: &'r [u8],
) -> Result<Vec<Fact<'r>>> {
    let facts = inside.iter().map(|inside| {
        let bytes = &rows[inside.start..inside.end];
        let row = plan.schema.read(bytes)?;
        let id = plan.id.map_or(Ok(&[][..]), |id| row.varlen(id))?;
        Ok(Fact { inside, bytes, row, id })
    });
    let mut facts = facts.collect::<Result<Vec<_>>>()?;
    facts.sort_by(|a, b| a.event().cmp(&b.event()).then_with(|| a.version().rank(&b.version())));
    Ok(facts)
}

/// Says of each version of an event what became of it, and shows the event to the state if it
/// counts.
fn tell(
    group: &Group,
    moment: Moment,
    event: &[Fact<'_>],
    state: &mut State,
    lists: &mut Shortlists,
) -> Result<()> {
    let mut later: Option<&Fact<'_>> = None;
    for fact in event.iter().rev().filter(|fact| moment.sees(fact.inside.times)) {
        if later.is_some_and(|later| later.bytes == fact.bytes) {
            continue;
        }
        let Inside { times, arrived, .. } = *fact.inside;
        let missed = match later {
            Some(later) => {
                let since = moment.at.saturating_sub(later.inside.times.known).max(0);
                (Verdict::Superseded, since)
            }
            None if fact.version().says == Says::Deletion => (Verdict::Deleted, 0),
            None if !group.takes(&fact.row) => (Verdict::Filtered, 0),
            None => {
                let place = Place { event: times.event, known: times.known, id: fact.id };
                group.states[0].show(&fact.row, place, |input| state.add(input))?;
                (Verdict::Counts, 0)
            }
        };
        lists.offer(missed, times, fact.bytes, arrived);
        later = Some(fact);
    }
    Ok(())
}
