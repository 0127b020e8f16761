//! Names turned into ids, layouts and positions, once for many requests.

use std::fmt;
use std::sync::Arc;

use hitherto_api::{AskedEntity, FeatureNames, KeyColumn};
use hitherto_core::aggregate::InstantPlan;
use hitherto_core::column::Column;
use hitherto_core::definition::{Field, Known};
use hitherto_core::key::{self, batch::KeyBatch};
use hitherto_core::limits::{LOOKUP_ENTITIES_MAX, LOOKUP_VALUES_MAX};
use hitherto_core::name::suggestion;
use hitherto_core::row::RowSchema;
use hitherto_core::{Error, Result};
use hitherto_online::GenerationId;

use super::counts::{AllCounts, Counters, OnDemandCounters};
use crate::on_demand::{Compiled, Layout};
use crate::selection::{Resolved, ResolvedView, Source};

/// Names turned into ids, layouts and positions.
pub(super) struct LookupPlan {
    /// Join keys of all views, each once; what a request must bring.
    keys: Vec<Field>,
    /// Distinct lists of join keys, as indexes into `keys`.
    entities: Vec<Vec<usize>>,
    pub views: Vec<ViewPlan>,
    /// Those of them whose rows answer; the others' answers are computed.
    pub stored: Vec<usize>,
    /// The online copies that are read.
    pub generations: Vec<GenerationId>,
    /// Whom it is about.
    pub asked: Arc<[AskedEntity]>,
    /// The columns, and what is computed of them.
    pub layout: Layout,
    /// Where the nulls of each step are counted.
    pub on_demand: Vec<Arc<OnDemandCounters>>,
}

/// One view of a plan.
pub(super) struct ViewPlan {
    /// What the request calls the view.
    pub name: String,
    /// The view's own name.
    pub view: String,
    /// The copy that readers see and its horizon, if there is one.
    pub online: Option<(GenerationId, i64)>,
    /// Whether a feature of it is asked for: expressions alone may read it.
    pub is_shown: bool,
    /// Index into [`LookupPlan::entities`].
    pub entity: usize,
    pub schema: RowSchema,
    pub ttl_micros: Option<i64>,
    pub known: Known,
    /// Feature index in the row and position in the answer.
    pub features: Vec<(usize, usize)>,
    /// How many the view has.
    pub features_of_view: usize,
    /// How these features are computed of events, if they are.
    pub computed: Option<InstantPlan>,
    /// The same features as a bitmap, like that of a row's nulls.
    pub asked: Vec<u8>,
    pub counters: Arc<Counters>,
}

impl LookupPlan {
    /// Compiles a selection.
    ///
    /// # Errors
    /// Those of [`Layout::new`].
    pub fn new(resolved: &Resolved, counts: &AllCounts, compiled: &Compiled) -> Result<Self> {
        let layout = Layout::new(resolved, FeatureNames::Full, compiled)?;
        let steps = layout.steps.iter();
        let mut plan = Self {
            on_demand: steps.map(|step| counts.of_step(&step.view, &step.feature)).collect(),
            keys: Vec::new(),
            entities: Vec::new(),
            views: Vec::new(),
            stored: Vec::new(),
            generations: Vec::new(),
            asked: resolved.entities().into(),
            layout,
        };
        for (index, resolved_view) in resolved.views.iter().enumerate() {
            let ResolvedView { view, generation, reference, keys } = resolved_view;
            let entity: Vec<usize> = keys.iter().map(|key| plan.key(key)).collect();
            let entity = match plan.entities.iter().position(|known| *known == entity) {
                Some(known) => known,
                None => {
                    plan.entities.push(entity);
                    plan.entities.len() - 1
                }
            };
            let outputs = plan.layout.stored.iter().enumerate();
            let features: Vec<(usize, usize)> = outputs
                .filter(|(_, output)| output.view == index)
                .map(|(position, output)| (output.feature, position))
                .collect();
            let mut asked = vec![0; view.definition.features.len().div_ceil(8)];
            features.iter().for_each(|(feature, _)| asked[feature / 8] |= 1 << (feature % 8));
            let online = generation.as_ref().map(|generation| {
                (GenerationId { view: view.id, number: generation.number }, generation.horizon)
            });
            plan.generations.extend(online.map(|(generation, _)| generation));
            let of_view: Vec<usize> = features.iter().map(|(feature, _)| *feature).collect();
            let computed = InstantPlan::new(view, &of_view);
            if computed.is_none() && !features.is_empty() {
                plan.stored.push(index);
            }
            plan.views.push(ViewPlan {
                name: reference.name().to_owned(),
                view: view.name().to_owned(),
                online,
                is_shown: resolved.features.iter().any(
                    |feature| matches!(feature.source, Source::View { view, .. } if view == index),
                ),
                entity,
                schema: view.row_schema(),
                ttl_micros: view.definition.ttl_micros,
                known: view.known(),
                features,
                features_of_view: view.definition.features.len(),
                computed,
                asked,
                counters: counts.of(view.id),
            });
        }
        Ok(plan)
    }

    fn key(&mut self, key: &Field) -> usize {
        let is_same = |known: &Field| known.name == key.name && known.data_type == key.data_type;
        match self.keys.iter().position(is_same) {
            Some(known) => known,
            None => {
                self.keys.push(key.clone());
                self.keys.len() - 1
            }
        }
    }

    /// Checks the request's key columns and puts them in the plan's order.
    fn key_columns<'r>(
        &self,
        keys: &'r [KeyColumn],
        request: &[Column],
    ) -> Result<(Vec<&'r KeyColumn>, usize)> {
        let names = || self.keys.iter().map(|key| key.name.as_str());
        if let Some(column) = keys.iter().find(|column| !names().any(|name| name == column.name)) {
            return Err(Error::invalid(format!(
                "{:?} is not a join key of the features asked for{}",
                column.name,
                suggestion(&column.name, names())
            )));
        }
        let ordered: Vec<&KeyColumn> =
            self.keys.iter().map(|key| key_column(key, keys)).collect::<Result<_>>()?;
        // Without join keys there is one thing to ask about, everything, as often as the request
        // brings something to it.
        let brought = request.first().map_or(1, Column::len);
        let rows = ordered.first().map_or(brought, |column| column.parts.len());
        if let Some(column) = ordered.iter().find(|column| column.parts.len() != rows) {
            return Err(Error::invalid(format!(
                "join key {:?} has {} values where {:?} has {rows}; give as many of each",
                column.name,
                column.parts.len(),
                ordered[0].name
            )));
        }
        if rows > LOOKUP_ENTITIES_MAX || rows * self.layout.columns() > LOOKUP_VALUES_MAX {
            return Err(Error::invalid(format!(
                "{rows} entities x {} features are too many for one lookup (at most \
                 {LOOKUP_ENTITIES_MAX} entities and {LOOKUP_VALUES_MAX} values); split it",
                self.layout.columns()
            )));
        }
        Ok((ordered, rows))
    }

    /// Encodes every entity once for each distinct list of join keys. An entity
    /// without a key cannot exist: a part of it is null or does not fit its type.
    pub fn encode(&self, keys: &[KeyColumn], request: &[Column]) -> Result<(Vec<KeyBatch>, usize)> {
        let (columns, rows) = self.key_columns(keys, request)?;
        let encoded = self.entities.iter().map(|entity| {
            KeyBatch::encode_each(rows, |row, out| {
                let encoded = entity.iter().try_for_each(|index| {
                    let part = columns[*index].parts[row].as_ref()?.borrow();
                    key::encode_part(out, &self.keys[*index].data_type, part).ok()
                });
                Ok(encoded.is_some())
            })
        });
        Ok((encoded.collect::<Result<_>>()?, rows))
    }
}

impl fmt::Display for LookupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, view) in self.views.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let (features, all) = (view.features.len(), view.features_of_view);
            write!(f, "{separator}{}: {features} of {all} features", view.view)?;
            if view.computed.is_some() {
                f.write_str(", of events,")?;
            }
            let keys = self.entities[view.entity].iter().map(|key| self.keys[*key].name.as_str());
            write!(f, " by ({})", keys.collect::<Vec<_>>().join(", "))?;
            match &view.online {
                Some((generation, _)) => write!(f, ", generation {}", generation.number)?,
                None => write!(f, ", nothing online")?,
            }
        }
        match self.layout.steps.len() {
            0 => Ok(()),
            steps => write!(f, "; {steps} computed"),
        }
    }
}

/// The request's one column for a join key, its values of the key's sort. A
/// value of that sort that is out of range names an entity that cannot exist;
/// one of another sort is a mistake in the request.
fn key_column<'r>(key: &Field, keys: &'r [KeyColumn]) -> Result<&'r KeyColumn> {
    let mut found = keys.iter().filter(|column| column.name == key.name);
    let column = match (found.next(), found.next()) {
        (Some(column), None) => column,
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!(
                "join key {:?} is given twice; give it once",
                key.name
            )));
        }
        (None, _) => {
            return Err(Error::invalid(format!(
                "join key {:?} ({}) is missing from the request; give its values",
                key.name, key.data_type
            )));
        }
    };
    let mut given = column.parts.iter().flatten();
    match given.find(|part| !part.is_of(&key.data_type)) {
        None => Ok(column),
        Some(odd) => Err(Error::invalid(format!(
            "join key {:?} has type {}, found {}; give values of its type",
            key.name,
            key.data_type,
            odd.borrow()
        ))),
    }
}
