//! A store, here or there: an engine in this process, or a client of a server.
//!
//! | module         | what it owns                                  |
//! | -------------- | --------------------------------------------- |
//! | `store`        | the calls that both answer alike              |
//! | `training_set` | a training set while it is built, and after   |
//!
//! Requests, answers and errors are the same of both, so whoever asks names one. What only one
//! of them can do is asked of that one: definitions that a caller brings are for an engine,
//! jobs that go on without their caller for a server.

mod store;
mod training_set;

pub use store::{Here, Store};
pub use training_set::{Finished, TrainingSet};
