//! One feature column of an answer: the same of a lookup and of a training set.

use crate::column::{Column, Values};
use crate::types::DataType;

/// One feature column of an answer.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it is called in the answer.
    pub name: String,
    /// The name of its feature in the feature's view.
    pub of: String,
    /// Index of that view among those that are asked for.
    pub view: usize,
    /// Index of the feature in rows of that view, which its values are computed from: so far
    /// they are the feature's own.
    pub feature: usize,
    /// The type of its values.
    pub data_type: DataType,
    /// What stands where there is no value, as a column with one row.
    pub default: Option<Values>,
}

impl Output {
    /// Its column, without rows and with room for some.
    pub fn column(&self, rows: usize) -> Column {
        Column::with_capacity(self.name.clone(), self.data_type.clone(), rows)
    }
}
