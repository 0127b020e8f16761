//! The columns of one selection: those of views, and the steps that compute others of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hitherto_api::FeatureNames;
use hitherto_core::column::Values;
use hitherto_core::definition::Field;
use hitherto_core::output::Output;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};
use hitherto_offline::expression::{Expressions, Read};

use super::Compiled;
use crate::selection::{Resolved, ResolvedOnDemand, Source};

/// The columns of one selection.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Those of views: asked for, then those that only steps read.
    pub stored: Vec<Output>,
    /// How many of them are asked for.
    pub asked: usize,
    /// What computes a column each, after what it reads.
    pub steps: Vec<Step>,
    /// The columns of the answer, in its order: those of views are counted first, then steps.
    pub shown: Vec<usize>,
    /// What the request must bring.
    pub request: Vec<Field>,
}

/// One feature that is computed.
#[derive(Debug)]
pub(crate) struct Step {
    /// What it is called in the answer.
    pub name: String,
    /// The on-demand view.
    pub view: String,
    /// The feature in that view.
    pub feature: String,
    /// The type of its values.
    pub data_type: DataType,
    /// What stands where there is no value, as a column with one row.
    pub default: Option<Values>,
    /// What computes it, and its place there.
    pub expressions: Arc<Expressions>,
    pub place: usize,
    /// What it reads, in the order in which it takes it.
    pub reads: Vec<Operand>,
}

/// Where a step takes a column from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A column before, counted as in [`Layout::shown`].
    Column(usize),
    /// A field of the request.
    Request(usize),
    /// The moment of each row.
    Time,
}

impl Layout {
    /// The columns of a selection.
    ///
    /// # Errors
    /// `Unavailable` when an expression does not fit what is online; `Invalid` when two views
    /// want one field of the request in different types.
    pub fn new(resolved: &Resolved, names: FeatureNames, compiled: &Compiled) -> Result<Self> {
        let stored = resolved.outputs(names);
        let mut layout = Self { asked: stored.len(), stored, ..Self::default() };
        let expressions = resolved.on_demand.iter().map(|one| compiled.get(one.view.name()));
        let expressions: Vec<Arc<Expressions>> = expressions.collect::<Result<_>>()?;
        let mut places: HashMap<Source, usize> = HashMap::new();
        let mut wanted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); resolved.on_demand.len()];
        for feature in &resolved.features {
            match feature.source {
                Source::View { .. } => {
                    places.insert(feature.source, places.len());
                }
                Source::OnDemand { view, feature } => {
                    wanted[view].insert(feature);
                }
            }
        }
        layout.read(resolved, &expressions, &mut wanted, &mut places);
        for one in &resolved.on_demand {
            layout.take_fields(one)?;
        }
        for (index, one) in resolved.on_demand.iter().enumerate() {
            for feature in &wanted[index] {
                let step = layout.step(one, *feature, &expressions[index], &places);
                let source = Source::OnDemand { view: index, feature: *feature };
                places.insert(source, layout.stored.len() + layout.steps.len());
                layout.steps.push(step);
            }
        }
        for feature in &resolved.features {
            let place = places[&feature.source];
            if let Some(step) = place.checked_sub(layout.stored.len()) {
                layout.steps[step].name = match names {
                    FeatureNames::Short => feature.reference.feature.clone(),
                    FeatureNames::Full => feature.reference.column(),
                };
            }
            layout.shown.push(place);
        }
        Ok(layout)
    }

    /// Adds what the wanted features read: of views as columns, of on-demand views as wanted.
    fn read(
        &mut self,
        resolved: &Resolved,
        expressions: &[Arc<Expressions>],
        wanted: &mut [BTreeSet<usize>],
        places: &mut HashMap<Source, usize>,
    ) {
        // Whoever reads comes after what is read.
        for (index, one) in resolved.on_demand.iter().enumerate().rev() {
            let features = wanted[index].clone().into_iter();
            let reads = features.flat_map(|feature| expressions[index].reads(feature));
            let inputs = reads.filter_map(|read| match read {
                Read::Column(column) => one.inputs.get(*column),
                Read::Time => None,
            });
            for input in inputs {
                match *input {
                    Source::OnDemand { view, feature } => {
                        wanted[view].insert(feature);
                    }
                    Source::View { view, feature } => {
                        places.entry(*input).or_insert_with(|| {
                            self.stored.push(resolved.hidden(view, feature));
                            self.stored.len() - 1
                        });
                    }
                }
            }
        }
    }

    /// How many columns there are at most at once.
    pub fn columns(&self) -> usize {
        self.stored.len() + self.steps.len()
    }

    /// Whether the columns of views are the answer.
    pub fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the answer calls its columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shown.iter().map(|place| match place.checked_sub(self.stored.len()) {
            None => self.stored[*place].name.as_str(),
            Some(step) => self.steps[step].name.as_str(),
        })
    }

    fn take_fields(&mut self, one: &ResolvedOnDemand) -> Result<()> {
        for field in &one.view.request {
            match self.request.iter().find(|known| known.name == field.name) {
                None => self.request.push(field.clone()),
                Some(known) if known.data_type == field.data_type => {}
                Some(known) => {
                    return Err(Error::invalid(format!(
                        "field {:?} of the request is {} for one on-demand view and {} for {:?}; \
                         ask for them apart, or declare one type",
                        field.name,
                        known.data_type,
                        field.data_type,
                        one.view.name()
                    )));
                }
            }
        }
        Ok(())
    }

    fn step(
        &self,
        one: &ResolvedOnDemand,
        place: usize,
        expressions: &Arc<Expressions>,
        places: &HashMap<Source, usize>,
    ) -> Step {
        let feature = &one.view.features[place];
        let from = |read: &Read| match read {
            Read::Time => Operand::Time,
            Read::Column(column) => match one.inputs.get(*column) {
                Some(source) => Operand::Column(places[source]),
                None => {
                    let name = &one.view.request[column - one.inputs.len()].name;
                    let mut fields = self.request.iter();
                    let field = fields.position(|field| field.name == *name);
                    Operand::Request(field.expect("all fields of the view were taken"))
                }
            },
        };
        Step {
            name: format!("{}:{}", one.view.name(), feature.name),
            view: one.view.name().to_owned(),
            feature: feature.name.clone(),
            data_type: feature.data_type.clone(),
            default: feature.default_values(),
            reads: expressions.reads(place).iter().map(from).collect(),
            expressions: Arc::clone(expressions),
            place,
        }
    }
}
