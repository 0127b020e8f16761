//! Why of a feature that is computed of events: which of them count.

use hitherto_api::why::{ExplainedAggregate, ShownFact};
use hitherto_api::{Explanation, FeatureNames};
use hitherto_core::aggregate::{AggregatePlan, EventFinding, EventIds, EventInquiry, identity};
use hitherto_core::catalog::AppliedView;
use hitherto_core::column::{Column, Status};
use hitherto_core::definition::{Aggregate, Aggregates, FactValue};
use hitherto_core::types::DataType;
use hitherto_core::why::Candidate;
use hitherto_core::{Error, Result};

use super::Asked;
use crate::Engine;

impl Engine {
    /// Which events count for the one feature that is asked about.
    pub(super) async fn explain_events(
        &self,
        asked: &Asked<'_>,
        plan: &AggregatePlan,
    ) -> Result<Explanation> {
        let output = asked.resolved.outputs(FeatureNames::Full).remove(0);
        let view = asked.view();
        let Some(aggregates) = &view.definition.aggregates else {
            return Err(Error::internal("a feature is computed of a view that computes none"));
        };
        let aggregate = &aggregates.features[output.feature];
        let mut inquiry = EventInquiry::new(plan, asked.moment, asked.most)?;
        let show = |times, row: &[u8], arrived| inquiry.show(times, row, arrived);
        let facts_without_time = self.show_facts(asked, show).await?;
        let found = inquiry.finish()?;
        let EventFinding { window, mut answer, reason, training_set_agrees, .. } = found;
        answer.name = output.name;
        output.default.iter().try_for_each(|default| answer.fill(default))?;
        Ok(Explanation {
            columns: columns(view, aggregates, aggregate, &found.candidates)?,
            candidates: found.candidates.iter().map(ShownFact::from).collect(),
            counts: found.counts,
            aggregate: Some(ExplainedAggregate {
                feature: output.of,
                computed: aggregate.to_string(),
                window: window.map(|window| (window.first, window.last)),
                answer,
                reason,
                training_set_agrees,
                counts: found.events,
            }),
            facts_without_time,
            ..asked.explanation()
        })
    }
}

/// The feature of a view that is to be explained.
///
/// # Errors
/// `Invalid` when none is named and the view has several.
pub(super) fn feature(view: &AppliedView, named: Option<&str>) -> Result<String> {
    let features = &view.definition.features;
    match (named, features.as_slice()) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(Error::invalid(format!(
            "the {} features of view {:?} are each computed of other events; name the one to \
             explain, such as {}:{}",
            features.len(),
            view.name(),
            view.name(),
            features[0].name
        ))),
    }
}

/// What identifies the events of candidates and what the feature is computed of, a row each. A
/// deletion has the former alone.
fn columns(
    view: &AppliedView,
    aggregates: &Aggregates,
    aggregate: &Aggregate,
    candidates: &[Candidate],
) -> Result<Vec<Column>> {
    let named = |name: &str, data_type: &DataType| {
        let name = format!("{}:{name}", view.name());
        Column::with_capacity(name, data_type.clone(), candidates.len())
    };
    let values = view.definition.fact_values();
    let inputs = values.iter().enumerate().filter_map(|(index, value)| match value {
        FactValue::Column { name, data_type } => {
            let mut used = aggregate.column.iter().chain(&aggregate.by);
            used.any(|field| field.name == *name && field.data_type == **data_type)
                .then(|| (index, named(name, data_type)))
        }
        FactValue::Id(_) | FactValue::Condition(_) => None,
    });
    let mut inputs: Vec<(usize, Column)> = inputs.collect();
    let mut ids = (!aggregates.id.is_empty())
        .then(|| named(&aggregates.id.join(", "), &DataType::String))
        // One that is its events' id is shown once, as what it is.
        .filter(|ids| inputs.iter().all(|(_, input)| input.name != ids.name));
    let schema = view.row_schema();
    for candidate in candidates {
        let row = schema.read(&candidate.row)?;
        if let (Some(ids), Some(of)) = (&mut ids, EventIds::of(view)) {
            ids.push_varlen(identity::shown(of.read(&candidate.row)?).as_bytes())?;
        }
        for (index, column) in &mut inputs {
            match candidate.is_deletion() {
                true => column.push_absent(Status::NotFound),
                false => column.push_row(&row, *index)?,
            }
        }
    }
    Ok(ids.into_iter().chain(inputs.into_iter().map(|(_, column)| column)).collect())
}
