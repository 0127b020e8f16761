//! From the written form of an on-demand view to the checked.

use serde_saphyr::{Location, Spanned};

use super::super::check::expand;
use super::super::form::FieldForm;
use super::super::index::Index;
use super::super::subject::{Siblings, Subject};
use super::super::{Feature, Field, Metadata};
use super::form::{OnDemandFeatureForm, OnDemandViewForm};
use super::{OnDemandFeature, OnDemandView, REQUEST};
use crate::limits::{REQUEST_FEATURES_MAX, REQUEST_FIELDS_MAX, VIEW_FEATURES_MAX};
use crate::name;
use crate::reference::FeatureRef;
use crate::types::DataType;

const FEATURES: Siblings = Siblings {
    path: "features",
    noun: "feature",
    count_max: VIEW_FEATURES_MAX,
    check_name: name::check,
};
const FIELDS: Siblings = Siblings {
    path: "request",
    noun: "field of the request",
    count_max: REQUEST_FIELDS_MAX,
    check_name: name::check,
};
const INPUTS: Siblings = Siblings {
    path: "inputs",
    noun: "input",
    count_max: REQUEST_FEATURES_MAX,
    check_name: name::check,
};

impl OnDemandView {
    pub(in super::super) fn check(
        subject: &mut Subject<'_>,
        index: &Index<'_>,
        metadata: Metadata,
        form: &OnDemandViewForm,
    ) -> Self {
        if index.views.contains_key(metadata.name.as_str()) {
            let message = "a feature view is called so, too, and references name both alike; \
                           give one of them another name";
            subject.refuse_all(message);
        }
        let entities = form.entities.as_ref();
        let entities = entities.map_or_else(Vec::new, |found| entities_of(subject, index, found));
        let inputs = form.inputs.as_ref();
        let inputs = inputs.map_or_else(Vec::new, |found| inputs_of(subject, index, found));
        let request = form.request.as_ref();
        let request = request.map_or_else(Vec::new, |found| {
            refuse_keys(subject, index, &inputs, &found.value);
            subject.fields(&FIELDS, found, Field::check)
        });
        let features = subject.fields(&FEATURES, &form.features, OnDemandFeature::check);
        Self { metadata, entities, request, inputs, features }
    }
}

impl OnDemandFeature {
    fn check(subject: &mut Subject<'_>, form: &OnDemandFeatureForm, data_type: DataType) -> Self {
        let OnDemandFeatureForm { name, expr, default, description, .. } = form;
        let name = name.value.clone();
        let expr = subject.text(&format!("features.{name}.expr"), expr);
        let default = Feature::default_of(subject, &name, default.as_ref(), &data_type);
        Self {
            name,
            data_type,
            expr,
            description: description.clone().unwrap_or_default(),
            default,
        }
    }
}

fn entities_of(
    subject: &mut Subject<'_>,
    index: &Index<'_>,
    found: &Spanned<Vec<Spanned<String>>>,
) -> Vec<String> {
    subject.note("entities", found.referenced);
    let mut entities: Vec<String> = Vec::new();
    for entity in &found.value {
        let name = index.known_entity(subject, "entities", entity);
        if entities.contains(&name) {
            let message = format_args!("entity {name:?} is listed twice; remove one");
            subject.refuse(entity.referenced, message);
        }
        entities.push(name);
    }
    entities
}

/// The features that expressions can read, each once.
fn inputs_of(
    subject: &mut Subject<'_>,
    index: &Index<'_>,
    found: &Spanned<Vec<Spanned<String>>>,
) -> Vec<FeatureRef> {
    subject.note("inputs", found.referenced);
    let mut inputs: Vec<(FeatureRef, Location)> = Vec::new();
    for text in &found.value {
        let at = text.referenced;
        let expanded = expand(index, &text.value).unwrap_or_else(|message| {
            subject.refuse(at, message);
            Vec::new()
        });
        if expanded.first().is_some_and(|input| input.view.name() == REQUEST) {
            let message = format_args!(
                "expressions call the request {REQUEST:?}; give this view another name, such as \
                 \"other={}\"",
                text.value
            );
            subject.refuse(at, message);
        }
        for input in expanded {
            if let Some(error) =
                inputs.iter().find_map(|(other, _)| input.view.check_beside(&other.view).err())
            {
                subject.refuse(at, error);
                break;
            }
            if let Some((_, first)) = inputs.iter().find(|(known, _)| *known == input) {
                let first = subject.place(*first);
                let message = format_args!("input \"{input}\" is already at {first}; remove one");
                subject.refuse(at, message);
                continue;
            }
            subject.note(&format!("inputs.{}", input.view.name()), at);
            inputs.push((input, at));
        }
    }
    subject.count(&INPUTS, found.referenced, inputs.len().max(found.value.len()));
    inputs.into_iter().map(|(input, _)| input).collect()
}

/// Refuses fields of the request that are called like a join key of an input: requests and
/// spines have both side by side.
fn refuse_keys(
    subject: &mut Subject<'_>,
    index: &Index<'_>,
    inputs: &[FeatureRef],
    fields: &[FieldForm],
) {
    for FieldForm { name, default, .. } in fields {
        let is_key = |input: &FeatureRef| {
            let mut keys = index.keys_of(&input.view.view).unwrap_or_default().iter();
            keys.any(|key| input.view.column(key) == name.value)
        };
        if inputs.iter().any(is_key) {
            let message = format_args!(
                "field {:?} of the request is a join key of an input, which every request has \
                 already; give the field another name",
                name.value
            );
            subject.refuse(name.referenced, message);
        }
        if let Some(default) = default {
            let message = "a field of the request has no default, every request brings it; remove \
                           it, and write coalesce(...) in expressions";
            subject.refuse(default.referenced, message);
        }
    }
}
