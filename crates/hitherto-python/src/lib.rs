//! The wheel `hitherto`: the engine in process and the client of a server, one
//! API over both.
//!
//! | module         | what it owns                                              |
//! | -------------- | --------------------------------------------------------- |
//! | [`store`]      | an open store: where each call goes                        |
//! | [`plan`]       | what applying definitions would change                     |
//! | [`materialize`] | how far it is, here and on a server                       |
//! | [`spine`]      | Arrow data from Python to record batches                   |
//! | [`training_set`] | a training set: one pass, collected or handed on as a stream |
//! | [`keys`]       | Python values to entity keys                               |
//! | [`lookup`]     | a lookup's answer: columns to Python values and to Arrow    |
//! | [`why`]        | an explanation: its facts to Python values, the rest JSON   |
//! | [`command`]    | the command `hitherto`, which the wheel has, too            |
//! | [`process`]    | the runtime, waiting so that Ctrl-C works, and `fork`       |
//! | [`errors`]     | errors to Python exceptions                                 |
//!
//! This is the inner half, `hitherto._native`. What users see, with types and
//! docstrings, is the Python beside it in `python/hitherto`; it calls in here
//! with plain values (times as microseconds UTC, definitions as JSON). Nothing
//! is computed here: every answer comes from the engine or a server.
//!
//! Three promises hold for every method. The GIL is released while the engine
//! or the network works. A signal is noticed within [`process::SIGNAL_CHECK`].
//! The clock is read here and passed on: this crate is a binary's edge.

#![allow(clippy::disallowed_methods, reason = "what is below is told clock and environment here")]

mod brought;
mod command;
mod errors;
mod keys;
mod lookup;
mod materialize;
mod plan;
mod process;
mod spine;
mod store;
mod training_set;
mod why;

#[pyo3::pymodule]
mod _native {
    use hitherto_core::Kind;
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::lookup::Lookup;
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::store::{Store, parse_timestamp};
    #[pymodule_export]
    use super::training_set::TrainingSet;
    #[pymodule_export]
    use super::why::Why;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("KINDS", Kind::ALL.map(Kind::name))
    }
}
