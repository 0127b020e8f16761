//! Batches of pushed facts: checked against their view, and encoded.

use std::collections::HashSet;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use ::arrow::datatypes::DataType as ArrowType;
use datafusion::prelude::SessionContext;
use hitherto_api::arrow::{from_arrow, to_arrow, type_name};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::FactValue;
use hitherto_core::name::suggestion;
use hitherto_core::rule::{ALWAYS, NEVER};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::to_times;
use crate::Offline;
use crate::arrow::doubled;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::source::condition;

/// Where the known times of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFrom {
    /// The batch says, or its view: that it always was.
    Batch,
    /// Its arrival.
    Arrival,
}

impl Offline {
    /// Shows the facts of a batch that arrived at `now` to `visit`: encoded entity key and
    /// row bytes.
    ///
    /// # Errors
    /// `Invalid` naming column or row: a column that is missing, unknown or of another
    /// type, a null join key or time, a row that is too large.
    pub fn read_pushed(
        &self,
        view: &AppliedView,
        batch: &RecordBatch,
        now: i64,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<KnownFrom> {
        let layout = FactLayout::pushed(view);
        let source = &view.definition.source;
        let (known_from, columns) = self.fact_columns(view, batch, now).map_err(|problem| {
            Error::invalid(format!("facts for feature view {:?}: {problem}", view.name()))
        })?;
        let facts = layout.read(&columns, batch.num_rows())?;
        let (mut entity, mut bytes) = (Vec::new(), Vec::new());
        for index in 0..facts.heads.len() {
            let refuse = |what: &str| {
                Error::invalid(format!(
                    "fact {index} for feature view {:?} has {what}",
                    view.name()
                ))
            };
            if !facts.heads.keys.read_into(index, &mut entity) {
                return Err(refuse("a null join key; name the entity that it is about"));
            }
            let mut times = facts
                .heads
                .times(index)
                .ok_or_else(|| refuse("no event time; say when it happened"))?;
            if times.known == NEVER {
                return Err(refuse(
                    "no known time; leave that column out to mean the time of arrival",
                ));
            }
            if source.known_time.is_none() {
                // What the source's facts wait for, pushed ones wait for too.
                times.known = times.known.max(times.event.saturating_add(source.delay_micros));
            }
            facts.encode(index, times, &mut bytes).map_err(|cause| {
                let view = view.name();
                Error::new(cause.kind(), format!("fact {index} for feature view {view:?}: {cause}"))
            })?;
            visit(&entity, &bytes);
        }
        Ok(known_from)
    }

    /// The batch's columns in the order of pushed facts.
    fn fact_columns(
        &self,
        view: &AppliedView,
        batch: &RecordBatch,
        now: i64,
    ) -> Result<(KnownFrom, Vec<ArrayRef>), String> {
        let source = &view.definition.source;
        let schema = batch.schema_ref();
        if let Some(both) = doubled(schema) {
            return Err(format!("there are {both}; push a name for each"));
        }
        let mut columns = Vec::with_capacity(schema.fields().len());
        let find = |name: &str| match schema.index_of(name) {
            Ok(index) => Ok(batch.column(index)),
            Err(_) => {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                Err(format!("there is no column {name:?}{}", suggestion(name, names)))
            }
        };
        let value = |name: &str, declared: &DataType| {
            let column = find(name)?;
            match column.data_type() {
                // Nothing but nulls, of a column whose type nobody could see.
                ArrowType::Null => Ok(new_null_array(&to_arrow(declared), column.len())),
                found if from_arrow(found).as_ref() == Some(declared) => Ok(Arc::clone(column)),
                found => Err(format!(
                    "column {name:?} has type {} where {declared} is declared; push it as \
                     {declared}",
                    type_name(found)
                )),
            }
        };
        let time = |name: &str| {
            let column = find(name)?;
            match column.data_type() {
                ArrowType::Timestamp(..) | ArrowType::Date32 | ArrowType::Null => {
                    Ok(Arc::clone(column))
                }
                other => {
                    let found = type_name(other);
                    Err(format!("column {name:?} has type {found}; push it as a timestamp or date"))
                }
            }
        };
        for key in &view.keys {
            columns.push(value(&key.name, &key.data_type)?);
        }
        columns.push(match &source.event_time {
            Some(event) => time(event)?,
            None => Arc::new(to_times(vec![ALWAYS; batch.num_rows()])),
        });
        let times = [&source.event_time, &source.known_time];
        let mut names: Vec<&str> = times.into_iter().filter_map(|time| time.as_deref()).collect();
        let told = source.known_time.as_deref().filter(|known| schema.index_of(known).is_ok());
        let (known_from, known) = match told {
            Some(_) => (KnownFrom::Batch, now),
            None if source.is_always_visible() => (KnownFrom::Batch, ALWAYS),
            None => (KnownFrom::Arrival, now),
        };
        columns.push(match told {
            Some(known) => time(known)?,
            None => Arc::new(to_times(vec![known; batch.num_rows()])),
        });
        if let Some(deleted) = &source.deleted {
            columns.push(match schema.index_of(deleted) {
                Ok(index) if *batch.column(index).data_type() == ArrowType::Boolean => {
                    Arc::clone(batch.column(index))
                }
                Ok(index) if *batch.column(index).data_type() == ArrowType::Null => {
                    new_null_array(&ArrowType::Boolean, batch.num_rows())
                }
                Ok(index) => {
                    let found = type_name(batch.column(index).data_type());
                    return Err(format!("column {deleted:?} has type {found}; push it as a bool"));
                }
                Err(_) => Arc::new(BooleanArray::from(vec![false; batch.num_rows()])),
            });
            names.push(deleted);
        }
        names.extend(view.keys.iter().map(|key| key.name.as_str()));
        let mut conditions = Conditions::default();
        for of_fact in view.definition.fact_values() {
            match of_fact {
                FactValue::Column { name, data_type } => {
                    columns.push(value(name, data_type)?);
                    names.push(name);
                }
                FactValue::Id(of_id) => {
                    for name in of_id {
                        columns.push(Arc::clone(find(name)?));
                        names.push(name);
                    }
                }
                FactValue::Condition(sql) => columns.push(conditions.ask(self, batch, sql)?),
            }
        }
        let names_it =
            |name: &String| names.contains(&name.as_str()) || conditions.names.contains(name);
        match schema.fields().iter().find(|field| !names_it(field.name())) {
            None => Ok((known_from, columns)),
            Some(unknown) => {
                let name = unknown.name();
                Err(format!("it has no column {name:?}{}", suggestion(name, names.iter().copied())))
            }
        }
    }
}

/// Conditions on what is pushed.
#[derive(Default)]
struct Conditions {
    session: Option<SessionContext>,
    /// The columns that they name.
    names: HashSet<String>,
}

impl Conditions {
    /// Asks one of each row of a batch.
    fn ask(&mut self, of: &Offline, batch: &RecordBatch, sql: &str) -> Result<ArrayRef, String> {
        let session = self.session.get_or_insert_with(|| of.session());
        let failed = |cause: Error| {
            format!(
                "the condition {sql:?} cannot be asked of it ({}); push the columns that it names, \
                 as the source has them",
                cause.chain()
            )
        };
        let of_datafusion =
            |cause| failed(from_datafusion("it does not run over what is pushed", cause));
        let rows = session.read_batch(batch.clone()).map_err(of_datafusion)?;
        let asked = condition(&rows, sql).map_err(failed)?;
        self.names.extend(asked.column_refs().into_iter().map(|column| column.name.clone()));
        let asked = session.create_physical_expr(asked, rows.schema()).map_err(of_datafusion)?;
        let answers = asked.evaluate(batch).map_err(of_datafusion)?;
        answers.into_array(batch.num_rows()).map_err(of_datafusion)
    }
}
