//! Errors to Python exceptions. Which class stands for which kind is one table,
//! `BY_KIND` in `python/hitherto/_errors.py`; this looks it up.

use hitherto_core::Error;
use pyo3::prelude::*;

/// The exception for `error`, its message with every cause.
pub fn raise(error: Error) -> PyErr {
    Python::attach(|py| exception(py, &error).map_or_else(|failed| failed, PyErr::from_value))
}

fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let classes = py.import("hitherto._errors")?.getattr("BY_KIND")?;
    classes.get_item(error.kind().name())?.call1((error.chain(),))
}
