//! How the features of a view are computed of the rows of its facts: made once for a question.
//!
//! ```text
//! feature            window   where      state kept            read from it
//! amount_sum_7d  --.
//! amount_mean_7d --+- 7d      -          sum of amount         sum | mean
//! web_count_7d   ----  7d     web        count                 count
//! amount_max_30d ----  30d    -          greatest amount       max
//! ```
//!
//! Features of one window and condition are a group: who counts is decided once for all of
//! them. Features of one column in a group share a state, if it has what they need.

use super::function::{Form, Function};
use super::ordered::Place;
use super::state::{Input, State};
use super::tile::Tile;
use super::value::Value;
use super::window::Window;
use crate::Result;
use crate::catalog::AppliedView;
use crate::column::Column;
use crate::definition::Aggregate;
use crate::row::{Row, RowSchema};
use crate::types::DataType;

/// How some features of a view are computed.
#[derive(Clone, Debug)]
pub struct AggregatePlan {
    /// The rows of the view's facts.
    pub(super) schema: RowSchema,
    /// The value of a row that is its event's id; none where its time says who it is.
    pub(super) id: Option<usize>,
    pub(super) groups: Vec<Group>,
    /// In the order in which they were asked for.
    pub(super) features: Vec<Planned>,
}

/// Features for which the same events count.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub window: Window,
    /// The value of a row that says whether it counts.
    pub filter: Option<usize>,
    pub states: Vec<Kept>,
}

/// A state that is kept of a group's events.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub form: Form,
    /// The value of a row that is shown to it; `None` is the event itself.
    pub column: Option<usize>,
    /// The value of a row that orders.
    pub by: Option<usize>,
    /// The features that are read from it.
    pub features: Vec<usize>,
}

/// The same for one moment, of events or of tiles.
#[derive(Clone, Debug)]
pub struct InstantPlan {
    pub(super) plan: AggregatePlan,
    /// What tiles of the view keep, whatever is asked for.
    pub(super) tiled: Vec<Tiled>,
    /// Per group, for each state that it keeps which of those has it.
    pub(super) places: Vec<Vec<usize>>,
    /// Per group, which of those counts its events.
    counts: Vec<usize>,
    /// Of each of those, whether it is asked for.
    pub(super) needed: Vec<bool>,
}

/// A state that is kept of the events of a tile.
#[derive(Clone, Debug)]
pub(super) struct Tiled {
    /// As in [`Group`].
    pub filter: Option<usize>,
    pub kept: Kept,
}

/// What stands for the event itself, where no column is asked for.
const EVENT: Value<'_> = Value::Bool(true);

/// A feature that is read from a state.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub name: String,
    pub data_type: DataType,
    pub function: Function,
}

impl AggregatePlan {
    /// The plan of these features of a view; `None` of a view whose features are those of its
    /// facts.
    pub fn new(view: &AppliedView, features: &[usize]) -> Option<Self> {
        let aggregates = view.definition.aggregates.as_ref()?;
        let (inputs, filters) = (aggregates.inputs(), aggregates.filters());
        let id = aggregates.id_value();
        let first_input = usize::from(id.is_some());
        let first_filter = first_input + inputs.len();
        let mut plan =
            Self { schema: view.row_schema(), id, groups: Vec::new(), features: Vec::new() };
        for index in features {
            let feature = &view.definition.features[*index];
            let Aggregate { function, column, by, window, filter } = &aggregates.features[*index];
            let place = |column: &_| inputs.iter().position(|input| *input == column);
            let input = |column: &Option<_>| Some(first_input + column.as_ref().and_then(place)?);
            let filter = filter.as_deref().and_then(|filter| {
                Some(first_filter + filters.iter().position(|other| *other == filter)?)
            });
            let window = Window { ttl: view.definition.ttl_micros, ..*window };
            let group = plan.group(window, filter);
            plan.groups[group].keep(Kept {
                form: kept_form(function),
                column: input(column),
                by: input(by),
                features: vec![plan.features.len()],
            });
            plan.features.push(Planned {
                name: feature.name.clone(),
                data_type: feature.data_type.clone(),
                function: *function,
            });
        }
        Some(plan)
    }

    /// The plan of all features of a view, likewise.
    pub fn of_all(view: &AppliedView) -> Option<Self> {
        let features: Vec<usize> = (0..view.definition.features.len()).collect();
        Self::new(view, &features)
    }

    /// The windows that are looked at, each once.
    pub fn windows(&self) -> impl Iterator<Item = Window> {
        self.groups.iter().map(|group| group.window)
    }

    /// The layout of the rows that it reads.
    pub fn row_schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Empty columns for the answers, with room for some.
    pub fn columns(&self, rows: usize) -> Vec<Column> {
        let column = self.features.iter().map(|feature| {
            Column::with_capacity(feature.name.clone(), feature.data_type.clone(), rows)
        });
        column.collect()
    }

    /// Bytes of the answers at one moment, text and lists aside.
    pub fn answer_bytes(&self) -> usize {
        self.features.iter().map(|feature| feature.data_type.slot_bytes() + 1).sum()
    }

    /// How far before a moment the oldest event lies that counts then; `None` is any distance.
    pub fn reach_micros(&self) -> Option<i64> {
        let mut reaches = self.groups.iter().map(|group| group.window.reach());
        reaches.try_fold(0, |most, reach| Some(most.max(reach?)))
    }

    fn group(&mut self, window: Window, filter: Option<usize>) -> usize {
        let is_it = |group: &Group| group.window == window && group.filter == filter;
        self.groups.iter().position(is_it).unwrap_or_else(|| {
            self.groups.push(Group { window, filter, states: Vec::new() });
            self.groups.len() - 1
        })
    }
}

impl InstantPlan {
    /// The plan of these features of a view; `None` of a view whose features are those of its
    /// facts.
    pub fn new(view: &AppliedView, features: &[usize]) -> Option<Self> {
        let mut plan = AggregatePlan::new(view, features)?;
        let tiled = Tiled::of(&AggregatePlan::of_all(view)?);
        let (mut places, mut counts) = (Vec::<Vec<usize>>::new(), Vec::new());
        for Group { filter, states, .. } in &mut plan.groups {
            let find = |kept: &Kept| {
                tiled.iter().position(|tiled| tiled.filter == *filter && tiled.kept.has(kept))
            };
            // One form for both, or they could not be merged.
            let place = |kept: &mut Kept| {
                let place = find(kept)?;
                kept.form = tiled[place].kept.form;
                Some(place)
            };
            places.push(states.iter_mut().map(place).collect::<Option<_>>()?);
            counts.push(find(&Kept::events())?);
        }
        let mut needed = vec![false; tiled.len()];
        let asked = places.iter().flatten().chain(&counts);
        asked.for_each(|place: &usize| needed[*place] = true);
        Some(Self { plan, tiled, places, counts, needed })
    }

    /// The plan of all features of a view, likewise.
    pub fn of_all(view: &AppliedView) -> Option<Self> {
        let features: Vec<usize> = (0..view.definition.features.len()).collect();
        Self::new(view, &features)
    }

    /// Empty columns for the answers, with room for some.
    pub fn columns(&self, rows: usize) -> Vec<Column> {
        self.plan.columns(rows)
    }

    /// Adds events to the states of these groups. Says whether any of them counts.
    pub(super) fn add(&self, groups: &[usize], events: &Tile, to: &mut [Vec<State>]) -> bool {
        let mut has_events = false;
        for group in groups {
            for (state, place) in to[*group].iter_mut().zip(&self.places[*group]) {
                state.merge(&events.states[*place]);
            }
            has_events |= !events.states[self.counts[*group]].is_empty();
        }
        has_events
    }
}

impl Tiled {
    /// What is to be kept for all features of a plan, whatever their windows.
    fn of(plan: &AggregatePlan) -> Vec<Self> {
        let mut tiled: Vec<Tiled> = Vec::new();
        for Group { filter, states, .. } in &plan.groups {
            for wanted in states.iter().cloned().chain([Kept::events()]) {
                let is_enough =
                    |tiled: &&mut Tiled| tiled.filter == *filter && tiled.kept.shares(&wanted);
                match tiled.iter_mut().find(is_enough) {
                    Some(tiled) => tiled.kept.widen(&wanted),
                    None => tiled.push(Tiled { filter: *filter, kept: wanted }),
                }
            }
        }
        tiled
    }

    /// A state of no events for each.
    pub fn states(tiled: &[Self]) -> Vec<State> {
        tiled.iter().map(|tiled| State::new(tiled.kept.form)).collect()
    }

    /// Shows an event to the states that it counts for. Most of them are of one column, which
    /// is read once.
    #[inline]
    pub fn show<'t>(
        tiled: impl Iterator<Item = (&'t Self, &'t mut State)>,
        row: &Row<'_>,
        place: Place<'_>,
    ) -> Result<()> {
        let (mut column, mut value) = (None, EVENT);
        for (Tiled { kept, .. }, state) in tiled.filter(|(one, _)| is_true(row, one.filter)) {
            if kept.column != column {
                column = kept.column;
                value = column.map_or(Ok(EVENT), |column| Value::of_row(row, column))?;
            }
            let by = kept.by.map(|by| Value::of_row(row, by)).transpose()?;
            state.add(&Input { value: &value, by: by.as_ref().unwrap_or(&EVENT), place })?;
        }
        Ok(())
    }
}

impl Kept {
    /// A count of the events themselves.
    fn events() -> Self {
        Self { form: Form::Count, column: None, by: None, features: Vec::new() }
    }

    /// Whether it is of what another is of, and has all that this one has.
    fn has(&self, other: &Self) -> bool {
        (self.column, self.by) == (other.column, other.by) && self.form.includes(&other.form)
    }

    /// Whether one state does for both.
    fn shares(&self, other: &Self) -> bool {
        self.has(other) || other.has(self)
    }

    /// Keeps what another needs, too.
    fn widen(&mut self, other: &Self) {
        if other.form.includes(&self.form) {
            self.form = other.form;
        }
    }

    /// Shows to a state what it is shown of a fact.
    pub fn show<T>(
        &self,
        row: &Row<'_>,
        place: Place<'_>,
        to: impl FnOnce(&Input<'_>) -> Result<T>,
    ) -> Result<T> {
        let value =
            |index: Option<usize>| index.map_or(Ok(EVENT), |index| Value::of_row(row, index));
        let (value, by) = (value(self.column)?, value(self.by)?);
        to(&Input { value: &value, by: &by, place })
    }
}

impl Group {
    /// Whether a fact is such as its condition asks for.
    pub fn takes(&self, row: &Row<'_>) -> bool {
        is_true(row, self.filter)
    }

    /// Keeps a state for a feature, or the one that has what is needed already.
    fn keep(&mut self, wanted: Kept) {
        match self.states.iter_mut().find(|kept| kept.shares(&wanted)) {
            Some(kept) => {
                kept.widen(&wanted);
                kept.features.extend(wanted.features);
            }
            None => self.states.push(wanted),
        }
    }
}

/// Whether a condition is true of a fact, if there is one.
fn is_true(row: &Row<'_>, condition: Option<usize>) -> bool {
    condition.is_none_or(|condition| !row.is_null(condition) && row.fixed::<1>(condition) != [0])
}

/// The form of state in which a function's events come and go. Values are told apart without
/// limit meanwhile: one that is cut cannot say what is left when an event goes.
fn kept_form(function: &Function) -> Form {
    match function.form() {
        Form::Distinct { .. } => Form::Distinct { limit: u32::MAX },
        form => form,
    }
}
