//! A training set: one pass over the spine, collected or handed on as a stream.
//!
//! ```text
//! Waiting ---collect---> Collected (every later reader gets these batches)
//!    |
//!    +-----first read of an Arrow stream---> Streaming ---last batch---> Read
//!    |                                           |
//!    +---error or signal---> Failed <------------+
//! ```
//!
//! An exported Arrow stream takes the pass when it is first read, not when it
//! is made: a consumer may ask for several to look at the schema.

use std::mem;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchReader};
use hitherto_api::Thresholds;
use hitherto_core::{Error, Result};
use hitherto_store::{Finished, TrainingSet as Pass};
use parking_lot::Mutex;
use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyRecordBatchReader;
use pyo3_arrow::ffi::to_schema_pycapsule;
use serde_json::json;

use crate::errors::{in_python, raise};
use crate::process::{Owned, wait, wait_blocking};

/// Where the one pass is.
enum State {
    Waiting(Owned<Pass>),
    Streaming,
    Collected(Arc<[RecordBatch]>, Arc<Finished>),
    Read(Arc<Finished>),
    Failed(PyErr),
}

/// A training set that runs when it is read.
#[pyclass(frozen, module = "hitherto._native")]
pub struct TrainingSet {
    schema: SchemaRef,
    plan: String,
    state: Arc<Mutex<State>>,
}

impl TrainingSet {
    /// Takes over a pass that was not read yet.
    pub fn new(pass: Pass) -> Self {
        let (schema, plan) = (pass.schema(), pass.plan());
        Self { schema, plan, state: Arc::new(Mutex::new(State::Waiting(Owned::new(pass)))) }
    }
}

impl TrainingSet {
    fn finale(&self) -> PyResult<Arc<Finished>> {
        match &*self.state.lock() {
            State::Collected(_, finale) | State::Read(finale) => Ok(Arc::clone(finale)),
            State::Waiting(_) | State::Streaming => Err(raise(Error::invalid(
                "the report is complete when the training set has been read to its end; call \
                 to_arrow(), to_pandas() or to_polars() first",
            ))),
            State::Failed(_) => Err(raise(consumed())),
        }
    }
}

#[pymethods]
impl TrainingSet {
    /// Runs the training set and keeps its batches; does nothing the second time.
    fn collect(&self, py: Python<'_>) -> PyResult<()> {
        let mut pass = match take(&self.state)? {
            Taken::Pass(pass) => pass,
            Taken::Batches(_) => return Ok(()),
        };
        let mut batches = Vec::new();
        loop {
            let (returned, batch) =
                next(py, pass).inspect_err(|error| fail(py, &self.state, error))?;
            pass = returned;
            match batch {
                Some(batch) => batches.push(batch),
                None => break,
            }
        }
        let finale =
            pass.finish().map_err(raise).inspect_err(|error| fail(py, &self.state, error))?;
        *self.state.lock() = State::Collected(batches.into(), Arc::new(finale));
        Ok(())
    }

    /// Column names, in order.
    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Rows, once they are collected.
    #[getter]
    fn rows(&self) -> Option<usize> {
        match &*self.state.lock() {
            State::Collected(batches, _) => Some(batches.iter().map(RecordBatch::num_rows).sum()),
            _ => None,
        }
    }

    /// The physical plan, or with metrics once it ran, for which it is collected if
    /// nobody has read it.
    fn explain(&self, py: Python<'_>, analyze: bool) -> PyResult<String> {
        if !analyze {
            return Ok(self.plan.clone());
        }
        let is_waiting = matches!(&*self.state.lock(), State::Waiting(_));
        if is_waiting {
            self.collect(py)?;
        }
        Ok(self.finale()?.plan().to_owned())
    }

    /// What ended the pass before its last row, if something did: a stream's consumer gets
    /// no more than its text.
    #[getter]
    fn failure<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBaseException>> {
        match &*self.state.lock() {
            State::Failed(error) => Some(error.value(py).clone()),
            _ => None,
        }
    }

    /// Counts by view, as JSON.
    fn report(&self) -> PyResult<String> {
        let mut report = self.finale()?.report().clone();
        report.warnings.iter_mut().for_each(|warning| *warning = in_python(warning));
        Ok(json!(report).to_string())
    }

    /// The manifest, as JSON. May read source files.
    fn manifest(&self, py: Python<'_>) -> PyResult<String> {
        let finale = self.finale()?;
        let manifest = wait_blocking(py, move || finale.manifest())?;
        Ok(json!(manifest).to_string())
    }

    /// Raises when the report is beyond a bound.
    fn check(
        &self,
        null_rate: Option<f64>,
        leak_rate: Option<f64>,
        age_micros: Option<i64>,
    ) -> PyResult<()> {
        let thresholds = Thresholds { null_rate, leak_rate, age_micros };
        thresholds.validate().map_err(raise)?;
        thresholds.check(self.finale()?.report()).map_err(raise)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema.as_ref())?)
    }

    /// The collected batches, or else the one pass.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let schema = Arc::clone(&self.schema);
        let reader = Reader { schema, state: Arc::clone(&self.state), source: Source::Untouched };
        PyRecordBatchReader::new(Box::new(reader))
            .into_pyobject(py)?
            .call_method1("__arrow_c_stream__", (requested_schema,))
    }
}

/// What a reader of a training set reads.
enum Taken {
    Pass(Pass),
    Batches(Arc<[RecordBatch]>),
}

/// Takes the one pass, or shares what it gave.
fn take(state: &Mutex<State>) -> PyResult<Taken> {
    let mut state = state.lock();
    match mem::replace(&mut *state, State::Streaming) {
        State::Waiting(pass) => pass.take().map(Taken::Pass).ok_or_else(|| {
            raise(Error::invalid(
                "this training set was made before a fork; make it in the process that reads it",
            ))
        }),
        collected @ State::Collected(..) => {
            *state = collected;
            match &*state {
                State::Collected(batches, _) => Ok(Taken::Batches(Arc::clone(batches))),
                _ => Err(raise(consumed())),
            }
        }
        other => {
            *state = other;
            Err(raise(consumed()))
        }
    }
}

fn fail(py: Python<'_>, state: &Mutex<State>, error: &PyErr) {
    *state.lock() = State::Failed(error.clone_ref(py));
}

fn consumed() -> Error {
    Error::invalid(
        "this training set has been read already, as an Arrow stream or until it was interrupted; \
         call training_set() again, or to_arrow() first, which keeps the rows",
    )
}

/// The next batch. The pass travels with the work, so that dropping the work
/// drops it.
fn next(py: Python<'_>, mut pass: Pass) -> PyResult<(Pass, Option<RecordBatch>)> {
    wait(py, async move {
        let batch = pass.next().await.transpose()?;
        Ok((pass, batch))
    })
}

/// A training set as an Arrow stream.
struct Reader {
    schema: SchemaRef,
    state: Arc<Mutex<State>>,
    source: Source,
}

/// Where a [`Reader`] is.
enum Source {
    Untouched,
    Pass(Owned<Pass>),
    Batches(Arc<[RecordBatch]>, usize),
    Ended,
}

impl Reader {
    fn read(&mut self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let mut source = mem::replace(&mut self.source, Source::Ended);
        if let Source::Untouched = source {
            source = match take(&self.state)? {
                Taken::Pass(pass) => Source::Pass(Owned::new(pass)),
                Taken::Batches(batches) => Source::Batches(batches, 0),
            };
        }
        match source {
            Source::Batches(batches, index) => {
                let batch = batches.get(index).cloned();
                self.source = Source::Batches(batches, index + 1);
                Ok(batch)
            }
            Source::Pass(pass) => {
                let Some(pass) = pass.take() else { return Err(raise(consumed())) };
                let (pass, batch) =
                    next(py, pass).inspect_err(|error| fail(py, &self.state, error))?;
                match batch {
                    Some(_) => self.source = Source::Pass(Owned::new(pass)),
                    None => {
                        let finale = pass.finish().map_err(raise);
                        let finale = finale.inspect_err(|error| fail(py, &self.state, error))?;
                        *self.state.lock() = State::Read(Arc::new(finale));
                    }
                }
                Ok(batch)
            }
            Source::Untouched | Source::Ended => Ok(None),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    /// Called by the stream's consumer, with or without the GIL. An exception
    /// becomes a message, as the C interface has nothing else; a Ctrl-C is
    /// therefore raised again when the consumer is back in Python.
    fn next(&mut self) -> Option<Self::Item> {
        Python::try_attach(|py| match self.read(py) {
            Ok(batch) => batch.map(Ok),
            Err(error) => {
                let message = error.to_string().replace('\0', "");
                // Last: from here on the next line of Python raises.
                if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                    let _ = py.import("_thread").and_then(|it| it.call_method0("interrupt_main"));
                }
                Some(Err(ArrowError::ExternalError(message.into())))
            }
        })
        .unwrap_or_else(|| {
            let message = "the interpreter is shutting down";
            Some(Err(ArrowError::ExternalError(message.into())))
        })
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
