//! What applying definitions would change, whoever found it out.

use hitherto_core::definition::diff::Change;
use pyo3::prelude::*;
use serde_json::json;

/// What applying the definitions would change.
#[pyclass(frozen, module = "hitherto._native")]
pub struct Plan {
    /// Every change.
    pub changes: Vec<Change>,
    /// The version of the catalog that it was made against.
    #[pyo3(get)]
    pub catalog_version: u64,
    /// What may not be meant, a sentence each.
    #[pyo3(get)]
    pub warnings: Vec<String>,
    /// The plan of an engine in this process. A server plans again when it applies.
    pub made: Option<hitherto_engine::Plan>,
}

impl Plan {
    /// One that an engine in this process made.
    pub fn new(plan: hitherto_engine::Plan) -> Self {
        let (changes, catalog_version) = (plan.changes.clone(), plan.catalog_version);
        Self { changes, catalog_version, warnings: plan.warnings.clone(), made: Some(plan) }
    }
}

#[pymethods]
impl Plan {
    fn __str__(&self) -> String {
        let mut text = match self.changes.is_empty() {
            true => String::from("nothing to change: every definition is applied\n"),
            false => self.changes.iter().map(|change| format!("{change}\n")).collect(),
        };
        text.extend(self.warnings.iter().map(|warning| format!("warning: {warning}\n")));
        text
    }

    fn __len__(&self) -> usize {
        self.changes.len()
    }

    /// Every change, as JSON.
    fn changes(&self) -> String {
        json!(self.changes).to_string()
    }
}
