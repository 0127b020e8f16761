//! The expressions of all on-demand views, compiled once for a catalog.

use std::collections::HashMap;
use std::sync::Arc;

use hitherto_core::catalog::{Catalog, Registry};
use hitherto_core::definition::{Definitions, OnDemandView};
use hitherto_core::reference::{FeatureRef, ViewRef};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};
use hitherto_offline::expression::{Expressions, Read, Readable};

/// Expressions by the name of their view, or why there are none.
#[derive(Debug, Default)]
pub(crate) struct Compiled(HashMap<String, std::result::Result<Arc<Expressions>, String>>);

impl Compiled {
    /// Those of views as they are applied.
    pub fn applied<'v>(
        registry: &Registry,
        views: impl IntoIterator<Item = &'v OnDemandView>,
    ) -> Self {
        Self::of(views, |input| type_applied(registry, input))
    }

    /// Those of all views as lookups read them: over the types of what is online.
    pub fn published(catalog: &Catalog) -> Self {
        let registry = &catalog.registry;
        Self::of(&registry.on_demand, |input| {
            let Some(published) = catalog.published.of(&input.view.view) else {
                return type_applied(registry, input);
            };
            published.view.definition.type_of(&input.feature).cloned()
        })
    }

    fn of<'v>(
        views: impl IntoIterator<Item = &'v OnDemandView>,
        type_of: impl Fn(&FeatureRef) -> Option<DataType>,
    ) -> Self {
        let compiled = views.into_iter().map(|view| {
            let refusal = |(feature, error): &(String, Error)| {
                format!("feature {}:{feature}: {}", view.name(), error.chain())
            };
            let expressions = match readable(view, &type_of) {
                Some(readable) => Expressions::compile(view, &readable)
                    .map(Arc::new)
                    .map_err(|refused| refused.iter().map(refusal).collect::<Vec<_>>().join("\n")),
                None => Err(String::from("it reads a feature that is not online yet")),
            };
            (view.name().to_owned(), expressions)
        });
        Self(compiled.collect())
    }

    /// The expressions of a view.
    ///
    /// # Errors
    /// `Unavailable` where they do not fit what they read, which `apply` has checked: it is not
    /// online yet as it is applied, or another release applied it.
    pub fn get(&self, view: &str) -> Result<Arc<Expressions>> {
        match self.0.get(view) {
            Some(Ok(expressions)) => Ok(Arc::clone(expressions)),
            Some(Err(why)) => Err(Error::unavailable(format!(
                "on-demand view {view:?} does not fit what it reads; materialize the views that \
                 it reads, or mend its expressions and apply them: {why}"
            ))),
            None => Err(Error::internal(format!("on-demand view {view:?} was never compiled"))),
        }
    }
}

/// What a view's expressions can read: its inputs, then the fields of its request. `None` where
/// an input is not there.
fn readable(
    view: &OnDemandView,
    type_of: impl Fn(&FeatureRef) -> Option<DataType>,
) -> Option<Vec<Readable>> {
    let inputs = view.inputs.iter().map(|input| {
        let (view, name) = (Some(input.view.name().to_owned()), input.feature.clone());
        Some(Readable { view, name, data_type: type_of(input)? })
    });
    let request = view.request.iter().map(|field| {
        let (name, data_type) = (field.name.clone(), field.data_type.clone());
        Some(Readable { view: None, name, data_type })
    });
    inputs.chain(request).collect()
}

fn type_applied(registry: &Registry, input: &FeatureRef) -> Option<DataType> {
    let FeatureRef { view: ViewRef { view: name, .. }, feature } = input;
    match registry.on_demand_view(name) {
        Some(view) => view.type_of(feature),
        None => {
            let view = registry.views.iter().find(|view| view.name() == name)?;
            view.definition.type_of(feature)
        }
    }
    .cloned()
}

/// Checks expressions of definitions: by the path of a field, what is wrong.
pub(crate) fn check(definitions: &Definitions, view: &OnDemandView) -> Vec<(String, String)> {
    let type_of = |input: &FeatureRef| {
        let FeatureRef { view: ViewRef { view: name, .. }, feature } = input;
        let of_view = definitions.view(name).and_then(|view| view.type_of(feature));
        let on_demand = || definitions.on_demand_view(name)?.type_of(feature);
        of_view.or_else(on_demand).cloned()
    };
    let Some(readable) = readable(view, type_of) else {
        return vec![(String::from("inputs"), String::from("an input is not defined; remove it"))];
    };
    match Expressions::compile(view, &readable) {
        Ok(expressions) => idle(view, &expressions),
        Err(refused) => {
            let refused = refused.into_iter().map(|(feature, error)| {
                let message = format!("feature {feature:?}: {}", error.chain());
                (format!("features.{feature}.expr"), message)
            });
            refused.collect()
        }
    }
}

/// What every request would have to bring though nothing reads it.
fn idle(view: &OnDemandView, expressions: &Expressions) -> Vec<(String, String)> {
    let is_read = |index: usize| {
        let mut features = 0..view.features.len();
        features.any(|feature| expressions.reads(feature).contains(&Read::Column(index)))
    };
    let fields = view.request.iter().enumerate();
    let fields = fields.filter(|(index, _)| !is_read(view.inputs.len() + index));
    let fields = fields.map(|(_, field)| {
        let message =
            format!("no expression reads field {:?} of the request; remove it", field.name);
        (format!("request.{}", field.name), message)
    });
    let views = view.views().into_iter().filter(|name| {
        let inputs = view.inputs.iter().enumerate();
        !inputs.filter(|(_, input)| input.view.name() == *name).any(|(index, _)| is_read(index))
    });
    let views = views.map(|name| {
        let message = format!("no expression reads a feature of {name:?}; remove it from inputs");
        (format!("inputs.{name}"), message)
    });
    fields.chain(views).collect()
}
