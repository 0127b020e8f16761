//! The values of a view's facts: its features, or what they are computed from.

use super::{FeatureView, Field};
use crate::types::DataType;

/// One value of a fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FactValue<'v> {
    /// A column of the source, kept as it is: a feature, or what functions are computed of.
    Column {
        /// The feature's name; of what functions are computed of the column's.
        name: &'v str,
        /// Declared with this type.
        data_type: &'v DataType,
    },
    /// Columns of the source that tell events apart, as the bytes of an id
    /// ([`crate::aggregate::identity`]).
    Id(&'v [String]),
    /// Whether SQL over the source's columns is true.
    Condition(&'v str),
}

impl FactValue<'_> {
    /// Whether two values are the same by what they are called, whatever their types.
    pub fn is_called_as(&self, other: &FactValue<'_>) -> bool {
        match (self, other) {
            (FactValue::Column { name, .. }, FactValue::Column { name: other, .. }) => {
                name == other
            }
            (FactValue::Id(columns), FactValue::Id(others)) => columns == others,
            (FactValue::Condition(sql), FactValue::Condition(other)) => sql == other,
            _ => false,
        }
    }

    /// The type in which rows hold it.
    pub fn data_type(&self) -> &DataType {
        match self {
            FactValue::Column { data_type, .. } => data_type,
            FactValue::Id(_) => &DataType::Binary,
            FactValue::Condition(_) => &DataType::Bool,
        }
    }
}

impl FeatureView {
    /// The source's column of a value that is one: what functions are of is called as in the
    /// source, features can be called otherwise.
    pub fn column<'v>(&'v self, value: &'v str) -> &'v str {
        if self.aggregates.is_some() { value } else { self.source.column(value) }
    }

    /// The values of its facts, in the order in which rows hold them.
    pub fn fact_values(&self) -> Vec<FactValue<'_>> {
        let Some(aggregates) = &self.aggregates else {
            let features = self.features.iter();
            let value = features.map(|feature| FactValue::Column {
                name: &feature.name,
                data_type: &feature.data_type,
            });
            return value.collect();
        };
        let id = Some(FactValue::Id(&aggregates.id)).filter(|_| !aggregates.id.is_empty());
        let inputs = aggregates.inputs().into_iter();
        let inputs =
            inputs.map(|Field { name, data_type, .. }| FactValue::Column { name, data_type });
        let conditions = aggregates.filters().into_iter().map(FactValue::Condition);
        id.into_iter().chain(inputs).chain(conditions).collect()
    }
}
