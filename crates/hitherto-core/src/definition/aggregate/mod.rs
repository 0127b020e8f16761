//! Aggregates: features that are computed from the events of a source. What they are once
//! checked, and what there is to say of them.
//!
//! One aggregate that is written is a feature for each of its windows, quantiles and buckets;
//! once checked there is one [`Aggregate`] a feature, in the order of the view's features.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `form` | how they are written |
//! | `function` | the functions: what each takes, and of which type its answer is |
//! | `variant` | the features that one aggregate is, and what they are called |
//! | `check` | from the written form to features, every problem with its place |

mod check;
mod form;
mod function;
mod variant;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::describe::{Aspects, Effect, aspect};
use super::{Feature, Field};
use crate::aggregate::{CurrentTime, Function, Window};
use crate::time::format_duration;

pub use self::function::{Parameters, named, written};

pub(super) use self::check::check;
pub(super) use self::form::{AggregateForm, EventIdForm};
pub(super) use self::variant::names;

/// What is said in `source.id` where events are told apart by their time alone.
const EVENT_TIME: &str = "eventTime";

/// How a view's features are computed from events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregates {
    /// What tells two events of an entity at one time apart: these columns of the source;
    /// none if nothing does.
    pub id: Vec<String>,
    /// How each feature of the view is computed, in their order.
    pub features: Vec<Aggregate>,
}

/// How one feature is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// The column that it is computed of; `None` is the events themselves.
    pub column: Option<Field>,
    /// The column that orders events, for functions that want one.
    pub by: Option<Field>,
    /// Which events are looked at; their ttl is the view's.
    pub window: Window,
    /// SQL that is true of events that count.
    pub filter: Option<String>,
}

impl Aggregates {
    /// Which value of a fact is the id of its event; none where its time says who it is.
    pub fn id_value(&self) -> Option<usize> {
        (!self.id.is_empty()).then_some(0)
    }

    /// The columns that functions are computed of, each once.
    pub fn inputs(&self) -> Vec<&Field> {
        let mut inputs: Vec<&Field> = Vec::new();
        for aggregate in &self.features {
            for column in aggregate.column.iter().chain(&aggregate.by) {
                if !inputs.contains(&column) {
                    inputs.push(column);
                }
            }
        }
        inputs
    }

    /// The conditions on events, each once.
    pub fn filters(&self) -> Vec<&str> {
        let mut filters: Vec<&str> = Vec::new();
        for filter in self.features.iter().filter_map(|aggregate| aggregate.filter.as_deref()) {
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        filters
    }

    pub(super) fn describe(&self, features: &[Feature], to: &mut Aspects) {
        to.push(aspect("source.id", shown_id(&self.id), Effect::Rematerialize));
        for (feature, aggregate) in features.iter().zip(&self.features) {
            let path = format!("aggregates.{}", feature.name);
            to.push(aspect(path, aggregate, Effect::Rematerialize));
        }
    }
}

fn shown_id(id: &[String]) -> String {
    if id.is_empty() { String::from(EVENT_TIME) } else { id.join(", ") }
}

/// As people say it: `mean of amount (float64) over 7d where channel = 'web'`.
impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, column, by, window, filter } = self;
        let (name, parameters) = written(function);
        f.write_str(name)?;
        parameters.write(f)?;
        if let Some(Field { name, data_type, .. }) = column {
            write!(f, " of {name} ({data_type})")?;
        }
        if let Some(Field { name, data_type, .. }) = by {
            write!(f, " by {name} ({data_type})")?;
        }
        match window.length {
            Some(length) => write!(f, " over {}", format_duration(length))?,
            None => f.write_str(" over a lifetime")?,
        }
        if window.offset > 0 {
            write!(f, ", {} before", format_duration(window.offset))?;
        }
        if window.current_time == CurrentTime::Excluded {
            f.write_str(", without the current time")?;
        }
        match filter {
            Some(filter) => write!(f, " where {filter}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
