//! What on-demand views read of each other and of whose entities, once all of them are known.

use std::collections::{BTreeMap, BTreeSet};

use super::super::place::{Places, Problem};
use super::super::{Definitions, ResourceKind};
use super::OnDemandView;
use crate::limits::ON_DEMAND_DEPTH_MAX;

/// Refuses circles, and features of several entities that nobody said belong together.
pub(in super::super) fn check(
    definitions: &Definitions,
    places: &Places,
    problems: &mut Vec<Problem>,
) {
    let mut refuse = |view: &OnDemandView, field: &str, message: String| {
        let (kind, name) = (ResourceKind::OnDemandView, view.name());
        if let Some(place) = places.of(kind, name, field).cloned() {
            problems.push(Problem { place, message: format!("{kind} {name:?}: {message}") });
        }
    };
    let mut told = BTreeSet::new();
    for view in &definitions.on_demand {
        let Err(path) = depth(definitions, view, &mut vec![view.name()]) else { continue };
        // A circle is one mistake, wherever one begins to go round.
        if told.contains(view.name()) {
            continue;
        }
        told.extend(path.iter().copied());
        let first = view.inputs.iter().find(|input| Some(&input.view.view.as_str()) == path.get(1));
        let field =
            first.map_or(String::from("inputs"), |input| format!("inputs.{}", input.view.name()));
        let path = path.join(" -> ");
        refuse(
            view,
            &field,
            match path.ends_with(view.name()) && path != view.name() {
                true => format!("it reads itself: {path}; leave one of these inputs out"),
                false => format!(
                    "on-demand views read each other {ON_DEMAND_DEPTH_MAX} deep or in a circle: \
                     {path}; write fewer that read others"
                ),
            },
        );
    }
    if !told.is_empty() {
        return;
    }
    for view in &definitions.on_demand {
        check_entities(definitions, view, &mut refuse);
    }
}

/// Goes down what a view reads, or says by which path it gets nowhere.
fn depth<'d>(
    definitions: &'d Definitions,
    view: &'d OnDemandView,
    path: &mut Vec<&'d str>,
) -> Result<(), Vec<&'d str>> {
    let mut seen = BTreeSet::new();
    for input in view.inputs.iter().map(|input| input.view.view.as_str()) {
        let Some(next) = definitions.on_demand_view(input).filter(|_| seen.insert(input)) else {
            continue;
        };
        let is_circle = path.contains(&next.name());
        path.push(next.name());
        if is_circle || path.len() > ON_DEMAND_DEPTH_MAX {
            return Err(path.clone());
        }
        depth(definitions, next, path)?;
        path.pop();
    }
    Ok(())
}

/// Of each entity whose features a view reads, a view of that entity.
fn entities<'d>(
    definitions: &'d Definitions,
    view: &'d OnDemandView,
    to: &mut BTreeMap<&'d str, (&'d str, &'d str)>,
) {
    for input in &view.inputs {
        let name = input.view.view.as_str();
        if let Some(next) = definitions.on_demand_view(name) {
            let mut of_next = BTreeMap::new();
            entities(definitions, next, &mut of_next);
            for (entity, (_, of)) in of_next {
                to.entry(entity).or_insert((input.view.name(), of));
            }
        } else if let Some(entity) = definitions.view(name).and_then(|view| view.entity.as_deref())
        {
            to.entry(entity).or_insert((input.view.name(), name));
        }
    }
}

fn check_entities(
    definitions: &Definitions,
    view: &OnDemandView,
    refuse: &mut impl FnMut(&OnDemandView, &str, String),
) {
    let mut read = BTreeMap::new();
    entities(definitions, view, &mut read);
    let names: Vec<&str> = read.keys().copied().collect();
    if view.entities.is_empty() {
        // What it reads may have brought them together, or is told itself.
        let inputs = view.inputs.iter();
        let mut inputs = inputs.filter_map(|input| definitions.on_demand_view(&input.view.view));
        let has_all = |of: &OnDemandView| {
            let mut of_input = BTreeMap::new();
            entities(definitions, of, &mut of_input);
            names.iter().all(|name| of_input.contains_key(name))
        };
        if inputs.any(has_all) {
            return;
        }
        let mut read = read.iter();
        let (Some((first, (_, of_first))), Some((second, (input, of_second)))) =
            (read.next(), read.next())
        else {
            return;
        };
        refuse(
            view,
            &format!("inputs.{input}"),
            format!(
                "it reads features of {of_first:?}, of entity {first:?}, and of {of_second:?}, of \
                 entity {second:?}; write entities: [{}] if every request brings the join keys of \
                 all, or leave one out",
                names.join(", ")
            ),
        );
        return;
    }
    for (entity, (input, of)) in &read {
        if !view.entities.iter().any(|listed| listed == entity) {
            refuse(
                view,
                &format!("inputs.{input}"),
                format!(
                    "it reads features of {of:?}, of entity {entity:?}, which is not among its \
                     entities; add it to entities, or leave the input out"
                ),
            );
        }
    }
    for entity in view.entities.iter().filter(|entity| !read.contains_key(entity.as_str())) {
        let message = format!("no input is of entity {entity:?}; remove it from entities");
        refuse(view, "entities", message);
    }
}
