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
use super::window::Window;
use crate::catalog::AppliedView;
use crate::definition::Aggregate;
use crate::row::RowSchema;
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
        let id = (!aggregates.id.is_empty()).then_some(0);
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

    /// The layout of the rows that it reads.
    pub fn row_schema(&self) -> &RowSchema {
        &self.schema
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

impl Group {
    /// Keeps a state for a feature, or the one that has what is needed already.
    fn keep(&mut self, wanted: Kept) {
        let is_enough = |kept: &&mut Kept| {
            let has_it = kept.form.includes(&wanted.form) || wanted.form.includes(&kept.form);
            kept.column == wanted.column && kept.by == wanted.by && has_it
        };
        let Some(kept) = self.states.iter_mut().find(is_enough) else {
            return self.states.push(wanted);
        };
        if wanted.form.includes(&kept.form) {
            kept.form = wanted.form;
        }
        kept.features.extend(wanted.features);
    }
}

/// The form of state in which a function's events come and go. Values are told apart without
/// limit meanwhile: one that is cut cannot say what is left when an event goes.
fn kept_form(function: &Function) -> Form {
    match function.form() {
        Form::Distinct { .. } => Form::Distinct { limit: u32::MAX },
        form => form,
    }
}
