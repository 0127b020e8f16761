//! An explanation: the facts' values as Python values, all else as JSON.

use std::slice::from_ref;

use hitherto_api::Explanation;
use hitherto_api::why::Online;
use hitherto_core::column::Column;
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde_json::json;

use crate::lookup::to_list;

/// Which fact answers, and why others do not.
#[pyclass(frozen, module = "hitherto._native")]
pub struct Why(Explanation);

impl Why {
    /// An explanation of the engine or a server.
    pub fn new(explanation: Explanation) -> Self {
        Self(explanation)
    }
}

/// A name, a declared type and the values, a row each, for each feature.
type Columns<'c, 'py> = Vec<(&'c str, String, Bound<'py, PyList>)>;

#[pymethods]
impl Why {
    /// Everything but values, as JSON; times are microseconds UTC.
    fn report(&self) -> String {
        json!(self.0).to_string()
    }

    /// The candidates' values.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Columns<'_, 'py>> {
        to_lists(py, &self.0.columns)
    }

    /// The value that is computed of events: one row, or no feature.
    fn computed<'py>(&self, py: Python<'py>) -> PyResult<Columns<'_, 'py>> {
        let aggregate = self.0.aggregate.as_ref();
        to_lists(py, aggregate.map_or(&[][..], |aggregate| from_ref(&aggregate.answer)))
    }

    /// The online store's values: one row if it answers, or no feature.
    fn online_columns<'py>(&self, py: Python<'py>) -> PyResult<Columns<'_, 'py>> {
        match &self.0.online {
            Online::Answers(answer) => to_lists(py, &answer.columns),
            _ => Ok(Vec::new()),
        }
    }
}

fn to_lists<'c, 'py>(py: Python<'py>, columns: &'c [Column]) -> PyResult<Columns<'c, 'py>> {
    let list = |column: &'c Column| {
        Ok((column.name.as_str(), column.data_type.to_string(), to_list(py, column)?))
    };
    columns.iter().map(list).collect()
}
